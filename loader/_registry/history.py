"""The contents of a dataset that git's history records."""

from __future__ import annotations

from dataclasses import replace
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


def recorded_versions(git: Git, commit: str, name: str, *, withdrawn: tuple[str, ...]) -> list[VersionEntry]:
    """Return each content of a dataset that the commits up to `commit` record, newest first.

    If the dataset was renamed, those under its former names follow.

    Parameters
    ----------
    git, commit
        The repository, and the commit (hex) where the history ends.
    name
        The dataset.
    withdrawn
        The beginnings of commits whose records of the dataset do not count.

    Raises
    ------
    FetchError
        The repository lacks a part of its history, or is damaged.
    """
    tags = git.tags()
    found: list[VersionEntry] = []
    seen = set()
    while name not in seen:
        seen.add(name)
        path = f"{ARTIFACTS}/{name}.json"
        changes = git.log(commit, path)
        found += _versions(git, name, changes, tags, withdrawn)
        if not changes:
            break
        commit = f"{changes[-1].commit}^"
        before = git.renamed_from(changes[-1].commit, path)
        if before is None:
            break
        name = before.removeprefix(f"{ARTIFACTS}/").removesuffix(".json")
    return found


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
            manifests[blob] = _parse(name, data)

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


def _parse(name: str, data: bytes) -> Manifest | None:
    """Return a manifest, None if it is in another format."""
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
