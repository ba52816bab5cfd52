"""The part of an artifact that has arrived in the loader's cache, read without the network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from loader._errors import FetchError, IntegrityError
from loader._fetch.cached_artifact import CachedArtifact
from loader._fetch.places import OFFLINE_VARIABLE
from loader._format.artifact import LocalRecords
from loader._format.files import Pread
from loader._format.manifest import ArtifactEntry, Manifest
from loader._format.records import Positions, integers

SAMPLE_RECORDS = 500
"""Of how many records it is found out whether they have arrived, to tell how much of a split has."""


class PartialArtifact(CachedArtifact):
    """A sparse copy, of which only what has arrived can be read.

    Parameters
    ----------
    path
        The file with holes.
    manifest, entry
        The dataset's manifest, and its entry for this tar.
    fetch_command
        The command that fetches the rest, for messages.
    """

    def __init__(self, path: Path, manifest: Manifest, entry: ArtifactEntry, fetch_command: str) -> None:
        super().__init__(path, manifest, entry)
        self._fetch_command = fetch_command

    def records(self) -> LocalRecords:
        """Return the records of all splits."""
        return _PartialRecords(self)

    def not_arrived(self, row: int) -> FetchError:
        """Return an error that says that a record is not here, and how much of its split is."""
        rows = next(rows for rows in map(self.rows, self.header.splits) if row in rows)
        sample, read = rows[:: -(-len(rows) // SAMPLE_RECORDS)], LocalRecords(self).reader()

        def has_arrived(row: int) -> bool:
            try:
                read(row)
            except IntegrityError:
                return False
            return True

        share = sum(map(has_arrived, sample)) / len(sample)
        return FetchError(
            f"{self.manifest.name}: {self.describe_row(row)} is not on this machine, which has about "
            f"{share:.0%} of that split, and nothing is fetched offline; fetch the rest, without offline=True and "
            f"{OFFLINE_VARIABLE}, with: {self._fetch_command}"
        )


class _PartialRecords(LocalRecords):
    """The records of a sparse copy; what is wrong in it has not arrived."""

    _artifact: PartialArtifact

    def in_order(self, positions: Positions) -> Iterator[bytes]:
        """Yield the records at `positions`, in their order, one by one."""
        return map(self.reader(), integers(positions))

    def _verified(self, pread: Pread) -> Callable[[int], bytes]:
        read, artifact = super()._verified(pread), self._artifact

        def read_arrived(row: int) -> bytes:
            try:
                return read(row)
            except IntegrityError:
                raise artifact.not_arrived(row) from None

        return read_arrived
