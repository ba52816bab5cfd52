"""Examples stacked into batches, decoded on one thread or on several."""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Any

from loader._collate import make_collator
from loader._errors import ArgumentError
from loader._state import State, make_state, read_state

if TYPE_CHECKING:
    from loader._split import Split

Batch = dict[str, Any]


class Batches(Iterable[Batch]):
    """The batches of a split; `Split.batches` says what the parameters mean.

    Its length is the number of batches. Each `iter()` starts with the first one.
    """

    def __init__(
        self, split: Split, batch_size: int, *, shuffle: bool, seed: int | None, drop_remainder: bool, workers: int
    ) -> None:
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
        self._seed = seed
        self._drawn = secrets.randbits(32)

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
            seed = self._seed if self._seed is not None else (state or {}).get("seed", self._drawn)
            split = split.shuffle(seed)
        of = f"{split.fingerprint} by {self._size}"
        start = 0 if state is None else read_state(state, of, len(self))
        return BatchIterator(split, self._size, len(self), workers=self._workers, of=of, seed=seed, start=start)


class BatchIterator(Iterator[Batch]):
    """Batches of a split from the one numbered `start` on."""

    def __init__(
        self, split: Split, size: int, count: int, *, workers: int, of: str, seed: int | None, start: int
    ) -> None:
        self._split = split
        self._size = size
        self._count = count
        self._of = of
        self._seed = seed
        self._next = start
        self._collate = make_collator(split.features)
        self._batches = self._decode_here() if workers == 1 else self._decode_on_threads(workers)

    def __next__(self) -> Batch:
        batch = next(self._batches)
        self._next += 1
        return batch

    def state(self) -> dict[str, Any]:
        """Return where the iterator stands, as values that JSON can keep; see `Batches.iterator`."""
        return make_state(self._of, self._next, seed=self._seed)

    def _decode_here(self) -> Iterator[Batch]:
        examples = self._split._decoded(self._next * self._size)
        for _ in range(self._next, self._count):
            yield self._finish(islice(examples, self._size))

    def _decode_on_threads(self, workers: int) -> Iterator[Batch]:
        def decode(number: int) -> Batch:
            return self._finish(self._split._decoded(number * self._size, (number + 1) * self._size))

        pool = ThreadPoolExecutor(workers, thread_name_prefix="loader")
        ahead: deque[Future[Batch]] = deque()
        try:
            for number in range(self._next, self._count):
                ahead.append(pool.submit(decode, number))
                if len(ahead) > workers:  # one finished batch for each thread, and not the whole split
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _finish(self, examples: Iterable[dict[str, Any]]) -> Batch:
        batch = self._collate(list(examples))
        return batch if self._split._convert is None else self._split._convert(batch)
