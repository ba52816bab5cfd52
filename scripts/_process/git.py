"""Asking git about the repository."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

from scripts._process.errors import ScriptError

# They lead git to another repository, index or history than that of the folder; git sets some of them for its hooks.
_REPOSITORY_VARIABLES = {
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
}


def environment() -> dict[str, str]:
    """Return the environment in which git reads the repository of its working folder, and the history as committed."""
    kept = {name: value for name, value in os.environ.items() if name not in _REPOSITORY_VARIABLES}
    return {**kept, "GIT_NO_REPLACE_OBJECTS": "1"}


def git(root: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    """Run git in a repository and return what it prints.

    Raises
    ------
    ScriptError
        git is missing, or fails; the message says why.
    """
    try:
        done = subprocess.run(["git", *arguments], cwd=root, env=environment(), input=stdin, capture_output=True)
    except OSError as error:
        raise ScriptError(f"git cannot be run in {root}: {error.strerror}") from error
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip().partition("\n")[0]
        raise ScriptError(f"git {arguments[0]} fails in {root}: {reason}")
    return done.stdout


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
