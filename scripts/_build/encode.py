"""Encoding examples in worker processes while the generator runs; the bytes are those of a serial build."""

from __future__ import annotations

import gc
import io
import os
import pickle
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import Any

import numpy as np

from scripts._build.changes import Change
from scripts._build.stored import StoredValues
from scripts._build.workers import Workers
from scripts._process.errors import TerminatedError
from scripts._tfds.features import (
    are_stateless,
    can_fork,
    encode_all,
    features_taking_paths,
    paths_in,
    raise_with_prefix,
)
from scripts._tfds.splits import Key, Serialize

CHUNK_BYTES = 1 << 20
CHUNK_EXAMPLES = 256
CHUNKS_PER_WORKER = 3  # in progress at most
BYTES_IN_PROGRESS = 512 << 20  # at most, or one example


class Encoder:
    """Worker processes that encode examples as serialized `tf.train.Example`s, and a thread that writes whole splits.

    The workers are forked right before the first generator runs, because a builder may complete its features until
    then. Forking is safe only before TensorFlow starts its threads. This process encodes the examples itself if the
    builder has used TensorFlow by then, if there is only one processor, or if the system is not Linux. It also does so
    if a feature class is not one of TFDS's: it may keep state, like a vocabulary, and must see all examples in order.

    The examples in progress take at most BYTES_IN_PROGRESS when pickled, and as much again when encoded.

    Parameters
    ----------
    workers
        The number of workers; by default the number of processors that this process may use.
    check_path
        Called with the path of each file that an example names instead of containing its bytes, and the example's key.

    Attributes
    ----------
    changes
        By feature, which values TFDS stores as others, and the key of the first example that has one.
    """

    def __init__(
        self, *, workers: int | None = None, check_path: Callable[[str, Key], None] = lambda path, key: None
    ) -> None:
        self.changes: dict[str, tuple[Key, Change]] = {}
        self._check_path = check_path
        self._count = workers or (len(os.sched_getaffinity(0)) if sys.platform == "linux" else 1)
        self._workers: Workers | None = None
        self._stopped = Event()
        self._writer = ThreadPoolExecutor(1)
        self._writing: Future[Any] | None = None

    def __enter__(self) -> Encoder:
        return self

    def __exit__(self, error: object, *_: object) -> None:
        if error is not None:
            self._stopped.set()
        if self._workers is not None:
            self._workers.stop()  # first, so that no worker can keep this process from ending
        self._writer.shutdown()

    def encode(
        self, examples: Iterable[tuple[Key, Any]], features: Any, serialize: Serialize
    ) -> Iterator[tuple[Key, bytes]]:
        """Yield the key and the bytes of each example, in order.

        Parameters
        ----------
        examples
            Pairs of key and example.
        features
            The dataset's `FeaturesDict`.
        serialize
            Returns the bytes of an example that the features have encoded.

        Raises
        ------
        ScriptError
            A worker was killed.
        """
        examples = self._checked(examples, features)
        encoding = _Encoding(features, serialize)
        if self._workers is None and self._count > 1 and are_stateless(features) and can_fork():
            gc.freeze()  # these objects stay; the garbage collector need not look at them, here or in a worker
            self._workers = Workers(self._count, encoding.of_chunk)
        if self._workers is None:
            for key, example in examples:
                data, changes = encoding.of_example(key, example)
                self._note([key], changes)
                yield key, data
            return
        in_progress: deque[_Chunk] = deque()
        for chunk in _chunks(examples, encoding):
            chunk.submit(self._workers)
            in_progress.append(chunk)
            while (
                len(in_progress) >= self._count * CHUNKS_PER_WORKER
                or sum(each.size for each in in_progress) > BYTES_IN_PROGRESS
            ):
                yield from self._results(in_progress.popleft(), encoding)
        while in_progress:
            yield from self._results(in_progress.popleft(), encoding)

    def _results(self, chunk: _Chunk, encoding: _Encoding) -> Iterator[tuple[Key, bytes]]:
        records, changes = chunk.results(encoding)
        self._note(chunk.keys, changes)
        return zip(chunk.keys, records, strict=True)

    def _note(self, keys: list[Key], changes: list[Change]) -> None:
        for change in changes:
            key, first = self.changes.get(change.feature, (keys[change.example], change._replace(total=0)))
            self.changes[change.feature] = key, first._replace(total=first.total + change.total)

    def _checked(self, examples: Iterable[tuple[Key, Any]], features: Any) -> Iterator[tuple[Key, Any]]:
        names = features_taking_paths(features)
        for key, example in examples:
            if isinstance(example, dict):
                for name in names:
                    for path in paths_in(features[name], example.get(name)):
                        self._check_path(path, key)
            yield key, example

    def start_writing(self, write: Callable[[], Any]) -> Future[Any]:
        """Write a split while the next one is generated, at most one at a time to limit the memory."""
        if self._writing is not None:
            self._writing.result()
        self._writing = self._writer.submit(write)
        return self._writing

    def until_stopped(self, records: Iterable[Any]) -> Iterator[Any]:
        """Yield the records of a split that is being written; raise TerminatedError once the build has failed."""
        for record in records:
            if self._stopped.is_set():
                raise TerminatedError
            yield record


