"""What the cache holds, by content.

artifacts/<md5>/<name>.tar        artifacts, and beside each what an interrupted fetch left (`.part`)
extracted/<sha256>/<name>/...     folders for TFDS, by the hash of the artifact's index header
repositories/<hash of URL>        copies of datasets repositories
scratch/<hash>                    what is being made, by who holds its lock
locks/                            one file for each of these, never removed
limit                             how many bytes to keep, where there is a limit
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
    """Something that is kept.

    Attributes
    ----------
    name
        The dataset's artifact, like "digit.tar", or the dataset that was extracted, like "digit".
    kind
        "artifacts" for tars, "extracted" for the folders that TFDS reads.
    size
        Its bytes.
    used
        When it was last loaded, in seconds since 1970.
    path
        Where it is.
    """

    name: str
    kind: str
    size: int
    used: float
    path: Path


def entry_folder(kind: str, content: str) -> Path:
    """Return the folder of what is kept under the hash `content`."""
    return cache_folder() / kind / content


def lock(content: str) -> FileLock:
    """Return the lock of what is kept under the hash `content`, which everyone holds who writes or removes it.

    Raises
    ------
    FetchError
        The cache cannot be written to.
    """
    from filelock import FileLock  # a tenth of the time to the first example, for who fetches nothing

    path = cache_folder() / "locks" / f"{content}.lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FetchError(f"the cache {cache_folder()} cannot be written to: {error.strerror}") from error
    return FileLock(path)


@contextmanager
def scratch(content: str) -> Iterator[Path]:
    """Give the place where what is kept under the hash `content` is made, for who holds its lock.

    What was killed there is removed by the next one.
    """
    folder = cache_folder() / "scratch" / content
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def mark_used(folder: Path) -> None:
    """Note that what is kept in a folder was used now."""
    try:
        os.utime(folder)
    except OSError:  # a cache that belongs to someone else
        return


def entries() -> list[Entry]:
    """Return what is kept, the longest unused first."""
    found = []
    for kind in (ARTIFACTS, EXTRACTED):
        for folder in (cache_folder() / kind).glob("*"):
            try:
                files = [path for path in folder.rglob("*") if path.is_file()]
                first = min(path.relative_to(folder).parts[0] for path in files)
                size = sum(path.stat().st_size for path in files)
                found.append(Entry(first.removesuffix(".part"), kind, size, folder.stat().st_mtime, folder))
            except (OSError, ValueError):  # removed at this moment, or empty
                continue
    return sorted(found, key=lambda entry: entry.used)


def limit(size: float | None) -> None:
    """Keep the cache within `size` bytes, now and after every fetch, by removing what was unused the longest.

    Parameters
    ----------
    size
        Bytes; None for no limit.

    Raises
    ------
    ArgumentError
        The size is no number of bytes.
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
    """Remove what was unused the longest until the cache is within its limit; `keep` stays in any case."""
    try:
        most = int((cache_folder() / _LIMIT).read_text())
    except (OSError, ValueError):
        return
    kept = entries()
    total = sum(entry.size for entry in kept)
    for entry in kept:
        if total > most and entry.path != keep and _remove(entry.path):
            total -= entry.size


def clear() -> None:
    """Remove everything but the limit; what another process writes at this moment stays."""
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
