"""Scratch space that nothing survives: not success, not failure, and a kill only until the next run."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from scripts._process.errors import ScriptError

SCRATCH = ".scratch"


@contextmanager
def scratch_folder(root: Path, name: str, *, at: Path | None = None) -> Iterator[Path]:
    """Give an empty folder to one process at a time.

    Parameters
    ----------
    root
        The repository; the lock is `.scratch/<name>.lock` in it.
    name
        What the scratch space is for.
    at
        The folder to make and to remove; `.scratch/<name>` by default.

    Raises
    ------
    ScriptError
        Another process holds it.
    """
    folder = at or root / SCRATCH / name
    lock = root / SCRATCH / f"{name}.lock"
    lock.parent.mkdir(exist_ok=True)
    try:
        with FileLock(lock, timeout=0):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    except Timeout as error:
        what = name.replace("-", " ", 1)
        raise ScriptError(f"{what}: another one is at work in {root}; wait for it to end") from error
