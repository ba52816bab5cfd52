"""A sparse copy whose files are changed between reads, and a remote whose answers are damaged.

Every record and file is the recorded one. If an answer was damaged, it may be an error. No byte moves without need.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import struct
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from loader._errors import LoaderError
from loader._fetch import store
from loader._fetch.pieces import GAP_BYTES
from loader._fetch.stream import StreamedArtifact, StreamedRecords
from loader._fetch.units import WINDOW_BITS
from loader._format.manifest import read_manifest
from loader._format.records import Positions, integers
from loader._format.tfrecord import HEAD_BYTES, TAIL_BYTES
from tests.fuzz.artifact import MutableArtifact, Remote
from tests.fuzz.edits import NUMBERS, Draw, Splice, apply, splices
from tests.fuzz.moved import Parts, assert_needed

METADATA = ("dataset_info.json", "features.json", "label.labels.txt")
BATCH = 256
MOST_STEPS = 4
CHUNKS = 3
"""In how many parts a pass is planned, each of which looks at the hints that other processes have given meanwhile."""


class Step(NamedTuple):
    """A method of `_Run`, and its arguments."""

    name: str
    arguments: tuple[Any, ...] = ()


class Mutation(NamedTuple):
    """What happens to a copy, one after the other, and how the remote's answers with some numbers are changed."""

    steps: tuple[Step, ...]
    damage: dict[int, tuple[Splice, ...]]


class DamagedRemote(Remote):
    """A remote some of whose answers are changed; `is_damaged` says whether one was."""

    def __init__(self, path: Path, damage: dict[int, tuple[Splice, ...]]) -> None:
        super().__init__(path)
        self.is_damaged = False
        self._damage = damage
        self._numbers = itertools.count()

    def read(self, offset: int, size: int) -> bytes:
        data = super().read(offset, size)
        changed = apply(data, self._damage.get(next(self._numbers), ()))
        changed = changed[:size].ljust(size, b"\0")  # S3's client checks the size
        self.is_damaged |= changed != data
        return changed


def make(seeds: Path, scratch: Path) -> tuple[st.SearchStrategy[Mutation], Callable[[Mutation], None]]:
    """Return the mutations, and the check of one."""
    os.environ["DATASETS_CACHE"] = str(scratch / "cache")
    warnings.filterwarnings("ignore", message=".* is not kept")  # as where there is a folder in place of a file
    threading.stack_size(1 << 20)  # there are many threads, and memory is limited
    mutable = MutableArtifact(seeds / "small")
    parts = Parts(mutable)

    def check(mutation: Mutation) -> None:
        _empty(scratch)
        remote = DamagedRemote(mutable.tar, mutation.damage)
        run, errors = _Run(mutable, parts, remote, scratch), []
        for step in mutation.steps:
            try:
                getattr(run, step.name)(*step.arguments)
            except LoaderError as error:
                errors.append(error)
        if errors:
            assert remote.is_damaged, f"an error although the remote is right: {errors[0]}"
            raise errors[0]

    return _mutations(mutable.base, parts.records), check


@st.composite
def _mutations(draw: Draw, data: bytes, records: int) -> Mutation:
    place, row, which = st.integers(0, len(data)), st.integers(0, records - 1), st.sampled_from(("part", "arrived"))

    def step(name: str, *arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Step]:
        return st.tuples(*arguments).map(lambda found: Step(name, found))

    reading = st.one_of(
        *map(step, ("in_order", "open", "complete", "files")),
        step("shuffled", st.integers(0, 9)),
        step("some", row, row),
        step("by_index", st.lists(row, min_size=1, max_size=20)),
    )
    changing = st.one_of(
        step("change", st.just("part"), splices(data)),
        step("change", st.just("arrived"), splices(b"\0" * 8 + b"\1" * records)),
        step("hole", place, place),
        step("resize", which, place),
        step("prefix", st.sampled_from(NUMBERS) | place),
        step("mark", row, row),
        step("replace", which, st.sampled_from(("folder", "link", "nothing"))),
        step("swap"),
    )
    pairs = draw(st.lists(st.tuples(reading, changing), min_size=1, max_size=MOST_STEPS))
    first = draw(st.lists(step("begin", place), max_size=1))
    steps = (*first, *itertools.chain.from_iterable(pairs), Step("in_order"), Step("complete"))
    return Mutation(steps, draw(st.just({}) | st.dictionaries(st.integers(0, 20), splices(data[:2000]), max_size=3)))


def _empty(scratch: Path) -> None:
    """Remove what the last mutation left."""
    for folder, folders, names in os.walk(scratch, topdown=False):
        for path in (Path(folder, name) for name in names + folders):
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()


