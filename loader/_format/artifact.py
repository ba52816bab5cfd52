"""An artifact: a tar, every part of which is verified when it is read."""

from __future__ import annotations

import mmap
import shlex
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from loader._errors import FetchError, IntegrityError, ManifestError
from loader._format import index
from loader._format.index import BLOCK_BYTES, BLOCK_RECORDS, ROW, Header, Member
from loader._format.manifest import ArtifactEntry, Manifest
from loader._format.records import Records

CHUNK_BYTES = 1 << 20


class Artifact(ABC):
    """A tar of format 1 and the manifest that records its hashes.

    Parameters
    ----------
    label
        The tar's path or URL, for messages.
    manifest, entry
        The dataset's manifest, and its entry for this tar.
    """

    def __init__(self, label: str, manifest: Manifest, entry: ArtifactEntry) -> None:
        self.label = label
        self.manifest = manifest
        self.entry = entry

    @abstractmethod
    def read(self, offset: int, size: int) -> bytes:
        """Return the `size` bytes at `offset`, not verified."""

    @property
    @abstractmethod
    def fix(self) -> str:
        """How to restore the recorded artifact, for messages."""

    @abstractmethod
    def records(self) -> Records:
        """Return the records of all splits, in the order of the rows."""

    def rows(self, split: str) -> range:
        """Return the row numbers of `split`, which are the positions of its records.

        Raises
        ------
        IntegrityError
            The artifact has no such split.
        """
        first = 0
        for name, count in self.header.splits.items():
            if name == split:
                return range(first, first + count)
            first += count
        raise self.error(f"has no split {split!r}")

    def error(self, problem: str) -> IntegrityError:
        """Return an error that names this artifact, the problem and the fix."""
        return IntegrityError(f"{self.manifest.name}: {self.label} {problem}; {self.fix}")

    @cached_property
    def header(self) -> Header:
        """The index header, verified against the manifest."""
        entry, manifest = self.entry, self.manifest
        data = self.read(entry.index_offset, entry.index_size)
        if sha256(data).hexdigest() != entry.index_sha256:
            raise ManifestError(
                f"{manifest.name}: {self.label} does not belong to the manifest {manifest.label} (its record index "
                f"differs): one of the two was changed or is from another revision; restore both with: "
                f"git checkout -- dvc.lock artifacts/{manifest.name}.json && dvc pull -f {manifest.name}"
            )
        try:
            return index.parse(data, tar_size=entry.size)
        except IntegrityError as error:
            raise self.error(f"cannot be read: {error}") from error

    def chunks(self, member: Member) -> Iterator[bytes]:
        """Yield a member's bytes in chunks, and verify them after the last one.

        Raises
        ------
        IntegrityError
            They are not those recorded.
        """
        hasher = sha256()
        end = member.offset + member.size
        for start in range(member.offset, end, CHUNK_BYTES):
            chunk = self.read(start, min(CHUNK_BYTES, end - start))
            hasher.update(chunk)
            yield chunk
        if hasher.hexdigest() != member.sha256:
            raise self.error(f"is damaged in its member {member.path}")

    def read_file(self, name: str) -> bytes:
        """Return the bytes of the metadata file `name`.

        Raises
        ------
        FileNotFoundError
            The artifact has no such file.
        IntegrityError
            Its bytes are not those recorded.
        """
        member = self.header.member(name)
        if member is None:
            raise FileNotFoundError(f"{self.label} has no {name}")
        return b"".join(self.chunks(member))

    def block(self, number: int) -> bytes:
        """Return a block of rows, verified against the index header.

        Raises
        ------
        IntegrityError
            It is not the one recorded.
        """
        rows = self.header.rows
        start = number * BLOCK_BYTES
        data = self.read(rows.offset + start, min(BLOCK_BYTES, rows.size - start))
        if sha256(data).hexdigest() != self.header.blocks[number]:
            raise self.error(f"is damaged in block {number:,} of its record index")
        return data

    def describe_row(self, row: int) -> str:
        """Return the record and split of a row, for messages."""
        for split, count in self.header.splits.items():
            if row < count:
                return f"record {row:,} of split {split!r}"
            row -= count
        return f"row {row:,} after the last split"


