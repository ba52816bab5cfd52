"""An artifact: a tar, every part of which is verified when it is read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from functools import cached_property
from hashlib import sha256
from pathlib import Path

import numpy as np

from loader._errors import FetchError, IntegrityError, LoaderError, ManifestError
from loader._format import advice, index
from loader._format.files import Pread, RandomAccessFile, reason
from loader._format.index import BLOCK_BYTES, ROW_TYPE, ROWS_NAME, Header, Member
from loader._format.manifest import ArtifactEntry, Manifest
from loader._format.records import Positions, Records, integers
from loader._format.rows import Read, read_run, verified_reader, verified_rows

CHUNK_BYTES = 1 << 20
MAX_METADATA_BYTES = 64 << 20


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

    def read_verified(self, offset: int, size: int, expected: str) -> bytes | None:
        """Return the `size` bytes at `offset`, None if `expected` (hex) is not their SHA-256."""
        data = self.read(offset, size)
        return data if sha256(data).hexdigest() == expected else None

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
        entry = self.entry
        data = self.read_verified(entry.index_offset, entry.index_size, entry.index_sha256)
        if data is None:
            raise self.mismatch()
        try:
            header = index.parse(data, tar_size=entry.size)
        except IntegrityError as error:
            raise self.error(f"cannot be read: {error}") from error
        folder = self.manifest.version_folder(entry)
        if header.rows.path != f"{folder}/{ROWS_NAME}":
            raise self.error(f"holds {header.rows.path}, which is not in {folder}, the folder of its manifest")
        return header

    def mismatch(self) -> LoaderError:
        """Return an error that says that the index header is not the one that the manifest records."""
        name = self.manifest.name
        return ManifestError(
            f"{name}: {self.label} does not belong to the manifest {self.manifest.label} (its record index "
            f"differs): one of the two was changed or is from another revision; restore both with: "
            f"git checkout -- dvc.lock artifacts/{name}.json && dvc pull -f {name}"
        )

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
            raise self._damaged(member)

    def _damaged(self, member: Member) -> IntegrityError:
        return self.error(f"is damaged in its member {member.path}")

    def read_file(self, name: str) -> bytes:
        """Return the bytes of the metadata file `name`.

        Raises
        ------
        FileNotFoundError
            The artifact has no such file.
        IntegrityError
            Its bytes are not those recorded, or it is too large to be metadata.
        """
        member = self.header.member(name)
        if member is None:
            raise FileNotFoundError(f"{self.label} has no {name}")
        if member.size > MAX_METADATA_BYTES:
            raise self.error(f"holds {member.path} of {member.size:,} bytes, of which a metadata file has fewer")
        data = self.read_verified(member.offset, member.size, member.sha256)
        if data is None:
            raise self._damaged(member)
        return data

    def block_place(self, number: int) -> tuple[int, int]:
        """Return the offset and the size of a block of rows."""
        rows, start = self.header.rows, number * BLOCK_BYTES
        return rows.offset + start, min(BLOCK_BYTES, rows.size - start)

    def block(self, number: int) -> bytes:
        """Return a block of rows, verified against the index header.

        Raises
        ------
        IntegrityError
            It is not the one recorded, or one of its records lies outside the tar.
        """
        data = self.read_verified(*self.block_place(number), self.header.blocks[number])
        if data is None:
            raise self.error(f"is damaged in block {number:,} of its record index")
        # before anything of the stated length is read or allocated; the sum of two uint64 could overflow
        fields, size = np.frombuffer(data, ROW_TYPE), np.uint64(self.entry.size)
        lengths = fields["length"].astype(np.uint64)
        if np.any((lengths > size) | (fields["offset"] > size - lengths)):
            raise self.error(f"lists records outside the tar in block {number:,} of its record index")
        return data

    def describe_row(self, row: int) -> str:
        """Return the record and split of a row, for messages."""
        for split, count in self.header.splits.items():
            if row < count:
                return f"record {row:,} of split {split!r}"
            row -= count
        return f"row {row:,} after the last split"


class LocalArtifact(Artifact):
    """An artifact on disk.

    It is opened when it is first read, and can be pickled and used after a fork.

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
        return {name: value for name, value in vars(self).items() if name not in ("file", "header")}

    @property
    def fix(self) -> str:
        """The command that makes the next load or pull fetch the artifact again, for messages."""
        if "file" in vars(self) and self.file.is_replaced:
            return "it was replaced or removed after it was opened: load it again"
        return advice.replacement(self.path, self.manifest.name)

    @cached_property
    def file(self) -> RandomAccessFile:
        """The tar, open.

        Raises
        ------
        FetchError
            It is missing.
        IntegrityError
            It is not a regular file, cannot be read, or has another size than the one recorded.
        """
        try:
            file = RandomAccessFile(self.path)
        except FileNotFoundError as error:
            raise self.missing() from error
        except (OSError, ValueError) as error:
            raise self.unreadable(error) from error
        if len(file) != self.entry.size:
            raise self.wrong_size(len(file))
        return file

    def missing(self) -> LoaderError:
        """Return an error that says that the tar is missing."""
        name = self.manifest.name
        return FetchError(f"{name}: {self.path} is missing; fetch it with: dvc pull {name}")

    def wrong_size(self, size: int) -> IntegrityError:
        """Return an error that says that the tar has another size than the one recorded."""
        return IntegrityError(
            f"{self.manifest.name}: {self.path} has {size:,} bytes, its manifest says {self.entry.size:,}: it is "
            f"truncated, or from another revision; {self.fix}"
        )

    def unreadable(self, error: Exception) -> IntegrityError:
        """Return an error that says that the tar cannot be opened or read."""
        fix = advice.access(self.path, error) or self.fix
        return IntegrityError(f"{self.manifest.name}: {self.path} cannot be read ({reason(error)}); {fix}")

    def read(self, offset: int, size: int) -> bytes:
        """Return bytes of the tar, not verified.

        Raises
        ------
        IntegrityError
            The file ends before them, or cannot be read.
        """
        try:
            data = self.file[offset : offset + size]
            if len(data) < size:
                raise self.wrong_size(len(self.file))
        except (OSError, MemoryError) as error:
            raise self.unreadable(error) from error
        return data

    def read_record(self, row: int, offset: int, length: int, digest: bytes) -> bytes:
        """Return a record, verified; the system may have read fewer bytes than there are when it was read before.

        Raises
        ------
        IntegrityError
            The file ends there, or cannot be read, or the record is not the one recorded.
        """
        record = self.read(offset, length)
        if index.digest(record) != digest:
            raise self.error(f"is damaged in {self.describe_row(row)}")
        return record

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

    @property
    def content_hash(self) -> str:
        """The hash of the index header."""
        return self._artifact.entry.index_sha256

    def describe(self, position: int) -> str:
        """Return the record and split at a position, for messages."""
        return self._artifact.describe_row(position)

    def reader(self) -> Callable[[int], bytes]:
        """Return a function from a position to the record's bytes."""
        return self._reader

    def in_order(self, positions: Positions) -> Iterator[bytes]:
        """Yield the records at `positions`, in their order; adjacent ones are read together."""
        file = self._artifact.file
        if isinstance(positions, range) and positions.step == 1:
            return read_run(positions, *self._rows, file.pread_exactly, self._artifact.read_record)
        return map(self._verified(file.pread_ahead()), integers(positions))

    @cached_property
    def _reader(self) -> Callable[[int], bytes]:
        return self._verified(self._artifact.file.pread)

    @cached_property
    def _rows(self) -> tuple[Read, int]:
        return verified_rows(self._artifact.header.rows, self._artifact.block, self._artifact.file.pread)

    def _verified(self, pread: Pread) -> Callable[[int], bytes]:
        """Return a function from a position to the record's bytes, which are read with `pread` and verified."""
        return verified_reader(*self._rows, pread, self._artifact.read_record)
