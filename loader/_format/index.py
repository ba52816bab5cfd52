"""The record index of an artifact, format 1.

An artifact is an uncompressed tar. Its first member is the *index header*, in JSON. The member between the metadata
files and the shards holds the *rows*, 44 bytes for each record:

    offset   uint64 LE   offset of the record's bytes in the tar
    length   uint32 LE   their number
    key      16 bytes    the 128-bit hash by which TFDS sorted the record (big-endian)
    digest   16 bytes    the first half of the SHA-256 of the record's bytes

Rows follow the order of the splits, and within a split the order of the records. They are verified in blocks of 4,096:
the header has the SHA-256 of every block (the last one may be shorter) and of every other member, and the manifest has
the SHA-256 of the header. One small read and one block are thus enough to find and verify any record.
"""

from __future__ import annotations

import hashlib
import json
import struct
from typing import NamedTuple

import numpy as np

from loader._errors import IntegrityError
from loader._format.strict_json import array, check_sha256, integer, mapping, parse_object, sha256_of, text

FORMAT = 1
HEADER_NAME = "record_index.json"
ROWS_NAME = "record_index.bin"
ROW = struct.Struct("<QI16s16s")
ROW_TYPE = np.dtype([("offset", "<u8"), ("length", "<u4"), ("key", "S16"), ("digest", "S16")])
BLOCK_RECORDS = 4096
BLOCK_BYTES = BLOCK_RECORDS * ROW.size


def digest(data: bytes | memoryview) -> bytes:
    """Return the 16-byte digest of a record: the first half of its SHA-256."""
    return hashlib.sha256(data).digest()[:16]


class Member(NamedTuple):
    """A file in the tar: its path, the offset and number of its bytes, and their SHA-256 (hex)."""

    path: str
    offset: int
    size: int
    sha256: str

    @property
    def name(self) -> str:
        """The path's last part."""
        return self.path.rpartition("/")[2]


class Header(NamedTuple):
    """The parsed index header.

    Attributes
    ----------
    members
        Every member of the tar except the header, in the tar's order.
    splits
        Number of records of each split, in the order of the rows.
    blocks
        SHA-256 (hex) of each block of rows.
    """

    members: tuple[Member, ...]
    splits: dict[str, int]
    blocks: tuple[str, ...]

    def member(self, name: str) -> Member | None:
        """Return the member with the file name `name`, or None."""
        return next((member for member in self.members if member.name == name), None)

    @property
    def records(self) -> int:
        """Number of records in all splits."""
        return sum(self.splits.values())

    @property
    def rows(self) -> Member:
        """The member that holds the rows."""
        found = self.member(ROWS_NAME)
        assert found is not None  # ensured by `parse` and by the packager
        return found

    def render(self) -> bytes:
        """Return the header's bytes: JSON with one value per line, so that it is readable with `tar xO`."""
        document = {
            "format": FORMAT,
            "members": [member._asdict() for member in self.members],
            "splits": self.splits,
            "block_records": BLOCK_RECORDS,
            "blocks": list(self.blocks),
        }
        return json.dumps(document, indent=0, ensure_ascii=True).encode("ascii") + b"\n"


def parse(data: bytes, *, tar_size: int) -> Header:
    """Parse an index header.

    Parameters
    ----------
    data
        The header's bytes.
    tar_size
        Bytes in the tar; every member must be inside it.

    Raises
    ------
    IntegrityError
        The bytes are not a header of format 1, or are inconsistent.
    """
    try:
        document = parse_object(data)
        for key, only in (("format", FORMAT), ("block_records", BLOCK_RECORDS)):
            if integer(document, key) != only:
                raise ValueError(f"its {key} is {document[key]}, this loader reads {only}")
        members = tuple(
            Member(text(raw, "path"), integer(raw, "offset"), integer(raw, "size"), sha256_of(raw, "sha256"))
            for raw in array(document, "members")
        )
        counts = mapping(document, "splits")
        splits = {name: integer(counts, name) for name in counts}
        header = Header(members, splits, tuple(check_sha256(block) for block in array(document, "blocks")))
        for member in members:
            if member.offset + member.size > tar_size:
                raise ValueError(f"{member.path} is outside the tar")
        if len({member.path for member in members}) < len(members):
            raise ValueError("a member is listed twice")
        records = header.records
        rows = header.member(ROWS_NAME)
        if rows is None or rows.size != records * ROW.size or len(header.blocks) != -(-records // BLOCK_RECORDS):
            raise ValueError("rows, blocks and splits are inconsistent")
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"its record index is not in format {FORMAT}: {error}") from error
    return header
