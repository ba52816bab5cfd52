"""What is stored here and on the remotes, and what keeps it alive. Importing this module imports DVC."""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from dvc.repo import Repo

from loader import FetchError
from scripts._dvc.objects import open_repo
from scripts._dvc.remote_object import RemoteObject
from scripts._dvc.remotes import VISIBILITIES
from scripts._release.keepers import keepers
from scripts._release.leftovers import Leftover, leftovers
from scripts._release.recorded_objects import recorded_objects
from scripts._release.remote_listing import connection
from scripts._release.remote_removal import Upload, unfinished_uploads
from scripts._release.stored import (
    cache_folder,
    files_of_folders,
    in_cache,
    in_loader_cache,
    labels,
    linked_files,
    on_remote,
)
from scripts._release.versions import Copy, Version, versions


@dataclass(frozen=True)
class Survey:
    """What was found.

    Attributes
    ----------
    root
        The repository.
    repo
        The DVC repository.
    versions
        The versions that are stored anywhere.
    uploads
        The unfinished uploads to the remotes.
    leftovers
        What killed commands left on disk.
    unknown
        For each remote whose objects could not be listed, the reason.
    uploads_unknown
        For each remote whose unfinished uploads could not be listed, the reason.
    elsewhere
        For each other remote that records name, what is recorded there.
    """

    root: Path
    repo: Repo
    versions: list[Version]
    uploads: list[Upload]
    leftovers: list[Leftover]
    unknown: dict[str, str]
    uploads_unknown: dict[str, str]
    elsewhere: dict[str, str]

    @property
    def shares_cache(self) -> bool:
        """Whether DVC's cache is outside of the repository, so that other repositories may use it."""
        return not cache_folder(self.repo).resolve().is_relative_to(self.root.resolve())


def survey(root: Path, *, remotes: Collection[str] = VISIBILITIES) -> Survey:
    """Return what DVC's cache, the loader's cache and the remotes have, and what keeps it alive.

    Raises
    ------
    ScriptError
        git fails, or something that keeps objects alive cannot be read.
    FetchError
        The DVC repository cannot be opened.
    """
    recorded = recorded_objects(root)
    kept = keepers(root, recorded)
    repo = open_repo(root)
    for more in (files_of_folders(repo, kept), linked_files(root, repo)):
        for md5, reasons in more.items():
            kept[md5] = list(dict.fromkeys([*kept.get(md5, ()), *reasons]))
    with ThreadPoolExecutor() as threads:
        listings = dict(zip(remotes, threads.map(partial(_list, repo), remotes), strict=True))
    copies = [*in_cache(repo), *(copy for each in listings.values() for copy in each.copies)]
    uploads = [upload for each in listings.values() for upload in each.uploads]
    connections = {remote: each.connection for remote, each in listings.items() if each.connection and not each.unknown}
    unknown = {remote: each.unknown for remote, each in listings.items() if each.unknown}
    uploads_unknown = {remote: each.uploads_unknown for remote, each in listings.items() if each.uploads_unknown}
    records = [each for same in recorded.values() for each in same]
    elsewhere = {remote: each.path for each in records for remote in each.remotes if remote not in VISIBILITIES}
    copies += _of_this_repository(in_loader_cache(), {*recorded, *(copy.md5 for copy in copies)})
    unrecorded = [copy for copy in copies if copy.md5 not in recorded]
    found = versions(copies, recorded, kept, labels(unrecorded, connections))
    left = leftovers(root, cache_folder(repo))
    return Survey(root, repo, found, uploads, left, unknown, uploads_unknown, elsewhere)


@dataclass
class _Listing:
    """What a remote has, and why that, or only its unfinished uploads, is unknown."""

    connection: RemoteObject | None = None
    copies: list[Copy] = field(default_factory=list)
    uploads: list[Upload] = field(default_factory=list)
    unknown: str = ""
    uploads_unknown: str = ""


def _list(repo: Repo, remote: str) -> _Listing:
    """Ask a remote what it has."""
    found = _Listing()
    try:
        found.connection = connection(repo, remote)
        found.copies = on_remote(found.connection)
    except FetchError as error:
        found.unknown = str(error)
        return found
    try:  # S3 has a right of its own for this
        found.uploads = unfinished_uploads(found.connection)
    except FetchError as error:
        found.uploads_unknown = str(error)
    return found


def _of_this_repository(copies: list[Copy], known: Collection[str]) -> list[Copy]:
    """Return those copies in the loader's cache that belong to this repository: others share it."""
    return [copy for copy in copies if copy.md5 in known]
