"""Examples stacked into batches, decoded on one thread or on several."""

from __future__ import annotations

import operator
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from loader._collate import make_collator
from loader._errors import ArgumentError
from loader._state import State, make_state, read_state, seed_of

if TYPE_CHECKING:
    from loader._split import Split

Batch = dict[str, Any]
Finish = Callable[[list[dict[str, Any]]], Batch]

THREADS_PAY_SECONDS = 50e-6
"""An example that is decoded sooner waits longer for Python's lock to change hands than a second thread saves."""


class Batches(Iterable[Batch]):
    """The batches of a split; `Split.batches` says what the parameters mean.

    Its length is the number of batches. Each `iter()` starts with the first one.
    """

    def __init__(
        self, split: Split, batch_size: int, *, shuffle: bool, seed: int | None, drop_remainder: bool, workers: int
    ) -> None:
        batch_size, workers = operator.index(batch_size), operator.index(workers)
        if batch_size < 1:
            raise ArgumentError(f"a batch has at least one example, batch_size is {batch_size}")
        if workers < 1:
            raise ArgumentError(f"at least one thread decodes, workers is {workers}")
        if seed is not None and not shuffle:
            raise ArgumentError("seed= decides the order of shuffled examples; add shuffle=True")
        self._split = split
        self._size = batch_size
        self._drop_remainder = drop_remainder
        self._workers = workers
        self._shuffle = shuffle
        self._seed = None if seed is None else operator.index(seed)  # JSON knows no integers of NumPy's
        self._drawn = int.from_bytes(os.urandom(4))

    def __len__(self) -> int:
        whole, rest = divmod(len(self._split), self._size)
        return whole + (rest > 0 and not self._drop_remainder)

    def __iter__(self) -> BatchIterator:
        return self.iterator()

    def iterator(self, *, state: State | None = None) -> BatchIterator:
        """Return an iterator over the batches, from where an earlier one stood when it gave its `state()`.

        Where no seed was given, that of the earlier one is used.

        Raises
        ------
        ArgumentError
            The state is that of another split, of another order, or of batches of another size.
        """
        split, seed = self._split, None
        if self._shuffle:
            seed = self._seed if self._seed is not None else seed_of(state, self._drawn)
            split = split.shuffle(seed)
        of = f"{split.fingerprint} by {self._size}"
        start = 0 if state is None else read_state(state, of, len(self))
        collate, convert, numbers = make_collator(split.features), split._convert, range(start, len(self))

        def finish(examples: list[dict[str, Any]]) -> Batch:
            batch = collate(examples)
            return batch if convert is None else convert(batch)

        if self._workers == 1:
            batches = _decode_here(split, numbers, self._size, finish)
        else:
            batches = _decode_on_threads(split, numbers, self._size, finish, self._workers)
        return BatchIterator(batches, start=start, of=of, seed=seed)


class BatchIterator(Iterator[Batch]):
    """Batches of a split from the one numbered `start` on."""

    def __init__(self, batches: Iterator[Batch], *, start: int, of: str, seed: int | None) -> None:
        self._batches = batches
        self._next = start
        self._of = of
        self._seed = seed

    def __next__(self) -> Batch:
        batch = next(self._batches)
        self._next += 1
        return batch

    def state(self) -> dict[str, Any]:
        """Return where the iterator stands, as values that JSON can keep; see `Batches.iterator`."""
        return make_state(self._of, self._next, seed=self._seed)


# functions, because a generator that knew its iterator would keep its threads until the garbage is collected


def _decode_here(split: Split, numbers: range, size: int, finish: Finish) -> Iterator[Batch]:
    examples = split._decoded(numbers.start * size)
    for _ in numbers:
        yield finish(list(islice(examples, size)))


def _decode_on_threads(split: Split, numbers: range, size: int, finish: Finish, workers: int) -> Iterator[Batch]:
    def decode(number: int) -> Batch:
        return finish(list(split._decoded(number * size, (number + 1) * size)))

    if not numbers:
        return
    start = time.perf_counter()
    first = decode(numbers[0])
    seconds = time.perf_counter() - start
    yield first
    numbers = numbers[1:]
    if seconds < size * THREADS_PAY_SECONDS:
        yield from _decode_here(split, numbers, size, finish)
        return
    from concurrent.futures import Future, ThreadPoolExecutor

    pool = ThreadPoolExecutor(workers, thread_name_prefix="loader")
    ahead: deque[Future[Batch]] = deque()
    try:
        for number in numbers:
            ahead.append(pool.submit(decode, number))
            if len(ahead) > workers:  # as many ahead as there are threads, and not the whole split
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
