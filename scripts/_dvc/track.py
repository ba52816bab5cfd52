"""Tracking files with DVC. Importing this module imports DVC."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from dvc.exceptions import DvcException
from dvc.repo import Repo

from scripts._dvc.pull import wait_for_lock
from scripts._process.errors import ScriptError


def dvc_track(repo: Repo, paths: Iterable[Path], record: Path, *, remote: str) -> None:
    """Record files in one `.dvc` file, each as a separate output, and add them to DVC's cache.

    With separate outputs, `dvc pull` can pull a single file; DVC would pull a folder as a whole. One `.dvc` file for
    each would clutter the folder.

    Parameters
    ----------
    repo
        The DVC repository.
    paths
        The files, below the folder of `record`.
    record
        The `.dvc` file; an existing one is replaced.
    remote
        The remote that DVC pushes the files to and pulls them from.

    Raises
    ------
    ScriptError
        DVC fails.
    FetchError
        Another DVC command does not release DVC's lock.
    """
    outs = [path.relative_to(record.parent).as_posix() for path in paths]

    def track() -> None:
        with repo.lock:
            record.unlink(missing_ok=True)  # DVC would reuse its content, and fail if a kill truncated it
            stage = repo.stage.create(
                single_stage=True, validate=False, fname=str(record), wdir=str(record.parent), outs=outs
            )
            for out in stage.outs:
                out.remote = remote
            stage.add_outs()
            stage.dump()

    try:
        wait_for_lock(track)
    except DvcException as error:
        raise ScriptError(f"DVC cannot record {record}: {error}") from error
