"""Pulling an artifact into the work tree with DVC. Importing this module imports DVC."""

from __future__ import annotations

import os
import shlex
import shutil
import sqlite3
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dvc.exceptions import CheckoutError, DvcException
from dvc.lock import LockError
from dvc.repo import Repo
from filelock import FileLock, Timeout

import loader
from loader import FetchError, LoaderError
from scripts._dvc.objects import artifact_object, cached_file, open_repo
from scripts._dvc.proof import examine
from scripts._dvc.remote_object import RemoteObject
from scripts._dvc.remotes import make_command
from scripts._process.files import hash_file

LOCK_WAIT_SECONDS = 600


def dvc_pull(root: Path, path: Path, *, name: str) -> None:
    """Pull an artifact of dataset `name` and check its md5.

    DVC does not download it: it gives no reason for most failures, waits for a silent server, and believes an object by
    its name. It gets the checked file in its cache, and links it into the work tree.

    Parameters
    ----------
    root
        The repository.
    path
        The artifact.
    name
        The dataset, for messages.

    Raises
    ------
    FetchError
        It cannot be pulled; the message says why.
    """
    if "\\" in str(path):  # which DVC takes for the separator of folders
        raise FetchError(f"DVC cannot pull into {root}, whose path has a backslash; move the repository")
    repo = open_repo(root)
    found = artifact_object(repo, path)
    cached = cached_file(repo, found.md5) or _download(repo, found, path, name=name)
    try:
        wait_for_lock(lambda: repo.checkout(targets=[str(path)]))
    except (DvcException, OSError, sqlite3.Error) as error:  # DVC's own state is kept by SQLite
        if path.exists() and not isinstance(error, CheckoutError | OSError | sqlite3.Error):
            remove = "rm -r" if path.is_dir() and not path.is_symlink() else "rm"
            raise FetchError(
                f"{path} is in the way, and DVC has no copy of it; remove it with: {remove} {shlex.quote(str(path))}"
            ) from error
        raise FetchError(
            f"{path} cannot be written ({_why_not_written(path, found.size)}); the pulled file is in DVC's cache "
            f"({cached}); run again, when {path.parent} can be written: make pull DATASET={name}"
        ) from error


def _download(repo: Repo, found: RemoteObject, path: Path, *, name: str) -> Path:
    """Download an object into DVC's cache, resuming an interrupted download, and return its path there."""
    again = make_command("push", name, found.remote)
    info = found.head()  # first, because a partial file from an earlier run may hide that the object is gone
    if info is None:
        raise FetchError(
            f"remote {found.remote!r} does not have it ({found.url}); in a clone that has it, run: {again}"
        )
    if info["ContentLength"] != found.size:
        raise FetchError(
            f"the object on remote {found.remote!r} has {info['ContentLength']:,} bytes, dvc.lock records "
            f"{found.size:,} ({found.url}); replace it from a clone that has the right one: {again}"
        )
    cached = Path(repo.cache.local.oid_to_path(found.md5))
    folder = Path(repo.cache.local.path).parent  # on the same file system
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / "pull.lock", timeout=LOCK_WAIT_SECONDS):
            if not cached.exists():  # another process may have been faster
                part = folder / f"{found.md5}.part"
                if not _take_from_loader(path, part, name=name, md5=found.md5):
                    _download_checked(found, part, info, again=again)
                cached.parent.mkdir(exist_ok=True, parents=True)
                part.replace(cached)
                cached.chmod(0o444)  # as DVC does, because the work tree may link to it
    except Timeout as error:
        raise FetchError(f"another process has been pulling into {folder} for ten minutes; try again later") from error
    except OSError as error:
        raise FetchError(
            f"DVC's cache cannot be written ({folder}: {error.strerror or error}); nothing is wrong with the object "
            f"on remote {found.remote!r}; run again when the cache can be written, and the download is resumed"
        ) from error
    return cached


def _take_from_loader(path: Path, part: Path, *, name: str, md5: str) -> bool:
    """Have the loader fetch an artifact, and return whether it is at `part`, checked.

    It does that if it need not fetch all of it: it moves only the records that no artifact on this machine has. If it
    fails, the download says why.
    """
    config, root = path.stem.removeprefix(name).removeprefix("-") or None, path.parents[1]
    try:
        if not loader.cache.has_records_of(name, config=config, repo=root):
            return False
        with warnings.catch_warnings(action="ignore"):  # that another version is checked out
            fetched = loader.ensure(name, config=config, repo=root)
        if hash_file(fetched, "md5") != md5:  # the loader takes a file by its record index
            return False
        part.unlink(missing_ok=True)
        try:
            part.hardlink_to(fetched)
        except OSError:  # on another file system
            shutil.copyfile(fetched, part)
    except (LoaderError, OSError):
        return False
    return True


def _download_checked(found: RemoteObject, part: Path, head: Mapping[str, Any], *, again: str) -> None:
    resumed = part.exists()
    found.get(part)
    if resumed and hash_file(part, "md5") != found.md5:  # the earlier run's bytes may be the wrong ones
        part.unlink()
        found.get(part)
    if hash_file(part, "md5") == found.md5:
        return
    part.unlink()
    finding = examine(head, None, md5=found.md5, size=found.size)
    if finding.right:
        raise FetchError(
            f"the download of {found.url} was damaged: {finding.by}, as the remote reports it, is the recorded one, "
            f"but other bytes arrived; run it again, and if that does not help, in a clone that has the right one: "
            f"{again} DEEP=1"
        )
    raise FetchError(
        f"the object on remote {found.remote!r} has another md5 than dvc.lock records ({found.url}); "
        f"replace it from a clone that has the right one: {again}" + ("" if finding.right is False else " DEEP=1")
    )


def _why_not_written(path: Path, size: int) -> str:
    """Return the likely reason, which DVC does not tell."""
    if shutil.disk_usage(path.parent).free < size:
        return f"its file system has less than {size:,} bytes free"
    if not os.access(path.parent, os.W_OK):
        return f"{path.parent} is read-only"
    return "check the permissions, the quota and the free space"


def wait_for_lock(command: Callable[[], object]) -> None:
    """Run a DVC command as soon as no other command holds the repository's lock.

    Raises
    ------
    FetchError
        Another command held the lock for LOCK_WAIT_SECONDS.
    """
    deadline = time.monotonic() + LOCK_WAIT_SECONDS
    while True:
        try:
            command()
            return
        except LockError:
            if time.monotonic() > deadline:
                raise FetchError("another DVC command has kept the repository locked for ten minutes") from None
            time.sleep(1)
