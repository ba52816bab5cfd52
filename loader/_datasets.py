"""`names`, `info` and `versions`: what a repository says of its datasets, without their data."""

from __future__ import annotations

from loader._arguments import check_flags, check_path, check_text, parse_name
from loader._fetch.repository import PathLike
from loader._registry import lookup
from loader._registry.entry import DatasetEntry, VersionEntry


def names(*, rev: str | None = None, repo: PathLike | None = None, offline: bool | None = None) -> list[str]:
    """Return the names of the datasets of a repository, sorted, with those that were never built.

    Parameters
    ----------
    rev
        A commit, branch or tag of the repository; by default the work tree, or the default branch of a URL.
    repo
        The datasets repository, a folder or a URL, as in `loader.load`.
    offline
        Do not update the clone of a URL; DATASETS_OFFLINE=1 has the same effect.

    Raises
    ------
    AccessError
        A builder asks: what it finds would not be recorded.
    ArgumentError
        An argument is invalid.
    NotFoundError
        There is no such repository or revision.
    ManifestError
        `params.yaml` cannot be read.
    FetchError
        A URL cannot be read.

    Examples
    --------
    >>> import loader
    >>> loader.names()
    ['digit', 'digit_speakers', 'mnist', 'mnist_fgsm']
    """
    _check(rev, repo, offline)
    return lookup.names(rev=rev, repo=repo, offline=offline)


def info(
    name: str,
    *,
    rev: str | None = None,
    repo: PathLike | None = None,
    offline: bool | None = None,
    ask_remote: bool = False,
) -> DatasetEntry:
    """Return what a repository says of a dataset, where its artifacts are, and whether they are outdated.

    Parameters
    ----------
    name
        The dataset; with a config, as in "digit_speakers/theo", only this one is described, and with a version, as in
        "mnist:3.0.1", the newest commit that recorded it is looked at, as in `loader.load`.
    rev, repo, offline
        As in `names`.
    ask_remote
        Ask the dataset's remote which of its artifacts it has; otherwise nothing is asked of it.

    Raises
    ------
    AccessError
        A builder asks: what it finds would not be recorded.
    ArgumentError
        An argument is invalid, or the remote cannot be asked because `offline` is set.
    NotFoundError
        There is no such repository, revision or dataset.
    ManifestError
        The records of the dataset cannot be read.
    FetchError
        A URL, or DVC's configuration, cannot be read.

    Examples
    --------
    >>> import loader
    >>> digit = loader.info("digit")
    >>> digit.version, digit.license, digit.children
    ('1.0.8', 'CC BY-SA 4.0', ('digit_speakers',))
    >>> digit.configs[0].splits["test"].examples
    150
    """
    name, config, version = parse_name(name)
    _check(rev, repo, offline)
    check_flags(ask_remote=ask_remote)
    return lookup.info(name, config=config, version=version, rev=rev, repo=repo, offline=offline, ask_remote=ask_remote)


def versions(
    name: str, *, rev: str | None = None, repo: PathLike | None = None, offline: bool | None = None
) -> list[VersionEntry]:
    """Return the contents of a dataset that a repository's history records, newest first.

    Each has the commit that recorded it first. The content of the work tree comes first if no commit records it yet.
    Contents that `withdrawn` in `params.yaml` names are left out.

    Parameters
    ----------
    name
        The dataset; with a config or a version, as in "digit_speakers/theo:1.*.*", only its contents are listed.
    rev
        Where the history ends; by default HEAD, and the work tree.
    repo, offline
        As in `names`.

    Raises
    ------
    AccessError, ArgumentError, NotFoundError, ManifestError, FetchError
        As in `info`; FetchError also if a part of the history is missing.

    Examples
    --------
    >>> import loader
    >>> newest, *older = loader.versions("digit")
    >>> newest.version, newest.is_current
    ('1.0.8', True)
    """
    name, config, version = parse_name(name)
    _check(rev, repo, offline)
    return lookup.versions(name, config=config, version=version, rev=rev, repo=repo, offline=offline)


def _check(rev: object, repo: object, offline: object) -> None:
    check_text(rev=rev)
    check_path("repo", repo, optional=True)
    check_flags(offline=offline)
