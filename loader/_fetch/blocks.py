"""The blocks of rows of an artifact on its remote, several of which are read at once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from concurrent.futures import Future
from threading import Lock

from loader._fetch.ranged import RangedArtifact
from loader._fetch.threads import DaemonThreads, Forkable
from loader._format.rows import BLOCKS_KEPT

BLOCKS_AT_ONCE = 6
"""Most blocks in one request: 1 MiB."""
REQUESTS_AT_ONCE = 8


class Blocks(Forkable):
    """Verified blocks of rows, of which the last ones used stay in memory.

    Parameters
    ----------
    artifact
        The artifact.
    """

    def __init__(self, artifact: RangedArtifact) -> None:
        self._artifact = artifact
        # of their own, because the threads that fetch records wait for blocks
        self._threads = DaemonThreads(REQUESTS_AT_ONCE)
        self._kept: OrderedDict[int, bytes] = OrderedDict()
        super().__init__()

    def _start(self) -> None:
        self._under_way: dict[int, Future[None]] = {}
        self._lock = Lock()

    def __call__(self, number: int) -> bytes:
        """Return a block; the errors are those of `Artifact.block`."""
        self.load((number,))
        with self._lock:
            data = self._kept.get(number)
        return self._artifact.block(number) if data is None else data  # None if others have displaced it

    def load(self, numbers: Iterable[int], *, wait: bool = True) -> bool:
        """Have blocks fetched, all at once and adjacent ones together, and return whether they are in memory.

        Parameters
        ----------
        numbers
            Which blocks.
        wait
            Whether to wait for them; the errors are those of `Artifact.block`.
        """
        with self._lock:
            missing = []
            for number in numbers:
                if number in self._kept:
                    self._kept.move_to_end(number)
                else:
                    missing.append(number)
            needed = (number for number in missing if number not in self._under_way)
            for run in runs_of(needed, at_most=BLOCKS_AT_ONCE):
                self._under_way.update(dict.fromkeys(run, self._threads.submit(self._fetch, run)))
            futures = {self._under_way[number] for number in missing}
        if wait:
            for future in futures:
                future.result()
        return wait or not futures

    def _fetch(self, run: list[int]) -> None:
        parts = [self._artifact.block_place(number) for number in run]
        try:
            with self._artifact.claim(parts[0][0], sum(parts[-1])):
                self._artifact.read_ahead(parts, [self._artifact.header.blocks[number] for number in run])
                found = [(number, self._artifact.block(number)) for number in run]
            with self._lock:
                self._kept.update(found)
                while len(self._kept) > BLOCKS_KEPT:
                    self._kept.popitem(last=False)
        finally:
            with self._lock:
                for number in run:
                    self._under_way.pop(number, None)


def runs_of(numbers: Iterable[int], *, at_most: int) -> list[list[int]]:
    """Return numbers of blocks in runs of up to `at_most` consecutive ones, each to be read in one request."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1 and len(runs[-1]) < at_most:
            runs[-1].append(number)
        else:
            runs.append([number])
    return runs
