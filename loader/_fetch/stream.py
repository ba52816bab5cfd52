"""An artifact on its remote, whose records are read in any order and verified like those of one on disk."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from threading import Lock
from weakref import WeakValueDictionary

import numpy as np

from loader._fetch.arrivals import Arrivals
from loader._fetch.by_number import ReadByNumber
from loader._fetch.cached_artifact import CachedArtifact
from loader._fetch.checked_out import is_right
from loader._fetch.ranged import RangedArtifact
from loader._fetch.read_ahead import ReadAhead
from loader._fetch.s3 import S3Object
from loader._fetch.s3_client import CONNECTIONS as READS_AT_ONCE
from loader._fetch.threads import Forkable
from loader._format.artifact import LocalArtifact, LocalRecords
from loader._format.manifest import ArtifactEntry, Manifest
from loader._format.records import Pass, Positions, Records

__all__ = ["READS_AT_ONCE", "StreamedArtifact", "StreamedRecords", "open_streamed"]


_opened: WeakValueDictionary[tuple[object, ...], StreamedArtifact] = WeakValueDictionary()
_opening: dict[int, Lock] = {}
"""What only one thread of a process has while it opens an artifact."""


def open_streamed(
    source: S3Object, manifest: Manifest, entry: ArtifactEntry, folder: Path | None = None
) -> StreamedArtifact:
    """Return an artifact to stream, the same one to all who use it at once, so that they share what arrives.

    If what arrives is not kept, each has its own one. The parameters are those of `RangedArtifact`.
    """
    key = source, entry, folder
    with _opening.setdefault(os.getpid(), Lock()):  # a forked process has its own, which nobody holds
        artifact = _opened.get(key)
        if artifact is None or not artifact.is_kept or artifact.manifest != manifest:
            artifact = _opened[key] = StreamedArtifact(source, manifest, entry, folder)
            artifact.copy  # noqa: B018  (opened now, because threads may open a cached property twice)
    return artifact


class StreamedArtifact(RangedArtifact, Forkable):
    """An artifact that is read from its remote, and from the cache once all of it has arrived there."""

    def __init__(self, source: S3Object, manifest: Manifest, entry: ArtifactEntry, folder: Path | None = None) -> None:
        RangedArtifact.__init__(self, source, manifest, entry, folder)
        Forkable.__init__(self)
        self._arrivals: Callable[[], Arrivals | None] = lambda: None

    def _start(self) -> None:
        self._creating = Lock()

    def __reduce__(self) -> tuple[object, ...]:
        return open_streamed, (self.source, self.manifest, self.entry, self.folder)

    @property
    def is_kept(self) -> bool:
        """Whether what arrives is kept in the cache."""
        arrivals = self._arrivals()
        return self.copy is not None and self.copy.is_in_place() and (arrivals is None or arrivals.keeps)

    def arrivals(self) -> Arrivals:
        """Return which records have arrived, the same object to all who use this artifact at once."""
        with self._creating:
            arrivals = self._arrivals()
            if arrivals is None:
                arrivals = Arrivals(self, self.copy, keeps=True)
                self._arrivals = weakref.ref(arrivals)  # it refers to this artifact
        return arrivals

    def find_whole(self) -> LocalArtifact | None:
        """Return the cached artifact if the copy has been completed, by this or another process."""
        if self.folder is None or not (path := self.folder / self.entry.filename).exists():
            return None
        whole = CachedArtifact(path, self.manifest, self.entry)
        return whole if is_right(whole, []) else None

    def records(self) -> StreamedRecords:
        """Return the records of all splits."""
        return StreamedRecords(self)


class StreamedRecords(Records):
    """The records of an artifact on its remote."""

    def __init__(self, artifact: StreamedArtifact) -> None:
        self._artifact = artifact
        self._whole: LocalRecords | None = None

    def __reduce__(self) -> tuple[object, ...]:
        return StreamedRecords, (self._artifact,)

    def __len__(self) -> int:
        return self._artifact.header.records

    @property
    def content_hash(self) -> str:
        """The hash of the index header."""
        return self._artifact.entry.index_sha256

    def describe(self, position: int) -> str:
        """Return the record and split at a position, for messages."""
        return self._artifact.describe_row(position)

    def reader(self) -> Callable[[int], bytes]:
        """Return a function from a position to the record's bytes."""

        def read(position: int) -> bytes:
            return self._read(position) if self._whole is None else self._whole.reader()(position)

        return read

    def in_order(self, positions: Positions) -> Iterator[bytes]:
        """Yield the records at `positions`, in their order, reading ahead."""
        yield from self.begin_pass(positions, 1)(0, len(positions))

    def begin_pass(self, positions: Positions, at_once: int) -> Pass:
        """Return what yields parts of the records at `positions`, reading ahead of them."""
        if self._whole is None and (whole := self._artifact.find_whole()) is not None:
            self._whole = LocalRecords(whole)
        if self._whole is not None:
            return self._whole.begin_pass(positions, at_once)
        return ReadAhead(self._arrivals, positions, at_once)

    def expect(self, positions: Positions, count: int) -> None:
        """Begin to fetch the first `count` of the records at `positions`, then the others."""
        if self._whole is None:
            self._read.expect(np.asarray(positions, np.intp), count)

    @cached_property
    def _arrivals(self) -> Arrivals:
        """Which records have arrived."""
        return self._artifact.arrivals()

    @cached_property
    def _read(self) -> ReadByNumber:
        """What reads one of them."""
        return ReadByNumber(self._arrivals)
