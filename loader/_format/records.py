"""What every source of records offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator


class Records(ABC):
    """Records of which only proved bytes come out."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def where(self, position: int) -> str:
        """Return which record this is, for messages."""

    @abstractmethod
    def reader(self) -> Callable[[int], bytes]:
        """Return a function from a position (0 <= position < len) to the record's bytes.

        It raises IntegrityError where they are not what was recorded.
        """

    def in_order(self, positions: Iterable[int]) -> Iterator[bytes]:
        """Yield the records at `positions`, in their order."""
        return map(self.reader(), positions)
