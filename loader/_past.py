"""Versions of a dataset as their commits recorded them, and what changed from one to the next, in few processes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from loader._diff import Comparison, Difference
from loader._errors import FetchError
from loader._fetch.git import Git
from loader._fetch.repository import Repository
from loader._fetch.revision import Commit, Revision, TrackedFile
from loader._fetch.store import Hold
from loader._format.dvc_lock import locked_md5s
from loader._format.manifest import Manifest
from loader._format.names import ARTIFACTS
from loader._registry.entry import HERE, IN_CACHE, VersionEntry
from loader._registry.history import parse_recorded
from loader._registry.places import Places
from loader._registry.records import LOCK_FILE, Records


@dataclass(frozen=True)
class Recorded:
    """A version, the revision that recorded it, and its files there by path."""

    version: VersionEntry
    revision: Revision
    data: Mapping[str, bytes]

    @cached_property
    def manifest(self) -> Manifest | None:
        """Its manifest; None if it cannot be used."""
        data = self.data.get(f"{ARTIFACTS}/{self.version.name}.json")
        return None if data is None else parse_recorded(self.version.name, data)


def read_recorded(
    git: Git, versions: Sequence[VersionEntry], *, current: Revision, places: Places, offline: bool
) -> list[Recorded]:
    """Return what was recorded of versions, read by one process; of the current one, what `current` has.

    With `offline`, only artifacts on this machine are known; without, what the remotes should have is known too.
    """
    objects = git.objects(
        f"{version.commit}:./{path}" for version in versions if not version.is_current for path in _files(version)
    )
    found = []
    for version in versions:
        if version.is_current:
            found.append(Recorded(version, current, current.read_all(_files(version))))
            continue
        data = {path: objects[name][1] for path in _files(version) if (name := f"{version.commit}:./{path}") in objects}
        found.append(Recorded(version, _Past(git, version.commit, data, places, offline), data))
    return found


def compare_recorded(
    repository: Repository, old: Recorded, new: Recorded, *, offline: bool, hold: Hold | None, config: str | None = None
) -> Difference | None:
    """Return what changed from one version to another, which may have another name; None if a manifest is unusable.

    If a record index cannot be read, its note says why. The other parameters and errors are those of `loader.diff`.
    """
    if old.manifest is None or new.manifest is None:
        return None
    name = new.version.name
    records = [
        Records(side.revision, {}, {}, {}, {name: manifest}, {})
        for side, manifest in ((old, old.manifest), (new, new.manifest))
    ]
    labels = [each.version.commit or "the work tree" for each in (old, new)]
    comparison = Comparison(repository, records[0], records[1], labels[0], labels[1], offline, hold)
    return comparison.compare(name, config=config, is_needed=False)


class _Past(Commit):
    """A commit of which only the files of one version are read."""

    def __init__(self, git: Git, commit: str, data: Mapping[str, bytes], places: Places, offline: bool) -> None:
        super().__init__(git, commit)
        self._data = data
        self._places = places
        self._offline = offline

    def read_all(self, paths: Iterable[str]) -> dict[str, bytes]:
        """Return the bytes of files that were read before."""
        return {path: self._data[path] for path in paths if path in self._data}

    def tracked_file(self, name: str, filename: str) -> TrackedFile:
        """Return the record of an artifact; offline, raise FetchError if it is not on this machine.

        The MD5 of an artifact at hand is found without parsing all of `dvc.lock`, which is slow; what it names must
        have the index header that the manifest records.
        """
        manifest = parse_recorded(name, self._data[f"{ARTIFACTS}/{name}.json"])
        entries = [entry for entry in manifest.artifacts if entry.filename == filename] if manifest else []
        for md5 in locked_md5s(self._data.get(LOCK_FILE, b""), f"{ARTIFACTS}/{filename}"):
            for entry in entries:
                tracked = TrackedFile(name, md5, entry.size, None)
                if self._places.place(entry, tracked) in (HERE, IN_CACHE):
                    return tracked
        if self._offline:
            raise FetchError(f"{name}: {filename} of {self.commit} is not on this machine")
        return super().tracked_file(name, filename)


def _files(version: VersionEntry) -> list[str]:
    """Return the files that a version is compared by."""
    return [f"{ARTIFACTS}/{version.name}.json", f"{ARTIFACTS}/{version.name}.stats.json", LOCK_FILE]
