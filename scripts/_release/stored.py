"""Which objects of DVC are stored on this machine and on the remotes. Importing this module imports DVC."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from dvc.repo import Repo

import loader
from loader import FetchError
from scripts._dvc.remote_object import RemoteObject
from scripts._process.errors import ScriptError
from scripts._release.recorded_objects import MD5, SOURCES
from scripts._release.remote_listing import remote_objects
from scripts._release.remote_removal import read_starts
from scripts._release.versions import CACHE, LABEL_BYTES, LOADER, Copy, label_of

_LINKED_FOLDERS = ("artifacts", SOURCES)


def cache_folder(repo: Repo) -> Path:
    """Return the folder of DVC's cache that has the objects."""
    return Path(repo.cache.local.path)


def in_cache(repo: Repo) -> list[Copy]:
    """Return the objects in DVC's cache on this machine; the removal of one with other hard links frees nothing."""
    found = []
    for path in cache_folder(repo).glob("??/*"):
        md5 = path.parent.name + path.name
        with suppress(FileNotFoundError):  # removed meanwhile
            if MD5.fullmatch(md5) and path.is_file():
                status = path.stat()
                frees = status.st_size if status.st_nlink == 1 else 0
                found.append(Copy(CACHE, md5, status.st_size, frees, status.st_mtime, str(path)))
    return found


def in_loader_cache() -> list[Copy]:
    """Return the artifacts in the loader's cache."""
    return [
        Copy(LOADER, entry.path.name, entry.size, entry.size, entry.used, str(entry.path))
        for entry in loader.cache.entries()
        if entry.kind == "artifacts"
    ]


def on_remote(remote: RemoteObject) -> list[Copy]:
    """Return the objects on a remote, given a connection.

    Raises
    ------
    FetchError
        The remote refuses, cannot be reached or does not answer in time.
    """
    return [
        Copy(remote.remote, each.md5, each.size, each.size, each.modified.timestamp(), each.url)
        for each in remote_objects(remote)
        if MD5.fullmatch(each.md5)
    ]


def labels(copies: Iterable[Copy], remotes: Mapping[str, RemoteObject]) -> dict[str, tuple[str, str]]:
    """Return the dataset and version that unrecorded objects say they have, by md5; others than artifacts say none.

    Each object is read in one place, from the cache if it is there.

    Parameters
    ----------
    copies
        The objects, those in the cache first.
    remotes
        The connection to each remote.
    """
    found: dict[str, tuple[str, str]] = {}
    one_of_each = {copy.md5: copy for copy in reversed([copy for copy in copies if copy.place != LOADER])}
    for place in (CACHE, *remotes):
        some = [copy for copy in one_of_each.values() if copy.place == place]
        with suppress(FetchError):  # the label is only for the reader
            starts = map(_start, some) if place == CACHE else read_starts(remotes[place], some)
            found |= {copy.md5: label for copy, start in zip(some, starts, strict=True) if (label := label_of(start))}
    return found


def _start(copy: Copy) -> bytes:
    try:
        with Path(copy.location).open("rb") as file:
            return file.read(LABEL_BYTES)
    except OSError:
        return b""


def files_of_folders(repo: Repo, keepers: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Return what keeps the files of kept folders alive, by md5.

    DVC records a folder as the md5 of a list of its files, and stores that list as an object.

    Raises
    ------
    ScriptError
        DVC's cache does not have the list of a folder.
    """
    found: dict[str, list[str]] = {}
    for md5, labels in keepers.items():
        if md5.endswith(".dir") and not all(label.startswith("child ") for label in labels):
            path = Path(repo.cache.local.oid_to_path(md5))
            try:
                for entry in json.loads(path.read_bytes()):
                    found.setdefault(entry["md5"], []).extend(labels)
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise ScriptError(
                    f"the folder with the md5 {md5}, which {labels[0]} records, has a list of its files that is not in "
                    f"DVC's cache, so what it needs is unknown; get it with: dvc fetch --all-branches --all-tags"
                ) from error
    return found


def linked_files(root: Path, repo: Repo) -> dict[str, list[str]]:
    """Return the files of the work tree that are symbolic links to objects in DVC's cache, by md5."""
    cache = cache_folder(repo).resolve()
    found: dict[str, list[str]] = {}
    for path in _links(root):
        target = path.resolve()
        if target.is_relative_to(cache):
            md5 = "".join(target.relative_to(cache).parts)
            found.setdefault(md5, []).append(f"the link {path.relative_to(root)}")
    return found


def _links(root: Path) -> Iterator[Path]:
    for folder in _LINKED_FOLDERS:
        yield from (path for path in (root / folder).rglob("*") if path.is_symlink())
