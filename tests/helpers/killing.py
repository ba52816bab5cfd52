"""Killing a function before any of its changes to the file system."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

EVENTS = {"os.rename", "os.mkdir", "os.rmdir", "os.remove", "os.truncate", "os.link", "os.symlink", "shutil.rmtree"}


def kill_at_step(action: Callable[[], object], step: int, *, root: Path) -> bool:
    """Run `action` in a child process that is killed before its `step`-th change below `root`.

    Returns
    -------
    bool
        Whether `action` finished before that step.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # about forking while the test runner has threads
        process = os.fork()
    if process == 0:
        _exit_at(step, os.fspath(root))
        try:
            action()
        finally:
            os._exit(0 if sys.exception() is None else 1)
    _, status = os.waitpid(process, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the action failed"
    return not os.WIFSIGNALED(status)


def _exit_at(step: int, root: str) -> None:
    remaining = step

    def count(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal remaining
        changes = event in EVENTS or (event == "open" and isinstance(arguments[2], int) and arguments[2] & 3)
        if changes and str(arguments[0]).startswith(root):
            remaining -= 1
            if remaining < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)


def read_files(root: Path) -> dict[str, bytes]:
    """Return the bytes of all files below `root`, except in `.git` and `.scratch`, by relative path."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and path.relative_to(root).parts[0] not in (".git", ".scratch")
    }
