"""The versions of datasets, and what changed from each to the next, in few processes for all datasets."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from loader._diff import Difference
from loader._errors import LoaderError
from loader._fetch.repository import Repository
from loader._fetch.revision import Revision
from loader._fetch.safe_yaml import parse_yaml
from loader._format.manifest import Manifest
from loader._format.names import ARTIFACTS
from loader._past import Recorded, compare_recorded, read_recorded
from loader._registry.differences.difference import Change
from loader._registry.entry import DatasetEntry, VersionEntry
from loader._registry.history import VersionHistory, mark_current, parse_recorded
from loader._registry.places import Places
from loader._registry.records import PUBLIC, STAGES_FILE, outputs

MOST_VERSIONS = 100
"""Most versions of a dataset that its page lists."""

MOST_COMPARED = 20
"""Most of them, the newest, that are compared with the one before."""


@dataclass(frozen=True)
class Version:
    """A version, and what changed since the one before; None for the first one, and for old ones."""

    entry: VersionEntry
    difference: Difference | None


class History:
    """The history of a repository up to a commit.

    Parameters
    ----------
    repository
        The repository.
    end
        The commit (hex) where the history ends; empty if there is none.
    current
        The revision that the site is about.
    names
        The datasets of the site.
    hidden
        Those that are left out because they are private; None if the site shows private ones too.
    """

    def __init__(
        self, repository: Repository, end: str, current: Revision, names: Iterable[str], hidden: Iterable[str] | None
    ) -> None:
        self._repository = repository
        self._end = end
        self._current = current
        self._names = {*names}
        self._hidden = None if hidden is None else {*hidden}
        self._git = repository.git
        self._history = VersionHistory(repository.git, end)
        self._stages: dict[str, bytes] = {}  # `dvc.yaml` by git object: most commits have the same

    def versions(self, entry: DatasetEntry) -> tuple[list[Version], int]:
        """Return the newest versions of a dataset, newest first, and the number of older ones.

        Raises
        ------
        FetchError
            The repository lacks a part of its history, or is damaged.
        """
        withdrawn = entry.withdrawn
        found = self._history.versions(entry.name, withdrawn=withdrawn) if self._end else []
        current = self._manifest(entry.name)
        if current is not None:
            found = mark_current(found, current)
        if self._hidden is not None:
            found = self._public(entry.name, found)
        shown = found[:MOST_VERSIONS]
        compared = shown[: MOST_COMPARED + 1]
        recorded: list[Recorded] = []
        if len(compared) > 1:  # with one, there is nothing to compare, and nothing is read
            recorded = read_recorded(self._git, compared, current=self._current, places=self._places, offline=True)
        differences = [self._compare(*pair) for pair in zip(recorded[1:], recorded, strict=False)]
        padding = [None] * (len(shown) - len(differences))
        return [Version(*pair) for pair in zip(shown, [*differences, *padding], strict=True)], len(found) - len(shown)

    def _manifest(self, name: str) -> Manifest | None:
        path = f"{ARTIFACTS}/{name}.json"
        data = self._current.read_all([path]).get(path)
        return None if data is None else parse_recorded(name, data)

    def _public(self, name: str, found: list[VersionEntry]) -> list[VersionEntry]:
        """Return the versions that were public under the dataset's present name, and the current one.

        What the remotes of an earlier commit were, its `dvc.yaml` says.
        """
        named = [version for version in found if version.name == name][: 2 * MOST_VERSIONS]
        commits = [version.commit for version in named if version.commit and not version.is_current]
        ids = self._git.object_ids(f"{commit}:./{STAGES_FILE}" for commit in commits)
        missing = {*ids.values()} - self._stages.keys()
        self._stages |= {each: data for each, (_, data) in self._git.objects(missing).items()}
        stages = {name: self._stages.get(each, b"") for name, each in ids.items()}
        return [
            version
            for version in named
            if version.is_current or _was_public(name, stages.get(f"{version.commit}:./{STAGES_FILE}", b""))
        ]

    @cached_property
    def _places(self) -> Places:
        return Places(self._repository)

    def _compare(self, old: Recorded, new: Recorded) -> Difference | None:
        """Return what changed; the examples are compared if both record indexes are on this machine."""
        try:
            found = compare_recorded(self._repository, old, new, offline=True, hold=None)
        except LoaderError:  # an artifact at hand is damaged, or statistics are unreadable
            return None
        if found is None:
            return None
        return replace(found, metadata=tuple(change for change in found.metadata if self._is_shown(change)))

    def _is_shown(self, change: Change) -> bool:
        """Return whether a change of the metadata tells of datasets of the site only."""
        if self._hidden is None:
            return True
        kind, _, what = change.name.partition(" ")
        return (kind != "parent" or what in self._names) and not mentions(self._hidden, change)


def mentions(names: Iterable[str], value: Any) -> bool:
    """Return whether the text of a value has one of these names anywhere in it."""
    text = str(value)
    return any(name in text for name in names)


def _was_public(name: str, stages: bytes) -> bool:
    """Return whether a `dvc.yaml` keeps all artifacts of a dataset on the public remote."""
    text = stages.decode(errors="replace")
    # only the stage itself, because parsing all of them for every version takes long
    block = re.search(rf"^  {re.escape(name)}:\n(?:    .*\n|\s*\n)+", f"{text}\n", re.MULTILINE)
    try:
        stage = parse_yaml(block[0])[name] if block else parse_yaml(text)["stages"][name]
        return {*outputs(stage).values()} == {PUBLIC}
    except (ValueError, LookupError, TypeError):  # the block has an alias, or there is no such stage: not known
        return False
