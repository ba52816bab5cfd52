"""An artifact on disk, memory-mapped; nothing leaves it unproved."""

from __future__ import annotations

import hashlib
import mmap
from functools import cached_property
from pathlib import Path

from loader import _index
from loader._errors import FetchError, IntegrityError, ManifestError
from loader._index import BLOCK_BYTES, BLOCK_RECORDS, ROW, Header, Member
from loader._manifest import ArtifactEntry, Manifest


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
        return f"replace it with: rm {self.path} && dvc pull {self.manifest.name}"

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
        if hashlib.sha256(data).hexdigest() != entry.index_sha256:
            raise ManifestError(
                f"{self._whose} does not belong to the manifest {self.manifest.path} (its record index differs): one of "
                f"the two was changed or is of another revision; restore both with: "
                f"git checkout -- artifacts/{self.manifest.path.name} && dvc checkout -f {self.manifest.name}"
            )
        try:
            return _index.parse(data, tar_size=entry.size)
        except IntegrityError as error:
            raise self.error(f"cannot be read: {error}") from error

    def read(self, member: Member) -> bytes:
        """Return the bytes of a member, proved against the header (so: for small members)."""
        data = self.map[member.offset : member.offset + member.size]
        if hashlib.sha256(data).hexdigest() != member.sha256:
            raise self.error(f"is damaged in its member {member.path}")
        return data

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
        return self.read(member)

    def records(self, split: str) -> ArtifactRecords:
        """Return the records of `split`."""
        first = 0
        for name, count in self.header.splits.items():
            if name == split:
                return ArtifactRecords(self, split, first, count)
            first += count
        raise self.error(f"has no split {split!r}")


class ArtifactRecords:
    """The records of one split of an artifact, as a sequence of proved bytes.

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
        self.artifact = artifact
        self.split = split
        self._first = first
        self._count = count
        self._attach()

    def _attach(self) -> None:
        self._map = self.artifact.map
        self._rows = self.artifact.header.rows.offset
        self._proved: set[int] = set()

    def __getstate__(self) -> dict[str, object]:
        state = self.__dict__.copy()
        del state["_map"], state["_proved"]
        return state

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._attach()

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, position: int) -> bytes:
        """Return the bytes of the record at `position` (0 <= position < len).

        Raises
        ------
        IntegrityError
            The index block or the record is not what was recorded.
        """
        number = self._first + position
        block = number // BLOCK_RECORDS
        if block not in self._proved:
            self._prove(block)
        offset, length, _, digest = ROW.unpack_from(self._map, self._rows + number * ROW.size)
        data = self._map[offset : offset + length]
        if _index.digest(data) != digest:
            raise self.artifact.error(f"is damaged in record {position:,} of split {self.split!r}")
        return data

    def _prove(self, block: int) -> None:
        rows = self.artifact.header.rows
        start = rows.offset + block * BLOCK_BYTES
        data = self._map[start : min(start + BLOCK_BYTES, rows.offset + rows.size)]
        if hashlib.sha256(data).hexdigest() != self.artifact.header.blocks[block]:
            raise self.artifact.error(f"is damaged in block {block:,} of its record index")
        self._proved.add(block)
