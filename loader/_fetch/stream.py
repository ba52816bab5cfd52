"""An artifact on its remote, whose records are read in any order and verified like those of one on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property

import numpy as np

from loader._fetch.arrivals import Arrivals
from loader._fetch.by_number import ReadByNumber
from loader._fetch.cached_artifact import CachedArtifact
from loader._fetch.checked_out import is_right
from loader._fetch.ranged import RangedArtifact
from loader._fetch.read_ahead import ReadAhead
from loader._fetch.s3_client import CONNECTIONS as READS_AT_ONCE
from loader._format.artifact import LocalArtifact, LocalRecords
from loader._format.records import Pass, Positions, Records

__all__ = ["READS_AT_ONCE", "StreamedArtifact", "StreamedRecords"]


class StreamedArtifact(RangedArtifact):
    """An artifact that is read from its remote, and from the cache once all of it has arrived there."""

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
        return Arrivals(self._artifact, self._artifact.copy, keeps=True)

    @cached_property
    def _read(self) -> ReadByNumber:
        """What reads one of them."""
        return ReadByNumber(self._arrivals)
