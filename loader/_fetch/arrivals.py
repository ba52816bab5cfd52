"""Which records of a streamed artifact have arrived, and how the others are fetched."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from contextlib import nullcontext, suppress
from functools import partial
from hashlib import sha256

import numpy as np

from loader._fetch import store
from loader._fetch.blocks import Blocks
from loader._fetch.ranged import OTHER_FOLDER, RangedArtifact
from loader._fetch.s3_client import CONNECTIONS
from loader._fetch.sparse import SparseCopy
from loader._fetch.threads import DaemonThreads, Forkable
from loader._fetch.units import Array, Unit, unit_around, window_bits
from loader._format.files import Pread
from loader._format.index import BLOCK_RECORDS, ROW, ROW_TYPE
from loader._format.rows import verified_reader, verified_rows
from loader._format.tfrecord import HEAD_BYTES, TAIL_BYTES

CHECK_BYTES = 16 << 20
"""After how many bytes to look whether the cache is within its limit."""
COMPLETION_SECONDS = 0.5
"""How long a pass that brought the last record waits for the artifact to be completed."""
MISSING, UNDER_WAY, ARRIVED, HELD = range(4)
_SPAN_BYTES = 4096
"""For each row, how many bytes of hints are read at once rather than one by one."""


class Arrivals(Forkable):
    """The records of a streamed artifact that this process has, on disk or in memory.

    Parameters
    ----------
    artifact
        The artifact.
    copy
        Its sparse copy, None if it has none.
    keeps
        Whether what arrives is written to the copy. If not, it is held in memory until it is read once.
    shared
        The arrivals whose threads and rows to use.

    Attributes
    ----------
    state
        Of each row: MISSING, UNDER_WAY, ARRIVED or HELD.
    all
        A mask of all rows; see `unit`.
    requests_under_way
        How many requests are under way, or wait for a thread.
    planning
        Held from finding what is missing until it is requested, or two passes would request it twice.
    """

    def __init__(
        self, artifact: RangedArtifact, copy: SparseCopy | None, *, keeps: bool, shared: Arrivals | None = None
    ) -> None:
        self.artifact = artifact
        self.copy = copy
        self.keeps = keeps and copy is not None
        self.count = artifact.header.records
        self.state = np.zeros(self.count, np.uint8)
        self._under_way: dict[int, Future[None]] = {}
        self._held: dict[int, bytes] = {}
        self._requests = 0
        self.all = np.broadcast_to(np.True_, self.count)
        self._unchecked = CHECK_BYTES  # so that the first record that is kept is looked at
        self._looked_up: set[int] = set()  # blocks
        self._whole_to = 0  # all records before it have arrived
        super().__init__()
        if shared is None:
            self._threads = DaemonThreads(CONNECTIONS)
            self.blocks = Blocks(artifact)
            self._rows, self._in_group = verified_rows(artifact.header.rows, self.blocks, _pread_of(copy))
        else:
            self._threads, self.blocks = shared._threads, shared.blocks
            self._rows, self._in_group = shared._rows, shared._in_group
        if copy is not None:
            self.state[copy.arrived(0, self.count)] = ARRIVED

    def _start(self) -> None:
        self._under_way.clear()  # which readers refer to
        self.requests_under_way = 0
        self.state[self.state == UNDER_WAY] = MISSING
        self.planning = threading.Lock()
        self._lock = threading.Lock()
        self._completion: threading.Thread | None = None

    def without_keeping(self) -> Arrivals:
        """Return the same records, of which those that arrive are held in memory."""
        return Arrivals(self.artifact, self.copy, keeps=False, shared=self)

    def reader(self, pread: Pread | None = None) -> Callable[[int], bytes]:
        """Return a function from a row to its record, which has arrived, and is fetched if that is not true.

        It reads the copy, with `pread` if that is faster.
        """
        return verified_reader(self._rows, self._in_group, pread or _pread_of(self.copy), self._read_again)

    def waiting_reader(self) -> Callable[[int], bytes]:
        """Return a function from a row to its record, which waits for its request if that is under way."""
        arrived, under_way, held, fetch = self.reader(), self._under_way, self._held, self.fetch

        def read(row: int) -> bytes:
            return fetch(row) if row in under_way or held else arrived(row)

        return read

    def _read_again(self, row: int, *_: object) -> bytes:
        return self.fetch(row)

    def fetch(self, row: int) -> bytes:
        """Return a record that was not found in the copy.

        Raises
        ------
        FetchError
            It cannot be fetched.
        IntegrityError
            Its bytes are not those recorded.
        """
        if (record := self._arriving(row)) is None:
            not_kept = self._receive(self._wrong_near(row) if self.state[row] == ARRIVED else [row])
            record = not_kept.pop(row) if row in not_kept else self._read_copy(row)
            self._hold(not_kept)
            if record is None:
                raise self.artifact.error(f"is damaged in {self.artifact.describe_row(row)}")
        return record

    def _arriving(self, row: int) -> bytes | None:
        if self.state[row] == UNDER_WAY and row not in self._under_way:
            with self.planning:  # another pass is about to request it
                pass
        if (future := self._under_way.get(row)) is not None:
            with suppress(CancelledError):  # the pass that wanted it was left
                future.result()
        if (record := self._held.pop(row, None)) is not None:
            self.state[row] = MISSING
            return record
        return self._read_copy(row)

    def _wrong_near(self, row: int) -> list[int]:
        """Return a row whose record has not arrived although it is marked, and the others near it for which that is so.

        A file that was cut off, or lost writes, would else be one request for each record.
        """
        near = self.unit(row, self.all, state=ARRIVED).rows
        return [each for each in near if each == row or self._read_copy(each) is None]

    def _read_copy(self, row: int) -> bytes | None:
        """Return a record from the copy; None if it is not there, or wrong."""
        if self.copy is None:
            return None
        offset, length, _, digest = self._row(row)
        try:
            record = self.copy.read(offset, length)
        except (OSError, MemoryError):
            return None
        return record if sha256(record).digest()[:16] == digest else None

    def _row(self, row: int) -> tuple[int, int, bytes, bytes]:
        return ROW.unpack_from(self._rows(row // self._in_group), row % self._in_group * ROW.size)

    def missing(self, rows: Array) -> Array:
        """Return those of the rows that have neither arrived nor are under way."""
        missing: Array = rows[self.state[rows] == MISSING]
        return self._look(missing) if missing.size else missing

    def _look(self, rows: Array) -> Array:
        """Return those of the rows that have not arrived in the copy either, which another process may have fetched."""
        if self.copy is None:
            return rows
        first, last = int(rows.min()), int(rows.max())
        if last - first < _SPAN_BYTES * len(rows):
            arrived = self.copy.arrived(first, last - first + 1)[rows - first]
        else:
            arrived = np.array([self.copy.arrived(row, 1)[0] for row in rows.tolist()])
        self.state[rows[arrived]] = ARRIVED
        missing: Array = rows[~arrived]
        return missing

    def load_rows(self, rows: Array, *, wait: bool = True) -> bool:
        """Have the blocks of some rows in memory, and return whether they are; see `Blocks.load`.

        Then it is known which of their records an interrupted download had left in the copy.
        """
        numbers = np.flatnonzero(np.bincount(rows // BLOCK_RECORDS)).tolist()  # `unique` would import numpy.ma
        if not self.blocks.load(numbers, wait=wait):
            return False
        if self.copy is not None and self.copy.prefix:
            for number in set(numbers) - self._looked_up:
                block = np.frombuffer(self.blocks(number), ROW_TYPE)
                state = self.state[number * BLOCK_RECORDS :][: len(block)]
                state[(block["offset"] + block["length"] <= self.copy.prefix) & (state == MISSING)] = ARRIVED
            self._looked_up.update(numbers)
        return True

    def unit(self, row: int, wanted: Array | None, *, state: int = MISSING) -> Unit:
        """Return what to read for a row: it, and the ones near it that are wanted and have the same state.

        Parameters
        ----------
        row
            The row.
        wanted
            A mask of the wanted rows: bool of shape (records,); None for this row alone.
        state
            The state.
        """
        number, place = divmod(row, BLOCK_RECORDS)
        first = number * BLOCK_RECORDS
        some = slice(first, first + BLOCK_RECORDS)
        is_wanted = None if wanted is None else wanted[some] & (self.state[some] == state)
        bits, size = window_bits(self._requests), self.artifact.entry.size
        return unit_around(self.blocks(number), first, place, is_wanted, size, bits=bits)

    def request(self, unit: Unit) -> Future[None]:
        """Have the records of a unit fetched with one request."""
        with self._lock:
            self._requests += 1
            self.requests_under_way += 1
            self.state[unit.rows] = UNDER_WAY
            future = self._threads.submit(self._fetch, unit)
            self._under_way.update(dict.fromkeys(unit.rows, future))
        future.add_done_callback(partial(self._finish, unit.rows))
        return future

    def _finish(self, rows: list[int], _: Future[None]) -> None:
        with self._lock:
            self.requests_under_way -= 1
            for row in rows:
                self._under_way.pop(row, None)
            unfinished = np.array(rows)
            self.state[unfinished[self.state[unfinished] == UNDER_WAY]] = MISSING

    def _fetch(self, unit: Unit) -> None:
        with self.artifact.claim(unit.offset, unit.end) if self.keeps else nullcontext():
            rows = self._look(np.array(unit.rows)).tolist() if self.keeps else unit.rows
            if rows:
                self._hold(self._receive(rows))

    def _hold(self, records: dict[int, bytes]) -> None:
        """Have records in memory until each is read once."""
        self._held |= records
        self.state[list(records)] = HELD

    def _receive(self, rows: list[int]) -> dict[int, bytes]:
        """Fetch and verify records, keep those that are right, and return what cannot be kept of them, by row.

        Who reads a wrong one says so.
        """
        unpack, of_group, count = ROW.unpack_from, self._rows, self._in_group  # of many records
        found = [(row, *unpack(of_group(row // count), row % count * ROW.size)) for row in rows]
        start = max(min(offset for _, offset, *_ in found) - HEAD_BYTES, 0)
        end = min(max(offset + length for _, offset, length, *_ in found) + TAIL_BYTES, self.artifact.entry.size)
        data = memoryview(self.artifact.fetch(start, end - start))
        right = [
            (row, offset, length)
            for row, offset, length, _, digest in found
            if sha256(data[offset - start :][:length]).digest()[:16] == digest
        ]
        if self.keeps and self.copy is not None:
            try:
                self.copy.keep(right, data, start)
                self.state[[row for row, *_ in right]] = ARRIVED
                self._check_room(end - start)
                return {}
            except OSError as error:
                self.stop_keeping(f"cannot be written to ({error.strerror or error})", OTHER_FOLDER)
        return {row: bytes(data[offset - start : offset - start + length]) for row, offset, length in right}

    def _check_room(self, written: int) -> None:
        """Stop keeping what arrives if the cache has no room left within its limit; looked at now and then."""
        with self._lock:
            self._unchecked += written
            if self._unchecked < CHECK_BYTES:
                return
            self._unchecked = 0
        if not store.trim():
            self.stop_keeping("is at its limit", "raise it with loader.cache.limit")

    def complete_if_whole(self) -> None:
        """If all records have arrived, make the copy the cached artifact; the next pass reads that.

        A thread does it. A small artifact is waited for, or a short program would end before.
        """
        whole_to = self._whole_to
        while whole_to < self.count:
            unknown = whole_to + np.flatnonzero(self.state[whole_to : whole_to + BLOCK_RECORDS] != ARRIVED)
            if unknown.size and (missing := self._look(unknown)).size:
                self._whole_to = int(missing[0])
                return
            whole_to += BLOCK_RECORDS
        self._whole_to = whole_to
        if self.keeps and self._completion is None:
            self._completion = threading.Thread(target=self.artifact.complete, daemon=True)
            self._completion.start()
            self._completion.join(COMPLETION_SECONDS)

    def stop_keeping(self, problem: str, remedy: str) -> None:
        """Say once why what arrives from now on is held in memory only."""
        if self.keeps:
            self.keeps = False
            warnings.warn(
                f"{self.artifact.manifest.name}: the cache {problem}, so what is streamed is not kept; {remedy}",
                stacklevel=2,
            )


def _pread_of(copy: SparseCopy | None) -> Pread:
    return (lambda size, offset: b"") if copy is None else copy.pread
