"""Partial files: source files that are not complete or not checked yet, each written by one process at a time."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

from filelock import FileLock, Timeout

from scripts._process.errors import UnavailableError
from scripts._process.scratch import SCRATCH
from scripts._sources.download import log

WAIT_SECONDS = 1
# the file, its FileInfo, what a kill leaves of replacing one of them, and the folder that a tar was extracted to
_PARTIAL_FILE = re.compile(r"\.?\.(?P<key>[0-9a-f]{16})\.part((\.json)?(\.part)?|\.tree)")


class Parts:
    """The partial files of one dataset, in the folder of its source files.

    They remain if a process is killed, so that the next one can resume.

    Parameters
    ----------
    root
        The repository; the locks are in its scratch folder.
    folder
        The folder of the source files.
    """

    def __init__(self, root: Path, folder: Path) -> None:
        self._locks = root / SCRATCH / "sources"
        self._folder = folder

    @contextmanager
    def open(self, origin: str, *, label: str, stopped: Event) -> Iterator[Path]:
        """Lock the partial file of `origin`, such as a URL, and return its path; other processes wait.

        Raises
        ------
        UnavailableError
            `stopped` was set while waiting.
        """
        key = hashlib.sha256(f"{self._folder.name} {origin}".encode()).hexdigest()[:16]
        lock = self._lock(key)
        reported = False
        while True:
            try:
                lock.acquire(timeout=WAIT_SECONDS)
                break
            except Timeout:
                if stopped.is_set():
                    raise UnavailableError("cancelled", report=False) from None
                if not reported:
                    log(f"{label}: another process is fetching it; waiting")
                reported = True
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            yield self._folder / f".{key}.part"
        finally:
            lock.release()

    def remove_stale(self) -> None:
        """Remove partial files that no process writes: the source was found elsewhere, or is no longer needed.

        All other files in the folder are the user's, hidden ones too.
        """
        for leftover in self._folder.glob(".*.part*"):
            match = _PARTIAL_FILE.fullmatch(leftover.name)
            is_tree = leftover.name.endswith(".tree")
            if match is None or leftover.is_symlink() or not (leftover.is_dir() if is_tree else leftover.is_file()):
                continue
            try:
                with self._lock(match["key"]).acquire(timeout=0):
                    if is_tree:
                        shutil.rmtree(leftover, ignore_errors=True)
                    else:
                        leftover.unlink(missing_ok=True)
            except Timeout:
                continue

    def _lock(self, key: str) -> FileLock:
        self._locks.mkdir(parents=True, exist_ok=True)
        return FileLock(self._locks / f"{key}.lock", thread_local=False)  # one thread acquires it, another releases it
