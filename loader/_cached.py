"""Examples that were decoded once and are kept: in memory, or below `loader.cache` in files that are mapped.

decoded/<hash>/<dataset>/<number>   the buffers of the features, in their order
decoded/<hash>/<dataset>/hashes     the SHA-256 of each, a line each

The hash of an entry is made of the artifact's index header, the features, the examples and their order, and the
packages that decode. Buffers are hashed when they are written and when they are opened.
"""

from __future__ import annotations

import hashlib
import mmap
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from loader._collate import make_collator
from loader._column import Buffer, Memory
from loader._columns import Columns
from loader._errors import FetchError, IntegrityError, UnsupportedError
from loader._features.values import Array
from loader._fetch import store
from loader._fetch.places import CACHE_VARIABLE
from loader._format.files import open_regular
from loader._format.records import Positions, integers
from loader._source import Collator, Example, ReadBatches, Source, chosen

FORMAT = 2
"""The number of this layout, part of an entry's hash: raise it too if a decoder returns other values."""

_CHUNK_EXAMPLES = 256
_HASHES = "hashes"


def decode(origin: Source, positions: Positions) -> Columns:
    """Return the values of examples in memory."""
    columns = Columns(origin.features, Memory)
    columns.reserve(len(positions))
    _fill(columns, origin, positions)
    columns.attach()
    return columns


