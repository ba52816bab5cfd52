"""A split as a sequence of examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

import numpy as np

from loader._batches import Batches
from loader._examples import Example, Examples
from loader._features.values import Array
from loader._state import ResumableIterator, State, read_state

_INTEGERS = (int, np.integer)


class Split(Examples, Sequence[Example]):
    """The examples of a split, in record order, verified and decoded when they are read.

    `split[3]` is an example: a dict from feature name to value, as `tfds.as_numpy` returns it. `split[10:20]` and
    `split[[3, 1, 2]]` are splits over the same data, without a copy. A split can be pickled and used after a fork.
    """

    def __repr__(self) -> str:
        return f"<{self.name}: {len(self):,} examples of {', '.join(self.features)}>"

    @overload
    def __getitem__(self, key: int, /) -> Example: ...
    @overload
    def __getitem__(self, key: slice | Sequence[int] | Array, /) -> Split: ...
    def __getitem__(self, key: int | slice | Sequence[int] | Array, /) -> Example | Split:
        """Return an example (for an integer), or a part of the split (for a slice, a list or an array of integers).

        Raises
        ------
        IndexError
            The index is out of range.
        TypeError
            The key is none of these.
        IntegrityError
            The record's bytes are not those recorded.
        DecodeError
            They cannot be decoded.
        """
        if isinstance(key, _INTEGERS):
            example = self.decode_one(key)
            return example if self.convert is None else self.convert(example)
        return self.part(key)

    def __iter__(self) -> ResumableIterator[Example]:
        return self.iterator()

    def __getitems__(self, keys: Sequence[int], /) -> list[Example]:
        """Return several examples; PyTorch's DataLoader calls this for a batch."""
        return list(self.part(keys))

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
