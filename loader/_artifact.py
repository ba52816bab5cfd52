"""An artifact on disk, memory-mapped; nothing leaves it unproved."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from loader import _index
from loader._errors import FetchError, IntegrityError, ManifestError
from loader._index import BLOCK_BYTES, BLOCK_RECORDS, ROW, Header, Member
from loader._manifest import ArtifactEntry, Manifest

CHUNK_BYTES = 1 << 20


class Artifact:
    """A tar of format 1 and the manifest that vouches for it.

    The file is mapped when it is first read, in each process anew, so an artifact can be pickled and used after a fork.

    Parameters
    ----------
    path
        The tar.
    manifest, entry
        The dataset's manifest, and its entry for this tar.
    """

    def __init__(self, path: Path, manifest: Manifest, entry: ArtifactEntry) -> None:
        self.path = path
        self.manifest = manifest
        self.entry = entry

    def __getstate__(self) -> dict[str, object]:
        return {"path": self.path, "manifest": self.manifest, "entry": self.entry}

    @property
    def _whose(self) -> str:
        return f"{self.manifest.name}: {self.path}"

    @property
    def mend(self) -> str:
        """The command that brings the recorded artifact back."""
        return f"remove it, and it is fetched anew when it is next loaded or pulled: rm {self.path}"

    def error(self, what: str) -> IntegrityError:
        """Return an error that names this artifact, says `what` of it, and how to mend it."""
        return IntegrityError(f"{self._whose} {what}; {self.mend}")

    @cached_property
    def map(self) -> mmap.mmap:
        """The whole tar, memory-mapped read-only."""
        try:
            with self.path.open("rb") as file:
                size = file.seek(0, 2)
                if size != self.entry.size:
                    raise self.error(f"has {size:,} bytes, its manifest says {self.entry.size:,}")
                return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except FileNotFoundError as error:
            raise FetchError(f"{self._whose} is missing; fetch it with: dvc pull {self.manifest.name}") from error
        except (OSError, ValueError) as error:
            raise self.error(f"cannot be read ({error})") from error

    @cached_property
    def header(self) -> Header:
        """The index header, proved against the manifest."""
        entry = self.entry
        data = self.map[entry.index_offset : entry.index_offset + entry.index_size]
        if sha256(data).hexdigest() != entry.index_sha256:
            raise ManifestError(
                f"{self._whose} does not belong to the manifest {self.manifest.path} (its record index differs): "
                f"one of the two was changed or is of another revision; restore both with: "
                f"git checkout -- dvc.lock artifacts/{self.manifest.path.name} && dvc pull -f {self.manifest.name}"
            )
        try:
            return _index.parse(data, tar_size=entry.size)
        except IntegrityError as error:
            raise self.error(f"cannot be read: {error}") from error

    def chunks(self, member: Member) -> Iterator[bytes]:
        """Yield a member's bytes in pieces, and raise behind the last one if they were not those recorded.

        Raises
        ------
        IntegrityError
            They were not.
        """
        hasher = sha256()
        end = member.offset + member.size
        for start in range(member.offset, end, CHUNK_BYTES):
            chunk = self.map[start : min(start + CHUNK_BYTES, end)]
            hasher.update(chunk)
            yield chunk
        if hasher.hexdigest() != member.sha256:
            raise self.error(f"is damaged in its member {member.path}")

    def read_file(self, name: str) -> bytes:
        """Return the bytes of the metadata file called `name`.

        Raises
        ------
        FileNotFoundError
            The artifact holds no such file.
        IntegrityError
            Its bytes are not those recorded.
        """
        member = self.header.member(name)
        if member is None:
            raise FileNotFoundError(f"{self._whose} holds no {name}")
        return b"".join(self.chunks(member))

    def prove_block(self, number: int) -> None:
        """Check a block of the index's rows against the header.

        Raises
        ------
        IntegrityError
            It is not the one recorded.
        """
        rows = self.header.rows
        start = rows.offset + number * BLOCK_BYTES
        data = self.map[start : min(start + BLOCK_BYTES, rows.offset + rows.size)]
        if sha256(data).hexdigest() != self.header.blocks[number]:
            raise self.error(f"is damaged in block {number:,} of its record index")

    def records(self, split: str) -> ArtifactRecords:
        """Return the records of `split`."""
        first = 0
        for name, count in self.header.splits.items():
            if name == split:
                return ArtifactRecords(self, split, first, count)
            first += count
        raise self.error(f"has no split {split!r}")


class ArtifactRecords:
    """The records of one split of an artifact, proved one by one.

    Parameters
    ----------
    artifact
        Where they are.
    split
        Their split, for messages.
    first, count
        The rows of the index that are the split's.
    """

    def __init__(self, artifact: Artifact, split: str, first: int, count: int) -> None:
        self._artifact = artifact
        self._split = split
        self._first = first
        self._count = count

    def __len__(self) -> int:
        return self._count

    def reader(self) -> Callable[[int], bytes]:
        """Return a function from a position (0 <= position < len) to the record's bytes.

        It raises IntegrityError where the index block or the record is not what was recorded. It is a closure because
        every example passes through it, and a closure finds its variables sooner than a method its attributes.
        """
        artifact, split, first = self._artifact, self._split, self._first
        mapped, rows = artifact.map, artifact.header.rows.offset
        unpack, row_bytes = ROW.unpack_from, ROW.size
        proved: set[int] = set()

        def read(position: int) -> bytes:
            row = first + position
            block = row // BLOCK_RECORDS
            if block not in proved:
                artifact.prove_block(block)
                proved.add(block)
            offset, length, _, digest = unpack(mapped, rows + row * row_bytes)
            record = mapped[offset : offset + length]
            if _index.digest(record) != digest:
                raise artifact.error(f"is damaged in record {position:,} of split {split!r}")
            return record

        return read
