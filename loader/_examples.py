"""The examples of a split: which records they are, in which order, and how they are decoded."""

from __future__ import annotations

import operator
import os
import reprlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self

import numpy as np

from loader._arguments import check_integer
from loader._errors import DecodeError
from loader._features.connectors import FeaturesDict
from loader._features.values import Array
from loader._format.records import Positions, Records
from loader._source import Batch, Collator, Example, ReadBatches, RecordSource, Source, chosen

Convert = Callable[[Example], Any]

MAX_STEPS = 80  # characters that `repr` shows of how examples were selected


class Examples:
    """Examples in order, each verified and decoded when it is read.

    They can be pickled and used after a fork.

    Parameters
    ----------
    name
        Their name in messages, like "digit/1.0.8 train".
    records
        The records of these examples and possibly of others.
    features
        The features to decode.
    positions
        The position of each example's record, in order.
    convert
        Converts the NumPy values of an example or of a batch to those returned.
    """

    def __init__(
        self,
        name: str,
        records: Records,
        features: FeaturesDict,
        positions: Positions,
        convert: Convert | None = None,
    ) -> None:
        self.name = name
        self.convert = convert
        self._source: Source = RecordSource(records, features)
        self._positions = positions
        self._steps = ""

    @property
    def features(self) -> FeaturesDict:
        """The features of an example; of mapped examples, those of the examples that the function is given."""
        return self._source.features

    def __len__(self) -> int:
        return len(self._positions)

    @property
    def fingerprint(self) -> str:
        """Text that identifies these examples and their order."""
        return f"{self.name}: {self._source.identify(self._positions)}"

    def shuffle(self, seed: int | None = None, *, epoch: int = 0) -> Self:
        """Return the same examples in an order that depends only on the seed and the epoch, not on the machine.

        The order sorts random 64-bit numbers from NumPy's PCG64, whose stream never changes. It is the order of the
        same epoch of `batches(..., shuffle=True, seed=seed)`.

        Parameters
        ----------
        seed
            Not negative; by default a random one, which `repr` shows.
        epoch
            Not negative; each epoch has another order.

        Raises
        ------
        ArgumentError
            The seed or the epoch is negative, or not an integer.
        """
        seed = random_seed() if seed is None else check_integer("seed", seed, least=0)
        epoch = check_integer("epoch", epoch, least=0)
        # epoch 0 without a key, so that it is the order that the seed alone has always had
        source = np.random.SeedSequence(seed, spawn_key=(epoch,) if epoch else ())
        order = _order(np.random.PCG64(source).random_raw(len(self)))
        step = f".shuffle({seed}, epoch={epoch})" if epoch else f".shuffle({seed})"
        return self._part(chosen(self._positions, order), step)

    def decode_one(self, number: int) -> Example:
        """Return example `number`, not converted.

        Raises
        ------
        IndexError
            There is no such example.
        IntegrityError
            The record's bytes are not those recorded.
        DecodeError
            They cannot be decoded.
        """
        try:
            position = int(self._positions[number])
        except (IndexError, OverflowError):
            index = f"index {number:,}" if abs(number) < 1 << 64 else "an index of more than 64 bits"
            raise IndexError(f"{self.name} has {len(self):,} examples, {index} is out of range") from None
        try:
            return self._source.read(position)
        except DecodeError as error:
            raise self._named(error) from error

    def decode_range(self, start: int, stop: int | None = None) -> Iterator[Example]:
        """Yield the examples from `start` to `stop`, not converted, with the errors of `decode_one`."""
        try:
            yield from self._source.in_order(self._positions[start:stop])
        except DecodeError as error:
            raise self._named(error) from error

    def begin_batches(self, size: int, collator: Collator) -> ReadBatches:
        """Return what yields batches of `size` examples, not converted, with the errors of `decode_one`.

        Parameters
        ----------
        size
            Examples in a batch; the last one may have fewer.
        collator
            Makes the function that joins examples; see `loader._collate`.
        """
        begun = self._source.begin_batches(self._positions, size, collator)

        def batches(numbers: range) -> Iterator[Batch]:
            try:
                yield from begun(numbers)
            except DecodeError as error:
                raise self._named(error) from error

        return batches

    def part(self, key: slice | Sequence[int] | Array) -> Self:
        """Return some of the examples, over the same records.

        Raises
        ------
        IndexError
            An index is out of range.
        """
        if isinstance(key, slice):
            return self._part(self._positions[key], f"[{_slice_text(key)}]")
        return self._part(self._select(key), f"[{reprlib.repr(np.asarray(key[:10]).tolist())}]")

    def _part(self, positions: Positions, step: str) -> Self:
        """Return the examples at these positions; `step` is the Python that selected them, for `repr`."""
        # shares the source, so that each index block is verified only once
        return self._with(step, _positions=positions)

    def _with(self, step: str, **changed: Any) -> Self:
        """Return the same examples with other attributes; `step` is the Python that did it, for `repr`."""
        other = type(self).__new__(type(self))
        steps = self._steps + step if len(self._steps) < MAX_STEPS else f"[...]{step}"
        other.__dict__.update(self.__dict__, _steps=steps, **changed)
        return other

    def _named(self, error: DecodeError) -> DecodeError:
        return DecodeError(f"{self.name}: {error}")

    def _select(self, key: Sequence[int] | Array) -> np.ndarray[Any, np.dtype[np.intp]]:
        wanted = np.asarray(key)
        if wanted.size == 0:
            wanted = wanted.astype(np.intp)
        wide = wanted.astype(object if wanted.dtype == np.uint64 else np.int64)
        outside = (wide < -len(self)) | (wide >= len(self))
        if outside.any():
            raise IndexError(f"{self.name} has {len(self):,} examples, index {wanted[outside][0]:,} is out of range")
        wanted = wanted.astype(np.intp)
        if isinstance(self._positions, range):  # computed, so that a long range never becomes an array
            wanted = np.where(wanted < 0, wanted + len(self), wanted)
            return self._positions.start + wanted * self._positions.step
        return self._positions.take(wanted)


def random_seed() -> int:
    """Return a seed of 32 bits."""
    return int.from_bytes(os.urandom(4))


def _order(numbers: Array) -> Array:
    """Return the order that sorts random numbers, equal ones as they come."""
    order = np.argsort(numbers)  # several times as fast as a stable sort, and the same if no two are equal
    ordered = numbers[order]
    return np.argsort(numbers, kind="stable") if (ordered[1:] == ordered[:-1]).any() else order


def _slice_text(key: slice) -> str:
    """Return a slice as it is written in Python, like "10:20"."""

    def text(bound: Any) -> str:
        return "" if bound is None else str(bound) if abs(operator.index(bound)) < 1 << 64 else "..."

    step = text(key.step)
    return f"{text(key.start)}:{text(key.stop)}" + (f":{step}" if step else "")
