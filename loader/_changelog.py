"""`changelog`: what changed in each version of a dataset."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any

from loader._arguments import check_flags, check_path, check_text, parse_unversioned
from loader._diff import Difference
from loader._errors import NotFoundError
from loader._fetch.places import is_offline
from loader._fetch.repository import PathLike
from loader._past import Recorded, compare_recorded, read_recorded
from loader._registry.differences import words
from loader._registry.differences.text import as_json, escaped, split_table
from loader._registry.entry import VersionEntry
from loader._registry.lookup import open_versions
from loader._registry.places import Places

_NOT_COMPARED = "examples not compared, because an artifact is not at hand: this is what the manifests say"


@dataclass(frozen=True)
class VersionChanges:
    """A version in a change log.

    Attributes
    ----------
    entry
        The version.
    examples
        The number of examples of each split, by config; the config is None for a dataset without configs.
    config_versions
        The versions of the configs that have one of their own.
    difference
        What changed since the version before; None for the first one.
    """

    entry: VersionEntry
    examples: dict[str | None, dict[str, int]]
    config_versions: dict[str | None, str]
    difference: Difference | None

    @property
    def release(self) -> str | None:
        """The tag that releases it; None if it is not released."""
        return next((tag for tag in self.entry.tags if tag.startswith(f"{self.entry.name}@v")), None)


@dataclass(frozen=True)
class Changelog:
    """The change log of a dataset. Printed, it is Markdown.

    Attributes
    ----------
    name
        The dataset.
    versions
        Its versions, newest first.
    """

    name: str
    versions: tuple[VersionChanges, ...]

    def __str__(self) -> str:
        return "\n".join(_markdown(self)).rstrip("\n")

    def _repr_markdown_(self) -> str:
        """Return Markdown, which a notebook shows."""
        return str(self)

    def as_json(self) -> dict[str, Any]:
        """Return the change log as JSON values."""
        return {
            "name": self.name,
            "versions": [
                {
                    **asdict(each.entry),
                    "release": each.release,
                    "examples": [
                        {"config": config, "version": each.config_versions.get(config), "splits": splits}
                        for config, splits in each.examples.items()
                    ],
                    "difference": None if each.difference is None else as_json(each.difference),
                }
                for each in self.versions
            ],
        }


def changelog(
    name: str,
    *,
    config: str | None = None,
    rev: str | None = None,
    repo: PathLike | None = None,
    offline: bool | None = None,
) -> Changelog:
    """Return what changed in each version of a dataset, as Markdown when printed.

    The versions are those of `versions`, compared as by `diff`: no artifact is fetched; of one that is not on this
    machine, only the record index is read from its remote. If it is not there either, the manifests are compared, and
    the change log says so.

    Parameters
    ----------
    name
        The dataset. Its versions under former names follow.
    config
        One builder config, and the versions that have it; by default all.
    rev
        Where the history ends; by default HEAD, and the work tree.
    repo, offline
        As in `diff`.

    Raises
    ------
    AccessError, ArgumentError, NotFoundError, ManifestError, FetchError
        As in `versions`; NotFoundError also if no version has the config.
    IntegrityError
        A record index is not the one recorded.

    Examples
    --------
    >>> import loader
    >>> print(loader.changelog("digit", offline=True))  # doctest: +ELLIPSIS
    # Changes of digit
    ...
    """
    name, config = parse_unversioned(name, config=config)
    check_text(rev=rev)
    check_path("repo", repo, optional=True)
    check_flags(offline=offline)
    (repository, revision, hold), versions = open_versions(name, rev=rev, repo=repo, offline=offline)
    offline = is_offline(offline)
    recorded = _with_config(
        read_recorded(repository.git, versions, current=revision, places=Places(repository), offline=offline), config
    )
    if versions and not recorded:
        raise NotFoundError(f"no version of {name} in {revision.label} has the config {config!r}")
    differences = [
        compare_recorded(repository, old, new, offline=offline, hold=hold, config=config)
        for new, old in pairwise(recorded)
    ]
    found = zip(recorded, [*differences, None], strict=False)
    return Changelog(name, tuple(_version_changes(each, config, difference) for each, difference in found))


def _with_config(recorded: Sequence[Recorded], config: str | None) -> list[Recorded]:
    return [
        each
        for each in recorded
        if each.manifest and (config is None or any(entry.config == config for entry in each.manifest.artifacts))
    ]


def _version_changes(recorded: Recorded, config: str | None, difference: Difference | None) -> VersionChanges:
    """Return a version with what its manifest has of its configs, or of one of them."""
    from loader._registry.differences.artifacts import split_counts  # imports botocore

    manifest = recorded.manifest
    assert manifest is not None
    entries = [entry for entry in manifest.artifacts if config in (None, entry.config)]
    examples = {entry.config: split_counts(manifest, entry) for entry in entries}
    versions = {entry.config: entry.version for entry in entries if entry.version is not None}
    return VersionChanges(recorded.version, examples, versions, difference)


def _markdown(log: Changelog) -> Iterator[str]:
    yield f"# Changes of {escaped(log.name)}"
    yield ""
    for each in log.versions:
        entry = each.entry
        version = entry.version if entry.name == log.name else f"{entry.name} {entry.version}"
        yield escaped(f"## {version} ({entry.date[:10] or 'not committed'})")
        yield ""
        yield f"{', '.join(_record(each))}."
        yield ""
        for config, splits in each.examples.items():
            counts = ", ".join(f"{count:,} in {split}" for split, count in splits.items()) or "none"
            own = " ".join(filter(None, (config, each.config_versions.get(config))))
            yield escaped(f"- examples{f' of {own}' if own else ''}: {counts}")
        if each.difference is None:
            yield ""
        else:
            yield from _changes(each.difference)


def _record(each: VersionChanges) -> Iterator[str]:
    """Yield how a version was released and recorded."""
    yield f"Released as `{each.release}`" if each.release else "Not released"
    if each.entry.commit:
        yield f"recorded in commit {each.entry.commit}"
    if others := [escaped(tag) for tag in each.entry.tags if tag != each.release]:
        yield f"tagged {', '.join(others)}"


def _changes(difference: Difference) -> Iterator[str]:
    """Yield the items and the table of what changed."""
    untold = tuple(change for change in difference.metadata if change.name != "version")  # the headings say it
    for item in words.changes(replace(difference, metadata=untold), not_compared=_NOT_COMPARED):
        yield f"- {escaped(item)}"
    yield ""
    yield from split_table(difference)
