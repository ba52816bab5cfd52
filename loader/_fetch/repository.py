"""Find the datasets repository and the requested revision of it."""

from __future__ import annotations

import os
import re
import shlex
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from loader._errors import FetchError, ManifestError, NotFoundError, without_secrets
from loader._fetch.git import Git
from loader._fetch.places import expand_user
from loader._fetch.revision import Commit, Revision, WorkTree
from loader._format.names import ARTIFACTS, release_tag, version_matches, version_order

PathLike = str | os.PathLike[str]

REPOSITORY_VARIABLE = "DATASETS_REPO"
_URL = r"(?i)[a-z][a-z0-9+.-]*://.+|[\w.-]+@[\w.-]+:.+"


class Repository(NamedTuple):
    """A datasets repository: a work tree on this machine, or a clone of a repository at a URL.

    Attributes
    ----------
    git
        Its commits.
    root
        The root of its work tree, or None for a clone.
    """

    git: Git
    root: Path | None

    def revision(self, name: str, *, rev: str | None, version: str | None, config: str | None = None) -> Revision:
        """Return the revision to read dataset `name` from.

        Parameters
        ----------
        name
            The dataset.
        rev
            A commit, branch or tag; by default the work tree, or the default branch of a clone.
        version
            The version of the dataset; a pattern like "1.*.*" is the highest one that matches it. Without `rev`, the
            commit with the tag `<name>@v<version>` is returned if there is one, because a released version names one
            content. Otherwise, if the revision has another version, the newest earlier commit that recorded this one
            is returned.
        config
            The config that is asked for: its own version counts too, if it has one.

        Raises
        ------
        NotFoundError
            There is no such revision, dataset or version.
        ManifestError
            The manifest cannot be used.
        """
        revision: Revision
        if version is not None and "*" in version:
            version = self._highest(name, version, rev, config)
        if rev is None and version is not None and (released := self._released(name, version)) is not None:
            return released
        if rev is None and self.root is not None:
            revision = WorkTree(self.root)
        else:
            revision = Commit(self.git, self.git.commit(rev or "HEAD"))
        if version is None or (name in revision.datasets() and version in revision.manifest(name).versions(config)):
            return revision
        start = revision if isinstance(revision, Commit) else Commit(self.git, self.git.commit("HEAD"))
        return start.with_version(name, version, config=config)

    def _highest(self, name: str, pattern: str, rev: str | None, config: str | None) -> str:
        """Return the highest recorded version that matches a pattern, released ones included without `rev`."""
        found: list[str] = []
        if rev is None and self.root is not None:
            with suppress(NotFoundError, ManifestError):  # the work tree may lack what a commit records
                found += WorkTree(self.root).manifest(name).versions(config)
        with suppress(FetchError):  # not a git repository, or no git here
            end = Commit(self.git, self.git.commit(rev or "HEAD"))
            for version, commit in end.recorded(name):
                found += [version] if config is None else commit.manifest(name).versions(config)
            if rev is None:
                start = release_tag(name, "")
                found += [tag.removeprefix(start) for tag in self.git.tags() if tag.startswith(start)]
        matching = [version for version in found if version_matches(pattern, version)]
        if not matching:
            known = ", ".join(sorted(set(found), key=version_order, reverse=True)) or "none"
            raise NotFoundError(f"{name} has no version that matches {pattern!r} in {self.git.label}; it has: {known}")
        return max(matching, key=version_order)

    def _released(self, name: str, version: str) -> Revision | None:
        """Return the commit with the release tag of a version, None if there is no such tag."""
        tag = release_tag(name, version)
        try:
            commit = Commit(self.git, self.git.commit(f"refs/tags/{tag}"))
        except (NotFoundError, FetchError):  # no such tag, not a git repository, or no git here
            return None
        if (found := commit.manifest(name).version) != version:
            raise ManifestError(f"{name}: the tag {tag} of {self.git.label} is on a commit that records {found}")
        return commit

    def fetch_command(self, name: str, config: str | None, revision: Revision) -> str:
        """Return the command that fetches an artifact that a revision records, for messages."""
        is_here = self.root is not None and Path.cwd().is_relative_to(self.root)
        repo = None if is_here else self.git.label
        options = {"config": config, "rev": revision.commit and revision.commit[:12], "repo": repo}
        given = "".join(f" --{option} {shlex.quote(value)}" for option, value in options.items() if value)
        return f"python -m loader fetch {name}{given}"

    def dvc_config(self) -> dict[str, Any]:
        """Return the current DVC configuration, which applies to every revision. Imports botocore.

        Raises
        ------
        FetchError
            It cannot be read.
        """
        from loader._fetch.remote import read_config
        from loader._format.committed import is_committed

        if self.root is not None:
            folder = self.root / ".dvc"
            return read_config(folder, local_is_committed=is_committed(folder / "config.local"))
        try:
            return read_config(None, committed=Commit(self.git, self.git.commit("HEAD")).read(".dvc/config"))
        except FileNotFoundError as error:
            raise FetchError(f"{self.git.label} has no .dvc/config, so the remote of its data is unknown") from error


