"""Writing shards, in this process or in Beam's workers.

Workers, also on other machines, receive this module by value, since they may have no copy of this repository. Its
top-level imports are therefore from the standard library only.
"""

from __future__ import annotations

import hashlib
import os
import re
import struct
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from io import RawIOBase
from pathlib import Path
from typing import Any, BinaryIO

KEY_BYTES = 16
SHA256_BYTES = 32
CHUNK_BYTES = 1 << 20
MAX_RECORD_BYTES = (1 << 32) - 1
ROW = "<QI16s16s"  # as in loader._format.index; a Struct cannot be sent to a worker
HEAD_BYTES = 12  # before a record in a shard, its length and a checksum
TAIL_BYTES = 4  # behind it, a checksum
PROTOBUF_IMPLEMENTATION = "upb"


class ShardWriter:
    """Replaces TFDS's ExampleWriter: writes the same TFRecord shards, serialized deterministically.

    TFDS serializes the map in an Example in the order of protobuf's hash table, which differs between processes.
    Serialized again with `deterministic=True`, the map is sorted, and the bytes are the same in every process with this
    version of protobuf. The keys by which TFDS sorted the examples are kept for the record index.

    Parameters
    ----------
    rows
        The folder for the rows of the record index: one file per shard, with the shard's name.
    toolchain
        The versions of the packages, and of zlib if it decides bytes. A worker with other versions fails.
    """

    def __init__(self, rows: Path, toolchain: dict[str, str]) -> None:
        self._rows = rows
        self._toolchain = toolchain

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Check the toolchain of a worker. Whatever a worker unpickles to encode or write examples holds a writer."""
        self.__dict__.update(state)
        for package, wanted in self._toolchain.items():
            if (found := _installed(package)) != wanted:
                who = "the build uses" if package == "zlib" else "params.yaml asks for"
                raise RuntimeError(f"{who} {package} {wanted}, on this worker it is {found}")
        if (found := protobuf_implementation()) != PROTOBUF_IMPLEMENTATION:
            raise RuntimeError(f"the build uses protobuf's {PROTOBUF_IMPLEMENTATION}, this worker {found}")

    def write(self, path: os.PathLike[str] | str, examples: Iterable[tuple[int, bytes]]) -> None:
        """Write a shard of examples that TFDS has serialized; see `write_records`."""
        from loader._format.example import Example

        self.write_records(
            path, ((key, Example.FromString(data).SerializeToString(deterministic=True)) for key, data in examples)
        )

    def write_records(self, path: os.PathLike[str] | str, records: Iterable[tuple[int, bytes]]) -> None:
        """Write a shard, and to the other folder what the record index states of it.

        That file has a row for each record, whose offset counts from the beginning of the shard, and then the SHA-256
        of the shard. So its bytes need not be read again to be hashed.

        Parameters
        ----------
        path
            The temporary file that TFDS renames to the shard.
        records
            Keys and records, in order.
        """
        name = Path(path).name
        # a runner may write a shard twice, even at the same time: each attempt has its own name, then is renamed
        unfinished = self._rows / f"{name}.unfinished"
        with Path(path).open("wb", buffering=0) as shard, unfinished.open("wb") as rows:
            rows.write(_write(records, shard, rows))
        unfinished.replace(self._rows / re.sub(r"^incomplete\.[0-9a-f]{32}\.", "", name))


def _write(records: Iterable[tuple[int, bytes]], shard: RawIOBase, rows: BinaryIO) -> bytes:
    """Write records to a shard, and their rows to `rows`; return the SHA-256 of the shard."""
    from loader._format.tfrecord import masked_crc

    hasher = hashlib.sha256()

    def hash_and_write(data: bytearray) -> None:
        hasher.update(data)
        left = memoryview(data)
        while left:
            left = left[shard.write(left) :]

    offset, data = 0, bytearray()
    with ThreadPoolExecutor(1) as thread:  # hashes and writes what has been put together here
        writing = thread.submit(hash_and_write, bytearray())
        for key, record in records:
            length = len(record)
            if length > MAX_RECORD_BYTES:
                raise ValueError(
                    f"an example has {length:,} bytes, but a row of the record index can state {MAX_RECORD_BYTES:,} at "
                    f"most; split it into several"
                )
            head = struct.pack("<Q", length)
            data += head
            data += struct.pack("<I", masked_crc(head))
            data += record
            data += struct.pack("<I", masked_crc(record))
            digest = hashlib.sha256(record).digest()  # the row has the first half of it
            rows.write(struct.pack(ROW, offset + HEAD_BYTES, length, key.to_bytes(KEY_BYTES, "big"), digest))
            offset += HEAD_BYTES + length + TAIL_BYTES
            if len(data) >= CHUNK_BYTES:
                writing.result()
                writing = thread.submit(hash_and_write, data)
                data = bytearray()
        writing.result()
        hash_and_write(data)
    return hasher.digest()


def count_records(rows: Path) -> int:
    """Return the number of records in a shard, from the file of its rows."""
    return (rows.stat().st_size - SHA256_BYTES) // struct.calcsize(ROW)


def protobuf_implementation() -> str:
    """Return which implementation of protobuf is in use; each sorts the map in an Example in another order."""
    from google.protobuf.internal import api_implementation

    return str(api_implementation.Type())


def _installed(package: str) -> str:
    import zlib
    from importlib import metadata

    if package == "zlib":  # the library that Python is linked with
        return zlib.ZLIB_RUNTIME_VERSION
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def write_count(count: int, path: Path) -> None:
    """Write the number of examples that the builder yielded for a split."""
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.unfinished")
    unfinished.write_text(str(count))
    unfinished.replace(path)
