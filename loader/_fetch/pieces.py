"""Which bytes of a tar come from where when a copy of it is completed, computed for all records at once.

A record is moved with its frame, TFRecord's length before it and checksum behind it, so that neighbours are contiguous.
The arrays take up to 140 bytes for each record, beside the 44 of its row here and in each older artifact.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, TypeVar

import numpy as np

from loader._format.index import BLOCK_BYTES, Header, Member
from loader._format.row_changes import find_records
from loader._format.tfrecord import HEAD_BYTES, TAIL_BYTES

HERE, REMOTE = -1, -2
"""Sources of a run: the copy has it, or only the remote. Any other is a position in the list of older artifacts."""

RUN_BYTES = 2 << 20
GAP_BYTES = 16 << 10
"""Bytes between two runs that are moved for nothing if that saves a request."""
MANY_REQUESTS, WIDE_GAP_BYTES = 256, 64 << 10
"""If there are so many requests, they and not the bytes take the time, and such gaps are moved too."""

Array = np.ndarray[Any, Any]
Part = TypeVar("Part", "Piece", "Run", "Piece | Run")


class Piece(NamedTuple):
    """Bytes of the tar that are no records: where they start and end, and their SHA-256 (hex)."""

    start: int
    end: int
    sha256: str


class Frames(NamedTuple):
    """The framed records of an artifact, in the order of the tar.

    Attributes
    ----------
    rows
        The number of each record's row; shape (n,).
    starts, ends
        The offset in the tar of the first byte of its frame, and of the byte behind it; int64 of shape (n,).
    """

    rows: Array
    starts: Array
    ends: Array


class Run(NamedTuple):
    """Adjacent frames from one source, of consecutive rows; a run that has several is not much longer than RUN_BYTES.

    Attributes
    ----------
    row, records
        The first row, and the number of records.
    start, end
        Its place in the tar.
    source
        HERE, REMOTE, or the position of an older artifact.
    shift
        How much larger its offset in the older artifact is.
    """

    row: int
    records: int
    start: int
    end: int
    source: int
    shift: int


def pieces_of(header: Header) -> tuple[list[Piece], tuple[Member, ...]]:
    """Return the metadata files and the blocks of rows of an artifact, in the order of the tar, and its shards."""
    rows, pieces = header.rows, []
    behind = header.members.index(rows) + 1
    for member in header.members[: behind - 1]:
        pieces.append(Piece(member.offset, member.offset + member.size, member.sha256))
    for start, sha256 in zip(range(rows.offset, rows.offset + rows.size, BLOCK_BYTES), header.blocks, strict=True):
        pieces.append(Piece(start, min(start + BLOCK_BYTES, rows.offset + rows.size), sha256))
    return pieces, header.members[behind:]


def frames_of(rows: Array, shards: Iterable[Member], size: int) -> Frames:
    """Return the framed records of an artifact.

    Parameters
    ----------
    rows
        Its rows, of the dtype `loader._format.index.ROW_TYPE`; shape (n,).
    shards
        The members that hold the records.
    size
        Number of bytes of the tar.

    Raises
    ------
    ValueError
        The frames do not fill the shards exactly.
    """
    if np.any(rows["offset"] > size):
        raise ValueError("a record is outside the tar")
    order = np.argsort(rows["offset"], kind="stable")
    offsets = rows["offset"][order].astype(np.int64)
    starts, ends = offsets - HEAD_BYTES, offsets + rows["length"][order] + TAIL_BYTES
    is_first = np.ones(len(order), bool)
    is_first[1:] = starts[1:] != ends[:-1]
    is_last = np.roll(is_first, -1)
    filled = [(member.offset, member.offset + member.size) for member in shards if member.size]
    if list(zip(starts[is_first].tolist(), ends[is_last].tolist(), strict=True)) != sorted(filled):
        raise ValueError("its records do not fill its shards")
    return Frames(order, starts, ends)


def find_sources(rows: Array, is_here: Array, older: Iterable[Array]) -> tuple[Array, Array]:
    """Return where each record is taken from.

    Parameters
    ----------
    rows
        The rows of the artifact; shape (n,).
    is_here
        Whether the copy has the record, by row; shape (n,).
    older
        The rows of each older artifact, the one to prefer first.

    Returns
    -------
    sources, shifts
        By row, what `Run` says of them; int64 of shape (n,).
    """
    sources, shifts = np.where(is_here, HERE, REMOTE), np.zeros(len(rows), np.int64)
    for number, old in enumerate(older):
        missing = np.flatnonzero(sources == REMOTE)
        found = find_records(old, rows[missing])
        missing, found = missing[found >= 0], found[found >= 0]
        sources[missing] = number
        shifts[missing] = old["offset"][found].astype(np.int64) - rows["offset"][missing].astype(np.int64)
    return sources, shifts


def runs_of(frames: Frames, sources: Array, shifts: Array) -> Iterator[Run]:
    """Yield the runs of an artifact, in the order of the tar."""
    rows, starts, ends = frames
    sources, shifts = sources[rows], shifts[rows]
    is_first = np.ones(len(rows), bool)
    is_first[1:] = (np.diff(rows) != 1) | (np.diff(sources) != 0) | (np.diff(shifts) != 0) | (starts[1:] != ends[:-1])
    firsts = np.flatnonzero(is_first)
    # those that are too long are cut where their records cross a multiple of RUN_BYTES
    places = (starts - np.repeat(starts[firsts], np.diff(firsts, append=len(rows)))) // RUN_BYTES
    is_first[1:] |= np.diff(places) != 0
    firsts = np.flatnonzero(is_first)
    counts = np.diff(firsts, append=len(rows))
    columns = (rows[firsts], counts, starts[firsts], ends[firsts + counts - 1], sources[firsts], shifts[firsts])
    yield from map(Run._make, zip(*(column.tolist() for column in columns), strict=True))


def in_requests(parts: Iterable[Part]) -> list[list[Part]]:
    """Return parts of the tar, given in its order, in lists that are each fetched with one request."""
    parts = list(parts)
    groups = _joined(parts, GAP_BYTES)
    return groups if len(groups) < MANY_REQUESTS else _joined(parts, WIDE_GAP_BYTES)


def _joined(parts: Iterable[Part], gap: int) -> list[list[Part]]:
    groups: list[list[Part]] = []
    for part in parts:
        last = groups[-1] if groups else None
        if last and part.start - last[-1].end <= gap and part.end - last[0].start <= RUN_BYTES:
            last.append(part)
        else:
            groups.append([part])
    return groups
