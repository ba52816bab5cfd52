"""Which records of a tar are read in one request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import numpy as np

from loader._format.index import ROW_TYPE
from loader._format.tfrecord import HEAD_BYTES, TAIL_BYTES

WINDOW_BITS = 18
"""A request reads what is wanted of a window of 256 KiB of the tar, which takes little longer than a record of it."""
MAX_WINDOW_BITS = 20
REQUESTS_PER_SIZE = 256
"""After how many requests windows double, up to 1 MiB: small ones bring the first batch soon, but cost more time."""
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


def joined(units: Sequence[Unit], *, requests: int) -> list[Unit]:
    """Return units of which adjacent ones are joined, in the order of those given.

    Those that are all needed now arrive sooner, and take less time, if they are not more requests than run at once.

    Parameters
    ----------
    units
        The units, the one that is needed first at the beginning.
    requests
        How many requests run at once.
    """
    size = sum(unit.end - unit.offset for unit in units)
    limit = min(max(size // requests, 1 << WINDOW_BITS), 1 << MAX_WINDOW_BITS)
    found: list[tuple[int, Unit]] = []
    for number, unit in sorted(enumerate(units), key=lambda each: each[1].offset):
        if found and found[-1][1].extend(unit, limit=limit):
            found[-1] = min(found[-1][0], number), found[-1][1]
        else:
            found.append((number, unit))
    return [unit for _, unit in sorted(found, key=itemgetter(0))]


def window_bits(requests: int) -> int:
    """Return the binary logarithm of the bytes of a window after so many requests."""
    return min(WINDOW_BITS + requests // REQUESTS_PER_SIZE, MAX_WINDOW_BITS)


def unit_around(
    block: bytes, first: int, place: int, is_wanted: Array | None, tar_size: int, *, bits: int = WINDOW_BITS
) -> Unit:
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
    bits
        The binary logarithm of the window's bytes.
    """
    rows = np.frombuffer(block, ROW_TYPE)
    offsets = rows["offset"].astype(np.int64)
    chosen = np.array([place])
    if is_wanted is not None:
        windows = offsets >> bits
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
