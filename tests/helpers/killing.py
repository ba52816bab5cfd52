"""Killing a function at each of its steps on the file system, one after the other."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

EVENTS = {"os.rename", "os.mkdir", "os.rmdir", "os.remove", "os.truncate", "os.link", "os.symlink", "shutil.rmtree"}


def run_killed(action: Callable[[], object], step: int, *, root: Path) -> bool:
    """Run `action` in a process of its own that is killed before its `step`-th change below `root`.

    Returns
    -------
    bool
        Whether it came to its end before that step.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside the test runner's threads
        process = os.fork()
    if process == 0:
        _die_at(step, os.fspath(root))
        try:
            action()
        finally:
            os._exit(0 if sys.exception() is None else 1)
    _, status = os.waitpid(process, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the action failed by itself"
    return not os.WIFSIGNALED(status)


def _die_at(step: int, root: str) -> None:
    left = step

    def count(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        changes = event in EVENTS or (event == "open" and isinstance(arguments[2], int) and arguments[2] & 3)
        if changes and str(arguments[0]).startswith(root):
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)


def files_of(root: Path) -> dict[str, bytes]:
    """All files below `root` but those of git and of scratch space, each with its bytes."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and path.relative_to(root).parts[0] not in (".git", ".scratch")
    }
