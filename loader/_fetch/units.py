"""Which records of a tar are read in one request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from loader._format.index import ROW_TYPE
from loader._format.tfrecord import HEAD_BYTES, TAIL_BYTES

WINDOW_BITS = 17
"""A request reads what is wanted of a window of 128 KiB of the tar, which takes little longer than a record of it."""
GAP_BYTES = 8 << 10
"""How many bytes that nobody wants are read rather than sending another request."""

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass
class Unit:
    """Records to read in one request.

    Attributes
    ----------
    offset, end
        Of their bytes in the tar, with the length and the checksums that TFRecord stores with each.
    rows
        Their rows, in the order of the tar.
    """

    offset: int
    end: int
    rows: list[int]

    def extend(self, other: Unit, *, limit: int) -> bool:
        """Add the records of a unit that follows this one, if they are fewer than `limit` bytes together."""
        is_next = 0 <= other.offset - self.end <= GAP_BYTES and other.end - self.offset <= limit
        if is_next:
            self.end = other.end
            self.rows += other.rows
        return is_next


def unit_around(block: bytes, first: int, place: int, is_wanted: Array | None, tar_size: int) -> Unit:
    """Return what to read for a record: it, and the wanted ones around it in the same window, without large gaps.

    Parameters
    ----------
    block, first
        The block of rows that the record is in, and its first row.
    place
        The record's place in the block.
    is_wanted
        Which records of the block to read: bool of shape (rows of the block,); None for this record alone.
    tar_size
        Bytes in the tar.
    """
    rows = np.frombuffer(block, ROW_TYPE)
    offsets = rows["offset"].astype(np.int64)
    chosen = np.array([place])
    if is_wanted is not None:
        windows = offsets >> WINDOW_BITS
        is_near = is_wanted & (windows == windows[place])
        is_near[place] = True
        chosen = np.flatnonzero(is_near)
    chosen = chosen[np.argsort(offsets[chosen], kind="stable")]
    starts, ends = offsets[chosen] - HEAD_BYTES, offsets[chosen] + rows["length"][chosen] + TAIL_BYTES
    breaks = np.flatnonzero(starts[1:] - np.maximum.accumulate(ends)[:-1] > GAP_BYTES) + 1
    part = np.searchsorted(breaks, np.flatnonzero(chosen == place)[0], side="right")
    some = slice(*[0, *breaks.tolist(), len(chosen)][part : part + 2])
    offset, end = max(int(starts[some][0]), 0), min(int(ends[some].max()), tar_size)
    return Unit(offset, end, (chosen[some] + first).tolist())


def spans(records: Iterable[tuple[int, int, int]]) -> Iterator[tuple[int, int]]:
    """Yield the offset and the end of the bytes of records that follow each other in the tar, with their framing.

    Parameters
    ----------
    records
        The row, offset and length of each.
    """
    start = end = -1
    for _, offset, length in records:
        if offset - HEAD_BYTES != end:
            if end >= 0:
                yield start, end
            start = offset - HEAD_BYTES
        end = offset + length + TAIL_BYTES
    if end >= 0:
        yield start, end
