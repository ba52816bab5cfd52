"""Asking git about the repository."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path

from scripts._process.errors import ScriptError


def git(root: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    """Run git in a repository and return what it prints.

    Raises
    ------
    ScriptError
        git is missing, or fails; the message says why.
    """
    try:
        done = subprocess.run(["git", *arguments], cwd=root, input=stdin, capture_output=True)
    except OSError as error:
        raise ScriptError(f"git cannot be run in {root}: {error.strerror}") from error
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip().partition("\n")[0]
        raise ScriptError(f"git {arguments[0]} fails in {root}: {reason}")
    return done.stdout


def read_blobs(root: Path, names: Iterable[str]) -> dict[str, bytes]:
    """Return the content of git objects, by the names that are asked for; objects that do not exist are left out.

    Parameters
    ----------
    root
        The repository.
    names
        Object names, like those of blobs, or `<commit>:<path>`.
    """
    wanted = list(dict.fromkeys(names))
    if not wanted:
        return {}
    output = git(root, "cat-file", "--batch", stdin="".join(f"{name}\n" for name in wanted).encode())
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
