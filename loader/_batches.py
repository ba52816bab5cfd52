"""Batches of examples, decoded on one or several threads."""

from __future__ import annotations

import copy
import operator
import os
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Self

from loader._arguments import check_flags, check_integer
from loader._collate import make_collator
from loader._errors import ArgumentError
from loader._examples import Examples, random_seed
from loader._source import Batch, ReadBatches
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
        self._begun: ReadBatches

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_begun"}

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
        return next(self._read_ordered(range(index, index + 1)))

    @property
    def _read_ordered(self) -> ReadBatches:
        """What yields batches in the order of the chosen epoch; threads that begin at once share one."""
        if "_begun" not in vars(self):
            ordered = self._examples
            if self._shuffle:
                ordered = ordered.shuffle(self._seed, epoch=self._only_epoch or 0)
            vars(self).setdefault("_begun", _begin(ordered, self._size))
        return self._begun

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


def _begin(examples: Examples, size: int) -> ReadBatches:
    """Return what yields converted batches."""
    read, convert = examples.begin_batches(size, make_collator), examples.convert
    return read if convert is None else lambda numbers: map(convert, read(numbers))


def _decode_serially(examples: Examples, numbers: range, size: int) -> Iterator[Batch]:
    yield from _begin(examples, size)(numbers)


def _decode_on_threads(examples: Examples, numbers: range, size: int, workers: int) -> Iterator[Batch]:
    from concurrent.futures import Future, ThreadPoolExecutor

    read = _begin(examples, size)

    def decode(number: int) -> Batch:
        return next(read(range(number, number + 1)))

    left, process, pending = iter(numbers), -1, deque[tuple[int, Future[Batch]]]()
    try:
        while True:
            if process != os.getpid():  # a forked process has none of the threads
                pool, process = ThreadPoolExecutor(workers, thread_name_prefix="loader"), os.getpid()
                pending = deque((number, pool.submit(decode, number)) for number, _ in pending)
            # so few that memory holds a batch for each thread, not the whole split
            pending.extend((number, pool.submit(decode, number)) for number in islice(left, workers + 1 - len(pending)))
            if not pending:
                return
            yield pending.popleft()[1].result()
    finally:
        if process == os.getpid():
            pool.shutdown(wait=False, cancel_futures=True)