class LocalArtifact(Artifact):
    """An artifact on disk, memory-mapped.

    Each process maps the file when it first reads it, so an artifact can be pickled and used after a fork.

    Parameters
    ----------
    path
        The tar.
    manifest, entry
        The dataset's manifest, and its entry for this tar.
    """

    def __init__(self, path: Path, manifest: Manifest, entry: ArtifactEntry) -> None:
        super().__init__(str(path), manifest, entry)
        self.path = path

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in vars(self).items() if name not in ("map", "header")}

    @property
    def fix(self) -> str:
        """The command that makes the next load or pull fetch the artifact again, for messages."""
        paths = shlex.join(str(path) for path in (self.path, *self._linked_objects()))
        return f"remove it, and it is fetched anew when it is next loaded or pulled: rm -f {paths}"

    def _linked_objects(self) -> list[Path]:
        """Return the objects in DVC's cache that are hard links to this file, so that they have the same damage."""
        try:
            if self.path.stat().st_nlink == 1:
                return []
            objects = (self.path.parent.parent / ".dvc/cache/files/md5").glob("*/*")
            return [path for path in objects if path.samefile(self.path)]
        except OSError:
            return []

    @cached_property
    def map(self) -> mmap.mmap:
        """The whole tar, memory-mapped read-only."""
        try:
            with self.path.open("rb") as file:
                size = file.seek(0, 2)
                if size != self.entry.size:
                    raise IntegrityError(
                        f"{self.manifest.name}: {self.path} has {size:,} bytes, its manifest says {self.entry.size:,}: "
                        f"it is truncated, or from another revision; restore the recorded one with: "
                        f"dvc checkout -f {self.manifest.name}, or rm -f {shlex.quote(str(self.path))}"
                    )
                return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except FileNotFoundError as error:
            name = self.manifest.name
            raise FetchError(f"{name}: {self.path} is missing; fetch it with: dvc pull {name}") from error
        except (OSError, ValueError) as error:
            raise self.error(f"cannot be read ({error})") from error

    def read(self, offset: int, size: int) -> bytes:
        """Return bytes of the tar."""
        return self.map[offset : offset + size]

    def records(self) -> LocalRecords:
        """Return the records of all splits."""
        return LocalRecords(self)


class LocalRecords(Records):
    """The records of an artifact on disk."""

    def __init__(self, artifact: LocalArtifact) -> None:
        self._artifact = artifact

    def __getstate__(self) -> dict[str, object]:
        return {"_artifact": self._artifact}

    def __len__(self) -> int:
        return self._artifact.header.records

    def describe(self, position: int) -> str:
        """Return the record and split at a position, for messages."""
        return self._artifact.describe_row(position)

    def reader(self) -> Callable[[int], bytes]:
        """Return a function from a position to the record's bytes."""
        return self._reader

    @cached_property
    def _reader(self) -> Callable[[int], bytes]:
        # a closure, because every example passes through it, and it finds its variables faster than a method would
        artifact = self._artifact
        mapped, rows = artifact.map, artifact.header.rows.offset
        unpack, row_bytes = ROW.unpack_from, ROW.size
        verified: set[int] = set()

        def read(row: int) -> bytes:
            block = row // BLOCK_RECORDS
            if block not in verified:
                artifact.block(block)
                verified.add(block)
            offset, length, _, digest = unpack(mapped, rows + row * row_bytes)
            record = mapped[offset : offset + length]
            if index.digest(record) != digest:
                raise artifact.error(f"is damaged in {artifact.describe_row(row)}")
            return record

        return read
