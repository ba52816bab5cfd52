"""`python -m scripts remove NAME`: remove a dataset from this repository."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from loader._format.names import ARTIFACTS
from scripts._define.datasets import EDIT_LOCK, remove_dataset
from scripts._define.definition import ROOT, read_names
from scripts._dvc.stages import LOCK_FILE, STAGES_FILE, dependencies, read_stages
from scripts._process.errors import ScriptError
from scripts._process.git import changed_files, git
from scripts._process.hints import nearest
from scripts._process.scratch import scratch_folder


@dataclass(frozen=True)
class Removal:
    """The files and folders that were removed or changed, and those that were kept, relative to the root."""

    removed: tuple[str, ...]
    kept: tuple[str, ...]


def remove(name: str, *, root: Path = ROOT) -> Removal:
    """Remove a dataset from params.yaml, dvc.yaml and dvc.lock, and the files that describe it.

    Its folder is removed too if git has committed all of it. Artifacts and source files are kept, on this machine and
    on the remotes. Nothing is removed if there is no such dataset, because it may have been removed before.

    Raises
    ------
    ScriptError
        Another dataset is derived from it, or a file cannot be edited. No file is changed.
    """
    with scratch_folder(root, EDIT_LOCK) as scratch:
        if name not in _names(root):
            return Removal((), ())
        _check_not_needed(name, root)
        removed = []

        def remove_files() -> None:
            for number, folder in enumerate(sorted((root / "datasets").glob(f"*/{name}"))):
                if _is_committed(folder, root):
                    folder.rename(scratch / str(number))  # atomic
                    removed.append(folder)
            for described in sorted((root / ARTIFACTS).glob(f"{name}.*json")):
                described.unlink()
                removed.append(described)

        changed = remove_dataset(name, root=root, before_edit=remove_files)
    artifacts = (f"{ARTIFACTS}/{name}.tar", f"{ARTIFACTS}/{name}-*.tar")
    others = (f"datasets/*/{name}", f"sources/{name}", f"sources/{name}.dvc", f"extracted/{name}")
    kept = [path for pattern in (*artifacts, *others) for path in sorted(root.glob(pattern))]
    return Removal(
        (*changed, *(path.relative_to(root).as_posix() for path in removed)),
        tuple(path.relative_to(root).as_posix() for path in kept),
    )


def command(name: Annotated[str, typer.Argument(help="The name of the dataset in params.yaml.")]) -> None:
    """Remove a dataset from this repository, but keep its artifacts and source files."""
    removal = remove(name)
    if not removal.removed:
        hint = nearest(name, sorted(_names(ROOT)))
        print(f"nothing to remove: there is no dataset {name!r} in params.yaml, dvc.yaml or dvc.lock; {hint}")
        return
    print(f"removed {name} from {', '.join(removal.removed)}")
    if removal.kept:
        print(f"kept, delete them if they are not needed: {' '.join(removal.kept)}")
    print("pushed artifacts are still on the remotes; committed files are still in git's history")


def _names(root: Path) -> set[str]:
    """Return the datasets that params.yaml, dvc.yaml or dvc.lock has: a removal may have been killed in between."""
    recorded = read_stages(root / LOCK_FILE) if (root / LOCK_FILE).exists() else {}
    return {*read_names(root=root), *read_stages(root / STAGES_FILE), *recorded}


def _check_not_needed(name: str, root: Path) -> None:
    stages = read_stages(root / STAGES_FILE)
    artifact = re.compile(rf"{ARTIFACTS}/{re.escape(name)}(-.+)?\.tar")
    for other, stage in stages.items():
        if any(map(artifact.fullmatch, dependencies(stage))):
            raise ScriptError(f"{other} is derived from {name}; remove it first with: make remove DATASET={other}")


def _is_committed(folder: Path, root: Path) -> bool:
    """Return whether git has committed all files of the folder, apart from Python's caches."""
    try:
        listed = git(root, "ls-files", "--", str(folder))
        changed = changed_files(root, str(folder), with_ignored=True)
    except ScriptError:
        return False
    return bool(listed) and all("__pycache__/" in path for path in changed)
