"""The examples of a split: which records they are, in which order, and how they are decoded."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, Self

import numpy as np

from loader._arguments import check_integer
from loader._errors import DecodeError
from loader._features.decode import make_decoder
from loader._features.parse import FeaturesDict
from loader._features.values import Array
from loader._format.records import Records

Example = dict[str, Any]
Positions = range | np.ndarray[Any, np.dtype[np.intp]]
Convert = Callable[[Example], Example]

CHUNK_POSITIONS = 4096  # converted to Python integers at once


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
        self.features = features
        self.convert = convert
        self._records = records
        self._positions = positions
        self._attach()

    def _attach(self) -> None:
        self._read = self._records.reader()
        self._decode = make_decoder(self.features)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("_read", "_decode")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._attach()

    def __len__(self) -> int:
        return len(self._positions)

    @property
    def fingerprint(self) -> str:
        """Text that identifies these examples and their order."""
        positions = self._positions
        order = str(positions) if isinstance(positions, range) else hashlib.sha256(positions.tobytes()).hexdigest()[:16]
        return f"{self.name}: {order}"

    def shuffle(self, seed: int) -> Self:
        """Return the same examples in an order that depends only on the seed, not on the machine.

        The order sorts random 64-bit numbers from NumPy's PCG64, whose stream never changes.

        Parameters
        ----------
        seed
            Not negative; use another one for every epoch.

        Raises
        ------
        ArgumentError
            The seed is negative, or not an integer.
        """
        seed = check_integer("seed", seed, least=0)
        order = np.argsort(np.random.PCG64(seed).random_raw(len(self)), kind="stable")
        return self._part(np.asarray(self._positions, dtype=np.intp)[order])

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
            return self._decode(self._read(position))
        except DecodeError as error:
            raise self._error(position, error) from error

    def decode_range(self, start: int, stop: int | None = None) -> Iterator[Example]:
        """Yield the examples from `start` to `stop`, not converted, with the errors of `decode_one`."""
        decode, number = self._decode, start
        try:
            for record in self._records.in_order(_integers(self._positions[start:stop])):
                yield decode(record)
                number += 1
        except DecodeError as error:
            raise self._error(int(self._positions[number]), error) from error

    def part(self, key: slice | Sequence[int] | Array) -> Self:
        """Return some of the examples, over the same records.

        Raises
        ------
        IndexError
            An index is out of range.
        """
        return self._part(self._positions[key] if isinstance(key, slice) else self._select(key))

    def _part(self, positions: Positions) -> Self:
        # shares the reader too, so that each index block is verified only once
        part = type(self).__new__(type(self))
        part.__dict__.update(self.__dict__, _positions=positions)
        return part

    def _error(self, position: int, error: DecodeError) -> DecodeError:
        return DecodeError(f"{self.name}: {self._records.describe(position)}: {error}")

    def _select(self, key: Sequence[int] | Array) -> np.ndarray[Any, np.dtype[np.intp]]:
        chosen = np.asarray(key)
        if chosen.size == 0:
            chosen = chosen.astype(np.intp)
        wide = chosen.astype(object if chosen.dtype == np.uint64 else np.int64)
        outside = (wide < -len(self)) | (wide >= len(self))
        if outside.any():
            raise IndexError(f"{self.name} has {len(self):,} examples, index {chosen[outside][0]:,} is out of range")
        chosen = chosen.astype(np.intp)
        if isinstance(self._positions, range):  # computed, so that a long range never becomes an array
            chosen = np.where(chosen < 0, chosen + len(self), chosen)
            return self._positions.start + chosen * self._positions.step
        return self._positions.take(chosen)


def _integers(positions: Positions) -> Iterable[int]:
    """Return the positions as Python integers, which are faster than NumPy's, converted in chunks."""
    if isinstance(positions, range):
        return positions
    chunks = (positions[at : at + CHUNK_POSITIONS] for at in range(0, len(positions), CHUNK_POSITIONS))
    return chain.from_iterable(chunk.tolist() for chunk in chunks)
