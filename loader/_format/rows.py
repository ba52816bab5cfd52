"""Read records by their rows, and keep what was verified of the rows in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from hashlib import sha256

from loader._format.files import Pread
from loader._format.index import BLOCK_BYTES, BLOCK_RECORDS, ROW, Member

BLOCKS_KEPT = 256
"""Blocks of rows in memory: 46 MB, for a million records."""
GROUP_RECORDS = 16
_GROUP_BYTES = GROUP_RECORDS * ROW.size
_GROUPS_OF_BLOCK = BLOCK_RECORDS // GROUP_RECORDS
_DIGEST_BYTES = 16
_ROWS_AT_ONCE = 64
_BYTES_AT_ONCE = 64 << 10

Read = Callable[[int], bytes]
ReadAgain = Callable[[int, int, int, bytes], bytes]
"""Returns a record by its row, offset, length and digest."""


def verified_rows(rows: Member, block: Read, pread: Pread) -> tuple[Read, int]:
    """Return a function to consecutive rows by their number, and how many rows it returns.

    If the artifact has few blocks, it returns blocks, which stay in memory. If it has more, records read in random
    order would need another block each, 180 KB to read and hash. So it returns groups of 16 rows; of each block that
    was verified, the digests of its groups stay in memory, which is one byte for each record, and verify a group that
    is read again.

    Parameters
    ----------
    rows
        The member that holds the rows.
    block
        Returns a block by its number, verified.
    pread
        Returns up to a number of bytes of the tar at an offset, not verified.
    """
    if rows.size <= BLOCKS_KEPT * BLOCK_BYTES:
        return lru_cache(maxsize=None)(block), BLOCK_RECORDS
    digests: dict[int, bytes] = {}  # by block, of all its groups

    def group(number: int) -> bytes:
        block_number, place = divmod(number, _GROUPS_OF_BLOCK)
        if block_number in digests:
            start = number * _GROUP_BYTES
            try:
                data = pread(min(_GROUP_BYTES, rows.size - start), rows.offset + start)
            except OSError:
                data = b""  # reading the block says why
            if digests[block_number].startswith(_digest(data), place * _DIGEST_BYTES):
                return data
        data = block(block_number)
        groups = [data[at : at + _GROUP_BYTES] for at in range(0, len(data), _GROUP_BYTES)]
        digests[block_number] = b"".join(map(_digest, groups))
        return groups[place]

    return lru_cache(maxsize=BLOCKS_KEPT * _GROUPS_OF_BLOCK)(group), GROUP_RECORDS


def verified_reader(rows: Read, count: int, pread: Pread, read_again: ReadAgain) -> Callable[[int], bytes]:
    """Return a function from the number of a row to its record's bytes, which are verified.

    Parameters
    ----------
    rows, count
        What `verified_rows` returns.
    pread
        Returns up to a number of bytes of the tar at an offset, not verified.
    read_again
        Returns a record, verified, if `pread` failed or returned other bytes.
    """
    # a closure, because every example passes through it, and it finds its variables faster than a method would
    unpack, row_bytes, sha = ROW.unpack_from, ROW.size, sha256

    def read(row: int) -> bytes:
        offset, length, _, digest = unpack(rows(row // count), row % count * row_bytes)
        try:
            record = pread(length, offset)
        except (OSError, MemoryError):
            return read_again(row, offset, length, digest)
        return record if sha(record).digest()[:16] == digest else read_again(row, offset, length, digest)

    return read


def read_run(run: range, rows: Read, count: int, pread: Pread, read_again: ReadAgain) -> Iterator[bytes]:
    """Yield the records of rows that follow each other, verified; those that also lie together are read at once.

    The parameters are those of `verified_reader`.
    """
    start = run.start
    while start < run.stop:
        number, at = divmod(start, count)
        end = at + min(run.stop - start, _ROWS_AT_ONCE)
        entries = list(ROW.iter_unpack(rows(number)[at * ROW.size : end * ROW.size]))
        first = entries[0][0]
        while not 0 <= (size := sum(entries[-1][:2]) - first) <= _BYTES_AT_ONCE and len(entries) > 1:
            del entries[len(entries) // 2 :]
        try:
            data = pread(size, first)
        except (OSError, MemoryError):
            data = b""  # reading each record again says why
        for row, (offset, length, _, digest) in enumerate(entries, start):
            record = data[offset - first : offset - first + length]
            yield record if sha256(record).digest()[:16] == digest else read_again(row, offset, length, digest)
        start += len(entries)


def _digest(data: bytes) -> bytes:
    return sha256(data).digest()[:_DIGEST_BYTES]
