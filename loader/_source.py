"""Where the examples of a split come from: records, arrays that hold what was decoded, a function of other examples."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np

from loader._collate import make_joiner
from loader._errors import DecodeError
from loader._features.connectors import FeaturesDict
from loader._features.decode import make_decoder
from loader._format.records import Positions, Records

Example = dict[str, Any]
Batch = dict[str, Any]
Collator = Callable[[FeaturesDict], Callable[[list[Example]], Batch]]
"""Returns a function from a list of examples with some features to their batch, as `make_collator` does."""
ReadBatches = Callable[[range], Iterator[Batch]]
"""Yields the batches with some numbers, which follow each other; threads may share it."""


class Source(ABC):
    """Examples by position, not converted to a format; they can be pickled and used after a fork.

    Attributes
    ----------
    features
        The features of an example.
    is_mapped
        Whether a function made the examples, so that they have other values than `features` says.
    """

    features: FeaturesDict
    is_mapped = False

    @abstractmethod
    def read(self, position: int) -> Example:
        """Return the example at a position.

        Raises
        ------
        IntegrityError
            The record's bytes are not those recorded.
        DecodeError
            They cannot be decoded.
        """

    def expect(self, positions: Positions, count: int) -> None:
        """Begin to fetch examples, if they are not on this machine.

        The first `count` of those at `positions` will be read next, and the others probably after them.
        """
        return

    @abstractmethod
    def in_order(self, positions: Positions) -> Iterator[Example]:
        """Yield the examples at `positions`, in their order, with the errors of `read`."""

    @abstractmethod
    def select(self, names: Sequence[str]) -> Source:
        """Return the same examples with only these features."""

    @abstractmethod
    def identify(self, positions: Positions) -> str:
        """Return text that identifies the examples at `positions` within a dataset, and their order."""

    @property
    @abstractmethod
    def content_hash(self) -> str | None:
        """A hash that determines all values; None if there is none."""

    def begin_batches(self, positions: Positions, size: int, collator: Collator) -> ReadBatches:
        """Return what yields batches of the examples at `positions`, which are read one after the other.

        Parameters
        ----------
        positions
            The positions of the examples of all batches.
        size
            Examples in a batch.
        collator
            Makes the function that joins examples.
        """
        collate = collator(self.features)

        def batches(numbers: range) -> Iterator[Batch]:
            examples = self.in_order(positions[numbers.start * size : numbers.stop * size])
            for _ in numbers:
                yield collate(list(islice(examples, size)))

        return batches


class RecordSource(Source):
    """Examples that are verified and decoded when they are read.

    Parameters
    ----------
    records
        The records.
    features
        The features to decode.
    """

    def __init__(self, records: Records, features: FeaturesDict) -> None:
        self.features = features
        self._records = records
        self._attach()

    def _attach(self) -> None:
        self._read = self._records.reader()
        self._decode = make_decoder(self.features)

    def __getstate__(self) -> dict[str, Any]:
        return {"features": self.features, "_records": self._records}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._attach()

    def read(self, position: int) -> Example:
        """Return the example at a position, verified and decoded."""
        try:
            return self._decode(self._read(position))
        except DecodeError as error:
            raise self._error(position, error) from error

    def expect(self, positions: Positions, count: int) -> None:
        """Begin to fetch the records at `positions`, if they are not on this machine."""
        self._records.expect(positions, count)

    def in_order(self, positions: Positions) -> Iterator[Example]:
        """Yield the examples at `positions`; records that follow each other are read together."""
        decode, number = self._decode, 0
        try:
            for record in self._records.in_order(positions):
                yield decode(record)
                number += 1
        except DecodeError as error:
            raise self._error(int(positions[number]), error) from error

    def begin_batches(self, positions: Positions, size: int, collator: Collator) -> ReadBatches:
        """Return what yields batches; the examples of each are decoded together if they are alike."""
        decode, join, collate = self._decode_batch, make_joiner(self.features), collator(self.features)
        read = self._records.begin_pass(positions, size)

        def batches(numbers: range) -> Iterator[Batch]:
            records = read(numbers.start * size, min(numbers.stop * size, len(positions)))
            for number in numbers:
                some = list(islice(records, size))
                columns = None if decode is None else decode(some)
                if columns is None:
                    yield collate(self._one_by_one(some, positions[number * size :]))
                else:
                    yield join(columns)

        return batches

    @cached_property
    def _decode_batch(self) -> Callable[[list[bytes]], dict[str, Any] | None] | None:
        from loader._features.batch import make_batch_decoder  # imported here because single examples do not need it

        return make_batch_decoder(self.features)

    def _one_by_one(self, records: list[bytes], positions: Positions) -> list[Example]:
        examples: list[Example] = []
        try:
            for record in records:
                examples.append(self._decode(record))
        except DecodeError as error:
            raise self._error(int(positions[len(examples)]), error) from error
        return examples

    def select(self, names: Sequence[str]) -> RecordSource:
        """Return the same examples with only these features, without decoding the others."""
        return RecordSource(self._records, FeaturesDict({name: self.features[name] for name in names}))

    def identify(self, positions: Positions) -> str:
        """Return text that identifies the order of the records at `positions`."""
        return order_text(positions)

    @property
    def content_hash(self) -> str | None:
        """The hash of the artifact's index header, which determines every record."""
        return self._records.content_hash

    def joined(self, ours: Positions, other: Source, theirs: Positions) -> Positions | None:
        """Return the positions of these examples and then of those of another source, if both have the same records."""
        if not isinstance(other, RecordSource) or not self._has_records_of(other):
            return None
        if isinstance(ours, range) and isinstance(theirs, range) and ours.step == theirs.step == 1:  # noqa: SIM102
            if ours.stop == theirs.start:
                return range(ours.start, theirs.stop)
        return np.concatenate([np.asarray(ours, np.intp), np.asarray(theirs, np.intp)])

    def _has_records_of(self, other: RecordSource) -> bool:
        return self._records is other._records or self.content_hash == other.content_hash is not None

    def _error(self, position: int, error: DecodeError) -> DecodeError:
        return DecodeError(f"{self._records.describe(position)}: {error}")


def order_text(positions: Positions) -> str:
    """Return text that identifies positions in their order."""
    if isinstance(positions, range):  # of the ranges that are equal, always the same one
        return str(range(positions.start, positions.start + len(positions) * positions.step, positions.step))
    return hashlib.sha256(np.ascontiguousarray(positions, np.intp).tobytes()).hexdigest()[:16]


def chosen(positions: Positions, rows: Positions) -> Positions:
    """Return the positions that have the numbers `rows`; a range of a range is a range."""
    if isinstance(positions, range) and isinstance(rows, range):
        start, step = positions.start, positions.step
        return range(start + rows.start * step, start + rows.stop * step, step * rows.step)
    if isinstance(positions, range):
        return positions.start + np.asarray(rows, np.intp) * positions.step
    return positions[np.asarray(rows, np.intp)]
