"""Complete a sparse copy of an artifact: what it lacks is taken from older artifacts, and the rest from the remote.

The digests of the two record indexes say which records of an older artifact are also in this one. Nothing that is on
this machine is trusted: the whole file must have the recorded hashes. If it has not, every record is proved by itself,
and the wrong ones, like those that are damaged in an older artifact, are fetched.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from threading import Lock

import numpy as np

from loader._errors import LoaderError
from loader._fetch.download import NO_ROOM, not_written, wrong_object
from loader._fetch.hashing import Hashing, read_into
from loader._fetch.pieces import (
    HERE,
    REMOTE,
    Array,
    Piece,
    Run,
    find_sources,
    frames_of,
    in_requests,
    pieces_of,
    runs_of,
)
from loader._fetch.s3 import S3Object
from loader._fetch.s3_client import CONNECTIONS
from loader._fetch.sparse import SparseCopy
from loader._fetch.store import lock
from loader._fetch.threads import DaemonThreads
from loader._fetch.units import WINDOW_BITS
from loader._format import index
from loader._format.artifact import LocalArtifact
from loader._format.index import HEADER_NAME, ROW, ROW_TYPE, Member
from loader._format.manifest import ArtifactEntry, Manifest
from loader._format.tar import between_members
from loader._format.tfrecord import HEAD_BYTES, frame

READ_BYTES = 4 << 20
REQUESTS_AHEAD = 2 * CONNECTIONS


def complete(
    copy: SparseCopy,
    source: S3Object,
    manifest: Manifest,
    entry: ArtifactEntry,
    older: Sequence[LocalArtifact] = (),
    *,
    shows_progress: bool = True,
) -> bool:
    """Complete a copy and make it the cached artifact. If several processes do this at once, one does, the others wait.

    The file is gone through once, in order: what is old is copied, what is fetched is waited for, everything is hashed.
    If this is interrupted, what has arrived stays.

    Parameters
    ----------
    copy
        The sparse copy.
    source
        The object.
    manifest, entry
        The dataset's manifest, and its entry for this artifact.
    older
        Artifacts on this machine that may have some of its records, the one to prefer first.
    shows_progress
        Whether a terminal shows a progress bar.

    Returns
    -------
    is_complete
        If it is false, the record index is not the recorded one, or does not describe the file with the recorded
        hashes: then only the whole object tells what is wrong.

    Raises
    ------
    FetchError
        The disk is full, or what is missing could not be fetched; the message says why.
    IntegrityError
        The remote has other bytes than those recorded.
    """
    target = copy.path.with_suffix("")
    try:
        with lock(copy.path.parent.name):
            if target.exists() and target.stat().st_size == entry.size:
                return True
            if not _Completion(copy, source, manifest, entry, older, shows_progress).run():
                return False
            # first: without it, the file is one whose download was interrupted at its end
            copy.arrived_path.unlink(missing_ok=True)
            copy.path.rename(target)
            return True
    except ValueError:  # of `_Completion`
        return False
    except OSError as error:
        if error.errno in NO_ROOM:
            raise not_written(target, error) from error
        return False


class _Completion:
    """A copy that is being completed; what is neither a record nor between members is taken care of first.

    Raises
    ------
    ValueError
        The record index is not the recorded one, or does not describe a tar of format 1.
    """

    def __init__(
        self,
        copy: SparseCopy,
        source: S3Object,
        manifest: Manifest,
        entry: ArtifactEntry,
        older: Sequence[LocalArtifact],
        shows_progress: bool,
    ) -> None:
        self._copy, self._source, self._entry, self._older = copy, source, entry, older
        self._name = entry.filename if shows_progress else None
        self._proving = Lock()
        first = Piece(entry.index_offset, entry.index_offset + entry.index_size, entry.index_sha256)
        if not self._is_right(first):
            copy.write(first.start, source.read(entry.index_offset, entry.index_size))
        if not self._is_right(first):
            raise ValueError("the object has another record index than the manifest records")
        try:
            header = index.parse(copy.read(entry.index_offset, entry.index_size), tar_size=entry.size)
        except LoaderError as error:
            raise ValueError("it is not one of format 1") from error
        path = f"{manifest.version_folder(entry)}/{HEADER_NAME}"
        members = (Member(path, entry.index_offset, entry.index_size, entry.index_sha256), *header.members)
        for offset, data in between_members(members, entry.size):
            copy.write(offset, data)
        pieces, shards = pieces_of(header)
        missing = self._without_old(piece for piece in pieces if not self._is_right(piece))
        with self._requests(missing) as fetched:
            deque(fetched, maxlen=0)
        self._row_bytes = copy.read(header.rows.offset, header.rows.size)
        self._rows = np.frombuffer(self._row_bytes, ROW_TYPE)
        self._frames = frames_of(self._rows, shards, entry.size)

    def run(self) -> bool:
        """Complete the file, and return whether it has the recorded hashes."""
        rows, _, ends = self._frames
        is_here = self._copy.arrived(0, len(rows))
        is_here[rows[ends <= self._copy.prefix]] = True
        return self._pass(is_here, self._older) or self._pass(self._proved(), ())

    def _pass(self, is_here: Array, older: Sequence[LocalArtifact]) -> bool:
        """Go through the file once.

        Parameters
        ----------
        is_here
            Which records are not to be fetched or copied, by row.
        older
            The artifacts to copy records from.
        """
        copy, entry, fetched_to = self._copy, self._entry, 0
        runs = list(runs_of(self._frames, *find_sources(self._rows, is_here, map(_rows_of, older))))
        needed = sum(run.end - run.start for run in runs if run.source != HERE)
        if shutil.disk_usage(copy.path.parent).free < needed:
            raise OSError(errno.ENOSPC, f"{needed:,} bytes are needed")
        parts = (run for run in runs if run.source == REMOTE)
        with Hashing(copy.path, name=self._name, size=entry.size) as hashing, self._requests(parts) as fetched:
            for run in runs:
                while run.source == REMOTE and run.end > fetched_to:
                    fetched_to = next(fetched)
                if run.source >= 0:
                    hashing.update(run.start)
                    self._copy_run(run, older[run.source], hashing)
                hashing.update(run.end)
            hashing.update(entry.size)
        if (hashing.md5.hexdigest(), hashing.sha256.hexdigest()) != (copy.path.parent.name, entry.sha256):
            return False
        with copy.path.open("r+b") as file:
            file.truncate(entry.size)  # if something else made it longer
            os.fsync(file.fileno())
        return True

    def _copy_run(self, run: Run, artifact: LocalArtifact, hashing: Hashing) -> None:
        """Copy and hash records of an older artifact; if it cannot be read, fetch them."""
        while hashing.position < run.end:
            position, view = hashing.position, hashing.space(run.end)
            try:
                is_read = read_into(artifact.file, view, position + run.shift)
            except (LoaderError, OSError):
                is_read = False
            if not is_read:
                self._fetch([run])
                view[:] = self._copy.read(position, len(view))
                hashing.update(run.end)
                return
            self._copy.write(position, view)
        self._copy.mark(run.row, run.records)

    def _without_old(self, pieces: Iterable[Piece]) -> Iterator[Piece]:
        """Copy what older artifacts have of some pieces, and yield the others."""
        known: dict[str, tuple[LocalArtifact, Piece]] = {}
        for artifact in self._older:
            with suppress(LoaderError):
                known |= {piece.sha256: (artifact, piece) for piece in pieces_of(artifact.header)[0]}
        for piece in pieces:
            if piece.sha256 in known:
                artifact, old = known[piece.sha256]
                with suppress(LoaderError):
                    self._copy.write(piece.start, artifact.read(old.start, old.end - old.start))
            if not self._is_right(piece):
                yield piece

    @contextmanager
    def _requests(self, parts: Iterable[Run | Piece]) -> Iterator[Iterator[int]]:
        """Fetch parts of the file, several at once, and yield an iterator that waits for each request in their order.

        It yields the end of what has arrived. The parts must have the order of the file.
        """
        threads = DaemonThreads(CONNECTIONS)
        begun = ((each[-1].end, threads.submit(self._fetch, each)) for each in in_requests(parts))
        pending = deque(islice(begun, REQUESTS_AHEAD))

        def wait() -> Iterator[int]:
            while pending:
                end, future = pending.popleft()
                future.result()
                yield end
                pending.extend(islice(begun, 1))

        try:
            yield wait()
        finally:
            for _, future in pending:
                future.cancel()

    def _fetch(self, parts: Sequence[Run | Piece]) -> None:
        """Fetch and prove parts with one request, except for those that another process has fetched meanwhile."""
        first, last = parts[0].start >> WINDOW_BITS, (parts[-1].end - 1) >> WINDOW_BITS
        with self._copy.claim(first, last - first + 1):
            self._fetch_claimed([part for part in parts if not self._has_arrived(part)])

    def _has_arrived(self, part: Run | Piece) -> bool:
        is_marked = isinstance(part, Run) and bool(self._copy.arrived(part.row, part.records).all())
        return is_marked and self._is_right(part)

    def _fetch_claimed(self, parts: Sequence[Run | Piece]) -> None:
        """Fetch and prove parts, a second time if they are wrong."""
        is_second = False
        while parts:
            start, end = parts[0].start, parts[-1].end
            for at in range(start, end, READ_BYTES):
                data = memoryview(self._source.read(at, min(READ_BYTES, end - at)))
                for part in parts:
                    first, last = max(part.start, at), min(part.end, at + len(data))
                    if first < last:
                        self._copy.write(first, data[first - at : last - at])
            wrong = [part for part in parts if not self._is_right(part)]
            for part in set(parts).difference(wrong):
                if isinstance(part, Run):
                    self._copy.mark(part.row, part.records)
            if wrong and is_second:
                raise wrong_object(self._source, f"it has other bytes behind byte {wrong[0].start:,}")
            parts, is_second = wrong, True

    def _is_right(self, part: Run | Piece) -> bool:
        """Return whether the copy has the recorded bytes of a part."""
        if isinstance(part, Run):
            return all(self._prove(part))
        return hashlib.sha256(self._copy.read(part.start, part.end - part.start)).hexdigest() == part.sha256

    def _prove(self, run: Run) -> list[bool]:
        """Return for each record of a run whether the copy has its recorded bytes, and the right ones around them."""
        found = []
        with self._proving:  # only one at a time needs memory for its records, which may be large
            data = self._copy.read(run.start, run.end - run.start)
            rows = self._row_bytes[run.row * ROW.size : (run.row + run.records) * ROW.size]
            for offset, length, _, digest in ROW.iter_unpack(rows):
                start = offset - run.start
                record = data[start : start + length]
                is_right = index.digest(record) == digest
                found.append(is_right and data.startswith(frame(record), start - HEAD_BYTES))
        return found

    def _proved(self) -> Array:
        """Return which records the copy has, by row, all of them proved."""
        count = len(self._rows)
        is_proved = np.zeros(count, bool)
        for run in runs_of(self._frames, np.full(count, HERE), np.zeros(count, np.int64)):
            is_proved[run.row : run.row + run.records] = self._prove(run)
        return is_proved


def _rows_of(artifact: LocalArtifact) -> Array:
    """Return all rows of an artifact, proved by its index header; none if they are not right."""
    try:
        data = b"".join(map(artifact.block, range(len(artifact.header.blocks))))
    except LoaderError:
        data = b""
    return np.frombuffer(data, ROW_TYPE)
