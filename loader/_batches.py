"""Examples stacked into batches, decoded on one thread or on several."""

from __future__ import annotations

import operator
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from loader._collate import make_collator
from loader._errors import ArgumentError
from loader._examples import Examples
from loader._state import ResumableIterator, State, read_state, seed_of

Batch = dict[str, Any]
Finish = Callable[[list[dict[str, Any]]], Batch]


class Batches(Iterable[Batch]):
    """The batches of a split; `Split.batches` says what the parameters mean.

    Its length is the number of batches. Each `iter()` starts with the first one.
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
        batch_size, workers = operator.index(batch_size), operator.index(workers)
        if batch_size < 1:
            raise ArgumentError(f"a batch has at least one example, batch_size is {batch_size}")
        if workers < 1:
            raise ArgumentError(f"at least one thread decodes, workers is {workers}")
        if seed is not None and not shuffle:
            raise ArgumentError("seed= decides the order of shuffled examples; add shuffle=True")
        self._examples = examples
        self._size = batch_size
        self._drop_remainder = drop_remainder
        self._workers = workers
        self._shuffle = shuffle
        self._seed = None if seed is None else operator.index(seed)  # JSON knows no integers of NumPy's
        self._random_seed = int.from_bytes(os.urandom(4))

    def __len__(self) -> int:
        whole, rest = divmod(len(self._examples), self._size)
        return whole + (rest > 0 and not self._drop_remainder)

    def __iter__(self) -> ResumableIterator[Batch]:
        return self.iterator()

    def iterator(self, *, state: State | None = None) -> ResumableIterator[Batch]:
        """Return an iterator over the batches, from where an earlier one stood when it gave its `state()`.

        Where no seed was given, that of the earlier one is used.

        Raises
        ------
        ArgumentError
            The state is that of another split, of another order, or of batches of another size.
        """
        examples, seed = self._examples, None
        if self._shuffle:
            seed = self._seed if self._seed is not None else seed_of(state, self._random_seed)
            examples = examples.shuffle(seed)

        def of() -> str:
            return f"{examples.fingerprint} by {self._size}"

        start = 0 if state is None else read_state(state, of(), len(self))
        collate, convert, numbers = make_collator(examples.features), examples.convert, range(start, len(self))

        def finish(decoded: list[dict[str, Any]]) -> Batch:
            batch = collate(decoded)
            return batch if convert is None else convert(batch)

        if self._workers == 1:
            batches = _decode_here(examples, numbers, self._size, finish)
        else:
            batches = _decode_on_threads(examples, numbers, self._size, finish, self._workers)
        return ResumableIterator(batches, of=of, start=start, seed=seed)


def _decode_here(examples: Examples, numbers: range, size: int, finish: Finish) -> Iterator[Batch]:
    decoded = examples.decode_range(numbers.start * size)
    for _ in numbers:
        yield finish(list(islice(decoded, size)))


def _decode_on_threads(examples: Examples, numbers: range, size: int, finish: Finish, workers: int) -> Iterator[Batch]:
    from concurrent.futures import Future, ThreadPoolExecutor

    def decode(number: int) -> Batch:
        return finish(list(examples.decode_range(number * size, (number + 1) * size)))

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
