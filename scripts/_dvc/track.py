"""Recording files in DVC. Importing this module imports DVC."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from dvc.exceptions import DvcException
from dvc.repo import Repo

from scripts._dvc.pull import wait_for_lock
from scripts._process.errors import ScriptError


def dvc_track(repo: Repo, paths: Iterable[Path], record: Path, *, remote: str) -> None:
    """Record files in one `.dvc` file, each an output of its own, and put them into DVC's cache.

    One file for each would litter the folder, and a folder as one output would be pulled as a whole: `dvc pull` of one
    of these files pulls that file.

    Parameters
    ----------
    repo
        The DVC repository.
    paths
        The files, below the folder of `record`.
    record
        The `.dvc` file; one that is there is replaced.
    remote
        The remote that DVC sends them to and takes them from.

    Raises
    ------
    ScriptError
        DVC refuses.
    FetchError
        Another DVC command does not end.
    """
    outs = [path.relative_to(record.parent).as_posix() for path in paths]

    def track() -> None:
        with repo.lock:
            record.unlink(missing_ok=True)  # DVC would carry over what it says, and stumble over one cut off by a kill
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
