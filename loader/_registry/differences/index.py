"""Read the record index of an artifact on this machine or on its remote, without fetching the artifact."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Lock

import numpy as np

from loader._errors import FetchError
from loader._fetch.blocks import runs_of
from loader._fetch.places import OFFLINE_VARIABLE
from loader._fetch.reference import ArtifactReference
from loader._fetch.s3 import S3Object
from loader._fetch.stream import READS_AT_ONCE, StreamedArtifact
from loader._format.artifact import Artifact
from loader._format.index import BLOCK_BYTES, ROW_TYPE
from loader._format.manifest import ArtifactEntry, Manifest
from loader._format.row_changes import Array

BLOCKS_AT_ONCE = 23
"""Blocks of rows in one request: 4 MiB, which are verified while the next requests run."""


class RemoteArtifact(StreamedArtifact):
    """An artifact on its remote that counts the bytes read, and keeps its rows in memory once they were verified."""

    def __init__(self, source: S3Object, manifest: Manifest, entry: ArtifactEntry) -> None:
        super().__init__(source, manifest, entry)
        self.bytes_fetched = 0
        self._lock = Lock()
        self._rows: memoryview | None = None

    def fetch(self, offset: int, size: int) -> bytes:
        """Return bytes of the object."""
        data = super().fetch(offset, size)
        with self._lock:
            self.bytes_fetched += len(data)
        return data

    def _kept(self, offset: int, size: int, expected: str) -> bytes | None:
        """Return verified rows that are in memory, None of other bytes."""
        if self._rows is None or not 0 <= (start := offset - self.header.rows.offset) < len(self._rows):
            return super()._kept(offset, size, expected)
        return bytes(self._rows[start : start + size])

    def blocks(self, numbers: Sequence[int]) -> Iterator[bytes]:
        """Yield blocks of rows, verified; adjacent ones are read together, and several requests run at once."""

        def fetch(run: list[int]) -> None:
            self.read_ahead(list(map(self.block_place, run)), [self.header.blocks[number] for number in run])

        runs = runs_of(numbers, at_most=BLOCKS_AT_ONCE)
        pool = ThreadPoolExecutor(READS_AT_ONCE, thread_name_prefix="loader")
        try:
            for run, _ in zip(runs, pool.map(fetch, runs), strict=True):
                for number in run:
                    yield super().block(number)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def keep(self, rows: memoryview) -> None:
        """Keep the verified rows, so that reading records does not read them again."""
        self._rows = rows


def locate(reference: ArtifactReference) -> Artifact:
    """Return an artifact on this machine if there is one, or else on its remote.

    Raises
    ------
    FetchError
        It is not on this machine, and nothing is fetched offline, or its remote cannot be used.
    IntegrityError, ManifestError
        The file in the work tree is not the one recorded, and no other copy is.
    """
    try:
        return replace(reference, offline=True).open()
    except FetchError:
        if reference.offline:
            raise FetchError(
                f"{reference.manifest.name}: {reference.entry.filename} of {reference.revision.label} is not on this "
                f"machine, and nothing is fetched offline; leave out --offline and {OFFLINE_VARIABLE} to read only "
                f"its record index from the remote, or fetch it with: {reference.fetch_command}"
            ) from None
    streamed = reference.on_remote()
    return RemoteArtifact(streamed.source, streamed.manifest, streamed.entry)


def read_rows(artifacts: Sequence[Artifact]) -> list[dict[str, Array]]:
    """Return the rows of artifacts, verified, by split. A block that several have is read only once.

    Raises
    ------
    IntegrityError, ManifestError
        An index header or a block is not the one recorded.
    FetchError
        A remote does not answer.
    """
    known: dict[str, memoryview] = {}
    result: dict[int, dict[str, Array]] = {}
    for place, artifact in sorted(enumerate(artifacts), key=lambda each: isinstance(each[1], RemoteArtifact)):
        header = artifact.header
        buffer = memoryview(bytearray(header.rows.size))
        parts = [buffer[at : at + BLOCK_BYTES] for at in range(0, len(buffer), BLOCK_BYTES)]
        missing = []
        for number, sha256 in enumerate(header.blocks):
            if sha256 in known:
                parts[number][:] = known[sha256]
            else:
                missing.append(number)
        blocks = artifact.blocks(missing) if isinstance(artifact, RemoteArtifact) else map(artifact.block, missing)
        for number, block in zip(missing, blocks, strict=True):
            parts[number][:] = block
            known[header.blocks[number]] = parts[number]
        if isinstance(artifact, RemoteArtifact):
            artifact.keep(buffer)
        rows = np.frombuffer(buffer, ROW_TYPE)
        result[place] = {split: rows[slice(*_bounds(artifact, split))] for split in header.splits}
    return [result[place] for place in range(len(artifacts))]


def _bounds(artifact: Artifact, split: str) -> tuple[int, int]:
    rows = artifact.rows(split)
    return rows.start, rows.stop
