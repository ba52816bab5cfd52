"""Read the records of a pass ahead of whoever consumes them: the order is known, so many requests run at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from operator import length_hint

import numpy as np

from loader._fetch.arrivals import ARRIVED, MISSING, UNDER_WAY, Arrivals
from loader._fetch.s3_client import CONNECTIONS
from loader._fetch.threads import Forkable
from loader._fetch.units import Array, joined
from loader._format.files import RandomAccessFile
from loader._format.records import Positions, integers

FIRST_CHUNK_BYTES = 64 << 10
"""The bytes of the records that are planned at first, so that reading a few examples transfers few bytes."""
MAX_CHUNK_BYTES = 32 << 20
"""Those that are planned at once later. Up to one and a half times as many are ahead of the consumer."""
GROWTH = 4
STEPS_PER_CHUNK = 8
STEP_RECORDS = 256
"""Most records that are read before planning goes on."""


class ReadAhead(Forkable):
    """One pass over records in a known order; threads may share it.

    The records are planned in chunks. What is missing of a chunk is requested at once, in the order in which it is
    needed. If what arrives is kept on disk, a request reads all records near the needed one that the pass wants, also
    those that it wants much later.

    Parameters
    ----------
    arrivals
        The artifact's records.
    positions
        Their rows, in the order of the pass.
    at_once
        How many of them are needed before the first is of use.
    """

    def __init__(self, arrivals: Arrivals, positions: Positions, at_once: int) -> None:
        self._keeps = arrivals.keeps
        self._arrivals = arrivals if self._keeps else arrivals.without_keeping()
        self._read_record = self._arrivals.waiting_reader()
        self._positions = positions
        self._at_once = at_once
        record_bytes = max(arrivals.artifact.entry.size // max(arrivals.count, 1), 1)
        self._size = max(at_once, FIRST_CHUNK_BYTES // record_bytes, 1)  # of the next chunk
        self._last_size = 0
        self._max_size = max(at_once, MAX_CHUNK_BYTES // record_bytes, 1)
        self._record_bytes = record_bytes
        self._wanted: Array | None = None
        super().__init__()

    def _start(self) -> None:
        self._front: int | None = None  # what is before it is planned
        self._is_begun = False
        self._futures: list[Future[None]] = []
        self._lock = threading.Lock()

    def __call__(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the records of a part of the pass."""
        end = len(self._positions)
        if stop < end or start == stop:
            yield from self._part(start, stop)
            return
        yield from self._part(start, end - 1)
        last = list(self._part(end - 1, end))
        self._arrivals.complete_if_whole()  # before the last record, because nobody asks for what is behind it
        yield from last

    def _part(self, start: int, stop: int) -> Iterator[bytes]:
        if self._has_arrived(start, stop):
            yield from map(self._reader(stop - start), integers(self._positions[start:stop]))
        else:
            yield from self._read(start, stop)

    def _read(self, start: int, stop: int) -> Iterator[bytes]:
        at, step = start, iter(())
        try:
            while at < stop:
                end = self._plan_ahead(at, stop)
                step = iter(_array(self._positions, at, end).tolist())
                yield from map(self._read_record, step)
                at = end
        finally:
            if at < stop and (at + STEP_RECORDS < stop or length_hint(step)):
                for future in self._futures:  # nobody will need them
                    future.cancel()

    def _has_arrived(self, start: int, stop: int) -> bool:
        state = self._arrivals.state[_selection(self._positions[start:stop])]
        return bool((state == ARRIVED).all())

    def _reader(self, count: int) -> Callable[[int], bytes]:
        """Return a function that reads records which have arrived as fast as those of a whole artifact."""
        if count > STEP_RECORDS and self._arrivals.copy is not None:
            with suppress(OSError):  # it was completed just now, and has another name
                file = RandomAccessFile(self._arrivals.copy.path)
                if len(file) == self._arrivals.copy.size:
                    return self._arrivals.reader(file.pread_ahead())
        return self._arrivals.reader()

    def _plan_ahead(self, at: int, stop: int) -> int:
        """Plan beyond position `at` as far as it makes sense, and return up to where to read now."""
        with self._lock:
            if self._keeps and not self._arrivals.keeps:
                self._stop_keeping(at)
            is_again = at == 0 and self._is_begun  # as in the next epoch
            if self._front is None or is_again or abs(at - self._front) > 2 * self._max_size:
                self._front = at
            self._is_begun |= at == 0
            needed = min(at + self._at_once, len(self._positions))
            while self._front < len(self._positions) and (
                self._front < needed or self._front - at <= self._last_size // 2
            ):
                end = min(self._front + self._size, len(self._positions))
                if not self._plan(self._front, end, wait=self._front <= at):
                    break
                self._front, self._last_size = end, self._size
                # what is read beside a chunk's records, and is not kept, would be read again for the next ones
                growth = GROWTH if self._arrivals.keeps else self._max_size
                self._size = min(self._size * growth, self._max_size)
            # so short that the next chunk is planned long before this one is consumed
            step = min(max(self._last_size // STEPS_PER_CHUNK, 1), STEP_RECORDS)
            end = min(at + step, stop, max(self._front, at + 1))
            self._plan(at, end, wait=True)  # an earlier part of the pass, which another thread reads late
        return end

    def _stop_keeping(self, at: int) -> None:
        """Plan again what will now be held in memory: no more than a chunk."""
        self._keeps, self._arrivals = False, self._arrivals.without_keeping()
        self._read_record = self._arrivals.waiting_reader()
        self._wanted, self._front = None, at

    def _plan(self, start: int, end: int, *, wait: bool) -> bool:
        """Request what is missing of a chunk; return False if rows are missing for that, and `wait` is not set."""
        arrivals = self._arrivals
        missing = arrivals.missing(_array(self._positions, start, end))
        if not missing.size:
            return True
        if not arrivals.load_rows(missing, wait=wait):
            return False
        wanted, units = self._mask(start, end), []
        self._futures = [future for future in self._futures if not future.done()]
        with arrivals.planning:
            for row in missing.tolist():
                if arrivals.state[row] == MISSING:
                    units.append(arrivals.unit(row, wanted))
                    arrivals.state[units[-1].rows] = UNDER_WAY
            self._futures += map(arrivals.request, joined(units, requests=CONNECTIONS))
        return True

    def _mask(self, start: int, end: int) -> Array:
        """Return which records to fetch: all of the pass if they are kept or fit into memory, else those of a chunk."""
        if self._wanted is not None:
            return self._wanted
        wanted, most = np.zeros(self._arrivals.count, bool), self._max_size * 3 // 2
        if self._arrivals.keeps or len(self._positions) <= most:
            start = 0  # also what is before this chunk, which another thread may be about to read
        if self._arrivals.keeps or len(self._positions) - start <= most:
            self._wanted, end = wanted, len(self._positions)
        wanted[_selection(self._positions[start:end])] = True
        return wanted


def _array(positions: Positions, start: int, end: int) -> Array:
    part = positions[start:end]
    return np.arange(part.start, part.stop, part.step) if isinstance(part, range) else part


def _selection(positions: Positions) -> Array | slice:
    """Return what selects the rows at some positions, in any order; a slice takes no memory."""
    if not isinstance(positions, range):
        return positions
    first, last = sorted((positions[0], positions[-1])) if positions else (0, -1)
    return slice(first, last + 1, abs(positions.step))
