"""What is being fetched: files that do not count yet, each written by one process at a time."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

from filelock import FileLock, Timeout

from scripts._process.errors import UnavailableError
from scripts._process.scratch import SCRATCH
from scripts._sources.download import say

WAIT_SECONDS = 1


class Parts:
    """The unfinished files of one dataset, in the folder that its source files are kept in.

    They outlive a process that is killed, and are what the next one goes on from.

    Parameters
    ----------
    root
        The repository, whose scratch folder holds the locks.
    folder
        Where the source files are kept.
    """

    def __init__(self, root: Path, folder: Path) -> None:
        self._locks = root / SCRATCH / "sources"
        self._folder = folder

    @contextmanager
    def open(self, origin: str, *, label: str, stopped: Event) -> Iterator[Path]:
        """Give the place of what comes from `origin` (a URL, say) to one process at a time; the others wait.

        Raises
        ------
        UnavailableError
            `stopped` was set before the others were done.
        """
        key = hashlib.sha256(f"{self._folder.name} {origin}".encode()).hexdigest()[:16]
        lock = self._lock(key)
        said = False
        while True:
            try:
                lock.acquire(timeout=WAIT_SECONDS)
                break
            except Timeout:
                if stopped.is_set():
                    raise UnavailableError("given up", report=False) from None
                if not said:
                    say(f"{label}: another process is fetching it; waiting")
                said = True
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            yield self._folder / f".{key}.part"
        finally:
            lock.release()

    def sweep(self) -> None:
        """Remove unfinished files that nobody writes: the source was found elsewhere, or is not asked for any more."""
        for leftover in self._folder.glob(".*"):
            try:
                with self._lock(leftover.name.lstrip(".").partition(".")[0]).acquire(timeout=0):
                    is_folder = leftover.is_dir() and not leftover.is_symlink()
                    shutil.rmtree(leftover) if is_folder else leftover.unlink(missing_ok=True)
            except Timeout:
                continue

    def _lock(self, key: str) -> FileLock:
        self._locks.mkdir(parents=True, exist_ok=True)
        return FileLock(self._locks / f"{key}.lock", thread_local=False)  # acquired and released by two threads
