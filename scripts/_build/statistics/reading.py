"""Reading the examples of an artifact for statistics; this runs in worker processes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import loader
from loader import LoaderError
from loader._format.index import ROW_TYPE
from loader._format.standalone import open_tar
from scripts._build.statistics.duplicates import NONE
from scripts._build.statistics.leaves import Leaf, columns, identifying, leaves, size
from scripts._build.statistics.values import Tally

BATCH_EXAMPLES = 256
BATCH_BYTES = 4 << 20  # of decoded values; they then stay in the processor's cache
TFDS_PACKAGE = "tensorflow_datasets."


class Task(NamedTuple):
    """Consecutive examples of a split, and the features of the dataset that cannot be decoded."""

    tar: Path
    split: str
    start: int
    stop: int
    left_out: frozenset[str]


class Part(NamedTuple):
    """What a worker found in a task: a tally for each leaf, and 16 bytes for each identifying leaf and example."""

    tallies: dict[str, Tally]
    digests: dict[str, bytes]


class Undecodable(NamedTuple):
    """The features that cannot be decoded in a task, and why."""

    features: frozenset[str]
    reason: str


class Source:
    """An artifact as a worker reads it.

    Parameters
    ----------
    path
        The tar.
    left_out
        Features that cannot be decoded.

    Attributes
    ----------
    leaves
        All leaves.
    known
        Those that can be decoded, without the builder's own code.
    identifying
        Those by which examples may be found to be the same.
    """

    def __init__(self, path: Path, left_out: frozenset[str]) -> None:
        self.info, _ = loader.open(path, split=[])
        features = self.info.features
        self.leaves = leaves(features)
        foreign = left_out | {leaf.path[0] for leaf in self.leaves if _is_foreign(leaf)}
        if any(_is_left_to_tfds(leaf) and leaf.path[0] not in foreign for leaf in self.leaves):
            from scripts._tfds.quiet import quiet_tensorflow

            quiet_tensorflow()
        names = [name for name in features if name not in foreign]
        try:
            self.splits = loader.open(path, features=names)[1]
        except loader.UnsupportedError:
            names = [name for name in names if _can_open(path, name)]
            self.splits = loader.open(path, features=names)[1]
        self.features = {name: features[name] for name in names}
        self.known = [leaf for leaf in self.leaves if leaf.path[0] in names]
        self.identifying = identifying(self.known)
        # decoding one example of a nested dataset may take much memory
        nested = any(leaf.in_dataset for leaf in self.known)
        self.batch_examples = 1 if nested else BATCH_EXAMPLES


@lru_cache(maxsize=1)
def opened(path: Path, left_out: frozenset[str]) -> Source:
    """Open an artifact, or return it if it is the one that was opened last."""
    return Source(path, left_out)


def _is_left_to_tfds(leaf: Leaf) -> bool:
    return hasattr(leaf.feature, "python_class_name")


def _is_foreign(leaf: Leaf) -> bool:
    """Whether only the code of the builder can decode it, which may not be imported here."""
    return _is_left_to_tfds(leaf) and not leaf.feature.python_class_name.startswith(TFDS_PACKAGE)


def _can_open(path: Path, name: str) -> bool:
    try:
        loader.open(path, features=[name])
    except loader.UnsupportedError:
        return False
    return True


def record_digests(path: Path, splits: dict[str, int]) -> Iterator[tuple[str, int, bytes]]:
    """Yield digests of records from the rows of an artifact: split, position of the first, 16 bytes for each."""
    artifact = open_tar(path)
    rows, number = np.zeros(0, ROW_TYPE), 0
    for split, count in splits.items():
        done = 0
        while done < count:
            if not len(rows):
                rows = np.frombuffer(artifact.block(number), ROW_TYPE)
                number += 1
            taken, rows = rows[: count - done], rows[count - done :]
            yield split, done, np.ascontiguousarray(taken["digest"]).tobytes()
            done += len(taken)


def read_task(task: Task) -> Part | Undecodable | LoaderError:
    """Read the examples of a task; an error is returned, because it has to leave a worker process."""
    try:
        source = opened(task.tar, task.left_out)
        part = Part({leaf.name: Tally() for leaf in source.known}, {leaf.name: b"" for leaf in source.identifying})
        digests: dict[str, list[bytes]] = {leaf.name: [] for leaf in source.identifying}
        for batch in _batches(source.splits[task.split][task.start : task.stop], source.batch_examples):
            for column in columns(source.features, batch):
                name = column.leaf.name
                part.tallies[name].add(column)
                if name in digests:
                    digests[name] += map(_digest, column.values)
        return part._replace(digests={name: b"".join(each) for name, each in digests.items()})
    except (loader.DecodeError, loader.UnsupportedError) as error:
        names = frozenset(name for name in source.features if not _can_decode(task, name))
        return Undecodable(names, str(error)) if names else error
    except LoaderError as error:
        return error


def _can_decode(task: Task, name: str) -> bool:
    try:
        for _ in loader.open(task.tar, split=task.split, features=[name])[1][task.start : task.stop]:
            pass
    except (loader.DecodeError, loader.UnsupportedError):
        return False
    return True


def _batches(examples: Iterable[dict[str, Any]], most: int) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    total = 0
    for example in examples:
        batch.append(example)
        total += size(example)
        if len(batch) == most or total >= BATCH_BYTES:
            yield batch
            batch, total = [], 0
    if batch:
        yield batch


def _digest(value: Any) -> bytes:
    """Return the digest of a value: the first half of the SHA-256 of its shape and bytes."""
    if isinstance(value, bytes):
        return hashlib.sha256(value).digest()[:16] if value else NONE
    if not isinstance(value, np.ndarray) or not value.size:
        return NONE
    hasher = hashlib.sha256(repr(value.shape).encode())
    hasher.update(repr(value.tolist()).encode() if value.dtype == object else value.tobytes())
    return hasher.digest()[:16]
