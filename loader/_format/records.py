"""The interface of every source of records."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator


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

    def in_order(self, positions: Iterable[int]) -> Iterator[bytes]:
        """Yield the records at `positions`, in their order."""
        return map(self.reader(), positions)
