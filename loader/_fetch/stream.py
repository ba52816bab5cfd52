"""An artifact on its remote, read in byte ranges and verified like one on disk."""

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
MAX_READ_BYTES = 4 << 20
READS_AT_ONCE = 8
BLOCKS_KEPT = 256
"""Blocks of rows in memory: 46 MB, for a million records."""


class StreamedArtifact(Artifact):
    """An artifact that is read from its remote.

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
        """The command that restores the recorded artifact, for messages."""
        return f"replace it from a clone that has the right one: {self.source.push_command}"

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
        """Return the offset, length and digest of a record, from a verified block of rows."""
        block, number_in_block = divmod(number, BLOCK_RECORDS)
        offset, length, _, digest = ROW.unpack_from(self._kept_block(block), number_in_block * ROW.size)
        return offset, length, digest


@dataclass
class _Run:
    """Consecutive records to read in one request."""

    offset: int
    size: int
    rows: list[tuple[int, int, int, bytes]]  # number, offset, length, digest


class StreamedRecords(Records):
    """The records of an artifact on its remote."""

    def __init__(self, artifact: StreamedArtifact) -> None:
        self._artifact = artifact

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
        """Return a function from a position to the record's bytes: one request each, and one for each new block."""
        artifact = self._artifact

        def read(position: int) -> bytes:
            offset, length, digest = artifact.row(position)
            return self._verify(position, artifact.read(offset, length), digest)

        return read

    def in_order(self, positions: Iterable[int]) -> Iterator[bytes]:
        """Yield the records at `positions`, in their order, reading ahead.

        Consecutive records are read together, up to 4 MiB in one request. Several requests run at once, and they read
        only the records and their framing.
        """
        pool = ThreadPoolExecutor(READS_AT_ONCE, thread_name_prefix="loader")
        pending: deque[tuple[_Run, Future[bytes]]] = deque()
        limit = 1  # grows, so that reading a few examples transfers few bytes
        try:
            for run in self._runs(positions):
                pending.append((run, pool.submit(self._artifact.read, run.offset, run.size)))
                if len(pending) > limit:
                    done, data = pending.popleft()
                    yield from self._split_run(done, data.result())
                    limit = min(limit + 1, READS_AT_ONCE)
            while pending:
                done, data = pending.popleft()
                yield from self._split_run(done, data.result())
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _runs(self, positions: Iterable[int]) -> Iterator[_Run]:
        # small at first, so that the first example arrives soon
        run, limit = None, FIRST_READ_BYTES
        for number in positions:
            offset, length, digest = self._artifact.row(number)
            end = run.offset + run.size if run else -1
            if run and 0 <= offset - end <= HEAD_BYTES + TAIL_BYTES and offset + length - run.offset <= limit:
                run.size = offset + length - run.offset
                run.rows.append((number, offset, length, digest))
                continue
            if run:
                yield run
                limit = min(limit * 2, MAX_READ_BYTES)
            run = _Run(offset, length, [(number, offset, length, digest)])
        if run:
            yield run

    def _split_run(self, run: _Run, data: bytes) -> Iterator[bytes]:
        for number, offset, length, digest in run.rows:
            start = offset - run.offset
            yield self._verify(number, data[start : start + length], digest)

    def _verify(self, number: int, record: bytes, digest: bytes) -> bytes:
        if index.digest(record) != digest:
            raise self._artifact.error(f"is damaged in {self._artifact.describe_row(number)}")
        return record
