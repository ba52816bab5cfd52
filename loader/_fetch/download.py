"""Fetch an object into the cache: resumed if it was interrupted, verified by its MD5, by one process only."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import sys
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loader._errors import FetchError, IntegrityError
from loader._fetch.cache_entry import ARRIVED_SUFFIX
from loader._fetch.places import CACHE_VARIABLE
from loader._fetch.store import lock

if TYPE_CHECKING:
    from tqdm import tqdm

    from loader._fetch.s3 import S3Object

PART_BYTES = 4 << 20
PARTS_AT_ONCE = 4
NO_ROOM = errno.ENOSPC, errno.EDQUOT


def download(source: S3Object, target: Path, *, md5: str, size: int) -> None:
    """Fetch an object to `target`. If several processes do this at once, one fetches it and the others wait.

    An interrupted download is resumed from its partial file next to the target. Several requests run at once, and their
    responses wait in memory for their turn (about 50 MB in all).

    Parameters
    ----------
    source
        The object.
    target
        The file; it appears when it is complete and verified.
    md5, size
        Its recorded MD5 (hex) and number of bytes.

    Raises
    ------
    FetchError
        It could not be fetched; the message says why.
    IntegrityError
        The object is not the one recorded.
    """
    part = target.with_name(f"{target.name}.part")
    try:
        with lock(md5):
            if target.exists() and target.stat().st_size == size:
                return
            target.unlink(missing_ok=True)  # something else truncated it
            target.parent.mkdir(parents=True, exist_ok=True)
            arrived = target.with_name(f"{target.name}{ARRIVED_SUFFIX}")
            if arrived.exists():  # a sparse copy that could not be completed
                part.unlink(missing_ok=True)
                arrived.unlink()
            resumed = part.exists()
            # if the result is wrong, the reason may be the partial file, so try once without it
            if not _complete(source, part, md5=md5, size=size):
                part.unlink()
                if not resumed or not _complete(source, part, md5=md5, size=size):
                    part.unlink(missing_ok=True)
                    raise wrong_object(source, "it has another MD5")
            part.rename(target)
    except OSError as error:
        raise not_written(target, error) from error


def remove(target: Path) -> None:
    """Remove a wrong file from the cache; raise FetchError if that is impossible, as if it belongs to someone else."""
    try:
        target.unlink(missing_ok=True)
    except OSError as error:
        raise not_written(target, error) from error


def wrong_object(source: S3Object, how: str) -> IntegrityError:
    """Return an error that says how the object on the remote is not the recorded one."""
    return IntegrityError(
        f"the object on remote {source.remote!r} is not the one that dvc.lock records: {how} ({source.url}); "
        f"replace it from a clone that has the right one: {source.push_command}"
    )


def not_written(target: Path, error: OSError) -> FetchError:
    """Return an error that says why a file cannot be written."""
    full = f"; make room, or set {CACHE_VARIABLE} to another folder" if error.errno in NO_ROOM else ""
    return FetchError(f"{target} cannot be written: {error.strerror or error}{full}")


def progress_bar(name: str | None, size: int, done: int = 0) -> tqdm[Any]:
    """Return a progress bar of bytes, which is shown on a terminal only, and nowhere if it has no name."""
    from tqdm import tqdm

    is_shown = name is not None and sys.stderr is not None and sys.stderr.isatty()
    return tqdm(total=size, initial=done, unit="B", unit_scale=True, desc=name, leave=False, disable=not is_shown)


def _complete(source: S3Object, part: Path, *, md5: str, size: int) -> bool:
    """Complete the partial file and return whether its MD5 is right."""
    hasher = hashlib.md5(usedforsecurity=False)
    try:
        with part.open("a+b") as file:
            if file.seek(0, os.SEEK_END) > size:
                file.truncate(0)
            file.seek(0)
            while chunk := file.read(PART_BYTES):
                hasher.update(chunk)
            done = file.tell()
            if shutil.disk_usage(part.parent).free < size - done:
                raise OSError(errno.ENOSPC, f"{size - done:,} bytes are needed")
            for chunk in _parts(source, done, size, part.stem):
                file.write(chunk)
                hasher.update(chunk)
            file.flush()
            os.fsync(file.fileno())
    finally:
        with suppress(FileNotFoundError):
            if part.stat().st_size == 0:
                part.unlink()
    return hasher.hexdigest() == md5


def _parts(source: S3Object, start: int, size: int, name: str) -> Iterator[bytes]:
    """Yield the object's bytes from `start` on, in order, with several requests at once."""
    offsets = iter(range(start, size, PART_BYTES))
    pool = ThreadPoolExecutor(PARTS_AT_ONCE, thread_name_prefix="loader")
    pending: deque[Future[bytes]] = deque()

    def request_next() -> None:
        if (offset := next(offsets, None)) is not None:
            pending.append(pool.submit(source.read, offset, min(PART_BYTES, size - offset)))

    with progress_bar(name, size, start) as progress:
        try:
            for _ in range(PARTS_AT_ONCE):
                request_next()
            while pending:
                part = pending.popleft().result()
                yield part
                progress.update(len(part))
                request_next()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
