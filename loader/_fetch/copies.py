"""Where artifacts are on this machine: the places in which they are looked for, in the order in which they are used.

1. `artifacts/` of the work tree
2. the loader's cache
3. DVC's caches: of the repository, of the one of the working folder, and where DVC's configuration says

A file counts if its size and its index header are the recorded ones, so a wrong file in one place hides no right one in
the next. What is in none of them is read from its remote, except for what has already arrived in the loader's cache.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from loader._errors import NotFoundError
from loader._fetch import store
from loader._fetch.places import cache_folder
from loader._fetch.repository import Repository, find_repository
from loader._format.files import open_regular
from loader._format.manifest import ArtifactEntry
from loader._format.names import ARTIFACTS, object_path

WORK_TREE, CACHE, DVC_CACHE = "work tree", "cache", "DVC's cache"


class Copy(NamedTuple):
    """A file that may be an artifact: the kind of the place where it is, and its path."""

    kind: str
    path: Path


class Copies:
    """The copies of artifacts on this machine, for a repository.

    Parameters
    ----------
    repository
        The repository that records the artifacts.
    """

    def __init__(self, repository: Repository) -> None:
        self._root = repository.root

    def possible(self, entry: ArtifactEntry, find_md5: Callable[[], str | None]) -> Iterator[Copy]:
        """Yield the files that may be an artifact, in the order in which they are used, whether they exist or not.

        Parameters
        ----------
        entry
            The manifest's entry for the artifact.
        find_md5
            Returns its MD5 (hex), or None if it is not known; called if the artifact is not in the work tree.
        """
        if self._root is not None:
            yield Copy(WORK_TREE, self._root / ARTIFACTS / entry.filename)
        if (md5 := find_md5()) is not None:
            yield Copy(CACHE, store.artifact_path(md5, entry.filename))
            for cache in self.dvc_caches:
                yield Copy(DVC_CACHE, cache / object_path(md5))

    def find(self, entry: ArtifactEntry, md5: str | None) -> Copy | None:
        """Return the copy of an artifact that is used, None if it is not on this machine."""
        return next((copy for copy in self.possible(entry, lambda: md5) if _is_recorded(copy.path, entry)), None)

    def of_any_version(self, filename: str, md5s: Iterable[str]) -> Iterator[Path]:
        """Yield the paths at which an artifact with a file name may be in any version, the likeliest ones first.

        Parameters
        ----------
        filename
            The artifact's file name, like "digit.tar".
        md5s
            The MD5s (hex) that it had in known versions; used only if there is a cache of DVC.
        """
        if self._root is not None:
            yield self._root / ARTIFACTS / filename
        folders = (cache_folder() / store.ARTIFACTS).glob("*")
        yield from (folder / filename for folder in sorted(folders, key=_last_used, reverse=True))
        if caches := [cache for cache in self.dvc_caches if cache.is_dir()]:
            for md5 in md5s:
                yield from (cache / object_path(md5) for cache in caches)

    @cached_property
    def dvc_caches(self) -> list[Path]:
        """The folders of DVC's caches, whether they exist or not."""
        roots = [] if self._root is None else [self._root]
        with suppress(NotFoundError):  # the repository of the working folder, which may be another one
            roots.append(find_repository())
        folders = [root / ".dvc" for root in dict.fromkeys(roots)]
        configured = [_configured_cache(folder) for folder in folders] or [_configured_cache(None)]
        return list(dict.fromkeys([*(folder / "cache" for folder in folders), *filter(None, configured)]))


def _last_used(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:  # removed meanwhile
        return 0.0


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


def _configured_cache(dvc_folder: Path | None) -> Path | None:
    """Return the folder of the cache that DVC's configuration names, None if it names none or cannot be read.

    That it cannot be read is an error where a remote is needed.
    """
    # imported here because most artifacts are found without them
    from configobj import ConfigObjError

    from loader._fetch.dvc_config import config_files, merge, read_file

    try:
        folder = merge(map(read_file, config_files(dvc_folder).values()))["cache"].get("dir")
    except (ConfigObjError, OSError, RecursionError, TypeError, ValueError):
        return None
    return Path(folder) if folder else None
