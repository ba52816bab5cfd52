"""A split as a sequence of examples."""

from __future__ import annotations

import operator
import reprlib
from collections.abc import Sequence
from typing import Any, overload

import numpy as np

from loader._batches import Batches
from loader._errors import ArgumentError
from loader._examples import Example, Examples
from loader._features.values import Array
from loader._state import ResumableIterator, State, read_state

_INTEGERS = (int, np.integer)


class Split(Examples, Sequence[Example]):
    """The examples of a split, in record order, verified and decoded when they are read.

    `split[3]` is an example: a dict from feature name to value, as `tfds.as_numpy` returns it. `split[10:20]` and
    `split[[3, 1, 2]]` are splits over the same data, without a copy; so is `split[mask]`, for an array with a boolean
    for each example. A split can be pickled and used after a fork.
    """

    def __repr__(self) -> str:
        return f"<{self.name}: {len(self):,} examples of {', '.join(self.features)}>"

    def _repr_html_(self) -> str:
        """Return the first examples, for a notebook; of a split with one example, all of it."""
        from loader._display.notebook import split_html  # only a notebook needs it

        return split_html(repr(self), self.features, lambda count: list(self.decode_range(0, count)), len(self))

    @overload
    def __getitem__(self, key: int, /) -> Example: ...
    @overload
    def __getitem__(self, key: slice | Sequence[int] | Array, /) -> Split: ...
    def __getitem__(self, key: int | slice | Sequence[int] | Array, /) -> Example | Split:
        """Return an example (for an integer), or a part of the split (for a slice, integers or a mask of booleans).

        Raises
        ------
        IndexError
            An index is out of range.
        ArgumentError
            The key is none of these.
        IntegrityError
            The record's bytes are not those recorded.
        DecodeError
            They cannot be decoded.
        """
        if isinstance(key, _INTEGERS) and not isinstance(key, bool):
            example = self.decode_one(key)
            return example if self.convert is None else self.convert(example)
        if isinstance(key, slice):
            try:
                return self.part(key)
            except (TypeError, ValueError) as error:
                raise ArgumentError(f"{self.name} has no part {reprlib.repr(key)}: {error}") from None
        indices = self._indices(key)
        return self.part(indices) if indices.ndim else self[int(indices)]

    def __iter__(self) -> ResumableIterator[Example]:
        return self.iterator()

    def __getitems__(self, keys: Sequence[int], /) -> list[Example]:
        """Return several examples; PyTorch's DataLoader calls this for a batch."""
        return list(self[keys])

    def _indices(self, key: Any) -> np.ndarray[Any, Any]:
        """Return the indices that a list, an array or a mask names, as an array; an array without dimensions names one.

        Raises
        ------
        IndexError
            An index is out of range, because it needs more than 64 bits.
        ArgumentError
            The key is none of these.
        """
        try:
            indices = np.asarray(key)
            if indices.ndim == 1 and indices.dtype.kind not in "iub":  # an empty list, or integers of more than 64 bits
                indices = np.array([operator.index(each) for each in key], dtype=np.intp)
        except OverflowError:
            raise self._out_of_range() from None
        except (TypeError, ValueError):  # not integers, or lists of different lengths
            indices = np.array(None)
        if indices.dtype == bool and indices.shape == (len(self),):
            return np.flatnonzero(indices)
        if indices.dtype.kind not in "iu" or indices.ndim > 1:
            found = f"an array of {key.dtype}, shape {key.shape}" if isinstance(key, np.ndarray) else reprlib.repr(key)
            raise ArgumentError(
                f"{self.name} takes an integer, a slice, a list or an array of integers, or one of {len(self):,} "
                f"booleans, not {found}"
            )
        return indices

    def _out_of_range(self) -> IndexError:
        return IndexError(f"{self.name} has {len(self):,} examples, an index of more than 64 bits is out of range")

    def iterator(self, *, state: State | None = None) -> ResumableIterator[Example]:
        """Return an iterator over the examples, which resumes at the `state()` of an earlier iterator.

        Raises
        ------
        ArgumentError
            The state belongs to another split or another order.
        """
        start = 0 if state is None else read_state(state, self.fingerprint, len(self))
        examples = self.decode_range(start)
        converted = examples if self.convert is None else map(self.convert, examples)
        return ResumableIterator(converted, source=lambda: self.fingerprint, start=start)

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

        Values of a fixed shape are stacked into an array of shape (batch, ...), text and other strings into an array of
        bytes objects. Values whose shape varies are returned as a list.

        Parameters
        ----------
        batch_size
            Examples in a batch.
        shuffle
            Whether to shuffle the examples; the order is the same each time the result is iterated.
        seed
            Seed of the shuffled order; by default a random one.
        drop_remainder
            Whether to leave out the last batch if it is smaller.
        workers
            Number of decoding threads; if 1, the calling thread decodes. More threads help if decoding an example takes
            longer than about 50 microseconds, as for large images; with smaller examples they wait for each other.

        Raises
        ------
        ArgumentError
            A number is out of range, or there is a seed without `shuffle`.
        """
        return Batches(self, batch_size, shuffle=shuffle, seed=seed, drop_remainder=drop_remainder, workers=workers)
