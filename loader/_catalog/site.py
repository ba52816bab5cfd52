"""Write the site: an index of the datasets, and a page for each."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from loader._catalog.dataset_page import DatasetPage
from loader._catalog.examples import NONE, NOT_HERE, UNREADABLE, Examples, is_at_hand, read_examples
from loader._catalog.folder import replaced_folder, write_page
from loader._catalog.history import History, Version, mentions
from loader._catalog.index_page import index_row
from loader._catalog.names import page_name
from loader._catalog.render import render
from loader._errors import FetchError, LoaderError, NotFoundError
from loader._fetch.places import is_offline
from loader._fetch.reference import open_held
from loader._fetch.repository import PathLike, Repository
from loader._fetch.revision import Commit, Revision, WorkTree
from loader._format.names import ARTIFACTS
from loader._registry.entry import ConfigEntry, DatasetEntry
from loader._registry.lookup import entries
from loader._registry.records import LOCK_FILE, PARAMS_FILE, PRIVATE, STAGES_FILE


@dataclass(frozen=True)
class Catalog:
    """What was written.

    Attributes
    ----------
    datasets
        Number of datasets, and so of their pages.
    with_examples
        Number of those with examples on their page.
    private
        Number of private datasets that were left out.
    problems
        Sentences about what is missing on pages although it should be there.
    """

    datasets: int
    with_examples: int
    private: int
    problems: tuple[str, ...]


def write_catalog(
    output: Path,
    *,
    private: bool = False,
    rev: str | None = None,
    repo: PathLike | None = None,
    offline: bool | None = None,
) -> Catalog:
    """Write a static site of the datasets of a repository, which needs no server and nothing from elsewhere.

    The same state of the repository and of the artifacts on this machine gives the same bytes. No artifact is fetched.

    Parameters
    ----------
    output
        The folder of the site; a catalog that is there is replaced when the new one is complete.
    private
        Show private datasets too.
    rev, repo, offline
        As in `loader.names`.

    Raises
    ------
    ArgumentError
        `output` is something else than a catalog.
    LoaderError
        The records cannot be read, or the site cannot be written.
    """
    repository, hold = open_held(repo, rev=rev, offline=is_offline(offline))
    with replaced_folder(output) as folder:
        site = _Site(repository, rev, repo, private)
        for entry in site.entries:
            write_page(output, folder / page_name(entry.name), site.dataset(entry))
        write_page(output, folder / "index.html", site.index())
    del hold  # the clone may be removed from the cache now
    return Catalog(len(site.entries), site.with_examples, len(site.hidden), tuple(site.problems))


class _Site:
    """The datasets that the site shows, and their pages."""

    def __init__(self, repository: Repository, rev: str | None, repo: PathLike | None, private: bool) -> None:
        self._end = _commit(repository, rev)
        # offline, because a URL has just been fetched
        self._options: dict[str, Any] = {"repo": repo, "rev": None, "offline": True}
        revision: Revision
        if rev is None and repository.root is not None:
            revision = WorkTree(repository.root)
            self._work_tree: Path | None = repository.root
        else:
            revision = Commit(repository.git, self._end)
            self._options["rev"] = self._end
            self._work_tree = None
        found = entries(**self._options, with_statistics=True)
        self.hidden = set() if private else {entry.name for entry in found if entry.visibility == PRIVATE}
        shown = [entry for entry in found if entry.name not in self.hidden]
        # what a dataset that is no longer here was is unknown
        self.entries = shown if private else [_among(entry, {each.name for each in shown}) for entry in shown]
        self._by_name = {entry.name: entry for entry in self.entries}
        self._history = History(repository, self._end, revision, self._by_name, None if private else self.hidden)
        self._common = {
            "commit": self._end[:12],
            "is_changed": isinstance(revision, WorkTree) and _is_changed(revision, repository, self._end, found),
            "has_private": any(entry.visibility == PRIVATE for entry in self.entries),
            "repository": repository.git.label if repository.root is None else "",
        }
        self.with_examples = 0
        self.problems: list[str] = []

    def dataset(self, entry: DatasetEntry) -> str:
        """Return the page of a dataset."""
        if entry.state.problem is not None:
            self.problems.append(entry.state.problem)
        found = self._examples(entry)
        self.with_examples += isinstance(found, Examples)
        versions, older = self._versions(entry)
        page = DatasetPage(entry, self._by_name, found, versions, older, self._given())
        return render(
            "dataset.html", f"{entry.name} {entry.version or ''}".strip(), page=page, entry=entry, **self._common
        )

    def index(self) -> str:
        """Return the page with the table of the datasets."""
        return render("index.html", "Datasets", rows=[index_row(entry) for entry in self.entries], **self._common)

    def _given(self) -> dict[str, str]:
        """Return the keywords that the lines to load a dataset need: a folder of this machine helps nobody else."""
        if self._common["repository"]:
            return {"repo": str(self._common["repository"])}
        return {}

    def _examples(self, entry: DatasetEntry) -> Examples | str:
        """Return the examples of a dataset, or a sentence that says why there are none."""
        config = entry.loaded_config
        if config is None or not (is_at_hand(config) or self._is_in_work_tree(config)):
            return NOT_HERE
        try:
            return read_examples(entry.name, config, self._options) or NONE
        except LoaderError as error:
            self.problems.append(str(error))
            return UNREADABLE

    def _is_in_work_tree(self, config: ConfigEntry) -> bool:
        """Return whether the work tree has a file in place of the artifact, which is damaged if it is not at hand."""
        root = self._work_tree
        # not `Path.exists`, which raises PermissionError
        return root is not None and os.path.exists(root / ARTIFACTS / config.filename)  # noqa: PTH110

    def _versions(self, entry: DatasetEntry) -> tuple[list[Version], int]:
        """Return the newest versions, without tags that name hidden datasets, and the number of older ones."""
        try:
            found, older = self._history.versions(entry)
        except LoaderError as error:
            if str(error) not in self.problems:  # every dataset has the same
                self.problems.append(str(error))
            return [], 0
        versions = []
        for version in found:
            tags = tuple(tag for tag in version.entry.tags if not mentions(self.hidden, tag))
            versions.append(replace(version, entry=replace(version.entry, tags=tags)))
        return versions, older


def _commit(repository: Repository, rev: str | None) -> str:
    """Return the commit of a revision; empty for a work tree without one."""
    if rev is not None or repository.root is None:
        return repository.git.commit(rev or "HEAD")
    with suppress(NotFoundError, FetchError):  # not a git repository, no commit yet, or no git here
        return repository.git.commit("HEAD")
    return ""


def _among(entry: DatasetEntry, shown: set[str]) -> DatasetEntry:
    """Return an entry that names no other parents and children than those that are shown."""
    return replace(
        entry,
        parents={name: version for name, version in entry.parents.items() if name in shown},
        children=tuple(name for name in entry.children if name in shown),
    )


def _is_changed(revision: WorkTree, repository: Repository, end: str, found: Iterable[DatasetEntry]) -> bool:
    """Return whether the work tree differs from its commit in what the site tells of."""
    paths = [PARAMS_FILE, STAGES_FILE, LOCK_FILE]
    paths += [f"{ARTIFACTS}/{entry.name}.{ending}" for entry in found for ending in ("json", "stats.json")]
    if not end:
        return False
    committed = {path: data for path, (_, data) in repository.git.objects(f"{end}:./{path}" for path in paths).items()}
    return {f"{end}:./{path}": data for path, data in revision.read_all(paths).items()} != committed
