"""The commits that a repository starts from: those of its references, stashes, work trees and unfinished commands."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from scripts._process.errors import ScriptError
from scripts._process.git import git, object_ids, run_git

# what is checked out, which need not be a branch, and what a command of git that stopped halfway goes on with
_HEADS = ("HEAD", "MERGE_HEAD", "MERGE_AUTOSTASH", "CHERRY_PICK_HEAD", "REVERT_HEAD", "REBASE_HEAD")
# what a rebase goes back to or goes on with in the end: files with a commit in each, which are not references
_REBASE_FILES = ("rebase-merge/autostash", "rebase-apply/autostash", "rebase-merge/orig-head", "rebase-apply/orig-head")
_KINDS = {"refs/heads/": "branch ", "refs/remotes/": "branch ", "refs/tags/": "tag "}


def last_commits(root: Path) -> dict[str, list[str]]:
    """Return the last commit of each reference, of each stash, and of each work tree, with their names."""
    references = _references(root)
    commits = _resolved(root, [f"{reference}^{{commit}}" for reference in references])
    trees = _resolved(root, [f"{reference}^{{tree}}" for reference in references])  # a tag may be one of files only
    found: dict[str, list[str]] = {}
    for reference, *objects in zip(references, commits, trees, strict=True):
        kind = next((kind for kind in _KINDS if reference.startswith(kind)), "")
        if (commit := next(filter(None, objects), None)) and reference != "refs/stash":
            found.setdefault(commit, []).append(_KINDS.get(kind, "") + reference.removeprefix(kind))
    for number, line in enumerate(git(root, "stash", "list", "--format=%H %P").decode().splitlines()):
        commit, *parts = line.split()  # the work tree, the commit below it, the index, and the untracked files
        for each in (commit, *parts[1:]):
            found.setdefault(each, []).append(f"stash@{{{number}}}")
    for folder in work_trees(root):
        files = _rebase_files(folder)
        names = (*_HEADS, *files, *(f"{commit}^2" for commit in files))  # of a stash, the second parent is the index
        for name, commit in zip(names, _resolved(folder, names), strict=True):
            if commit:
                found.setdefault(commit, [files.get(name.removesuffix("^2"), name)])
    listed = split_names(git(root, "worktree", "list", "--porcelain", "-z"))
    heads = [line.removeprefix("HEAD ") for line in listed if line.startswith("HEAD ")]
    for commit in filter(None, _resolved(root, heads)):  # also of those whose folder is on a disk that is not there
        found.setdefault(commit, ["HEAD of a work tree"])
    return found


def work_trees(root: Path) -> list[Path]:
    """Return the folders of this repository's work trees, first the one that `root` is or is in."""
    listed = split_names(git(root, "worktree", "list", "--porcelain", "-z"))
    folders = [Path(line.removeprefix("worktree ")).resolve() for line in listed if line.startswith("worktree ")]
    own = Path(os.fsdecode(git(root, "rev-parse", "--show-toplevel").removesuffix(b"\n"))).resolve()
    return [own, *(folder for folder in folders if folder != own and folder.is_dir())]


def _rebase_files(folder: Path) -> dict[str, str]:
    """Return the commits that a rebase in a work tree keeps in files, with the names of these."""
    options = [option for name in _REBASE_FILES for option in ("--git-path", name)]
    paths = git(folder, "rev-parse", *options).decode(errors="surrogateescape").splitlines()
    files = ((name, folder / path) for name, path in zip(_REBASE_FILES, paths, strict=True))
    return {path.read_text(encoding="ascii", errors="replace").strip(): name for name, path in files if path.is_file()}


def _references(root: Path) -> list[str]:
    """Return the full names of all references; one that git cannot read, and would leave out, is an error."""
    form = "--format=%(refname) %(objecttype) %(symref)"  # the type, so that git looks whether it has the object
    done = run_git(root, "for-each-ref", form)
    if done.returncode or done.stderr:
        reason = done.stderr.decode(errors="replace").strip().partition("\n")[0]
        raise ScriptError(f"git cannot read all branches and tags, so what they need is unknown: {reason}")
    lines = filter(None, done.stdout.decode(errors="surrogateescape").split("\n"))  # a name may have other line breaks
    rows = [line.split(" ") for line in lines]
    return [name for name, _, other in rows if not other]  # what is only another name of a branch is left out


def _resolved(root: Path, names: Iterable[str]) -> list[str | None]:
    """Return the commit of each name; None if there is none."""
    names = list(names)
    found = object_ids(root, names)
    return [found.get(name) for name in names]


def split_names(output: bytes) -> list[str]:
    """Return the names in what git prints with `-z`."""
    return [each for each in output.decode(errors="surrogateescape").split("\0") if each]
