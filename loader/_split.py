"""A split as a sequence of examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

import numpy as np

from loader._batches import Batches
from loader._examples import Example, Examples
from loader._features.values import Array
from loader._state import ResumableIterator, State, read_state


class Split(Examples, Sequence[Example]):
    """The examples of a split, in record order, decoded and proved as they are asked for.

    `split[3]` is an example: a dict from feature name to value, as `tfds.as_numpy` gives it. `split[10:20]` and
    `split[[3, 1, 2]]` are splits of their own over the same data, without a copy. A split can be pickled and used after
    a fork; each process opens the artifact for itself.
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
            The position is outside the split.
        TypeError
            The key is none of these.
        IntegrityError
            The record's bytes are not those recorded.
        DecodeError
            They do not decode.
        """
        if isinstance(key, (int, np.integer)):
            example = self.decode_one(int(key))
            return example if self.convert is None else self.convert(example)
        return self.part(key)

    def __iter__(self) -> ResumableIterator[Example]:
        return self.iterator()

    def __getitems__(self, keys: Sequence[int], /) -> list[Example]:
        """Return several examples; PyTorch's DataLoader asks for a batch in this way."""
        return list(self.part(keys))

    def iterator(self, *, state: State | None = None) -> ResumableIterator[Example]:
        """Return an iterator over the examples, from where an earlier one stood when it gave its `state()`.

        Raises
        ------
        ArgumentError
            The state is that of another split, or of another order.
        """
        start = 0 if state is None else read_state(state, self.fingerprint, len(self))
        examples = self.decode_range(start)
        converted = examples if self.convert is None else map(self.convert, examples)
        return ResumableIterator(converted, of=lambda: self.fingerprint, start=start)

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
            How many threads decode; with one, the calling thread does. More pay where decoding an example takes longer
            than about 50 microseconds, as large images do; for smaller examples they wait for each other.

        Raises
        ------
        ArgumentError
            A number is out of its range, or there is a seed and no `shuffle`.
        """
        return Batches(self, batch_size, shuffle=shuffle, seed=seed, drop_remainder=drop_remainder, workers=workers)
