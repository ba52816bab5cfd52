"""The two sides of a merge, rebase, cherry-pick or revert that stopped at a conflict, as git has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from scripts._process.errors import ScriptError
from scripts._process.git import git, object_ids, read_blobs

Version = Literal["base", "ours", "theirs"]
VERSIONS: tuple[Version, Version, Version] = ("base", "ours", "theirs")
"""The versions of a file, in the order of the stages of git's index, which begin with 1."""


@dataclass(frozen=True)
class Sides:
    """The commits that are merged.

    Attributes
    ----------
    root
        The repository.
    action
        What git is doing: "merge", "rebase", "cherry-pick" or "revert". A rebase may be making a merge.
    commits
        The commit, or the tree, of each version.
    unmerged
        For each path in conflict, the git objects of its versions; a version without the path has none.
    joins
        Whether the history of theirs becomes a part of that of ours, as in a merge.
    started
        When git stopped, in nanoseconds since 1970, which tells this merge from an earlier one that was given up.
    """

    root: Path
    action: str
    commits: dict[Version, str]
    unmerged: dict[str, dict[Version, str]]
    joins: bool
    started: int

    @classmethod
    def read(cls, root: Path) -> Sides | None:
        """Return the sides, None if git has nothing to continue.

        Raises
        ------
        ScriptError
            git fails, or it merges several branches at once.
        """
        unmerged = read_unmerged(root)
        is_rebasing = _is_rebasing(root)
        for action, head in {
            "merge": "MERGE_HEAD",
            "rebase": "REBASE_HEAD",  # which may stay behind
            "cherry-pick": "CHERRY_PICK_HEAD",
            "revert": "REVERT_HEAD",
        }.items():
            if (commit := _commit(root, head)) is None or (action == "rebase" and not is_rebasing):
                continue
            file = root / git(root, "rev-parse", "--git-path", head).decode().rstrip("\n")
            if file.exists() and len(file.read_text(encoding="ascii").split()) > 1:
                raise ScriptError(
                    "git merges several branches at once, so theirs is not one side; give up with: git merge --abort, "
                    "then merge one after the other"
                )
            joins = action == "merge"
            parent_is: Version = "theirs" if action == "revert" else "base"
            other = _merge_base(root, commit) if joins else _parent(root, commit, unmerged, parent_is)
            other = other or git(root, "hash-object", "-t", "tree", "--stdin").decode().strip()
            ours = git(root, "rev-parse", "HEAD").decode().strip()
            base, theirs = (commit, other) if action == "revert" else (other, commit)
            commits: dict[Version, str] = {"base": base, "ours": ours, "theirs": theirs}
            started = file.stat().st_mtime_ns if file.exists() else 0
            return cls(root, "rebase" if is_rebasing else action, commits, unmerged, joins, started)
        return None

    def contents(self, paths: Sequence[str]) -> dict[tuple[Version, str], bytes]:
        """Return the bytes of each version of some files, by version and path; missing files are left out."""
        names = {}
        for path in paths:
            for version in VERSIONS:
                name = f"{self.commits[version]}:./{path}"
                if path in self.unmerged:
                    name = self.unmerged[path].get(version, "")
                if name:
                    names[version, path] = name
        found = read_blobs(self.root, names.values())
        return {place: found[name] for place, name in names.items() if name in found}

    @cached_property
    def folders(self) -> dict[Version, dict[str, dict[str, str]]]:
        """The folders of each dataset in each version, with their git trees."""
        folders: dict[Version, dict[str, dict[str, str]]] = {}
        for version in VERSIONS:
            folders[version] = {}
            listed = git(self.root, "ls-tree", "-r", "-d", "-z", self.commits[version], "--", "datasets").decode()
            for line in filter(None, listed.split("\0")):
                described, path = line.split("\t", 1)
                if path.count("/") == 2:
                    folders[version].setdefault(path.rpartition("/")[2], {})[path] = described.split()[2]
        return folders

    def describe(self, version: Version) -> str:
        """Return the abbreviated commit of a version and its subject."""
        return git(self.root, "log", "-1", "--format=%h (%s)", self.commits[version]).decode().strip()


def read_unmerged(root: Path) -> dict[str, dict[Version, str]]:
    """Return the paths in conflict, each with the git objects of its versions."""
    found: dict[str, dict[Version, str]] = {}
    for line in filter(None, git(root, "ls-files", "--unmerged", "-z").decode(errors="surrogateescape").split("\0")):
        described, path = line.split("\t", 1)
        _, blob, stage = described.split()
        found.setdefault(path, {})[VERSIONS[int(stage) - 1]] = blob
    return found


def _commit(root: Path, name: str) -> str | None:
    try:
        return git(root, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}").decode().strip()
    except ScriptError:
        return None


def _parent(root: Path, commit: str, unmerged: Mapping[str, Mapping[Version, str]], version: Version) -> str | None:
    """Return the parent of a commit from which its changes are counted, None if it has none.

    Of a merge, `-m` named the parent, and git keeps the number nowhere: it is the one that has what is in conflict.
    """
    parents = git(root, "rev-parse", f"{commit}^@").decode().split()
    for parent in parents:
        wanted = {f"{parent}:./{path}": blobs[version] for path, blobs in unmerged.items() if version in blobs}
        if object_ids(root, wanted) == wanted:
            return parent
    return parents[0] if parents else None


def _merge_base(root: Path, commit: str) -> str | None:
    try:
        return git(root, "merge-base", "HEAD", commit).decode().strip()
    except ScriptError:  # the histories have nothing in common
        return None


def _is_rebasing(root: Path) -> bool:
    """Return whether a rebase has not ended."""
    paths = git(root, "rev-parse", "--git-path", "rebase-merge", "--git-path", "rebase-apply").decode().splitlines()
    return any((root / path).exists() for path in paths)
