"""The contents of a dataset that git's history records."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Any, NamedTuple

from loader._errors import ManifestError
from loader._fetch.git import Change, Git
from loader._format.manifest import Manifest, parse_manifest
from loader._format.names import ARTIFACTS
from loader._registry.entry import VersionEntry

_Content = tuple[Any, ...]


class _Recorded(NamedTuple):
    """A commit that changed a manifest, and the manifest."""

    change: Change
    manifest: Manifest


class VersionHistory:
    """The contents of datasets that commits record; what concerns all datasets is read only once.

    Parameters
    ----------
    git
        The repository.
    end
        The commit (hex) where the history ends.
    """

    def __init__(self, git: Git, end: str) -> None:
        self._git = git
        self._end = end
        self._renames: dict[str, dict[str, str]] = {}  # those of each commit

    def versions(self, name: str, *, withdrawn: tuple[str, ...]) -> list[VersionEntry]:
        """Return each content of a dataset, newest first; those under its former names follow.

        Parameters
        ----------
        name
            The dataset.
        withdrawn
            The beginnings of commits whose records of the dataset do not count.

        Raises
        ------
        FetchError
            The repository lacks a part of its history, or is damaged.
        """
        found: list[VersionEntry] = []
        seen, path, changes = set(), f"{ARTIFACTS}/{name}.json", self._changes
        while path not in seen and path in changes:
            seen.add(path)
            name = path.removeprefix(f"{ARTIFACTS}/").removesuffix(".json")
            found += _versions(self._git, name, changes[path], self._tags, withdrawn)
            first = changes[path][-1].commit
            if first not in self._renames:
                self._renames[first] = self._git.renames(first, ARTIFACTS)
            if path not in self._renames[first]:
                break
            path, changes = self._renames[first][path], self._git.changes(f"{first}^", ARTIFACTS)
        return found

    @cached_property
    def _changes(self) -> dict[str, list[Change]]:
        return self._git.changes(self._end, ARTIFACTS)

    @cached_property
    def _tags(self) -> dict[str, str]:
        return self._git.tags()


def mark_current(versions: list[VersionEntry], current: Manifest) -> list[VersionEntry]:
    """Return the versions with the current content marked, and in front if no commit records it yet."""
    content = _content(current)
    marked = [
        replace(version, is_current=(version.name, version.version, version.artifacts) == content)
        for version in versions
    ]
    if any(version.is_current for version in marked):
        return marked
    return [_entry(current, Change("", "", ""), (), is_current=True), *marked]


def _versions(
    git: Git, name: str, changes: list[Change], tags: dict[str, str], withdrawn: tuple[str, ...]
) -> list[VersionEntry]:
    """Return the contents that the manifest of a dataset had, each with the commit that recorded it first."""
    path = f"./{ARTIFACTS}/{name}.json"
    released = {tag: commit for tag, commit in tags.items() if tag.startswith(f"{name}@v")}
    blobs = git.objects(f"{commit}:{path}" for commit in (*(each.commit for each in changes), *released.values()))
    manifests: dict[str, Manifest | None] = {}  # by git object: many commits have the same
    for blob, data in blobs.values():
        if blob not in manifests:
            manifests[blob] = parse_recorded(name, data)

    def manifest_of(commit: str) -> Manifest | None:
        found = blobs.get(f"{commit}:{path}")
        return manifests[found[0]] if found else None

    recorded = [_Recorded(change, found) for change in changes if (found := manifest_of(change.commit)) is not None]
    left_out = [
        _content(each.manifest) for each in recorded if any(each.change.commit.startswith(start) for start in withdrawn)
    ]
    plain_tags: dict[str, list[str]] = {}  # release tags of other datasets say nothing of this one
    for tag, commit in tags.items():
        if "@v" not in tag:
            plain_tags.setdefault(commit, []).append(tag)
    contents: dict[str, list[_Recorded]] = {}
    for each in recorded:
        contents.setdefault(repr(_content(each.manifest)), []).append(each)
    of_release: dict[str, list[str]] = {}
    for tag, commit in released.items():
        if found := manifest_of(commit):
            of_release.setdefault(repr(_content(found)), []).append(tag)
    order = {each.change.commit: position for position, each in enumerate(recorded)}
    entries = []
    for key, same in sorted(contents.items(), key=lambda item: order[item[1][-1].change.commit]):
        if _content(same[-1].manifest) not in left_out:
            plain = [tag for each in same for tag in plain_tags.get(each.change.commit, ())]
            entries.append(_entry(same[-1].manifest, same[-1].change, (*of_release.get(key, ()), *plain)))
    return entries


def parse_recorded(name: str, data: bytes) -> Manifest | None:
    """Return a manifest of the history; None if it cannot be used, for example because it is in another format."""
    try:
        return parse_manifest(data, name=name, label="", fix="")
    except ManifestError:
        return None


def _content(manifest: Manifest) -> _Content:
    return manifest.name, manifest.version, {entry.filename: entry.sha256 for entry in manifest.artifacts}


def _entry(manifest: Manifest, change: Change, tags: tuple[str, ...], *, is_current: bool = False) -> VersionEntry:
    name, version, artifacts = _content(manifest)
    size = sum(entry.size for entry in manifest.artifacts)
    return VersionEntry(name, version, change.date, change.short, tags, size, artifacts, is_current)
