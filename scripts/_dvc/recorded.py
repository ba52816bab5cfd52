"""The recorded outputs and dependencies of a stage, as DVC sees them. Importing this module imports DVC."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from dvc.dependency import ParamsDependency
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.stage import Stage

from scripts._dvc.objects import cached_file
from scripts._dvc.pull import wait_for_lock
from scripts._dvc.stages import LOCK_FILE, STAGES_FILE
from scripts._process.errors import ScriptError


def restore_outputs(root: Path, name: str, *, built_since: float = math.inf) -> list[Path]:
    """Put the artifacts that `dvc.lock` records for a stage back into the work tree, from DVC's cache.

    DVC removes a stage's outputs before it runs the stage. They come back as links of the configured type, without a
    copy if the file system allows.

    Parameters
    ----------
    root
        The repository.
    name
        The stage.
    built_since
        Artifacts that were written after this time (in seconds since the epoch) are from a failed build: the recorded
        ones replace them, unless that build has finished, which the manifest shows, and only its record is missing.

    Returns
    -------
    list of Path
        The artifacts that are back; those that the cache does not have, or has with another md5, are left out.

    Raises
    ------
    ScriptError
        DVC fails.
    """
    restored = []
    with Repo(str(root)) as repo:
        try:
            outs = [out for out in _stage(repo, name).outs if out.hash_info]
            if any(Path(out.fs_path).name == f"{name}.json" and out.exists and out.changed_checksum() for out in outs):
                built_since = math.inf
            for out in outs:
                path = Path(out.fs_path)
                if not out.use_cache:
                    continue
                if out.exists and (path.stat().st_mtime < built_since or not out.changed_checksum()):
                    continue
                if cached_file(repo, out.hash_info.value) is not None:
                    out.checkout(force=True)
                    restored.append(path)
        except DvcException as error:
            raise ScriptError(f"{name}: its recorded artifacts cannot be restored: {error}") from error
    return restored


def dependencies_changed(root: Path, name: str) -> bool:
    """Return whether a file or folder that a stage depends on differs from what `dvc.lock` records; parameters aside.

    Raises
    ------
    ScriptError
        DVC fails.
    """
    with Repo(str(root)) as repo:
        try:
            return any(dep.status() for dep in _stage(repo, name).deps if not isinstance(dep, ParamsDependency))
        except DvcException as error:
            raise ScriptError(f"{name}: its dependencies cannot be compared with dvc.lock: {error}") from error


def is_up_to_date(root: Path, name: str) -> bool:
    """Return whether `dvc status` finds nothing changed in a stage, its outputs included.

    Raises
    ------
    ScriptError
        DVC fails.
    FetchError
        Another DVC command does not release DVC's lock.
    """
    changes: dict[str, Any] = {}
    with Repo(str(root)) as repo:

        def compare() -> None:
            with repo.lock:
                changes.update(_stage(repo, name).status())

        try:
            wait_for_lock(compare)
        except DvcException as error:
            raise ScriptError(f"{name}: its files cannot be compared with {LOCK_FILE}: {error}") from error
    return not changes


def _stage(repo: Repo, name: str) -> Stage:
    return repo.stage.load_one(f"{repo.root_dir}/{STAGES_FILE}", name)
