"""A split as a sequence of examples."""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, overload

import numpy as np

from loader._batches import Batches
from loader._errors import ArgumentError, DecodeError
from loader._features.decode import make_decoder
from loader._features.parse import FeaturesDict
from loader._features.values import Array
from loader._format.records import Records
from loader._state import State, make_state, read_state

Example = dict[str, Any]
Positions = range | np.ndarray[Any, np.dtype[np.intp]]
Convert = Callable[[Example], Example]

PIECE = 4096


class Split(Sequence[Example]):
    """The examples of a split, in record order, decoded and proved as they are asked for.

    `split[3]` is an example: a dict from feature name to value, as `tfds.as_numpy` gives it. `split[10:20]` and
    `split[[3, 1, 2]]` are splits of their own over the same data, without a copy. A split can be pickled and used after
    a fork; each process opens the artifact for itself.

    Parameters
    ----------
    name
        What it is, for messages: "digit/1.0.8 train".
    records
        The records, perhaps of more than this split.
    features
        What is decoded of them.
    positions
        Which of the records are the split's.
    convert
        From NumPy's values, of an example or of a batch, to those handed out.
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
        self._records = records
        self._positions = positions
        self._convert = convert
        self._attach()

    def _attach(self) -> None:
        self._read = self._records.reader()
        self._decode = make_decoder(self.features)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("_read", "_decode")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._attach()

    def __repr__(self) -> str:
        return f"<{self.name}: {len(self):,} examples of {', '.join(self.features)}>"

    def __len__(self) -> int:
        return len(self._positions)

    @overload
    def __getitem__(self, key: int, /) -> Example: ...
    @overload
    def __getitem__(self, key: slice | Sequence[int] | Array, /) -> Split: ...
    def __getitem__(self, key: int | slice | Sequence[int] | Array, /) -> Example | Split:
        """Return an example (for an integer), or a part of the split (for a slice, a list or an array of integers).

        Raises
        ------
        IndexError
            The position is outside the split.
        TypeError
            The key is none of these.
        IntegrityError
            The record's bytes are not those recorded.
        DecodeError
            They do not decode.
        """
        if isinstance(key, (int, np.integer)):
            try:
                position = int(self._positions[key])
            except IndexError:
                raise IndexError(f"{self.name} has {len(self):,} examples, there is no number {key:,}") from None
            try:
                example = self._decode(self._read(position))
            except DecodeError as error:
                raise self._error(position, error) from error
            return example if self._convert is None else self._convert(example)
        if isinstance(key, slice):
            return self._part(self._positions[key])
        return self._part(self._select(key))

    def __iter__(self) -> ExampleIterator:
        return self.iterator()

    def __getitems__(self, keys: Sequence[int], /) -> list[Example]:
        """Return several examples; PyTorch's DataLoader asks for a batch in this way."""
        return list(self._part(self._select(keys)))

    def iterator(self, *, state: State | None = None) -> ExampleIterator:
        """Return an iterator over the examples, from where an earlier one stood when it gave its `state()`.

        Raises
        ------
        ArgumentError
            The state is that of another split, or of another order.
        """
        return ExampleIterator(self, start=0 if state is None else read_state(state, self.fingerprint, len(self)))

    def shuffle(self, seed: int) -> Split:
        """Return the same examples in an order that the seed decides, the same on every machine.

        The order is that of sorting random 64-bit numbers, drawn from NumPy's PCG64, whose stream never changes.

        Parameters
        ----------
        seed
            Not negative; take another one for every epoch.

        Raises
        ------
        ArgumentError
            The seed is negative.
        """
        seed = operator.index(seed)
        if seed < 0:
            raise ArgumentError(f"a seed is not negative, {seed} is")
        order = np.argsort(np.random.PCG64(seed).random_raw(len(self)), kind="stable")
        return self._part(np.asarray(self._positions, dtype=np.intp)[order])

    def batches(
        self,
        batch_size: int,
        *,
        shuffle: bool = False,
        seed: int | None = None,
        drop_remainder: bool = False,
        workers: int = 1,
    ) -> Batches:
        """Return the examples in batches, each a dict from feature name to the values of its examples.

        Values of one shape are stacked into an array of shape (batch, ...), text and other strings into an array of
        bytes objects; values whose shape varies come as a list.

        Parameters
        ----------
        batch_size
            Examples in a batch.
        shuffle
            Whether the examples are shuffled; the same order each time the result is iterated.
        seed
            What decides their order; drawn at random where it is not given.
        drop_remainder
            Whether the last batch is left out where it is smaller.
        workers
            How many threads decode at most; with one, the thread that asks does, and so it does where an example takes
            less than 50 microseconds, which several threads would only make longer.

        Raises
        ------
        ArgumentError
                A number is out of its range, or there is a seed and no `shuffle`.
        """
        return Batches(self, batch_size, shuffle=shuffle, seed=seed, drop_remainder=drop_remainder, workers=workers)

    @property
    def fingerprint(self) -> str:
        """Which examples in which order these are."""
        positions = self._positions
        order = str(positions) if isinstance(positions, range) else hashlib.sha256(positions.tobytes()).hexdigest()[:16]
        return f"{self.name}: {order}"

    def _decoded(self, start: int, stop: int | None = None) -> Iterator[Example]:
        """The examples from `start` to `stop`, not converted."""
        decode, number = self._decode, start
        for record in self._records.in_order(_integers(self._positions[start:stop])):
            try:
                example = decode(record)
            except DecodeError as error:
                raise self._error(int(self._positions[number]), error) from error
            yield example
            number += 1

    def _part(self, positions: Positions) -> Split:
        """The same split with other positions, and with its reader: what is proved stays proved."""
        part = Split.__new__(Split)
        part.__dict__.update(self.__dict__, _positions=positions)
        return part

    def _error(self, position: int, error: DecodeError) -> DecodeError:
        return DecodeError(f"{self.name}: {self._records.where(position)}: {error}")

    def _select(self, key: Sequence[int] | Array) -> np.ndarray[Any, np.dtype[np.intp]]:
        chosen = np.asarray(key)
        if chosen.size == 0:
            chosen = chosen.astype(np.intp)
        if chosen.ndim != 1 or chosen.dtype.kind not in "iu":
            raise TypeError(f"{self.name} takes an integer, a slice or a list of integers, not {key!r}")
        wide = chosen.astype(object if chosen.dtype == np.uint64 else np.int64)
        outside = (wide < -len(self)) | (wide >= len(self))
        if outside.any():
            raise IndexError(f"{self.name} has {len(self):,} examples, there is no number {chosen[outside][0]:,}")
        chosen = chosen.astype(np.intp)
        if isinstance(self._positions, range):  # not written out, however long it is
            chosen = np.where(chosen < 0, chosen + len(self), chosen)
            return self._positions.start + chosen * self._positions.step
        return self._positions.take(chosen)


class ExampleIterator(Iterator[Example]):
    """Examples of a split from `start` on, one by one."""

    def __init__(self, split: Split, *, start: int) -> None:
        self._split = split
        self._next = start
        examples = split._decoded(start)
        self._examples = examples if split._convert is None else map(split._convert, examples)

    def __next__(self) -> Example:
        example = next(self._examples)
        self._next += 1
        return example

    def state(self) -> dict[str, Any]:
        """Return where the iterator stands, as values that JSON can keep; see `Split.iterator`."""
        return make_state(self._split.fingerprint, self._next)


def _integers(positions: Positions) -> Iterable[int]:
    """Python's own integers, which are quicker to count with than NumPy's, and not all of them at once."""
    if isinstance(positions, range):
        return positions
    pieces = (positions[at : at + PIECE] for at in range(0, len(positions), PIECE))
    return chain.from_iterable(piece.tolist() for piece in pieces)
