"""Pulling an artifact into the work tree with DVC. Importing this module imports DVC."""

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
    """Pull the artifact at `path` and check its md5.

    Raises
    ------
    FetchError
        It cannot be pulled; the message says why.
    """
    repo = open_repo(root)
    found = artifact_object(repo, path)
    try:
        _pull(repo, path, found)
    except DvcException as error:
        if path.exists():
            raise FetchError(f"{path} is in the way, and DVC has no copy of it; remove it with: rm {path}") from error
        if isinstance(error, CheckoutError):
            raise FetchError(
                f"the object on remote {found.remote!r} has another md5 than dvc.lock records ({found.url}); "
                f"remove it there, and push the right artifact with make push from a clone that has it"
            ) from error
        found.info()  # raises if the remote itself is the reason
        raise FetchError(f"the transfer from {found.url} failed: {error}") from error


def _pull(repo: Repo, path: Path, found: RemoteObject) -> None:
    if cached_file(repo, found.md5):
        # a pull would contact the remote even for a file in the cache
        wait_for_lock(lambda: repo.checkout(targets=[str(path)]))
        return
    # checked first, because DVC gives no reason for most failures
    info = found.info()
    if info is None:
        raise FetchError(
            f"remote {found.remote!r} does not have it ({found.url}); in a clone that has it, run: "
            f"dvc push {path.relative_to(repo.root_dir)}"
        )
    if info.size != found.size:
        raise FetchError(
            f"the object on remote {found.remote!r} has {info.size:,} bytes, dvc.lock records {found.size:,} "
            f"({found.url}); push the right artifact with make push from a clone that has it"
        )
    wait_for_lock(lambda: repo.pull(targets=[str(path)]))


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
