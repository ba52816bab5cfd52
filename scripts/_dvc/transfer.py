"""Moving the bytes of an object to and from S3, with a limit on the time of each step."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, BinaryIO, TypeVar

STEP_SECONDS = 40
"""How long the remote may take for one answer, or to move one part."""
ABORT_SECONDS = 5
QUICK_SECONDS = 4
PARTS_AT_ONCE = 16
READ_BYTES = 2 << 20
MIN_PART_BYTES = 5 << 20  # S3's own minimum; a slow connection can move it in STEP_SECONDS
MAX_PARTS = 10_000
MIB = 1 << 20

T = TypeVar("T")
R = TypeVar("R")


def part_bytes(size: int) -> int:
    """Return the size of the parts in which `upload` sends a file: the smallest that S3 allows, in whole MiB."""
    return max(MIN_PART_BYTES, -(-size // (MAX_PARTS * MIB)) * MIB)


def read(filesystem: Any, key: str, *, start: int, size: int) -> Iterator[bytes]:
    """Yield the bytes of an object from `start` to `size`, in chunks of at most READ_BYTES.

    Parameters
    ----------
    filesystem
        The S3 file system of s3fs.
    key
        `bucket/key`.
    start, size
        The first byte to read, and the size of the object in bytes. A chunk is short if the object is.

    Raises
    ------
    TimeoutError
        The remote is silent or too slow.
    Exception
        Any error of s3fs.
    """

    def read_some(starts: Sequence[int]) -> list[bytes]:
        ends = [min(each + READ_BYTES, size) for each in starts]
        chunks = filesystem.cat_ranges([key] * len(starts), list(starts), ends, timeout=STEP_SECONDS)
        for chunk in chunks:
            if isinstance(chunk, Exception):
                raise chunk
        return list(chunks)

    for chunks in _in_batches(range(start, size, READ_BYTES), read_some):
        yield from chunks


def upload(
    filesystem: Any,
    key: str,
    file: BinaryIO,
    *,
    size: int,
    metadata: dict[str, str],
    moved: Callable[[int], object],
) -> None:
    """Upload a file as an object, replacing an existing one; a failed upload leaves no parts on the remote.

    Parameters
    ----------
    filesystem
        The S3 file system of s3fs.
    key
        `bucket/key`.
    file, size
        The file, and its size in bytes.
    metadata
        The metadata of the object, which S3 returns as `x-amz-meta-...`.
    moved
        Called with each number of bytes that the remote has received.

    Raises
    ------
    TimeoutError
        The remote is silent or too slow.
    Exception
        Any error of s3fs.
    """
    bucket, name, _ = filesystem.split_path(key)
    target = {"Bucket": bucket, "Key": name}
    each = part_bytes(size)
    if size <= each:
        # with a SHA-256, the remote checks what it receives, and keeps it for later checks
        checked = {"Body": file.read(), "ChecksumAlgorithm": "SHA256", "Metadata": metadata}
        filesystem.call_s3("put_object", **target, **checked, timeout=STEP_SECONDS)
        moved(size)
        return
    begun = filesystem.call_s3("create_multipart_upload", **target, Metadata=metadata, timeout=STEP_SECONDS)
    target["UploadId"] = begun["UploadId"]

    def send(part: tuple[int, bytes]) -> dict[str, Any]:
        number, body = part
        sent = filesystem.call_s3("upload_part", **target, PartNumber=number, Body=body, timeout=STEP_SECONDS)
        return {"PartNumber": number, "ETag": sent["ETag"]}

    def send_some(numbers: Sequence[int]) -> list[dict[str, Any]]:
        file.seek((numbers[0] - 1) * each)
        bodies = [file.read(each) for _ in numbers]
        sent = list(threads.map(send, zip(numbers, bodies, strict=True)))
        moved(sum(map(len, bodies)))
        return sent

    try:
        with ThreadPoolExecutor(PARTS_AT_ONCE) as threads:
            batches = _in_batches(range(1, -(-size // each) + 1), send_some)
            parts = {"Parts": [part for batch in batches for part in batch]}
        filesystem.call_s3("complete_multipart_upload", **target, MultipartUpload=parts, timeout=STEP_SECONDS)
    except BaseException:
        with suppress(Exception):
            filesystem.call_s3("abort_multipart_upload", **target, timeout=ABORT_SECONDS)
        raise


def _in_batches(items: Sequence[T], move: Callable[[Sequence[T]], R]) -> Iterator[R]:
    """Move items in batches, which grow while the remote is quick and shrink if it is slow.

    So every step can have the same short limit on a slow connection and on a fast one.
    """
    start, count = 0, 1
    while start < len(items):
        batch = items[start : start + count]
        begun = time.monotonic()
        try:
            result = move(batch)
        except TimeoutError:
            if count == 1:
                raise
            count = 1
            continue
        yield result
        start += len(batch)
        count = min(2 * count, PARTS_AT_ONCE) if time.monotonic() - begun < QUICK_SECONDS else max(count // 2, 1)