class _Encoding:
    """Encodes examples of a dataset, and finds out which values are stored as others."""

    def __init__(self, features: Any, serialize: Serialize) -> None:
        self.features = features
        self._serialize = serialize
        self._values = StoredValues(features)

    def of_example(self, key: Key, example: Any) -> tuple[bytes, list[Change]]:
        """Return the bytes of an example."""
        try:
            encoded = self.features.encode_example(example)
            return self._serialize(encoded), self._values.check([example], [encoded])
        except Exception as error:
            if isinstance(error, KeyError) and (names := _other_names(example, self.features)):
                raise ValueError(f"the example with key {key!r} cannot be encoded: {names}") from error
            raise_with_prefix(error, f"the example with key {key!r} cannot be encoded: ")
            raise

    def of_chunk(self, pickled: list[bytes | None]) -> tuple[list[bytes | None], list[Change]]:
        """Encode a chunk of examples in a worker; return None for each of them if one fails."""
        try:
            numbers = [number for number, each in enumerate(pickled) if each is not None]
            examples = [pickle.loads(each) for each in pickled if each is not None]
            encoded = encode_all(self.features, examples)
            changes = self._values.check(examples, encoded)
            records: list[bytes | None] = [None] * len(pickled)
            for number, each in zip(numbers, encoded, strict=True):
                records[number] = self._serialize(each)
        except Exception:
            return [None] * len(pickled), []
        return records, [change._replace(example=numbers[change.example]) for change in changes]


class _Chunk:
    """Some examples in progress: each pickled, or already encoded if it must not leave this process."""

    def __init__(self) -> None:
        self.keys: list[Key] = []
        self._pickled: list[bytes | None] = []
        self._encoded: list[bytes | None] = []
        self._changes: list[Change] = []
        self.size = 0
        self._future: Future[tuple[list[bytes | None], list[Change]]] | None = None

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def is_full(self) -> bool:
        return self.size >= CHUNK_BYTES or len(self) >= CHUNK_EXAMPLES

    def add(self, key: Key, example: Any, pickled: bytes | None, encoding: _Encoding) -> None:
        encoded = None
        if pickled is None:
            encoded, changes = encoding.of_example(key, example)
            self._changes += [change._replace(example=len(self)) for change in changes]
        self.keys.append(key)
        self._pickled.append(pickled)
        self._encoded.append(encoded)
        self.size += len(pickled or encoded or b"")

    def submit(self, workers: Workers) -> None:
        if any(self._pickled):
            self._future = workers.submit(self._pickled)

    def results(self, encoding: _Encoding) -> tuple[list[bytes], list[Change]]:
        """Return the bytes of each example, and which values of the examples are stored as others."""
        from_workers, changes = self._future.result() if self._future is not None else (self._encoded, [])
        changes, records = [*self._changes, *changes], []
        for number, (key, pickled, encoded, from_worker) in enumerate(
            zip(self.keys, self._pickled, self._encoded, from_workers, strict=True)
        ):
            data = from_worker if encoded is None else encoded
            if data is None:  # an example of its chunk failed: encoding it here raises the complete error
                assert pickled is not None
                data, found = encoding.of_example(key, pickle.loads(pickled))
                changes += [change._replace(example=number) for change in found]
            records.append(data)
        return records, sorted(changes, key=lambda change: change.example)


def _chunks(examples: Iterable[tuple[Key, Any]], encoding: _Encoding) -> Iterator[_Chunk]:
    chunk = _Chunk()
    path_features = features_taking_paths(encoding.features)
    for key, example in examples:
        # at once, because the example may change when the generator continues: a reused buffer, a closed file
        chunk.add(key, example, _pickle(example, path_features), encoding)
        if chunk.is_full:
            yield chunk
            chunk = _Chunk()
    if len(chunk):
        yield chunk


def _pickle(example: Any, path_features: list[str]) -> bytes | None:
    """Pickle an example; return None if that is impossible, or if the example may name a file that changes."""
    if not isinstance(example, dict) or not all(_is_data(example.get(name)) for name in path_features):
        return None
    try:
        return pickle.dumps(example, protocol=pickle.HIGHEST_PROTOCOL)
    except Exception:  # a class can define its own pickling, which may raise anything
        return None


def _is_data(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_data, value))
    return value is None or isinstance(value, np.ndarray | bytes | io.BytesIO)


def _other_names(example: Any, features: Any) -> str:
    """Return which features an example lacks, and what it has that is none; empty if the names are right."""
    import tensorflow_datasets as tfds

    if not isinstance(example, dict) or not isinstance(features, tfds.features.FeaturesDict):
        return ""
    lacks = [repr(name) for name in features if name not in example]
    others = [repr(name) for name in example if name not in features]
    problems = [f"it lacks the feature {', '.join(lacks)}"] if lacks else []
    return ", and ".join(problems + ([f"it has {', '.join(others)}, which is no feature"] if others else []))
