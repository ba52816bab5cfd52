"""An artifact on its remote, read by ranges and proved like one on disk."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

from loader._errors import FetchError
from loader._fetch.s3 import S3Object
from loader._format import index
from loader._format.artifact import Artifact
from loader._format.index import BLOCK_RECORDS, ROW
from loader._format.manifest import ArtifactEntry, Manifest
from loader._format.records import Records
from loader._format.tfrecord import HEAD_BYTES, TAIL_BYTES

FIRST_READ_BYTES = 64 << 10
MOST_READ_BYTES = 4 << 20
READS_AT_ONCE = 8
BLOCKS_KEPT = 256
"""Blocks of the index in memory: 46 MB, the rows of a million records."""


class StreamedArtifact(Artifact):
    """An artifact that stays on its remote.

    Parameters
    ----------
    source
        The object.
    manifest, entry
        The dataset's manifest, and its entry for this tar.
    """

    def __init__(self, source: S3Object, manifest: Manifest, entry: ArtifactEntry) -> None:
        super().__init__(source.url, manifest, entry)
        self.source = source
        self._kept_block = lru_cache(maxsize=BLOCKS_KEPT)(self.block)

    def __reduce__(self) -> tuple[object, ...]:
        return StreamedArtifact, (self.source, self.manifest, self.entry)

    @property
    def fix(self) -> str:
        """What brings the recorded artifact back."""
        return f"whoever has the right one can run: make push DATASET={self.manifest.name}"

    def read(self, offset: int, size: int) -> bytes:
        """Return bytes of the object."""
        try:
            return self.source.read(offset, size)
        except FetchError as error:
            raise FetchError(f"{self.manifest.name}: {error}") from error

    def records(self) -> StreamedRecords:
        """Return the records of all splits."""
        return StreamedRecords(self)

    def row(self, number: int) -> tuple[int, int, bytes]:
        """Return where a record begins, its length and its digest, from a block of the index that was proved."""
        block, place = divmod(number, BLOCK_RECORDS)
        offset, length, _, digest = ROW.unpack_from(self._kept_block(block), place * ROW.size)
        return offset, length, digest


@dataclass
class _Run:
    """Records that lie one behind the other, to be read in one request."""

    offset: int
    size: int
    rows: list[tuple[int, int, int, bytes]]  # number, offset, length, digest


class StreamedRecords(Records):
    """The records of an artifact on its remote."""

    def __init__(self, artifact: StreamedArtifact) -> None:
        self._artifact = artifact

    def __len__(self) -> int:
        return self._artifact.header.records

    def where(self, position: int) -> str:
        """Return which record of which split this is."""
        return self._artifact.whereabouts(position)

    def reader(self) -> Callable[[int], bytes]:
        """Return a function from a position to the record's bytes: one request, and one for each new index block."""
        artifact = self._artifact

        def read(position: int) -> bytes:
            offset, length, digest = artifact.row(position)
            return self._prove(position, artifact.read(offset, length), digest)

        return read

    def in_order(self, positions: Iterable[int]) -> Iterator[bytes]:
        """Yield the records at `positions`, in their order, reading ahead.

        Records that lie one behind the other are read together, up to 4 MiB at once, several requests are under way,
        and no byte is asked for but those of the records and their framing.
        """
        pool = ThreadPoolExecutor(READS_AT_ONCE, thread_name_prefix="loader")
        ahead: deque[tuple[_Run, Future[bytes]]] = deque()
        most = 1  # grows, so that who wants few examples moves few bytes
        try:
            for run in self._runs(positions):
                ahead.append((run, pool.submit(self._artifact.read, run.offset, run.size)))
                if len(ahead) > most:
                    done, data = ahead.popleft()
                    yield from self._divide(done, data.result())
                    most = min(most + 1, READS_AT_ONCE)
            while ahead:
                done, data = ahead.popleft()
                yield from self._divide(done, data.result())
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _runs(self, positions: Iterable[int]) -> Iterator[_Run]:
        # small at first, so that the first example is soon there
        run, most = None, FIRST_READ_BYTES
        for number in positions:
            offset, length, digest = self._artifact.row(number)
            end = run.offset + run.size if run else -1
            if run and 0 <= offset - end <= HEAD_BYTES + TAIL_BYTES and offset + length - run.offset <= most:
                run.size = offset + length - run.offset
                run.rows.append((number, offset, length, digest))
                continue
            if run:
                yield run
                most = min(most * 2, MOST_READ_BYTES)
            run = _Run(offset, length, [(number, offset, length, digest)])
        if run:
            yield run

    def _divide(self, run: _Run, data: bytes) -> Iterator[bytes]:
        for number, offset, length, digest in run.rows:
            start = offset - run.offset
            yield self._prove(number, data[start : start + length], digest)

    def _prove(self, number: int, record: bytes, digest: bytes) -> bytes:
        if index.digest(record) != digest:
            raise self._artifact.error(f"is damaged in {self._artifact.whereabouts(number)}")
        return record
