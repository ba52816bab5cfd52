"""Look up what a repository says of its datasets: their names, entries and versions."""

from __future__ import annotations

import difflib
from dataclasses import replace
from itertools import chain
from typing import NamedTuple

from loader._errors import AccessError, ArgumentError, LoaderError, ManifestError, NotFoundError
from loader._fetch.access import current_access
from loader._fetch.places import OFFLINE_VARIABLE, is_offline
from loader._fetch.reference import open_held
from loader._fetch.repository import PathLike, Repository
from loader._fetch.revision import Commit, Revision, WorkTree
from loader._fetch.store import Hold
from loader._format.manifest import Manifest
from loader._format.names import ARTIFACTS, tar_name, version_matches
from loader._registry.entry import DatasetEntry, State, VersionEntry
from loader._registry.history import VersionHistory, mark_current
from loader._registry.outdated import find_changes
from loader._registry.places import Places, ask_remotes
from loader._registry.records import Records, read_names, read_records
from loader._registry.statistics import parse_statistics
from loader._registry.usage import shell_options

MOST_NAMES = 20


def names(*, rev: str | None = None, repo: PathLike | None = None, offline: bool | None = None) -> list[str]:
    """Return the names of all datasets, sorted; the parameters and errors are those of `loader.names`."""
    opened = _open(rev, repo, offline)
    return read_names(opened.revision)


def entries(
    *,
    rev: str | None = None,
    repo: PathLike | None = None,
    offline: bool | None = None,
    ask_remote: bool = False,
    with_statistics: bool = False,
) -> list[DatasetEntry]:
    """Return what a repository says of each of its datasets, sorted by name.

    What cannot be read of a dataset's records is said in its state. Statistics, which take several times as long, are
    read if `with_statistics` is set. The other parameters and errors are those of `loader.info`.
    """
    repository, revision, _hold = _open(rev, repo, offline, ask_remote=ask_remote)
    records = read_records(revision)
    found = _describe(repository, records, records.names, ask_remote=ask_remote)
    return _with_statistics(revision, found) if with_statistics else found


def info(
    name: str,
    *,
    config: str | None = None,
    version: str | None = None,
    rev: str | None = None,
    repo: PathLike | None = None,
    offline: bool | None = None,
    ask_remote: bool = False,
) -> DatasetEntry:
    """Return what a repository says of a dataset; the parameters and errors are those of `loader.info`."""
    repository, revision, _hold = _open(rev, repo, offline, ask_remote=ask_remote)
    if version is not None:
        revision = repository.revision(name, rev=rev, version=version)
    records = read_records(revision)
    _check_known(name, records, rev, repo)
    [entry] = _with_statistics(revision, _describe(repository, records, [name], ask_remote=ask_remote))
    if entry.state.problem is not None:
        raise ManifestError(entry.state.problem)
    if config is None:
        return entry
    wanted = tuple(each for each in entry.configs if each.name == config)
    if not wanted:
        known = ", ".join(each.name for each in entry.configs if each.name) or "none"
        raise NotFoundError(f"{name} has no config {config!r}; its configs: {known}")
    return replace(entry, configs=wanted)


def versions(
    name: str,
    *,
    config: str | None = None,
    version: str | None = None,
    rev: str | None = None,
    repo: PathLike | None = None,
    offline: bool | None = None,
) -> list[VersionEntry]:
    """Return the recorded contents of a dataset; the parameters and errors are those of `loader.versions`."""
    return [
        each
        for each in open_versions(name, rev=rev, repo=repo, offline=offline)[1]
        if (version is None or version_matches(version, each.version))
        and (config is None or tar_name(each.name, config) in each.artifacts)
    ]


