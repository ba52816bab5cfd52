"""What killed commands of this clone left on disk, and other folders that can be made again."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from scripts._define.definition import read_definitions
from scripts._define.packages import INSTALLED, installed_folder
from scripts._process.errors import ScriptError
from scripts._process.scratch import SCRATCH, scratch_folder
from scripts._release.versions import YOUNG_SECONDS

PULL_LOCK = "pull.lock"


@dataclass(frozen=True)
class Leftover:
    """A file or folder that a killed command left: its path and its size in bytes."""

    path: Path
    size: int


def leftovers(root: Path, cache: Path) -> list[Leftover]:
    """Return the scratch folders of commands that have ended, and the old partial files of pulls.

    Parameters
    ----------
    root
        The repository.
    cache
        The folder of DVC's cache that has the objects.
    """
    return [Leftover(path, size_of(path)) for path in (*_scratch_folders(root), *_partial_files(cache))]


def unused_packages(root: Path) -> list[Leftover]:
    """Return the installed packages of builders that no dataset of the work tree needs; none if that is unknown."""
    needed: set[Path | None] = set()
    try:
        for definition in read_definitions(root=root).values():
            if isinstance(definition, ScriptError):
                return []
            needed.add(installed_folder(definition))
    except ScriptError:
        return []
    return [Leftover(path, size_of(path)) for path in sorted((root / INSTALLED).glob("*")) if path not in needed]


def remove_leftover(root: Path, leftover: Leftover) -> bool:
    """Remove what a killed command left, and return whether it is removed; a command may use it again meanwhile."""
    path = leftover.path
    if path.parent == root / SCRATCH:
        try:
            with scratch_folder(root, path.name):  # which removes it at the end
                return True
        except ScriptError:
            return False
    try:
        with FileLock(path.parent / PULL_LOCK, timeout=0):
            path.unlink(missing_ok=True)
    except Timeout:
        return False
    return True


def size_of(path: Path) -> int:
    """Return the number of bytes of a file, or of the files in a folder."""
    size = 0
    for each in path.rglob("*") if path.is_dir() else [path]:
        with suppress(OSError):  # removed meanwhile
            size += each.lstat().st_size if not each.is_dir() else 0
    return size


def _scratch_folders(root: Path) -> Iterator[Path]:
    """Yield the scratch folders whose lock nobody holds; folders without a lock file are none."""
    for lock in sorted((root / SCRATCH).glob("*.lock")):
        folder = lock.with_suffix("")
        if folder.is_dir() and not folder.is_symlink() and not _is_held(lock):
            yield folder


def _partial_files(cache: Path) -> Iterator[Path]:
    """Yield the files of interrupted pulls on which none has gone on for a day."""
    for path in sorted(cache.parent.glob("*.part")):
        with suppress(FileNotFoundError):  # its pull has just finished
            if time.time() - path.stat().st_mtime > YOUNG_SECONDS:
                yield path


def _is_held(lock: Path) -> bool:
    """Return whether a process holds a lock file. It is only opened for reading, and shared for this moment."""
    try:
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (FileNotFoundError, BlockingIOError):  # its command has just ended, or runs
        return True
    return False
