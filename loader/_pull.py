"""`python -m loader._pull ROOT PATH`: pull one artifact with DVC and print, as JSON, why it failed or null."""

from __future__ import annotations

import json
import logging
import sys
import time
from pathlib import Path

from dvc.exceptions import DvcException
from dvc.lock import LockError

from loader._errors import FetchError
from loader._remote import locate, open_repo

LOCK_WAIT_SECONDS = 600


def pull(root: Path, path: Path) -> None:
    """Pull the artifact at `path`, proved against its md5.

    Raises
    ------
    FetchError
        It could not be pulled; the message says why.
    """
    repo = open_repo(root)
    try:
        _pull_when_free(repo, path)
    except DvcException as error:
        # DVC says only that something failed: look at the object ourselves
        found = locate(repo, path)
        stored = found.stored_size()
        if stored is None:
            reason = f"remote {found.remote!r} does not have it ({found.url}); who has it can run: dvc push"
        elif stored != found.size:
            reason = f"the object on remote {found.remote!r} has {stored:,} bytes, dvc.lock records {found.size:,} ({found.url})"
        else:
            reason = f"the object on remote {found.remote!r} is not what dvc.lock records, or the transfer broke off: {error} ({found.url})"
        raise FetchError(reason) from error


def _pull_when_free(repo: object, path: Path) -> None:
    deadline = time.monotonic() + LOCK_WAIT_SECONDS
    while True:
        try:
            repo.pull(targets=[str(path)])  # type: ignore[attr-defined]
            return
        except LockError:
            # another DVC command is at work in this repository
            if time.monotonic() > deadline:
                raise FetchError("another DVC command has kept the repository locked for ten minutes") from None
            time.sleep(1)


def main() -> None:
    logging.disable(logging.CRITICAL)  # the reason is handed over as JSON
    root = Path(sys.argv[1])
    reason: str | None = None
    try:
        pull(root, root / sys.argv[2])
    except FetchError as error:
        reason = str(error)
    except Exception as error:  # whatever DVC or its file systems raise is the reason
        reason = f"{type(error).__name__}: {error}"
    print(json.dumps({"error": reason}))


if __name__ == "__main__":
    main()