class _Run:
    """What happens to one copy: methods that read it, and methods that change its files."""

    def __init__(self, mutable: MutableArtifact, parts: Parts, remote: DamagedRemote, scratch: Path) -> None:
        self._data, self._parts, self._remote, self._mutable = mutable.base, parts, remote, mutable
        self._manifest = read_manifest(mutable.manifest_path)
        self._entry = self._manifest.artifact()
        self._outside = scratch / "outside"
        self._target = store.artifact_path(hashlib.md5(mutable.base).hexdigest(), self._entry.filename)
        self._target.parent.mkdir(parents=True, exist_ok=True)
        self.open()

    def open(self) -> None:
        """Read the artifact from now on as another process would."""
        self._artifact = StreamedArtifact(self._remote, self._manifest, self._entry, self._target.parent)  # type: ignore[arg-type]
        self._records: StreamedRecords | None = None
        self._has_new_hints = False

    def in_order(self) -> None:
        """Read every record."""
        self._read(range(self._parts.records))

    def some(self, start: int, end: int) -> None:
        """Read a part of the records."""
        self._read(range(start, end))

    def shuffled(self, seed: int) -> None:
        """Read every record, in a random order."""
        self._read(np.random.default_rng(seed).permutation(self._parts.records))

    def by_index(self, rows: list[int]) -> None:
        """Read records by their numbers."""
        with self._reading() as records:
            records.expect(np.array(rows), len(rows))
            read = records.reader()
            for row in rows:
                self._check(row, read(row))

    def files(self) -> None:
        """Read metadata files."""
        with self._reading():
            for name in METADATA:
                assert self._artifact.read_file(name) == self._mutable.file(name)

    def complete(self) -> None:
        """Complete the copy."""
        with self._reading():
            copy, path = self._artifact.copy, self._path("part")
            is_there = copy is not None and path.exists() and os.path.samestat(path.stat(), os.fstat(copy._file))
            self._artifact.complete()
            is_there = is_there and not self._path("arrived").is_dir()
            assert self._target.exists() or self._remote.is_damaged or not is_there

    def _read(self, positions: Positions) -> None:
        with self._reading() as records:
            part = records.begin_pass(positions, BATCH)
            for start in range(0, len(positions), BATCH):
                end = min(start + BATCH, len(positions))
                for row, record in zip(integers(positions[start:end]), part(start, end), strict=True):
                    self._check(row, record)

    def _check(self, row: int, record: bytes) -> None:
        start, end = self._parts.starts[row] + HEAD_BYTES, self._parts.ends[row] - TAIL_BYTES
        assert record == self._data[start:end], f"record {row} is wrong"

    def begin(self, size: int) -> None:
        """Leave what an interrupted download would."""
        self._path("part").write_bytes(self._data[:size])

    def change(self, which: str, edits: tuple[Splice, ...]) -> None:
        """Change bytes of a file."""
        if (path := self._path(which)).is_file():
            self._write(path, apply(path.read_bytes(), edits))

    def hole(self, start: int, end: int) -> None:
        """Lose a part of the file."""
        if (path := self._path("part")).is_file():
            data, size = path.read_bytes(), max(end - start, 0)
            self._write(path, data[:start] + b"\0" * size + data[start + size :])

    def resize(self, which: str, size: int) -> None:
        """Cut a file off, or make it longer."""
        if (path := self._path(which)).is_file():
            self._write(path, path.read_bytes()[:size].ljust(size, b"\0"))

    def prefix(self, size: int) -> None:
        """Change how many bytes an interrupted download is said to have left."""
        self.change("arrived", (Splice(0, 8, struct.pack("<Q", size % 2**64)),))

    def mark(self, start: int, end: int) -> None:
        """Say that some records have arrived."""
        size = max(end - start, 0)
        self.change("arrived", (Splice(8 + start, size, b"\1" * size),))

    def replace(self, which: str, kind: str) -> None:
        """Put something else in place of a file."""
        path = self._path(which)
        path.rmdir() if path.is_dir() else path.unlink(missing_ok=True)
        if kind == "folder":
            path.mkdir()
        elif kind == "link":
            self._outside.write_bytes(b"outside")
            path.symlink_to(self._outside)

    def swap(self) -> None:
        """Exchange the two files."""
        (part, arrived), other = map(self._path, ("part", "arrived")), self._path("other")
        if part.exists() and arrived.exists():
            part.rename(other)
            arrived.rename(part)
            other.rename(arrived)

    def _path(self, which: str) -> Path:
        return self._target.with_name(f"{self._target.name}.{which}")

    def _write(self, path: Path, data: bytes) -> None:
        self._has_new_hints |= path == self._path("arrived")
        with path.open("r+b") as file:  # who has opened it sees this
            file.write(data)
            file.truncate()

    @contextmanager
    def _reading(self) -> Iterator[StreamedRecords]:
        """Yield the records, and check what is moved and completed meanwhile."""
        copy, self._remote.reads = self._artifact.copy, []
        needed, wrong = np.ones(len(self._parts.starts), bool), 0
        if copy is not None:
            needed, rows = self._parts.missing(copy.read(0, copy.size)), slice(self._parts.records)
            is_noted = copy.arrived(0, self._parts.records) | (self._parts.ends[rows] <= copy.prefix)
            # what is only noted is read between others and then by itself; what is not noted, again on completion
            wrong = int((needed[rows] & is_noted).any()) + int((~needed[rows] & ~is_noted).any())
            wrong += CHUNKS if wrong and self._has_new_hints else 0
            needed[rows] |= ~is_noted
        if self._records is None:
            self._records = self._artifact.records()
        try:
            yield self._records
        finally:
            if (completion := self._records._arrivals._completion) is not None:
                completion.join()
        if not self._remote.is_damaged and copy is not None:
            gap = 1 << WINDOW_BITS if wrong else GAP_BYTES
            assert_needed(self._remote.reads, self._parts.bytes_of(needed), gap=gap, times=1 + wrong)
        if self._target.exists():
            assert self._target.read_bytes() == self._data
