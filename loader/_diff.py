"""`diff`: what differs between two revisions of a dataset, down to the example."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

from loader._arguments import check_flags, check_integer, check_path, check_text, parse_unversioned
from loader._errors import AccessError, ArgumentError, FetchError, ManifestError, NotFoundError
from loader._fetch import store
from loader._fetch.access import current_access
from loader._fetch.places import is_offline
from loader._fetch.reference import ArtifactReference, open_held
from loader._fetch.repository import PathLike, Repository
from loader._fetch.revision import Commit, Revision, WorkTree
from loader._format.manifest import ArtifactEntry, Manifest
from loader._format.names import ARTIFACTS, release_tag
from loader._registry.differences import difference
from loader._registry.differences.difference import (
    CHANGED,
    NEVER_BUILT,
    NEW,
    REMOVED,
    SAME,
    Change,
    ConfigDifference,
)
from loader._registry.differences.metadata import compare_metadata, compare_statistics, one_sided_metadata
from loader._registry.outdated import find_changes
from loader._registry.records import Records, read_records
from loader._registry.statistics import Statistics, parse_statistics

_VERSION = re.compile(r"\d+\.\d+\.\d+")


class Difference(difference.Difference):
    """What differs between two revisions of a dataset. It is true if anything does; printed, it is readable text."""

    def __str__(self) -> str:
        from loader._registry.differences.text import plain

        return plain(self)

    def _repr_html_(self) -> str:
        """Return HTML, which a notebook shows."""
        from loader._display.page import fragment
        from loader._registry.differences.html import STYLES, difference_html

        return fragment(f"<style>{STYLES}</style>{difference_html(self)}")


def diff(
    name: str,
    old: str | None = None,
    new: str | None = None,
    *,
    config: str | None = None,
    repo: PathLike | None = None,
    offline: bool | None = None,
    examples: int = 0,
) -> Difference:
    """Compare two revisions of a dataset, down to the example.

    Examples are matched by the keys under which TFDS sorts them, from the record indexes alone: 44 bytes for each. An
    artifact that is not on this machine is not fetched; only its record index is read from its remote, verified by
    the manifest. Of artifacts with the same SHA-256 nothing is read.

    Parameters
    ----------
    name
        The dataset.
    old
        A commit, branch or tag of the repository, or a recorded version of the dataset; by default HEAD.
    new
        Likewise; by default the work tree.
    config
        One builder config; by default all.
    repo
        The datasets repository, as in `loader.load`.
    offline
        Do not use the network; DATASETS_OFFLINE=1 has the same effect.
    examples
        How many changed examples to read and decode on both sides, evenly spread over all of them; likewise at most
        so many removed and so many added ones.

    Returns
    -------
    Difference
        It is true if anything differs, and printing it shows it as text. If a record index can neither be read on
        this machine nor on its remote, only metadata and statistics are compared, and its `note` says why.

    Raises
    ------
    ArgumentError
        An argument is invalid.
    NotFoundError
        There is no such repository, revision, version, dataset or config.
    ManifestError
        A manifest is unreadable, or belongs to another artifact.
    FetchError
        The repository at a URL, or DVC's configuration, cannot be read.
    IntegrityError
        A record index or a record is not the one recorded.

    Examples
    --------
    >>> import loader
    >>> bool(loader.diff("digit", "HEAD", "HEAD"))
    False
    """
    name, config = parse_unversioned(name, config=config)
    check_text(old=old, new=new)
    check_path("repo", repo, optional=True)
    check_flags(offline=offline)
    examples = check_integer("examples", examples, least=0)
    comparison = open_comparison(old, new, name=name, repo=repo, offline=offline)
    found = comparison.compare(name, config=config, examples=examples)
    return replace(found, outdated=comparison.outdated([name]).get(name, ()))


@dataclass(frozen=True)
class Comparison:
    """Two revisions of a repository, with their records.

    Attributes
    ----------
    old_label, new_label
        Their names, for messages.
    hold
        Keeps the clone of a repository at a URL in the cache.
    """

    repository: Repository
    old: Records
    new: Records
    old_label: str
    new_label: str
    offline: bool
    hold: store.Hold | None

    def compare(self, name: str, *, config: str | None = None, examples: int = 0, is_needed: bool = True) -> Difference:
        """Compare a dataset; the parameters, errors and result are those of `diff`.

        If `is_needed` is not set, a record index of another revision is no error either: the result's note says why
        examples were not compared.
        """
        from loader._registry.differences.artifacts import one_sided  # imports botocore

        old, new = _manifest(self.old, name), _manifest(self.new, name)
        result = Difference(
            name,
            self.old_label,
            self.new_label,
            old.version if old else None,
            new.version if new else None,
            NEVER_BUILT,
        )
        if old is None and new is None:
            if name not in self.old.names and name not in self.new.names:
                self.new.revision.manifest(name)  # says which there are
            return result
        _check_config(config, new, old)
        if old is None or new is None:
            present, status = (new or old, NEW if old is None else REMOVED)
            assert present is not None
            entries = (entry for entry in present.artifacts if config in (None, entry.config))
            return replace(
                result,
                status=status,
                metadata=self._visibility(name) + one_sided_metadata(present, is_new=old is None),
                configs=tuple(one_sided(present, entry, status) for entry in entries),
            )
        metadata = self._visibility(name) + compare_metadata(old, new)
        statistics = compare_statistics(_statistics(self.old, name), _statistics(self.new, name))
        found = list(self._configs(old, new, config, examples, is_needed))
        is_same = not metadata and not statistics and all(each.status == SAME for each, _, _ in found)
        return replace(
            result,
            status=SAME if is_same else CHANGED,
            metadata=metadata,
            statistics=statistics,
            configs=tuple(each for each, _, _ in found),
            bytes_fetched=sum(fetched for _, fetched, _ in found),
            note="; ".join(dict.fromkeys(note for _, _, note in found if note)),
        )

    def _configs(
        self, old: Manifest, new: Manifest, config: str | None, examples: int, is_needed: bool
    ) -> Iterator[tuple[ConfigDifference, int, str]]:
        """Yield the difference of each config, the bytes fetched for it, and why its examples were not compared."""
        from loader._registry.differences.artifacts import compare_artifacts, compare_features_of, one_sided

        old_entries, new_entries = ({entry.config: entry for entry in side.artifacts} for side in (old, new))
        for each in {**new_entries, **old_entries}:
            if config not in (None, each):
                continue
            if each not in old_entries:
                yield one_sided(new, new_entries[each], NEW), 0, ""
            elif each not in new_entries:
                yield one_sided(old, old_entries[each], REMOVED), 0, ""
            else:
                sides = (
                    self._reference(self.old.revision, old, old_entries[each]),
                    self._reference(self.new.revision, new, new_entries[each]),
                )
                try:
                    yield *compare_artifacts(*sides, examples), ""
                except (FetchError, ManifestError) as error:
                    if is_needed and isinstance(error, ManifestError):
                        raise
                    features = compare_features_of(*sides)
                    reason = self._withdrawn(new.name) or str(error)
                    yield ConfigDifference(each, CHANGED, features), 0, f"examples were not compared: {reason}"

    def outdated(self, names: list[str]) -> dict[str, tuple[str, ...]]:
        """Return what has changed since datasets of the work tree were built; nothing for another new revision."""
        if not isinstance(self.new.revision, WorkTree):
            return {}
        built = [name for name in names if isinstance(self.new.manifests.get(name), Manifest)]
        return find_changes(self.new, built, self.repository.git)

    def _withdrawn(self, name: str) -> str:
        """Say if a side is a commit whose record was withdrawn: nobody should push its artifact again."""
        for side in (self.old.revision, self.new.revision):
            if isinstance(side, Commit) and side.commit.startswith(self.new.entry(name).withdrawn):
                return f"{name}: what {side.label} records was withdrawn"
        return ""

    def _reference(self, revision: Revision, manifest: Manifest, entry: ArtifactEntry) -> ArtifactReference:
        return ArtifactReference(self.repository, revision, manifest, entry, self.offline, self.hold)

    def _visibility(self, name: str) -> tuple[Change, ...]:
        sides = (self.old, self.new)
        old, new = (side.entry(name).visibility if name in side.manifests else None for side in sides)
        return (Change("visibility", old, new),) if old != new else ()


def open_comparison(
    old: str | None,
    new: str | None,
    *,
    name: str | None = None,
    repo: PathLike | None = None,
    offline: bool | None = None,
) -> Comparison:
    """Open the revisions of a repository to compare; the parameters and errors are those of `diff`.

    Without the `name` of a dataset, versions name no revisions.
    """
    access = current_access()
    if access is not None:
        raise AccessError(f"{access.reader}: its builder compares revisions, on which its stage cannot depend")
    offline = is_offline(offline)
    repository, hold = open_held(repo, rev=None, offline=offline)
    if repository.root is None and (old is None or new is None):
        raise ArgumentError(f"{repository.git.label} has no work tree here: name both revisions to compare")
    old_revision, old_label = _revision(repository, "HEAD" if old is None else old, name)
    new_revision, new_label = _revision(repository, new, name)
    records = read_records(old_revision), read_records(new_revision)
    return Comparison(repository, *records, old_label, new_label, offline, hold)


def _revision(repository: Repository, rev: str | None, name: str | None) -> tuple[Revision, str]:
    """Return a revision, by default the work tree, and its name for messages."""
    if rev is None and repository.root is not None:
        return WorkTree(repository.root), "the work tree"
    commit = _commit(repository, rev or "HEAD", name)
    return Commit(repository.git, commit), f"{commit[:12]}" if commit.startswith(str(rev)) else f"{rev} ({commit[:12]})"


def _commit(repository: Repository, rev: str, name: str | None) -> str:
    """Return the commit of a revision, or else the one that records this version of a dataset."""
    try:
        return repository.git.commit(rev)
    except NotFoundError:
        if name is None or not _VERSION.fullmatch(rev):
            raise
    with suppress(NotFoundError):
        return repository.git.commit(f"refs/tags/{release_tag(name, rev)}")
    recorded = repository.revision(name, rev="HEAD", version=rev)
    assert isinstance(recorded, Commit)
    return recorded.commit


def _manifest(records: Records, name: str) -> Manifest | None:
    found = records.manifests.get(name)
    if isinstance(found, ManifestError):
        raise found
    return found


def _statistics(records: Records, name: str) -> Statistics | None:
    path = f"{ARTIFACTS}/{name}.stats.json"
    data = records.revision.read_all([path]).get(path)
    return None if data is None else parse_statistics(data, f"{records.revision.label}/{path}")


def _check_config(config: str | None, *sides: Manifest | None) -> None:
    """Check that one side has this config."""
    present = [side for side in sides if side is not None]
    if config is not None and all(entry.config != config for side in present for entry in side.artifacts):
        present[0].artifact(config)  # says which there are
