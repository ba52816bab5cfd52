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
from pathlib import Path

from loader._errors import IntegrityError
from loader._format.records import Records

_LENGTH = struct.Struct("<QI")
_CRC = struct.Struct("<I")
HEAD_BYTES = _LENGTH.size
TAIL_BYTES = _CRC.size

Buffer = bytes | mmap.mmap


def masked_crc(data: bytes) -> int:
    """Return the masked CRC-32C that TFRecord stores for `data`."""
    import google_crc32c  # not needed to read an artifact, whose records are verified by their digest

    crc: int = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


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
    data = buffer[offset : offset + length]
    if _CRC.unpack(buffer[offset + length : offset + length + TAIL_BYTES])[0] != masked_crc(data):
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
        self._maps = [_map_file(path) for path in self._paths]
        self._shards = array("L")
        self._offsets = array("Q")
        self._sizes = array("Q")
        for shard, (path, buffer, count) in enumerate(zip(self._paths, self._maps, self._lengths, strict=True)):
            first = len(self._offsets)
            try:
                for offset, length in scan(buffer, 0, len(buffer)):
                    self._shards.append(shard)
                    self._offsets.append(offset)
                    self._sizes.append(length)
            except IntegrityError as error:
                raise IntegrityError(f"{path} {error}") from error
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
        return self._read_record

    def _read_record(self, position: int) -> bytes:
        shard = self._shards[position]
        try:
            return read(self._maps[shard], self._offsets[position], self._sizes[position])
        except IntegrityError as error:
            raise IntegrityError(f"{self._paths[shard]} {error}") from error


def _map_file(path: Path) -> Buffer:
    try:
        with path.open("rb") as file:
            if file.seek(0, 2) == 0:
                return b""  # an empty file cannot be mapped
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise IntegrityError(f"{path} cannot be read ({error.strerror})") from error
