"""TFRecord files without TensorFlow.

A record is stored as its length (uint64 LE), the masked CRC-32C of those 8 bytes (uint32 LE), its bytes, and their
masked CRC-32C (uint32 LE). A masked checksum is rotated right by 15 bits, plus 0xa282ead8. Source of the format:
TensorFlow's `tensorflow/core/lib/io/record_writer.h`.
"""

from __future__ import annotations

import mmap
import struct
from array import array
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from loader._errors import IntegrityError
from loader._format.files import Pread, RandomAccessFile, reason
from loader._format.records import Positions, Records, integers

_LENGTH = struct.Struct("<QI")
_CRC = struct.Struct("<I")
HEAD_BYTES = _LENGTH.size
TAIL_BYTES = _CRC.size
FILES_OPEN = 64
"""Most shards that are open at once; there may be more of them than files that a process may open."""

Buffer = bytes | mmap.mmap | RandomAccessFile


def masked_crc(data: bytes) -> int:
    """Return the masked CRC-32C that TFRecord stores for `data`."""
    import google_crc32c  # not needed to read an artifact, whose records are verified by their digest

    crc: int = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def frame(record: bytes) -> bytes:
    """Return the bytes of a record in its shard: with its length before it, and the checksums."""
    length = len(record).to_bytes(8, "little")
    return length + _CRC.pack(masked_crc(length)) + record + _CRC.pack(masked_crc(record))


def scan(buffer: Buffer, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield (offset, length) of every record's bytes in `buffer[start:end]`; reads only the records' heads.

    Raises
    ------
    IntegrityError
        A head is damaged, or the last record is truncated.
    """
    position = start
    while position < end:
        head = buffer[position : position + HEAD_BYTES]
        if len(head) < HEAD_BYTES:
            raise IntegrityError(f"is cut off at byte {position - start:,}")
        length, crc = _LENGTH.unpack(head)
        if masked_crc(head[:8]) != crc:
            raise IntegrityError(f"is damaged at byte {position - start:,} (the checksum of a record's length)")
        offset = position + HEAD_BYTES
        position = offset + length + TAIL_BYTES
        if position > end:
            raise IntegrityError(f"is cut off inside its last record, at byte {offset - start:,}")
        yield offset, length


def read(buffer: Buffer, offset: int, length: int) -> bytes:
    """Return the record's bytes at `offset`, checked against the CRC after them.

    Raises
    ------
    IntegrityError
        The checksum does not match.
    """
    return _checked(buffer[offset : offset + length + TAIL_BYTES], offset, length)


def _checked(framed: bytes, offset: int, length: int) -> bytes:
    """Return a record without the CRC that follows it in `framed`."""
    if len(framed) < length + TAIL_BYTES:
        raise IntegrityError(f"is cut off inside the record at byte {offset:,}")
    data = framed[:length]
    if _CRC.unpack_from(framed, length)[0] != masked_crc(data):
        raise IntegrityError(f"is damaged at byte {offset:,} (the checksum of a record)")
    return data


class TFRecordFiles(Records):
    """The records of TFRecord files, checked by their CRC.

    Parameters
    ----------
    paths
        The shards, in order.
    lengths
        The number of records in each, as declared in `dataset_info.json`.

    Raises
    ------
    IntegrityError
        A shard is missing, damaged, or has another number of records.
    """

    def __init__(self, paths: Sequence[Path], lengths: Sequence[int]) -> None:
        self._paths = list(paths)
        self._lengths = list(lengths)
        self._attach()

    def _attach(self) -> None:
        identities: list[tuple[int, ...]] = []
        self._open = _opener(self._paths, identities)
        self._shards = array("L")
        self._offsets = array("Q")
        self._sizes = array("Q")
        for shard, (path, count) in enumerate(zip(self._paths, self._lengths, strict=True)):
            first = len(self._offsets)
            try:
                file = RandomAccessFile(path)
                identities.append(file.identity)
                for offset, length in scan(file, 0, len(file)):
                    self._shards.append(shard)
                    self._offsets.append(offset)
                    self._sizes.append(length)
            except (IntegrityError, OSError) as error:
                raise self._error(shard, error) from error
            found = len(self._offsets) - first
            if found != count:
                raise IntegrityError(f"{path} holds {found:,} records, its dataset_info.json says {count:,}")

    def __getstate__(self) -> dict[str, object]:
        return {"_paths": self._paths, "_lengths": self._lengths}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._attach()

    def __len__(self) -> int:
        return len(self._offsets)

    def describe(self, position: int) -> str:
        """Return the record and shard at a position, for messages."""
        shard = self._shards[position]
        return f"record {position - self._shards.index(shard):,} of {self._paths[shard].name}"

    def reader(self) -> Callable[[int], bytes]:
        """Return a function from a position (0 <= position < len) to the record's bytes, checked by their CRC."""
        return self._reader(lambda shard: self._open(shard).pread_exactly)

    def in_order(self, positions: Positions) -> Iterator[bytes]:
        """Yield the records at `positions`, in their order; adjacent ones are read together."""
        read = self._reader(lru_cache(maxsize=1)(lambda shard: self._open(shard).pread_ahead()))
        return map(read, integers(positions))

    def _reader(self, pread_of: Callable[[int], Pread]) -> Callable[[int], bytes]:
        """Return a function from a position to the record's bytes, which are read with the `pread` of its shard."""

        def read_record(position: int) -> bytes:
            shard, offset, length = self._shards[position], self._offsets[position], self._sizes[position]
            size = length + TAIL_BYTES
            try:
                framed = pread_of(shard)(size, offset)
                if len(framed) < size:  # the system may have read fewer bytes than there are
                    framed = self._open(shard)[offset : offset + size]
                return _checked(framed, offset, length)
            except (IntegrityError, OSError, MemoryError) as error:
                raise self._error(shard, error) from error

        return read_record

    def _error(self, shard: int, error: Exception) -> IntegrityError:
        problem = str(error) if isinstance(error, IntegrityError) else f"cannot be read ({reason(error)})"
        return IntegrityError(f"{self._paths[shard]} {problem}")


def _opener(paths: list[Path], identities: list[tuple[int, ...]]) -> Callable[[int], RandomAccessFile]:
    """Return a function from the number of a shard to its file, which must still have its identity."""

    @lru_cache(maxsize=FILES_OPEN)
    def open_shard(shard: int) -> RandomAccessFile:
        file = RandomAccessFile(paths[shard])
        if file.identity != identities[shard]:  # its records may be elsewhere in it
            raise IntegrityError("was changed or replaced after it was opened: open the folder again")
        return file

    return open_shard
