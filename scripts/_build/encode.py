"""Encoding examples in worker processes, beside the generator that yields them; the bytes are those of a serial build."""

from __future__ import annotations

import gc
import io
import os
import pickle
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from threading import Event
from typing import Any

import numpy as np

from scripts._build.workers import Workers
from scripts._process.errors import TerminatedError
from scripts._tfds.features import can_fork, encode_all, features_taking_paths, raise_with, remember_nothing
from scripts._tfds.splits import Key, Serialize

CHUNK_BYTES = 1 << 20
CHUNK_EXAMPLES = 256
CHUNKS_PER_WORKER = 3  # under way at most
BYTES_UNDER_WAY = 512 << 20  # at most, or one example


class Encoder:
    """Worker processes that turn examples into serialized `tf.train.Example`s, and a thread that writes finished splits.

    The workers are forked right before the first generator runs, since a builder may complete its features until then.
    Forking is only sound while TensorFlow has not started its threads: where a builder has used it by then, and where
    there is one processor or no Linux, this process encodes. So it does where a feature is not one of TFDS's: it may
    remember what it has encoded, as a vocabulary does, and must see all of it in order.

    What is under way takes BYTES_UNDER_WAY at most, as the examples are pickled, and as much again as they are encoded.

    Parameters
    ----------
    workers
        How many; as many as there are processors for this process by default.
    """

    def __init__(self, *, workers: int | None = None) -> None:
        self._count = workers or (len(os.sched_getaffinity(0)) if sys.platform == "linux" else 1)
        self._workers: Workers | None = None
        self._stopped = Event()
        self._finisher = ThreadPoolExecutor(1)
        self._finishing: Future[Any] | None = None

    def __enter__(self) -> Encoder:
        return self

    def __exit__(self, error: object, *_: object) -> None:
        if error is not None:
            self._stopped.set()
        if self._workers is not None:
            self._workers.stop()  # first: nothing may keep this process from ending
        self._finisher.shutdown()

    def encoded(
        self, examples: Iterable[tuple[Key, Any]], features: Any, serialize: Serialize
    ) -> Iterator[tuple[Key, bytes]]:
        """Yield the key and the bytes of each example, in order.

        Parameters
        ----------
        examples
            Key and example.
        features
            The dataset's `FeaturesDict`.
        serialize
            From what the features make of an example to its bytes.

        Raises
        ------
        ScriptError
            A worker was killed.
        """
        if self._workers is None and self._count > 1 and remember_nothing(features) and can_fork():
            gc.freeze()  # what is here by now stays; no collection need look at it, here or in a worker
            self._workers = Workers(self._count, partial(_encode_chunk, features, serialize))
        if self._workers is None:
            for key, example in examples:
                yield key, _encode_here(key, example, features, serialize)
            return
        under_way: deque[_Chunk] = deque()
        for chunk in _chunks(examples, features, serialize):
            chunk.submit(self._workers)
            under_way.append(chunk)
            while (
                len(under_way) >= self._count * CHUNKS_PER_WORKER
                or sum(each.size for each in under_way) > BYTES_UNDER_WAY
            ):
                yield from under_way.popleft().results(features, serialize)
        while under_way:
            yield from under_way.popleft().results(features, serialize)

    def finish(self, write: Callable[[], Any]) -> Future[Any]:
        """Write a split while the next one is generated; no more than one at a time, for memory's sake."""
        if self._finishing is not None:
            self._finishing.result()
        self._finishing = self._finisher.submit(write)
        return self._finishing

    def until_stopped(self, records: Iterable[Any]) -> Iterator[Any]:
        """Yield the records of a split that is written, unless the build has failed or was ended meanwhile."""
        for record in records:
            if self._stopped.is_set():
                raise TerminatedError
            yield record


class _Chunk:
    """Some examples on their way: each pickled, or already encoded where it must not travel."""

    def __init__(self) -> None:
        self._keys: list[Key] = []
        self._pickled: list[bytes | None] = []
        self._encoded: list[bytes | None] = []
        self.size = 0
        self._future: Future[list[bytes | None]] | None = None

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def is_full(self) -> bool:
        return self.size >= CHUNK_BYTES or len(self) >= CHUNK_EXAMPLES

    def add(self, key: Key, pickled: bytes | None, encoded: bytes | None) -> None:
        self._keys.append(key)
        self._pickled.append(pickled)
        self._encoded.append(encoded)
        self.size += len(pickled or encoded or b"")

    def submit(self, workers: Workers) -> None:
        if any(self._pickled):
            self._future = workers.submit(self._pickled)

    def results(self, features: Any, serialize: Serialize) -> Iterator[tuple[Key, bytes]]:
        from_workers = self._future.result() if self._future is not None else self._encoded
        for key, pickled, encoded, from_worker in zip(
            self._keys, self._pickled, self._encoded, from_workers, strict=True
        ):
            data = from_worker if encoded is None else encoded
            if data is None:  # one of its chunk failed: here the same error can tell its whole story
                assert pickled is not None
                data = _encode_here(key, pickle.loads(pickled), features, serialize)
            yield key, data


def _chunks(examples: Iterable[tuple[Key, Any]], features: Any, serialize: Serialize) -> Iterator[_Chunk]:
    chunk = _Chunk()
    path_features = features_taking_paths(features)
    for key, example in examples:
        # at once, since what was yielded may change when its generator goes on: a buffer used again, a file closed
        pickled = _pickled(example, path_features)
        chunk.add(key, pickled, _encode_here(key, example, features, serialize) if pickled is None else None)
        if chunk.is_full:
            yield chunk
            chunk = _Chunk()
    if len(chunk):
        yield chunk


def _pickled(example: Any, path_features: list[str]) -> bytes | None:
    """The example as bytes, None where it cannot leave this process or may name a file that changes."""
    if not isinstance(example, dict) or not all(_is_data(example.get(name)) for name in path_features):
        return None
    try:
        return pickle.dumps(example, protocol=pickle.HIGHEST_PROTOCOL)
    except Exception:  # whatever a class's own way of pickling raises
        return None


def _is_data(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_data, value))
    return value is None or isinstance(value, np.ndarray | bytes | io.BytesIO)


def _encode_chunk(features: Any, serialize: Serialize, pickled: list[bytes | None]) -> list[bytes | None]:
    """In a worker: encode a chunk of examples, None for each where one of them fails."""
    try:
        examples = [pickle.loads(each) for each in pickled if each is not None]
        encoded = iter([serialize(example) for example in encode_all(features, examples)])
    except Exception:
        return [None] * len(pickled)
    return [None if each is None else next(encoded) for each in pickled]


def _encode_here(key: Key, example: Any, features: Any, serialize: Serialize) -> bytes:
    try:
        return serialize(features.encode_example(example))
    except Exception as error:
        raise_with(error, f"the example with key {key!r} cannot be encoded: ")
        raise
