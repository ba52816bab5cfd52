"""Sorting the examples of a split by the hashes of their keys, in bounded memory."""

from __future__ import annotations

import heapq
import os
import struct
import uuid
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path

MEMORY_BYTES = 256 << 20  # of the examples that are kept in memory; a split that is larger is sorted on disk
OBJECT_BYTES = 200  # that Python needs for an example besides its bytes
BUCKET_BITS = 9  # of the hash, by which examples go to one of 512 files; each is sorted in memory
HASH_BITS = 128
BUFFER_BYTES = 1 << 18  # of each file; those of a split that is not shuffled are read at the same time
_HEAD = struct.Struct("<16sQ")

Record = tuple[int, bytes]


class Shuffler:
    """Replaces TFDS's Shuffler: gives the same order, with less memory, in less time.

    TFDS keeps up to 1 GB of each split in memory, creates the paths of 1,000 files for each split, however small, and
    calls TensorFlow three times for each example that it writes to them. Examples in an order of their own, which it
    does not spread over its files, are all in memory when it sorts them.

    Parameters
    ----------
    dirpath
        The folder for temporary files. Each is removed once it has been read.
    hash_salt
        The name of the split, with which keys are hashed.
    disable_shuffling
        Whether the order is that of the keys, which are numbers, and not of their hashes.
    ignore_duplicates
        Whether to keep only the first of the examples with one key, instead of raising an error.
    """

    def __init__(
        self,
        dirpath: os.PathLike[str] | str,
        hash_salt: str | bytes,
        disable_shuffling: bool = False,
        ignore_duplicates: bool = False,
    ) -> None:
        from tensorflow_datasets.core.hashing import Hasher

        self._hash = Hasher(hash_salt).hash_key
        self._keys_are_order = disable_shuffling
        self._seen: set[int] | None = set() if ignore_duplicates else None
        self._files = Path(dirpath) / f"unsorted-{uuid.uuid4()}"
        self._paths: list[Path] = []
        self._records: list[Record] = []
        self._bytes_here = 0
        self.size = 0
        self.num_examples = 0

    @property
    def bucket_lengths(self) -> list[int]:
        """The number of examples, from which TFDS computes reading instructions that nobody uses."""
        return [self.num_examples]

    def add(self, key: int | str | bytes, data: bytes) -> None:
        """Add an example.

        Parameters
        ----------
        key
            The key that the builder gave it; a number if the order is that of the keys.
        data
            Its bytes.
        """
        hashed = self._hash(key)
        if self._seen is not None:
            if hashed in self._seen:
                return
            self._seen.add(hashed)
        self._records.append((key if self._keys_are_order else hashed, data))  # type: ignore[arg-type]
        self.size += len(data)
        self.num_examples += 1
        self._bytes_here += len(data) + OBJECT_BYTES
        if self._bytes_here > MEMORY_BYTES:
            self.move_to_disk()

    def __iter__(self) -> Iterator[Record]:
        """Yield the examples in order; what has been yielded is not kept.

        Raises
        ------
        DuplicatedKeysError
            Two examples have the same key.
        """
        from tensorflow_datasets.core.shuffle import DuplicatedKeysError

        previous: Record | None = None
        for record in self.in_order():
            if previous is not None and record[0] == previous[0]:
                raise DuplicatedKeysError(record[1], previous[1])
            yield record
            previous = record

    def in_order(self) -> Iterator[Record]:
        """Yield the examples in order, also those with one key."""
        if not self._paths:
            yield from _popped(self._records)
            return
        self.move_to_disk()
        if self._keys_are_order:  # each file is sorted
            yield from heapq.merge(*map(_read, self._paths), key=itemgetter(0))
        else:
            for path in sorted(self._paths):
                yield from _popped(list(_read(path)))
        self._files.rmdir()

    def move_to_disk(self) -> None:
        """Write the examples in memory to files: by the first bits of the hash, or all to one file."""
        self._files.mkdir(exist_ok=True)
        self._records.sort(key=itemgetter(0))
        known = {*self._paths}
        file = len(known)
        for bucket, records in groupby(self._records, lambda each: file if self._keys_are_order else _bucket(each)):
            path = self._files / f"{bucket:06d}"
            with path.open("ab", buffering=BUFFER_BYTES) as out:
                for key, data in records:
                    out.write(_HEAD.pack(key.to_bytes(16, "big"), len(data)))
                    out.write(data)
            if path not in known:
                self._paths.append(path)
        self._records = []
        self._bytes_here = 0


def _bucket(record: Record) -> int:
    return record[0] >> (HASH_BITS - BUCKET_BITS)


def _popped(records: list[Record]) -> Iterator[Record]:
    """Yield records in order, and forget each."""
    records.sort(key=itemgetter(0), reverse=True)
    while records:
        yield records.pop()


def _read(path: Path) -> Iterator[Record]:
    """Yield the records in a file, and remove it."""
    with path.open("rb", buffering=BUFFER_BYTES) as file:
        while head := file.read(_HEAD.size):
            key, length = _HEAD.unpack(head)
            yield int.from_bytes(key, "big"), file.read(length)
    path.unlink()
