"""A split as a sequence of examples."""

from __future__ import annotations

import operator
import reprlib
from collections.abc import Sequence
from typing import Any, Self, overload

import numpy as np

from loader._arguments import check_flags, check_integer
from loader._batches import Batches
from loader._errors import ArgumentError
from loader._features.values import Array
from loader._formats import Converter
from loader._source import Example
from loader._state import ResumableIterator, State, read_state
from loader._subsets import Subsets

EXPECTED = 1024
"""How many examples after those that a DataLoader asks for in order may be fetched ahead."""
_INTEGERS = (int, np.integer)


class Split(Subsets, Sequence[Example]):
    """The examples of a split, in record order, verified and decoded when they are read.

    `split[3]` is an example: a dict from feature name to value, as `tfds.as_numpy` returns it. `split[10:20]` and
    `split[[3, 1, 2]]` are splits over the same data, without a copy; so is `split[mask]`, for an array with a boolean
    for each example. `split["label"]` is the values of one feature, `split[["label"]]` the split with only this
    feature. A split can be pickled and used after a fork.
    """

    def __repr__(self) -> str:
        shown = (self.convert.structure if isinstance(self.convert, Converter) else "") or ", ".join(self.features)
        of = "" if self._source.is_mapped else f" of {shown}"  # a function may return anything
        noun = "example" if len(self) == 1 else "examples"
        return f"<{self.name}{self._steps}: {len(self):,} {noun}{of}>"

    def _repr_html_(self) -> str:
        """Return the first examples, for a notebook; of a split with one example, all of it."""
        from loader._display.notebook import split_html  # only a notebook needs it

        return split_html(repr(self), self.features, lambda count: list(self.decode_range(0, count)), len(self))

    @overload
    def __getitem__(self, key: int, /) -> Example: ...
    @overload
    def __getitem__(self, key: str, /) -> Any: ...
    @overload
    def __getitem__(self, key: slice | Sequence[int] | Sequence[str] | Array, /) -> Split: ...
    def __getitem__(self, key: int | str | slice | Sequence[int] | Sequence[str] | Array, /) -> Any:
        """Return an example (for an integer), or a part of the split (for a slice, integers or a mask of booleans).

        For the name of a feature, return the values of all examples, as `column` does; for a list of names, the split
        with only these features, without decoding the others.

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
        if isinstance(key, str):
            return self.column(key)
        if isinstance(key, slice):
            try:
                return self.part(key)
            except (TypeError, ValueError) as error:
                raise ArgumentError(f"{self.name} has no part {reprlib.repr(key)}: {error}") from None
        if isinstance(key, list) and key and all(isinstance(each, str) for each in key):
            return self._only(key)
        indices = self._indices(key)
        return self.part(indices) if indices.ndim else self[int(indices)]

    def __iter__(self) -> ResumableIterator[Example]:
        return self.iterator()

    def __getattr__(self, name: str) -> Any:
        """Say what a method of another library is called here."""
        from loader._foreign import method_hint  # only whoever makes a mistake needs it

        hint = None if name.startswith("_") else method_hint(name)
        advice = "" if hint is None else f"; use {hint}"
        raise AttributeError(f"a split has no {name!r}{advice}", name=name, obj=self)

    def shard(self, rank: int, world: int, *, drop_remainder: bool = True) -> Self:
        """Return one of `world` parts of the examples, for one of as many processes.

        The parts follow each other, in the order of the examples, as those of `even_splits`. Their sizes are equal, so
        that no process waits for a batch that another one does not have.

        Parameters
        ----------
        rank
            Which part, from 0: `torch.distributed.get_rank()`, `jax.process_index()`.
        world
            The number of parts: `torch.distributed.get_world_size()`, `jax.process_count()`.
        drop_remainder
            Leave out the last examples if their number is not a multiple of `world`. If False, each example is in one
            part, and the first parts have one more.

        Raises
        ------
        ArgumentError
            `rank` is not from 0 to `world` - 1.

        Examples
        --------
        >>> import loader
        >>> info, train = loader.load("digit", "train")
        >>> train.shuffle(0).shard(1, 4)
        <digit/1.0.8 train.shuffle(0)[337:674]: 337 examples of audio, filename, label, user>
        """
        check_flags(drop_remainder=drop_remainder)
        if check_integer("rank", rank, least=0) >= check_integer("world", world, least=1):
            raise ArgumentError(f"rank must be less than world, {world}, not {rank}")
        size, rest = divmod(len(self), world)
        if drop_remainder:
            rest = 0
        start = size * rank + min(rank, rest)
        return self.part(slice(start, start + size + (rank < rest)))

    def pad_collate(self, examples: list[Any], /) -> Any:
        """Return examples as a batch of PyTorch tensors; a `collate_fn` for `torch.utils.data.DataLoader`.

        Tensors of one shape are stacked. Others are padded at their ends with zeros to the largest size of each
        dimension in the batch. Strings, ragged rows and nested datasets are listed.

        For each feature with sizes that vary, a dict has `<name>_length` too, the sizes before padding: int64 of shape
        (batch,), or (batch, n) if n sizes vary. Tuples of `supervised=True` have no room for it.

        Parameters
        ----------
        examples
            Examples of this split, with `format="torch"` or "numpy", as they are or transformed.
        """
        from loader._pad import pad_collate

        return pad_collate(examples, self.features, chw=isinstance(self.convert, Converter) and self.convert.chw)

    def __getitems__(self, keys: Sequence[int], /) -> list[Example]:
        """Return several examples; PyTorch's DataLoader calls this for a batch."""
        part = self[keys]
        if keys and keys[0] >= 0 and list(keys) == list(range(keys[0], keys[0] + len(keys))):  # and will go on so
            self._source.expect(self._positions[keys[0] : keys[-1] + EXPECTED], len(keys))
        else:
            self._source.expect(part._positions, len(keys))
        return list(part)

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
            Whether to shuffle the examples, in another order each time the result is iterated; `Batches.epoch` names
            one. The order depends on the seed and on how often the result was iterated, not on the machine.
        seed
            Seed of the shuffled orders; by default a random one. Without `shuffle` it has no effect.
        drop_remainder
            Whether to leave out the last batch if it is smaller.
        workers
            Number of decoding threads; if 1, the calling thread decodes. More threads help if decoding an example takes
            longer than about 50 microseconds, as for large images; with smaller examples they wait for each other.

        Raises
        ------
        ArgumentError
            A number is out of range.
        """
        return Batches(self, batch_size, shuffle=shuffle, seed=seed, drop_remainder=drop_remainder, workers=workers)
