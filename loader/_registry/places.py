"""Where artifacts are: in the work tree, in a cache of this machine, on their remotes."""

from __future__ import annotations

from collections.abc import Iterable

from loader._errors import LoaderError
from loader._fetch.copies import WORK_TREE, Copies
from loader._fetch.repository import Repository
from loader._fetch.revision import TrackedFile
from loader._format.manifest import ArtifactEntry
from loader._registry.entry import HERE, IN_CACHE, MISSING, NO_ANSWER, NOT_ON_REMOTE, ON_REMOTE

REQUESTS_AT_ONCE = 16


class Places:
    """Where the artifacts of a repository can be on this machine."""

    def __init__(self, repository: Repository) -> None:
        self._copies = Copies(repository)

    def place(self, entry: ArtifactEntry, tracked: TrackedFile | None) -> str:
        """Return where an artifact is: "here", "in a cache", or "not on this machine".

        A file counts if it has the recorded size and the recorded index header.
        """
        found = self._copies.find(entry, None if tracked is None else tracked.md5)
        if found is None:
            return MISSING
        return HERE if found.kind == WORK_TREE else IN_CACHE


def ask_remotes(repository: Repository, wanted: Iterable[tuple[ArtifactEntry, TrackedFile | None]]) -> list[str]:
    """Return what its remote has of each artifact, in words: one request for each, at once. Imports botocore."""
    from concurrent.futures import ThreadPoolExecutor

    from loader._fetch.remote import locate

    config = repository.dvc_config()

    def ask(artifact: tuple[ArtifactEntry, TrackedFile | None]) -> str:
        entry, tracked = artifact
        if tracked is None:
            return "not recorded in dvc.lock"
        try:
            size = locate(config, tracked).stored_size()
        except LoaderError as error:
            return f"{NO_ANSWER}{error}"
        if size is None:
            return NOT_ON_REMOTE
        return ON_REMOTE if size == entry.size else f"on its remote with {size:,} bytes instead of {entry.size:,}"

    with ThreadPoolExecutor(REQUESTS_AT_ONCE) as pool:
        return list(pool.map(ask, wanted))
