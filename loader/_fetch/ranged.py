"""An artifact that is read from its remote in byte ranges, of which the verified ones are kept."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from loader._errors import FetchError, LoaderError
from loader._fetch.complete import complete
from loader._fetch.places import CACHE_VARIABLE
from loader._fetch.s3 import S3Object
from loader._fetch.sparse import SparseCopy
from loader._fetch.units import WINDOW_BITS
from loader._format.artifact import Artifact
from loader._format.files import reason
from loader._format.index import ROWS_NAME
from loader._format.manifest import ArtifactEntry, Manifest

METADATA_BYTES = 64 << 10
"""Metadata files that follow each other are read in one request, if they are smaller."""
OTHER_FOLDER = f"set {CACHE_VARIABLE} to another folder"


class RangedArtifact(Artifact):
    """An artifact that is read from its remote. What has arrived is kept in the cache, and read from there.

    Parameters
    ----------
    source
        The object.
    manifest, entry
        The dataset's manifest, and its entry for this tar.
    folder
        The artifact's entry in the cache; None to keep nothing.
    """

    def __init__(self, source: S3Object, manifest: Manifest, entry: ArtifactEntry, folder: Path | None = None) -> None:
        super().__init__(source.url, manifest, entry)
        self.source = source
        self.folder = folder
        self._ahead: dict[tuple[int, int], bytes] = {}  # read but not yet verified, by offset and size

    @property
    def fix(self) -> str:
        """The command that restores the recorded artifact, for messages."""
        return f"replace it from a clone that has the right one: {self.source.push_command}"

    @cached_property
    def copy(self) -> SparseCopy | None:
        """What has arrived of the artifact, in the cache; None if nothing can be kept there."""
        if self.folder is None:
            return None
        try:
            return SparseCopy(self.folder, self.entry.filename, size=self.entry.size)
        except (FileExistsError, TimeoutError):  # it is whole, or another process is downloading it
            return None
        except (FetchError, OSError) as error:
            problem = (
                f"{self.folder} cannot be written to ({reason(error)})" if isinstance(error, OSError) else str(error)
            )
            warnings.warn(
                f"{self.manifest.name}: {problem}, so what is streamed is not kept; {OTHER_FOLDER}", stacklevel=2
            )
            return None

    def claim(self, offset: int, end: int) -> AbstractContextManager[None]:
        """Return what keeps other processes from fetching this part; then look again whether it has arrived."""
        first, last = offset >> WINDOW_BITS, (end - 1) >> WINDOW_BITS
        return nullcontext() if self.copy is None else self.copy.claim(first, last - first + 1)

    def complete(self) -> None:
        """Make the copy, in which all records have arrived, the cached artifact."""
        if self.copy is not None:
            # nothing is lost, and whoever loads the artifact says what is wrong; threads fail so when the program exits
            with suppress(LoaderError, OSError, RuntimeError):
                complete(self.copy, self.source, self.manifest, self.entry, shows_progress=False)

    def fetch(self, offset: int, size: int) -> bytes:
        """Return bytes of the object from the remote, not verified."""
        try:
            return self.source.read(offset, size)
        except FetchError as error:
            raise FetchError(f"{self.manifest.name}: {error}") from error

    def read(self, offset: int, size: int) -> bytes:
        """Return bytes of the object from the remote, not verified, which may have been read ahead."""
        data = self._ahead.pop((offset, size), None)
        return self.fetch(offset, size) if data is None else data

    def read_ahead(self, parts: Sequence[tuple[int, int]], hashes: Sequence[str]) -> None:
        """Read parts that follow each other in one request, so that `read` returns each of them once.

        Parameters
        ----------
        parts
            The offset and size of each.
        hashes
            Their SHA-256 (hex); those that are in the copy are not read.
        """
        missing = [
            part
            for part, expected in zip(parts, hashes, strict=True)
            if part not in self._ahead and self._kept(*part, expected) is None
        ]
        if not missing:
            return
        start, end = missing[0][0], sum(missing[-1])
        data = self.fetch(start, end - start)
        self._ahead.update({(offset, size): data[offset - start :][:size] for offset, size in missing})

    def read_verified(self, offset: int, size: int, expected: str) -> bytes | None:
        """Return bytes with the expected SHA-256 from the copy, else from the remote; None if both are wrong."""
        if (data := self._kept(offset, size, expected)) is not None:
            return data
        data = super().read_verified(offset, size, expected)
        if data is None:  # as of records, a second time: what is in between may have changed it
            data = super().read_verified(offset, size, expected)
        if data is not None and self.copy is not None:
            with suppress(OSError):  # a full disk, which is noticed when records are written
                self.copy.write(offset, data)
        return data

    def _kept(self, offset: int, size: int, expected: str) -> bytes | None:
        if self.copy is None:
            return None
        try:
            data = self.copy.read(offset, size)
        except OSError:
            return None
        return data if sha256(data).hexdigest() == expected else None

    def read_file(self, name: str) -> bytes:
        """Return the bytes of a metadata file, read together with the following ones; the errors are the same."""
        members = self.header.members
        number = next((number for number, member in enumerate(members) if member.name == name), len(members))
        following = []
        for member in members[number:]:
            if member.name == ROWS_NAME or member.offset + member.size - members[number].offset > METADATA_BYTES:
                break
            following.append(member)
        if len(following) > 1 and (following[0].offset, following[0].size) not in self._ahead:
            self.read_ahead([(each.offset, each.size) for each in following], [each.sha256 for each in following])
        return super().read_file(name)
