"""The cache's folder, in which entries are stored by hash.

artifacts/<md5>/<name>.tar        artifacts; `.part` is what has arrived of one (with holes, if `.arrived` is beside it)
extracted/<sha256>/<name>/...     folders for TFDS, by the hash of the artifact's index header
decoded/<hash>/<name>/...         decoded examples as arrays; see `loader._cached`
repositories/<hash of URL>        clones of datasets repositories
scratch/<hash>                    scratch folders of entries that are being made or removed by the holder of the lock
locks/                            one lock file for each hash, held by who writes or removes the entry
limit                             the cache's size limit in bytes, if there is one

Who reads an entry holds a shared lock on its folder, and nobody removes it.
"""

from __future__ import annotations

import fcntl
import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from loader._errors import ArgumentError, FetchError
from loader._fetch.cache_entry import Entry, read_artifact, read_folder
from loader._fetch.places import cache_folder

if TYPE_CHECKING:
    from filelock import FileLock

ARTIFACTS = "artifacts"
EXTRACTED = "extracted"
DECODED = "decoded"
REPOSITORIES = "repositories"
SCRATCH = "scratch"
_LIMIT = "limit"


def entry_folder(kind: str, hash: str) -> Path:
    """Return the folder of the entry with this hash."""
    return cache_folder() / kind / hash


def artifact_path(md5: str, filename: str) -> Path:
    """Return the path of the artifact with this MD5."""
    return entry_folder(ARTIFACTS, md5) / filename


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
        path.touch()  # or only `acquire` would fail, with another error
    except OSError as error:
        raise FetchError(f"the cache {cache_folder()} cannot be written to: {error.strerror}") from error
    return FileLock(path)


class Hold:
    """A shared lock on an entry's folder, which keeps the entry in the cache until nothing refers to this object.

    Forked processes share it.

    Raises
    ------
    FileNotFoundError
        There is no such entry.
    """

    def __init__(self, folder: Path) -> None:
        self._descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        weakref.finalize(self, os.close, self._descriptor).atexit = False
        _lock_folder(self._descriptor, fcntl.LOCK_SH)
        # who removed it while this waited had the lock
        if not os.path.samestat(folder.stat(), os.fstat(self._descriptor)):
            raise FileNotFoundError(folder)


def _lock_folder(descriptor: int, how: int) -> None:
    """Lock a folder; raise BlockingIOError if someone else has, and do nothing on a file system without locks."""
    try:
        fcntl.flock(descriptor, how)
    except BlockingIOError:
        raise
    except OSError:
        return


_HELD: dict[Path, Hold] = {}


def keep(folder: Path) -> None:
    """Keep an entry in the cache until this process ends, because its paths are in use; the error is that of `Hold`."""
    _HELD[folder] = Hold(folder)


@contextmanager
def scratch(hash: str) -> Iterator[Path]:
    """Yield a path for a scratch folder in which to make the entry with this hash; the caller must hold its lock.

    What a killed process left there is removed first.
    """
    import shutil  # imported here because reading needs no scratch folder

    folder = cache_folder() / SCRATCH / hash
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
    for kind, read in ((ARTIFACTS, read_artifact), (EXTRACTED, read_folder), (DECODED, read_folder)):
        for folder in (cache_folder() / kind).glob("*"):
            with suppress(OSError, ValueError):  # just removed, or empty
                found.append(read(kind, folder))
    return sorted(found, key=lambda entry: entry.used)


def arrived(md5: str) -> float:
    """Return the fraction of the artifact with this MD5 that is in the cache, as `Entry` has it; 0.0 if nothing is."""
    try:
        return read_artifact(ARTIFACTS, entry_folder(ARTIFACTS, md5)).arrived
    except (OSError, ValueError):
        return 0.0


def limit(size: float | None) -> None:
    """Keep the cache within `size` bytes, now and after every fetch, by removing the least recently used entries.

    Entries that a process reads stay.

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
    is_number = isinstance(size, int | float) and not isinstance(size, bool)
    if size is not None and not (is_number and 0 <= size < float("inf")):
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


def trim() -> bool:
    """Remove the least recently used entries, but none in use, until the cache is within its limit.

    Returns
    -------
    is_within
        Whether it is; entries that are in use may be larger.
    """
    try:
        allowed = int((cache_folder() / _LIMIT).read_text())
    except (OSError, ValueError):
        return True
    found = entries()
    total = sum(entry.size for entry in found)
    for entry in found:
        if total > allowed and _remove(entry.path):
            total -= entry.size
    return total <= allowed


def clear() -> None:
    """Remove everything except the limit and the entries that a process is writing or reading."""
    for kind in (ARTIFACTS, EXTRACTED, DECODED, REPOSITORIES, SCRATCH):
        for folder in (cache_folder() / kind).glob("*"):
            _remove(folder)


def _remove(folder: Path) -> bool:
    """Remove an entry if it is not in use; a process that is killed meanwhile leaves it whole, or in `scratch`."""
    try:
        with lock(folder.name).acquire(timeout=0):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                _lock_folder(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                with scratch(folder.name) as removed:
                    if folder != removed:
                        folder.rename(removed)
            finally:
                os.close(descriptor)
    except (FetchError, OSError):  # filelock's Timeout is one too
        return False
    return True
