"""The cache's folder, in which entries are stored by hash.

artifacts/<md5>/<name>.tar        artifacts, or the partial file of an interrupted fetch (`.part`)
extracted/<sha256>/<name>/...     folders for TFDS, by the hash of the artifact's index header
repositories/<hash of URL>        clones of datasets repositories
scratch/<hash>                    scratch folders of entries that are being made, used by the holder of the lock
locks/                            one lock file for each hash, never removed
limit                             the cache's size limit in bytes, if there is one
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from loader._errors import ArgumentError, FetchError
from loader._fetch.places import cache_folder

if TYPE_CHECKING:
    from filelock import FileLock

ARTIFACTS = "artifacts"
EXTRACTED = "extracted"
_LIMIT = "limit"


@dataclass(frozen=True)
class Entry:
    """An entry of the cache.

    Attributes
    ----------
    name
        The file name of an artifact, like "digit.tar", or the name of an extracted dataset, like "digit".
    kind
        "artifacts" for tars, "extracted" for folders that TFDS reads.
    size
        Number of bytes.
    used
        When it was last loaded, in seconds since 1970.
    path
        Its folder.
    """

    name: str
    kind: str
    size: int
    used: float
    path: Path


def entry_folder(kind: str, hash: str) -> Path:
    """Return the folder of the entry with this hash."""
    return cache_folder() / kind / hash


def lock(hash: str) -> FileLock:
    """Return the lock of the entry with this hash, which must be held to write or remove the entry.

    Raises
    ------
    FetchError
        The cache cannot be written to.
    """
    from filelock import FileLock  # imported here because it is a tenth of the time to the first example

    path = cache_folder() / "locks" / f"{hash}.lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FetchError(f"the cache {cache_folder()} cannot be written to: {error.strerror}") from error
    return FileLock(path)


@contextmanager
def scratch(hash: str) -> Iterator[Path]:
    """Yield a path for a scratch folder in which to make the entry with this hash; the caller must hold its lock.

    What a killed process left there is removed first.
    """
    folder = cache_folder() / "scratch" / hash
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def mark_used(folder: Path) -> None:
    """Record that the entry in a folder was used now."""
    try:
        os.utime(folder)
    except OSError:  # a cache that belongs to someone else
        return


def entries() -> list[Entry]:
    """Return the entries, the least recently used first."""
    found = []
    for kind in (ARTIFACTS, EXTRACTED):
        for folder in (cache_folder() / kind).glob("*"):
            try:
                files = [path for path in folder.rglob("*") if path.is_file()]
                first = min(path.relative_to(folder).parts[0] for path in files)
                size = sum(path.stat().st_size for path in files)
                found.append(Entry(first.removesuffix(".part"), kind, size, folder.stat().st_mtime, folder))
            except (OSError, ValueError):  # just removed, or empty
                continue
    return sorted(found, key=lambda entry: entry.used)


def limit(size: float | None) -> None:
    """Keep the cache within `size` bytes, now and after every fetch, by removing the least recently used entries.

    Parameters
    ----------
    size
        Bytes; None for no limit.

    Raises
    ------
    ArgumentError
        The size is not a number of bytes.
    FetchError
        The cache cannot be written to.
    """
    if size is not None and not (isinstance(size, int | float) and 0 <= size < float("inf")):
        raise ArgumentError(f"a cache cannot be limited to {size!r} bytes")
    path = cache_folder() / _LIMIT
    try:
        if size is None:
            path.unlink(missing_ok=True)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{int(size)}\n")
    except OSError as error:
        raise FetchError(f"the cache {cache_folder()} cannot be written to: {error.strerror}") from error
    trim()


def trim(*, keep: Path | None = None) -> None:
    """Remove the least recently used entries, but not `keep`, until the cache is within its limit."""
    try:
        allowed = int((cache_folder() / _LIMIT).read_text())
    except (OSError, ValueError):
        return
    found = entries()
    total = sum(entry.size for entry in found)
    for entry in found:
        if total > allowed and entry.path != keep and _remove(entry.path):
            total -= entry.size


def clear() -> None:
    """Remove everything except the limit and entries that another process is writing."""
    for kind in (ARTIFACTS, EXTRACTED, "repositories"):
        for folder in (cache_folder() / kind).glob("*"):
            _remove(folder)


def _remove(folder: Path) -> bool:
    try:
        with lock(folder.name).acquire(timeout=0):
            shutil.rmtree(folder)
    except OSError:  # filelock's Timeout is one too
        return False
    return True
