"""The examples of several splits, one after the other."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np

from loader._features.values import Array
from loader._format.records import Positions, integers
from loader._source import Collator, Example, ReadBatches, Source, chosen, order_text
from loader._transforms import join


class JoinedSource(Source):
    """The examples of several sources, one after the other.

    Parameters
    ----------
    parts
        The sources, which have the same features, and the positions of their examples.
    """

    def __init__(self, parts: Sequence[tuple[Source, Positions]]) -> None:
        self.features = parts[0][0].features
        self.is_mapped = any(source.is_mapped for source, _ in parts)
        self._parts = list(parts)
        self._starts = np.cumsum([0, *(len(positions) for _, positions in parts)])

    def read(self, position: int) -> Example:
        """Return the example at a position."""
        number = int(np.searchsorted(self._starts, position, side="right")) - 1
        source, positions = self._parts[number]
        return source.read(int(positions[position - int(self._starts[number])]))

    def expect(self, positions: Positions, count: int) -> None:
        """Begin to fetch the first `count` of the examples at `positions`, each source its own."""
        for (source, _), inside in zip(self._parts, self._divide(positions[:count])[1], strict=True):
            source.expect(inside, len(inside))

    def in_order(self, positions: Positions) -> Iterator[Example]:
        """Yield the examples at `positions`; each source reads its own in their order."""
        numbers, parts = self._divide(positions)
        readers = [source.in_order(inside) for (source, _), inside in zip(self._parts, parts, strict=True)]
        for number in integers(numbers):
            yield next(readers[number])

    def _divide(self, positions: Positions) -> tuple[Array, list[Positions]]:
        """Return the number of the source of each position, and the positions in each source."""
        wanted = np.asarray(positions, np.intp)
        numbers = np.searchsorted(self._starts, wanted, side="right") - 1
        return numbers, [
            chosen(own, wanted[numbers == number] - self._starts[number]) for number, (_, own) in enumerate(self._parts)
        ]

    def begin_batches(self, positions: Positions, size: int, collator: Collator) -> ReadBatches:
        """Return what yields batches."""
        return super().begin_batches(positions, size, (lambda _: join) if self.is_mapped else collator)

    def select(self, names: Sequence[str]) -> JoinedSource:
        """Return the same examples with only these features."""
        return JoinedSource([(source.select(names), positions) for source, positions in self._parts])

    def identify(self, positions: Positions) -> str:
        """Return text that identifies the parts, and the order of the examples at `positions`."""
        parts = " + ".join(f"{source.content_hash}: {source.identify(own)}" for source, own in self._parts)
        return f"{order_text(positions)} of {parts}"

    @property
    def content_hash(self) -> str | None:
        """The hash of the parts' hashes; None if one has none."""
        hashes = [source.content_hash for source, _ in self._parts]
        return None if None in hashes else hashlib.sha256(repr(hashes).encode()).hexdigest()
