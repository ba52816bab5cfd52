"""Scratch folders, removed on success and on failure; what a killed process leaves, the next run removes."""

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
    """Create an empty folder that one process at a time can use, and remove it at the end of the `with` block.

    Parameters
    ----------
    root
        The repository; the lock is `.scratch/<name>.lock` in it.
    name
        The purpose of the folder, such as `build-mnist`.
    at
        The path of the folder; `.scratch/<name>` by default.

    Raises
    ------
    ScriptError
        Another process uses it.
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
        raise ScriptError(f"{what}: another one is at work in {root}; wait until it has finished") from error
