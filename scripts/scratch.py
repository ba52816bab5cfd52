"""Scratch space that nothing survives: not success, not failure, and a kill only until the next build."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from scripts.errors import ScriptError

SCRATCH = ".scratch"


@contextmanager
def scratch_folder(root: Path, name: str) -> Iterator[Path]:
    """Give an empty folder to one process at a time.

    Parameters
    ----------
    root
        The repository; the folder is `.scratch/<name>` in it.
    name
        The dataset.

    Raises
    ------
    ScriptError
        Another process holds it.
    """
    folder = root / SCRATCH / name
    folder.parent.mkdir(exist_ok=True)
    try:
        with FileLock(f"{folder}.lock", timeout=0):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    except Timeout as error:
        raise ScriptError(f"{name}: another build of it is at work in {root}; wait for it to end") from error
