"""DVC's cache on this machine. Importing this module imports DVC."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc_data.hashfile.hash_info import HashInfo
from dvc_objects.fs.local import localfs


def add_to_cache(root: Path, built: Mapping[Path, str]) -> None:
    """Link artifacts that a stage has just built into DVC's cache, and tell DVC their md5.

    DVC would read each of them to hash it, copy it, and only then link it. It does so if anything fails here, or if the
    configured `cache.type` has no hard links. An object in the cache with the same md5 is replaced: it may be damaged,
    and what was built is not.

    Parameters
    ----------
    root
        The repository.
    built
        The md5 of each artifact, which is on disk.
    """
    with suppress(DvcException, OSError, sqlite3.Error), Repo(os.fspath(root)) as repo:
        cache = repo.cache.local
        for path, md5 in built.items():
            if "hardlink" in cache.cache_types:
                Path(cache.oid_to_path(md5)).unlink(missing_ok=True)
                cache.add(os.fspath(path), localfs, md5, hardlink=True)
            repo.state.save(os.fspath(path), localfs, HashInfo("md5", md5))
