"""Which bytes of an artifact move from its remote, and whether they were needed."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any

import numpy as np

from loader._format.index import BLOCK_BYTES, HEADER_NAME, ROW_TYPE, ROWS_NAME
from loader._format.tfrecord import HEAD_BYTES, TAIL_BYTES
from tests.fuzz.artifact import MutableArtifact

Mask = np.ndarray[tuple[int], np.dtype[np.bool_]]


class Parts:
    """The parts of an artifact that are verified by themselves: first the framed records, by row, then all others.

    Attributes
    ----------
    records
        The number of records.
    starts, ends
        The offset of the first byte of each part, and of the byte behind it; int64 of shape (parts,).
    """

    def __init__(self, mutable: MutableArtifact) -> None:
        self.data = np.frombuffer(mutable.base, np.uint8)
        rows = np.frombuffer(mutable.file(ROWS_NAME), ROW_TYPE)
        self.records = len(rows)
        offsets = rows["offset"].astype(np.int64)
        index = mutable.entry["index"]
        spans = [(index["offset"], index["offset"] + index["size"])]
        for member in mutable.header.members:
            is_shard, end = ".tfrecord-" in member.name, member.offset + member.size
            step = BLOCK_BYTES if member.name == ROWS_NAME else member.size
            if not is_shard and member.name != HEADER_NAME:
                spans += [(at, min(at + step, end)) for at in range(member.offset, end, step)]
        others = np.array(spans, np.int64)
        self.starts = np.concatenate([offsets - HEAD_BYTES, others[:, 0]])
        self.ends = np.concatenate([offsets + rows["length"] + TAIL_BYTES, others[:, 1]])

    def missing(self, data: bytes) -> Mask:
        """Return which parts a copy with these bytes lacks: bool of shape (parts,)."""
        found = np.frombuffer(data[: len(self.data)].ljust(len(self.data), b"\0"), np.uint8)
        wrong = np.concatenate([[0], np.cumsum(found != self.data, dtype=np.int32)])
        return wrong[self.ends] != wrong[self.starts]

    def lacking(self, older: bytes, records: Container[bytes]) -> Mask:
        """Return which parts an older artifact with these bytes and records lacks, like `missing`."""
        found = [self.data[start:end].tobytes() for start, end in zip(self.starts, self.ends, strict=True)]
        is_record = [part[HEAD_BYTES:-TAIL_BYTES] in records for part in found[: self.records]]
        return ~np.array([*is_record, *(part in older for part in found[self.records :])])

    def bytes_of(self, parts: Mask) -> Mask:
        """Return which bytes some parts are: bool of shape (size of the tar,)."""
        return _covered(self.starts[parts], self.ends[parts], len(self.data)) > 0


def assert_needed(reads: Sequence[tuple[int, int]], needed: Mask, *, gap: int, times: int = 1) -> None:
    """Assert that reads, given by their offsets and sizes, moved what was needed and little else.

    Parameters
    ----------
    reads
        The offset and size of each.
    needed
        Which bytes were needed: bool of shape (size of the tar,).
    gap
        The most bytes between two needed ones that may move for nothing, because another request would take longer.
    times
        How many times a byte may move.
    """
    if not reads:
        return
    places = np.array(reads, np.int64).reshape(-1, 2)
    starts, ends = places[:, 0], places.sum(axis=1)
    idle = ~needed[starts] | ~needed[ends - 1]
    assert not idle.any(), f"moved for nothing: {places[idle].tolist()}"
    moved = _covered(starts, ends, len(needed))
    assert moved.max() <= times, f"byte {moved.argmax()} moved {moved.max()} times: {places.tolist()}"
    is_idle = np.concatenate([[False], (moved > 0) & ~needed, [False]])
    longest = np.diff(np.flatnonzero(is_idle[1:] != is_idle[:-1]))[::2].max(initial=0)
    assert longest <= gap, f"{longest} bytes in a row moved for nothing: {places.tolist()}"


def _covered(starts: Any, ends: Any, size: int) -> Any:
    """Return how many of some spans cover each byte: int8 of shape (size,)."""
    changes = np.zeros(size + 1, np.int8)
    np.add.at(changes, starts, 1)
    np.add.at(changes, ends, -1)
    return np.cumsum(changes[:size], dtype=np.int8)
