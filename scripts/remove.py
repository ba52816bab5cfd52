"""`python -m scripts remove NAME`: remove a dataset from this repository."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from loader._format.names import ARTIFACTS
from scripts._define.datasets import EDIT_LOCK, remove_dataset
from scripts._define.definition import ROOT, read_names
from scripts._dvc.stages import STAGES_FILE, dependencies, read_stages
from scripts._process.errors import ScriptError
from scripts._process.hints import nearest
from scripts._process.scratch import scratch_folder


@dataclass(frozen=True)
class Removal:
    """The files and folders that were removed or changed, and those that were kept, relative to the root."""

    removed: tuple[str, ...]
    kept: tuple[str, ...]


def remove(name: str, *, root: Path = ROOT) -> Removal:
    """Remove a dataset from params.yaml, dvc.yaml and dvc.lock, and its manifest.

    Its folder is removed too if git has committed all of it. Artifacts and source files are kept, on this machine and
    on the remotes.

    Raises
    ------
    ScriptError
        The dataset does not exist, another is derived from it, or a file cannot be edited. No file is changed.
    """
    with scratch_folder(root, EDIT_LOCK) as scratch:
        _check(name, root)
        removed = []

        def remove_files() -> None:
            for number, folder in enumerate(sorted((root / "datasets").glob(f"*/{name}"))):
                if _is_committed(folder, root):
                    folder.rename(scratch / str(number))  # atomic
                    removed.append(folder)
            manifest = root / ARTIFACTS / f"{name}.json"
            if manifest.exists():
                manifest.unlink()
                removed.append(manifest)

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
    print(f"removed {name} from {', '.join(removal.removed)}")
    if removal.kept:
        print(f"kept, delete them if they are not needed: {' '.join(removal.kept)}")
    print("pushed artifacts are still on the remotes; committed files are still in git's history")


def _check(name: str, root: Path) -> None:
    stages = read_stages(root / STAGES_FILE)
    names = {*read_names(root=root), *stages}
    if name not in names:
        raise ScriptError(f"there is no dataset {name!r} in params.yaml or dvc.yaml; {nearest(name, sorted(names))}")
    artifact = re.compile(rf"{ARTIFACTS}/{re.escape(name)}(-.+)?\.tar")
    for other, stage in stages.items():
        if any(map(artifact.fullmatch, dependencies(stage))):
            raise ScriptError(f"{other} is derived from {name}; remove it first with: make remove DATASET={other}")


def _is_committed(folder: Path, root: Path) -> bool:
    """Return whether git has committed all files of the folder, apart from Python's caches."""
    try:
        listed = _git(root, "ls-files", "--", folder)
        status = _git(root, "status", "--porcelain", "--ignored", "--untracked-files=all", "--", folder)
    except (OSError, subprocess.CalledProcessError):
        return False
    return bool(listed) and all("__pycache__/" in line for line in status)


def _git(root: Path, *arguments: str | Path) -> list[str]:
    done = subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.splitlines()