def open_versions(
    name: str, *, rev: str | None = None, repo: PathLike | None = None, offline: bool | None = None
) -> tuple[Opened, list[VersionEntry]]:
    """Return what was opened, and the recorded contents of a dataset in it, as `versions` does."""
    opened = _open(rev, repo, offline)
    repository, revision, _hold = opened
    records = read_records(revision)
    _check_known(name, records, rev, repo)
    if isinstance(revision, Commit):
        end = revision.commit
    else:
        try:
            end = repository.git.commit("HEAD")
        except LoaderError:  # not a git repository, no commit yet, or no git here
            end = ""
    withdrawn = records.entry(name).withdrawn
    found = VersionHistory(repository.git, end).versions(name, withdrawn=withdrawn) if end else []
    current = records.manifests.get(name)
    return opened, mark_current(found, current) if isinstance(current, Manifest) else found


class Opened(NamedTuple):
    """A repository, the revision to look at, and what keeps the clone of a URL in the cache meanwhile."""

    repository: Repository
    revision: Revision
    hold: Hold | None


def _open(rev: str | None, repo: PathLike | None, offline: bool | None, *, ask_remote: bool = False) -> Opened:
    if (access := current_access()) is not None:
        raise AccessError(
            f"{access.reader}: its builder asks what datasets a repository has, which would not be recorded; read the "
            f"datasets among the deps of {access.reader} in dvc.yaml with loader.load"
        )
    without_network = is_offline(offline)
    if without_network and ask_remote:
        raise ArgumentError(f"asking the remote needs the network; leave out offline=True and {OFFLINE_VARIABLE}")
    repository, hold = open_held(repo, rev=rev, offline=without_network)
    if rev is None and repository.root is not None:
        return Opened(repository, WorkTree(repository.root), hold)
    return Opened(repository, Commit(repository.git, repository.git.commit(rev or "HEAD")), hold)


def _check_known(name: str, records: Records, rev: str | None, repo: PathLike | None) -> None:
    if name not in records.names:
        hint = nearest(name, records.names, rev=rev, repo=repo)
        raise NotFoundError(f"there is no dataset {name!r} in {records.revision.label}; {hint}")


def nearest(name: str, known: list[str], *, rev: str | None, repo: PathLike | None) -> str:
    """Return the names that are like a wrong one, or how to list all, for messages."""
    if close := difflib.get_close_matches(name, known, n=3):
        return f"did you mean {' or '.join(close)}?"
    if len(known) > MOST_NAMES:
        return f"list its {len(known)} datasets with: python -m loader list{shell_options(rev=rev, repo=repo)}"
    return f"it has: {', '.join(known) or 'none'}"


def _describe(repository: Repository, records: Records, wanted: list[str], *, ask_remote: bool) -> list[DatasetEntry]:
    """Return the entries of datasets, with the state of their artifacts."""
    places = Places(repository)
    manifests = {name: each for name in wanted if isinstance(each := records.manifests.get(name), Manifest)}
    changes = find_changes(records, list(manifests), repository.git)
    artifacts = {
        name: [(entry, records.tracked_file(name, entry)) for entry in manifest.artifacts]
        for name, manifest in manifests.items()
    }
    answers = iter(ask_remotes(repository, chain.from_iterable(artifacts.values())) if ask_remote else ())
    found = []
    for name in wanted:
        entry = records.entry(name)
        if name in manifests:
            configs = tuple(
                replace(config, place=places.place(*artifact), remote=next(answers, None))
                for config, artifact in zip(entry.configs, artifacts[name], strict=True)
            )
            state = State(
                tuple(config.place for config in configs),
                tuple(config.remote for config in configs if config.remote is not None),
                changes[name],
            )
            entry = replace(entry, configs=configs, state=state)
        found.append(entry)
    return found


def _with_statistics(revision: Revision, found: list[DatasetEntry]) -> list[DatasetEntry]:
    """Return the entries with the statistics of those that have any."""
    paths = {entry.name: f"{ARTIFACTS}/{entry.name}.stats.json" for entry in found}
    data = revision.read_all(paths.values())
    complete = []
    for entry in found:
        path = paths[entry.name]
        if path in data:
            try:
                entry = replace(entry, statistics=parse_statistics(data[path], f"{revision.label}/{path}"))
            except ManifestError as error:
                entry = replace(entry, state=replace(entry.state, problem=str(error)))
        complete.append(entry)
    return complete
