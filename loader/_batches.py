"""Batches of examples, decoded on one or several threads."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from loader._arguments import check_flags, check_integer
from loader._collate import make_collator
from loader._errors import ArgumentError
from loader._examples import Examples
from loader._state import ResumableIterator, State, read_state, seed_of

Batch = dict[str, Any]
Finish = Callable[[list[dict[str, Any]]], Batch]


class Batches(Iterable[Batch]):
    """The batches of a split; `Split.batches` documents the parameters.

    Its length is the number of batches. Each `iter()` starts at the first one.
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
        if seed is not None and not shuffle:
            raise ArgumentError("seed= has no effect without shuffling; add shuffle=True")
        self._examples = examples
        self._size = check_integer("batch_size", batch_size, least=1)
        self._drop_remainder = drop_remainder
        self._workers = check_integer("workers", workers, least=1)
        self._shuffle = shuffle
        self._seed = None if seed is None else check_integer("seed", seed, least=0)
        self._random_seed = int.from_bytes(os.urandom(4))

    def __len__(self) -> int:
        whole, rest = divmod(len(self._examples), self._size)
        return whole + (rest > 0 and not self._drop_remainder)

    def __iter__(self) -> ResumableIterator[Batch]:
        return self.iterator()

    def iterator(self, *, state: State | None = None) -> ResumableIterator[Batch]:
        """Return an iterator over the batches, which resumes at the `state()` of an earlier iterator.

        If the batches have no seed, that of the earlier iterator is used.

        Raises
        ------
        ArgumentError
            The state belongs to another split, another order or another batch size.
        """
        examples, seed = self._examples, None
        if self._shuffle:
            seed = self._seed if self._seed is not None else seed_of(state, self._random_seed)
            examples = examples.shuffle(seed)

        def source() -> str:
            return f"{examples.fingerprint} by {self._size}"

        start = 0 if state is None else read_state(state, source(), len(self))
        collate, convert, numbers = make_collator(examples.features), examples.convert, range(start, len(self))

        def finish(decoded: list[dict[str, Any]]) -> Batch:
            batch = collate(decoded)
            return batch if convert is None else convert(batch)

        if self._workers == 1:
            batches = _decode_serially(examples, numbers, self._size, finish)
        else:
            batches = _decode_on_threads(examples, numbers, self._size, finish, self._workers)
        return ResumableIterator(batches, source=source, start=start, seed=seed)


def _decode_serially(examples: Examples, numbers: range, size: int, finish: Finish) -> Iterator[Batch]:
    decoded = examples.decode_range(numbers.start * size)
    for _ in numbers:
        yield finish(list(islice(decoded, size)))


def _decode_on_threads(examples: Examples, numbers: range, size: int, finish: Finish, workers: int) -> Iterator[Batch]:
    from concurrent.futures import Future, ThreadPoolExecutor

    def decode(number: int) -> Batch:
        return finish(list(examples.decode_range(number * size, (number + 1) * size)))

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
