"""Where artifacts are: in the work tree, in a cache of this machine, on their remotes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from loader._errors import LoaderError, NotFoundError
from loader._fetch import store
from loader._fetch.repository import Repository, find_repository
from loader._fetch.revision import TrackedFile
from loader._format.files import open_regular
from loader._format.manifest import ArtifactEntry
from loader._format.names import ARTIFACTS, object_path
from loader._registry.entry import HERE, IN_CACHE, MISSING, NO_ANSWER, NOT_ON_REMOTE, ON_REMOTE

REQUESTS_AT_ONCE = 16


class Places:
    """Where the artifacts of a repository can be on this machine."""

    def __init__(self, repository: Repository) -> None:
        self._root = repository.root
        self._caches = list(dict.fromkeys(_dvc_caches(repository)))

    def place(self, entry: ArtifactEntry, tracked: TrackedFile | None) -> str:
        """Return where an artifact is: "here", "in a cache", or "not on this machine".

        A file counts if it has the recorded size and the recorded index header.
        """
        if self._root is not None and _is_recorded(self._root / ARTIFACTS / entry.filename, entry):
            return HERE
        if tracked is not None:
            copies = [cache / object_path(tracked.md5) for cache in self._caches]
            if any(_is_recorded(path, entry) for path in (*copies, store.artifact_path(tracked.md5, entry.filename))):
                return IN_CACHE
        return MISSING


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


def _is_recorded(path: Path, entry: ArtifactEntry) -> bool:
    """Return whether a file has the size and the index header that the manifest records."""
    try:
        descriptor = open_regular(path)
    except (OSError, ValueError):
        return False
    try:
        if os.fstat(descriptor).st_size != entry.size:
            return False
        header = os.pread(descriptor, entry.index_size, entry.index_offset)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return hashlib.sha256(header).hexdigest() == entry.index_sha256


def _dvc_caches(repository: Repository) -> Iterator[Path]:
    """Yield DVC's caches on this machine, without importing DVC, which takes as long as everything else together."""
    roots = [] if repository.root is None else [repository.root]
    with suppress(NotFoundError):  # the repository of the working folder, which may be another one
        roots.append(find_repository())
    levels = list(_config_folders())
    for root in roots:
        yield root / ".dvc" / "cache"
        levels += [root / ".dvc" / "config", root / ".dvc" / "config.local"]
    for path in levels:
        if folder := _cache_option(path):
            yield path.parent / os.path.expanduser(folder)  # noqa: PTH111  (relative ones are relative to the file)


def _config_folders() -> Iterator[Path]:
    """Yield the files of DVC's configuration outside of repositories."""
    from platformdirs import site_config_path, user_config_path

    for variable, default in (
        ("DVC_SYSTEM_CONFIG_DIR", site_config_path("dvc", "iterative")),
        ("DVC_GLOBAL_CONFIG_DIR", user_config_path("dvc", "iterative")),
    ):
        yield Path(os.environ.get(variable) or default) / "config"


def _cache_option(path: Path) -> str | None:
    """Return the folder of the cache that a file of DVC's configuration names."""
    try:
        text = path.read_text(encoding="utf-8")
        if "[cache]" not in text or "dir" not in text:
            return None
        from configobj import ConfigObj, ConfigObjError

        try:
            folder = ConfigObj(text.splitlines(), interpolation=False).get("cache", {}).get("dir")
        except (ConfigObjError, AttributeError):
            return None
        return folder if isinstance(folder, str) else None
    except (OSError, ValueError):
        return None