def _fill(columns: Columns, origin: Source, positions: Positions) -> None:
    size = _CHUNK_EXAMPLES  # few at once, so that memory holds each value once
    for batch in origin.begin_batches(positions, size, make_collator)(range(-(-len(positions) // size))):
        columns.append(batch)


class CachedSource(Source):
    """Examples in columns.

    Parameters
    ----------
    columns
        Their values.
    origin, positions
        Where they came from: the examples of `origin` at `positions`.
    """

    def __init__(self, columns: Columns, origin: Source, positions: Positions) -> None:
        self._columns = columns
        self._origin = origin
        self._positions = positions
        self.features = columns.features

    def read(self, position: int) -> Example:
        """Return the example at a position."""
        return dict(self._columns.one(position))

    def in_order(self, positions: Positions) -> Iterator[Example]:
        """Yield the examples at `positions`."""
        return map(self._columns.one, integers(positions))

    def begin_batches(self, positions: Positions, size: int, collator: Collator) -> ReadBatches:
        """Return what yields batches; values of one shape are copied at once."""
        return lambda numbers: (
            self._columns.batch(positions[number * size : (number + 1) * size], collator) for number in numbers
        )

    def select(self, names: Sequence[str]) -> CachedSource:
        """Return the same examples with only these features."""
        return CachedSource(self._columns.select(names), self._origin, self._positions)

    def identify(self, positions: Positions) -> str:
        """Return the text of the examples that were decoded, so that states are those of the split without a cache."""
        return self._origin.identify(chosen(self._positions, positions))

    @property
    def content_hash(self) -> str | None:
        """The hash of the origin."""
        return self._origin.content_hash


class MappedFiles(CachedSource):
    """Examples in files below `loader.cache`, which are opened, or made, where this is unpickled.

    Parameters
    ----------
    name
        The examples' name in messages, like "digit/1.0.8 train".
    origin, positions
        What to keep: the examples of `origin` at `positions`.
    names
        The features to hand out; None for all of `origin`.
    """

    def __init__(self, name: str, origin: Source, positions: Positions, names: Sequence[str] | None = None) -> None:
        self._arguments = (name, origin, positions, names)
        columns, self._hold = _open_or_make(name, origin, positions)
        super().__init__(columns if names is None else columns.select(names), origin, positions)

    def __reduce__(self) -> tuple[Any, ...]:
        return MappedFiles, self._arguments

    def select(self, names: Sequence[str]) -> MappedFiles:
        """Return the same examples with only these features."""
        selected = object.__new__(MappedFiles)
        selected.__dict__.update(vars(self), _arguments=(*self._arguments[:3], names))
        selected._columns = self._columns.select(names)
        selected.features = selected._columns.features
        return selected


def entry_hash(name: str, origin: Source, positions: Positions) -> str:
    """Return the hash of the entry that keeps the examples of `origin` at `positions`.

    Raises
    ------
    UnsupportedError
        Nothing proves that the examples will be the same ones later.
    """
    if origin.content_hash is None:
        raise UnsupportedError(
            f"{name} cannot be kept on disk: only the examples of an artifact can, because its hash proves that they "
            f"are the same ones later, and before map(); use cache() without disk=True"
        )
    from loader._features.images import DECODERS

    parts = [FORMAT, origin.content_hash, origin.features, origin.identify(positions), np.__version__, *DECODERS]
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def is_on_disk(name: str, origin: Source, positions: Positions) -> bool:
    """Return whether there is an entry for these examples; the error is that of `entry_hash`."""
    return store.entry_folder(store.DECODED, entry_hash(name, origin, positions)).is_dir()


def _open_or_make(name: str, origin: Source, positions: Positions) -> tuple[Columns, store.Hold]:
    """Return the columns of an entry, which is made if there is none, and what keeps it in the cache.

    Raises
    ------
    FetchError
        The cache cannot be written to.
    UnsupportedError
        A feature fits into no file.
    """
    target = store.entry_folder(store.DECODED, entry_hash(name, origin, positions))
    folder = target / name.partition("/")[0]
    # without the lock, which is slow to import: an entry appears whole, and a hold keeps it
    found = _open(target, folder, origin, len(positions))
    if found is None:
        found = _make(name, target, folder, origin, positions)
    store.mark_used(target)
    store.trim()
    return found


def _make(name: str, target: Path, folder: Path, origin: Source, positions: Positions) -> tuple[Columns, store.Hold]:
    """Make an entry that is missing or damaged, unless another process has done it meanwhile."""
    try:
        with store.lock(target.name):
            found = _open(target, folder, origin, len(positions))
            if found is None:
                with store.scratch(target.name) as removed:
                    if target.is_dir():  # damaged
                        target.rename(removed)
                with store.scratch(target.name) as temporary:
                    _write(temporary / folder.name, origin, positions)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    temporary.rename(target)
                found = _open(target, folder, origin, len(positions))
    except OSError as error:
        raise FetchError(
            f"{name}: {target} cannot be written: {error.strerror or error}; make room, or set {CACHE_VARIABLE} to "
            f"another folder"
        ) from error
    if found is None:
        raise IntegrityError(f"{name}: {target} does not hold what was just written to it: the disk may be faulty")
    return found


def _write(folder: Path, origin: Source, positions: Positions) -> None:
    folder.mkdir(parents=True)
    files: list[_NewFile] = []

    def new_file() -> Buffer:
        files.append(_NewFile(folder / str(len(files))))
        return files[-1]

    try:
        _fill(Columns(origin.features, new_file, in_memory=False), origin, positions)
        hashes = [file.finish() for file in files]
    finally:
        for file in files:
            file.close()
    with (folder / _HASHES).open("x") as listed:
        listed.writelines(f"{each}\n" for each in hashes)
        listed.flush()
        os.fsync(listed.fileno())


def _open(target: Path, folder: Path, origin: Source, examples: int) -> tuple[Columns, store.Hold] | None:
    """Return the columns in a folder and a hold on it if all bytes are those that were written, otherwise None."""
    try:
        hold = store.Hold(target)
        hashes, numbers = iter((folder / _HASHES).read_text().splitlines()), count()
        columns = Columns(
            origin.features, lambda: _MappedFile(folder / str(next(numbers)), next(hashes, "")), in_memory=False
        )
        columns.attach()
    except (OSError, ValueError):  # ValueError if sizes do not fit each other
        return None
    return (columns, hold) if all(len(column) == examples for column in columns.columns.values()) else None


class _NewFile(Buffer):
    """A buffer that is written to a file and hashed."""

    def __init__(self, path: Path) -> None:
        self._file, self._hash = path.open("xb"), hashlib.sha256()

    def append(self, data: Any) -> None:
        """Append the bytes of an object."""
        self._file.write(data)
        self._hash.update(data)

    def finish(self) -> str:
        """Write everything to the disk, and return its SHA-256."""
        self._file.flush()
        os.fchmod(self._file.fileno(), 0o444)
        os.fsync(self._file.fileno())
        return self._hash.hexdigest()

    def close(self) -> None:
        """Close the file; on a full disk it stays incomplete."""
        with suppress(OSError):
            self._file.close()


class _MappedFile(Buffer):
    """A file that is mapped into memory.

    Raises
    ------
    ValueError
        It has another SHA-256 than the one recorded.
    OSError
        It cannot be read.
    """

    def __init__(self, path: Path, sha256: str) -> None:
        descriptor = open_regular(path)
        try:
            # an empty file cannot be mapped
            self._data = mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ) if os.fstat(descriptor).st_size else b""
        finally:
            os.close(descriptor)
        if hashlib.sha256(self._data).hexdigest() != sha256:
            raise ValueError(f"{path} is damaged")

    def array(self) -> Array:
        """Return its bytes as an array of uint8."""
        return np.frombuffer(self._data, np.uint8)
