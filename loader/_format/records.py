"""The interface of every source of records."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any

import numpy as np

Positions = range | np.ndarray[Any, np.dtype[np.intp]]
Pass = Callable[[int, int], Iterator[bytes]]
"""Yields the records of a part of a pass, from the number of its first record to that after its last one."""

CHUNK_POSITIONS = 4096  # converted to Python integers at once


class Records(ABC):
    """Records that are verified when they are read."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def describe(self, position: int) -> str:
        """Return a name for the record at a position, for messages."""

    @property
    def content_hash(self) -> str | None:
        """A hash that determines every record; None if there is none, and records are only checked for damage."""
        return None

    @abstractmethod
    def reader(self) -> Callable[[int], bytes]:
        """Return a function from a position (0 <= position < len) to the record's bytes.

        It raises IntegrityError if they are not those recorded.
        """

    def in_order(self, positions: Positions) -> Iterator[bytes]:
        """Yield the records at `positions`, in their order."""
        return map(self.reader(), integers(positions))

    def begin_pass(self, positions: Positions, at_once: int) -> Pass:
        """Return what yields parts of the records at `positions`, which are read one after the other.

        Where reading takes a while, records are read ahead, beyond the part that is asked for. `at_once` is the number
        of records in a part, or of those that are needed before the first one is of use. Threads may share the pass.
        """
        return lambda start, stop: self.in_order(positions[start:stop])

    def expect(self, positions: Positions, count: int) -> None:
        """Begin to fetch records, if reading them takes a while.

        The first `count` of those at `positions` will be read next, and the others probably after them.
        """
        return


def integers(positions: Positions) -> Iterable[int]:
    """Return the positions as Python integers, which are faster than NumPy's, converted in chunks."""
    if isinstance(positions, range):
        return positions
    chunks = (positions[at : at + CHUNK_POSITIONS] for at in range(0, len(positions), CHUNK_POSITIONS))
    return chain.from_iterable(chunk.tolist() for chunk in chunks)
