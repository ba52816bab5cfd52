"""Batches of examples, decoded on one or several threads."""

from __future__ import annotations

import copy
import functools
import operator
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Self

from loader._arguments import check_flags, check_integer
from loader._collate import make_collator
from loader._errors import ArgumentError
from loader._examples import Examples, random_seed
from loader._source import Batch
from loader._state import ResumableIterator, State, read_order, read_state


class Batches(Iterable[Batch]):
    """The batches of a split; `Split.batches` documents the parameters.

    Its length is the number of batches, and an integer gives one of them. Each `iter()` starts at the first one; if
    they are shuffled, each begins the next epoch, in another order.
    """

    def __init__(
        self,
        examples: Examples,
        batch_size: int,
        *,
        shuffle: bool,
        seed: int | None,
        drop_remainder: bool,
        workers: int,
    ) -> None:
        check_flags(shuffle=shuffle, drop_remainder=drop_remainder)
        self._examples = examples
        self._size = check_integer("batch_size", batch_size, least=1)
        self._drop_remainder = drop_remainder
        self._workers = check_integer("workers", workers, least=1)
        self._shuffle = shuffle
        self._has_seed = seed is not None
        self._seed = random_seed() if seed is None else check_integer("seed", seed, least=0)
        self._next_epoch = 0
        self._only_epoch: int | None = None

    def __repr__(self) -> str:
        order = ""
        if self._shuffle:
            epoch = self._next_epoch if self._only_epoch is None else self._only_epoch
            order = f", shuffled by seed {self._seed}, {'next ' if self._only_epoch is None else ''}epoch {epoch}"
        return f"<{len(self):,} batches of {self._size:,}{order}, of {str(self._examples)[1:]}"

    def __len__(self) -> int:
        whole, rest = divmod(len(self._examples), self._size)
        return whole + (rest > 0 and not self._drop_remainder)

    def __getitem__(self, number: int) -> Batch:
        """Return one batch; of shuffled ones, an epoch must be chosen: `batches.epoch(2)[7]`.

        Raises
        ------
        IndexError
            There is no such batch.
        ArgumentError
            The batches are shuffled, and no epoch is chosen.
        """
        if self._shuffle and self._only_epoch is None:
            raise ArgumentError("shuffled batches have another order in each epoch; choose one: batches.epoch(0)[...]")
        index = operator.index(number)
        if not -len(self) <= index < len(self):
            raise IndexError(f"there are {len(self):,} batches, index {index:,} is out of range")
        index %= len(self)
        return next(_decode_serially(self._ordered, range(index, index + 1), self._size))

    @functools.cached_property
    def _ordered(self) -> Examples:
        """The examples in the order of the chosen epoch."""
        return self._examples.shuffle(self._seed, epoch=self._only_epoch or 0) if self._shuffle else self._examples

    def __iter__(self) -> ResumableIterator[Batch]:
        return self.iterator()

    def epoch(self, number: int) -> Self:
        """Return the batches of one epoch, whose order is the same each time they are iterated.

        Epoch 0 is the first `iter()` of these batches, 1 the second. What they iterate next does not change.

        Raises
        ------
        ArgumentError
            The number is negative, or not an integer.
        """
        batches = copy.copy(self)
        batches.__dict__.pop("_ordered", None)
        batches._only_epoch = check_integer("epoch", number, least=0)
        return batches

    def iterator(self, *, state: State | None = None) -> ResumableIterator[Batch]:
        """Return an iterator over the batches, which resumes at the `state()` of an earlier iterator.

        It resumes in the epoch of the state; the next `iter()` begins the epoch after it. If the batches have no seed,
        that of the earlier iterator is used, for the following epochs too.

        Raises
        ------
        ArgumentError
            The state belongs to another split, order, epoch or batch size, or another version of the loader made it.
        """
        order = ", shuffled" if self._shuffle else ""

        def source() -> str:
            return f"{self._examples.fingerprint} by {self._size}{order}"

        start = 0 if state is None else read_state(state, source(), len(self))
        examples, kept = self._examples, {}
        if self._shuffle:
            seed, epoch = self._begin_epoch(state)
            examples, kept = examples.shuffle(seed, epoch=epoch), {"seed": seed, "epoch": epoch}
        numbers = range(start, len(self))
        if self._workers == 1:
            batches = _decode_serially(examples, numbers, self._size)
        else:
            batches = _decode_on_threads(examples, numbers, self._size, self._workers)
        return ResumableIterator(batches, source=source, start=start, **kept)

    def _begin_epoch(self, state: State | None) -> tuple[int, int]:
        """Return the seed and the epoch of the next iterator."""
        if state is None:
            seed, epoch = self._seed, self._next_epoch if self._only_epoch is None else self._only_epoch
        else:
            seed, epoch = read_order(state)
            if self._has_seed and seed != self._seed:
                raise ArgumentError(f"the state belongs to the order of seed {seed}, not of seed {self._seed}")
            if self._only_epoch not in (None, epoch):
                raise ArgumentError(f"the state belongs to epoch {epoch}, not to epoch {self._only_epoch}")
        self._seed, self._next_epoch = seed, epoch + 1
        return seed, epoch


def _decode_serially(examples: Examples, numbers: range, size: int) -> Iterator[Batch]:
    batches = examples.decode_batches(numbers, size, make_collator)
    return batches if examples.convert is None else map(examples.convert, batches)


def _decode_on_threads(examples: Examples, numbers: range, size: int, workers: int) -> Iterator[Batch]:
    from concurrent.futures import Future, ThreadPoolExecutor

    def decode(number: int) -> Batch:
        return next(_decode_serially(examples, range(number, number + 1), size))

    pool = ThreadPoolExecutor(workers, thread_name_prefix="loader")
    pending: deque[Future[Batch]] = deque()
    try:
        for number in numbers:
            pending.append(pool.submit(decode, number))
            if len(pending) > workers:  # so that memory holds a batch for each thread, not the whole split
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
