"""Asking git about the repository."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from loader._format.git_environment import git_environment
from scripts._process.errors import ScriptError


def run_git(
    root: Path, *arguments: str, stdin: bytes = b"", variables: Mapping[str, str] = MappingProxyType({})
) -> subprocess.CompletedProcess[bytes]:
    """Run git in a repository, and return how it ended and what it printed.

    Raises
    ------
    ScriptError
        git is missing.
    """
    environment = {**git_environment(), **variables}
    try:
        return subprocess.run(["git", *arguments], cwd=root, env=environment, input=stdin, capture_output=True)
    except OSError as error:
        raise ScriptError(f"git cannot be run in {root}: {error.strerror}") from error


def git(root: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    """Run git in a repository and return what it prints.

    Raises
    ------
    ScriptError
        git is missing, or fails; the message says why.
    """
    done = run_git(root, *arguments, stdin=stdin)
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip().partition("\n")[0]
        raise ScriptError(f"git {arguments[0]} fails in {root}: {reason}")
    return done.stdout


def changed_files(root: Path, *paths: str, with_ignored: bool = False) -> dict[str, str]:
    """Return the files that are not as the last commit has them, by path relative to the root.

    Parameters
    ----------
    root
        The repository.
    paths
        The files and folders to look at.
    with_ignored
        Whether files that git ignores count too.

    Returns
    -------
    dict
        For each file git's two letters, for the index and the work tree: " M" is changed there, "??" is not in git.

    Raises
    ------
    ScriptError
        git fails.
    """
    options = ("--porcelain", "-z", "--no-renames", "--untracked-files=all", *(("--ignored",) if with_ignored else ()))
    listed = git(root, "status", *options, "--", *paths).decode(errors="surrogateescape")
    prefix = prefix_of(root) if listed else ""
    return {entry[3:].removeprefix(prefix): entry[:2] for entry in listed.split("\0") if entry}


def prefix_of(root: Path) -> str:
    """Return the path of a folder in its repository, with a slash at the end; empty if it is the repository's own.

    Raises
    ------
    ScriptError
        git fails.
    """
    return git(root, "rev-parse", "--show-prefix").decode(errors="surrogateescape").removesuffix("\n")


def read_blobs(root: Path, names: Iterable[str]) -> dict[str, bytes]:
    """Return the content of git objects, by the names that are asked for; objects that do not exist are left out.

    Names with a line break in them are left out too.

    Parameters
    ----------
    root
        The repository.
    names
        Object names, like those of blobs, or `<commit>:<path>`.
    """
    wanted = [name for name in dict.fromkeys(names) if "\n" not in name]
    if not wanted:
        return {}
    requests = "".join(f"{name}\n" for name in wanted).encode(errors="surrogateescape")
    output = git(root, "cat-file", "--batch", stdin=requests)
    found = {}
    position = 0
    for name in wanted:
        line_end = output.index(b"\n", position)
        header = output[position:line_end]
        position = line_end + 1
        if header.endswith(b" missing"):
            continue
        size = int(header.rsplit(b" ", 1)[1])
        found[name] = output[position : position + size]
        position += size + 1
    return found


def object_ids(root: Path, names: Iterable[str]) -> dict[str, str]:
    """Return the ids of git objects, by the names that are asked for; those that do not exist are left out.

    Parameters
    ----------
    root
        The repository.
    names
        Object names, like `HEAD:dvc.lock`; those with a line break in them are left out.
    """
    wanted = [name for name in dict.fromkeys(names) if "\n" not in name]
    if not wanted:
        return {}
    requests = "".join(f"{name}\n" for name in wanted).encode(errors="surrogateescape")
    answers = git(root, "cat-file", "--batch-check=%(objectname)", stdin=requests).splitlines()
    return {name: answer.decode() for name, answer in zip(wanted, answers, strict=True) if b" " not in answer}
