"""What is stored here and on the remotes, and what keeps it alive. Importing this module imports DVC."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
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
    """

    root: Path
    repo: Repo
    versions: list[Version]
    uploads: list[Upload]
    leftovers: list[Leftover]
    unknown: dict[str, str]
    uploads_unknown: dict[str, str]

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
    copies = in_cache(repo)
    uploads: list[Upload] = []
    connections: dict[str, RemoteObject] = {}
    unknown, uploads_unknown = {}, {}
    for remote in remotes:
        try:
            connections[remote] = connection(repo, remote)
            copies += on_remote(connections[remote])
        except FetchError as error:
            unknown[remote] = str(error)
            continue
        try:  # S3 has a right of its own for this
            uploads += unfinished_uploads(connections[remote])
        except FetchError as error:
            uploads_unknown[remote] = str(error)
    copies += _of_this_repository(in_loader_cache(), {*recorded, *(copy.md5 for copy in copies)})
    unrecorded = [copy for copy in copies if copy.md5 not in recorded]
    found = versions(copies, recorded, kept, labels(unrecorded, connections))
    return Survey(root, repo, found, uploads, leftovers(root, cache_folder(repo)), unknown, uploads_unknown)


def _of_this_repository(copies: list[Copy], known: Collection[str]) -> list[Copy]:
    """Return those copies in the loader's cache that belong to this repository: others share it."""
    return [copy for copy in copies if copy.md5 in known]
