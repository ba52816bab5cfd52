"""Pulling one artifact into the work tree with DVC. Importing this module imports DVC."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from dvc.exceptions import CheckoutError, DvcException
from dvc.lock import LockError
from dvc.repo import Repo

from loader import FetchError
from scripts._dvc.objects import RemoteObject, artifact_object, cached_file, open_repo

LOCK_WAIT_SECONDS = 600


def dvc_pull(root: Path, path: Path) -> None:
    """Pull the artifact at `path`, proved against its md5.

    Raises
    ------
    FetchError
        It could not be pulled; the message says why.
    """
    repo = open_repo(root)
    found = artifact_object(repo, path)
    try:
        _pull(repo, path, found)
    except DvcException as error:
        if path.exists():
            raise FetchError(f"{path} is in the way, and DVC has no copy of it; remove it first: rm {path}") from error
        if isinstance(error, CheckoutError):
            raise FetchError(
                f"the object on remote {found.remote!r} is not the one that dvc.lock records: it has another md5 "
                f"({found.url}); whoever has the right one can remove it there and run: make push"
            ) from error
        found.stored()  # raises where the remote itself is the reason
        raise FetchError(f"the transfer from {found.url} failed: {error}") from error


def _pull(repo: Repo, path: Path, found: RemoteObject) -> None:
    if cached_file(repo, found.md5):
        # a pull would ask the remote even for what is in the cache
        wait_for_lock(lambda: repo.checkout(targets=[str(path)]))
        return
    # asked beforehand, because DVC gives no reason for most failures
    stored = found.stored()
    if stored is None:
        raise FetchError(
            f"remote {found.remote!r} does not have it ({found.url}); whoever has it can run: dvc push {path.stem}"
        )
    if stored.size != found.size:
        raise FetchError(
            f"the object on remote {found.remote!r} has {stored.size:,} bytes, dvc.lock records {found.size:,} "
            f"({found.url}); whoever has the right one can run: make push"
        )
    wait_for_lock(lambda: repo.pull(targets=[str(path)]))


def wait_for_lock(command: Callable[[], object]) -> None:
    """Run a DVC command as soon as no other one holds the repository's lock.

    Raises
    ------
    FetchError
        The lock was held for LOCK_WAIT_SECONDS.
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
