"""The copies of recorded files on this machine: in the work tree and in DVC's cache."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from tqdm import tqdm

from scripts._process.files import hash_file
from scripts._release.recorded_objects import Recorded


class Copies:
    """The copies of recorded files on this machine, each hashed once.

    Parameters
    ----------
    root
        The repository.
    cache
        The folder of DVC's cache that has the objects.
    records
        The records whose copies are hashed.
    """

    def __init__(self, root: Path, cache: Path, records: Iterable[Recorded]) -> None:
        self._root, self._cache = root, cache
        self._md5s: dict[tuple[int, int], str] = {}
        paths = {
            key: path
            for record in records
            for path in (self.here(record), self.cached(record))
            if (key := _identity(path)) is not None
        }
        # hashing releases the interpreter's lock
        with (
            ThreadPoolExecutor(os.cpu_count()) as threads,
            tqdm(desc="hashing", total=len(paths), unit="file", leave=False, disable=None) as bar,
        ):
            for key, md5 in zip(paths, threads.map(_md5, paths.values()), strict=True):
                self._md5s[key] = md5
                bar.update()

    def here(self, record: Recorded) -> Path:
        """Return the path of a recorded file in the work tree; it need not exist."""
        return self._root / record.path

    def cached(self, record: Recorded) -> Path:
        """Return the path of an object in DVC's cache; it need not exist."""
        return self._cache / record.md5[:2] / record.md5[2:]

    def md5(self, path: Path) -> str | None:
        """Return the md5 of a copy; None if there is no such file, an empty text if it cannot be read."""
        key = _identity(path)
        return None if key is None else self._md5s.get(key, "")

    def proved(self, record: Recorded) -> Path | None:
        """Return a copy that has the recorded md5, None if this machine has none."""
        return next((path for path in (self.here(record), self.cached(record)) if self.md5(path) == record.md5), None)


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what the names of one file have in common; None if there is no such file."""
    with suppress(OSError):
        stat = path.stat()
        return stat.st_dev, stat.st_ino
    return None


def _md5(path: Path) -> str:
    try:
        return hash_file(path, "md5")
    except OSError:
        return ""