def open_repository(repo: PathLike | None = None, *, rev: str | None = None, offline: bool = False) -> Repository:
    """Return the datasets repository.

    Parameters
    ----------
    repo
        A folder or a URL; see `find_repository` for the default.
    rev
        The revision to read from a URL: a full commit hash that was fetched before needs no network.
    offline
        Do not update the clone of a URL.

    Raises
    ------
    NotFoundError
        There is no such repository.
    FetchError
        A URL cannot be read.
    """
    named = os.fspath(repo) if repo else os.environ.get(REPOSITORY_VARIABLE)
    if named and re.fullmatch(_URL, named):
        from loader._fetch.clone import cached_clone  # a folder is read without it

        return Repository(cached_clone(named, rev=rev, offline=offline), None)
    root = find_repository(repo)
    return Repository(Git(root, str(root)), root)


def find_repository(repo: PathLike | None = None) -> Path:
    """Return the root of the datasets repository on this machine.

    It is the first of: the argument, the variable DATASETS_REPO, the working folder and its parents, the checkout that
    this package is installed from.

    Raises
    ------
    NotFoundError
        The named folder, or else every other one, is not a datasets repository.
    """
    for origin, named in (("repo", repo), (REPOSITORY_VARIABLE, os.environ.get(REPOSITORY_VARIABLE))):
        if named:
            root = expand_user(named).resolve()
            if not _is_repository(root):
                raise NotFoundError(
                    f"{origin}={without_secrets(os.fspath(named))} is not a datasets repository: "
                    f"it lacks dvc.yaml, artifacts/, or params.yaml with a toolchain"
                )
            return root
    try:
        here = [Path.cwd(), *Path.cwd().parents]
    except FileNotFoundError:  # the working folder was removed
        here = []
    for folder in (*here, Path(__file__).resolve().parents[2]):
        if _is_repository(folder):
            return folder
    raise NotFoundError(
        f"there is no datasets repository in the working folder or above it; "
        f"work inside one, or name one with repo= or {REPOSITORY_VARIABLE} (a folder or a URL)"
    )


def _is_repository(folder: Path) -> bool:
    """Return whether this is a datasets repository; other projects that use DVC have no toolchain in `params.yaml`.

    One whose `params.yaml` is no YAML, as during a merge, counts: who reads the file says what is wrong with it.
    """
    if not (folder / "dvc.yaml").is_file() or not (folder / ARTIFACTS).is_dir():
        return False
    try:
        params = (folder / "params.yaml").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    if any(line.startswith("toolchain:") for line in params.splitlines()):
        return True
    from loader._fetch.safe_yaml import parse_yaml  # only another project's, or a damaged one, is parsed

    try:
        parse_yaml(params)
    except ValueError:
        return True
    return False
