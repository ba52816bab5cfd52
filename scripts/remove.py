"""`python -m scripts remove NAME...`: remove datasets from this repository."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from loader._format.names import ARTIFACTS
from scripts._define.datasets import EDIT_LOCK, remove_dataset
from scripts._define.definition import ROOT, read_names
from scripts._define.lineage import derived_from
from scripts._dvc.stages import LOCK_FILE, STAGES_FILE, read_stages
from scripts._process.errors import ScriptError
from scripts._process.git import changed_files, git
from scripts._process.hints import nearest
from scripts._process.scratch import scratch_folder


@dataclass(frozen=True)
class Removal:
    """The files and folders that were removed or changed, and those that were kept, relative to the root."""

    removed: tuple[str, ...]
    kept: tuple[str, ...]


def remove(*names: str, root: Path = ROOT) -> Removal:
    """Remove datasets from params.yaml, dvc.yaml and dvc.lock, and the files that describe them; all or none of them.

    Their folders are removed too if git has committed all of a folder. Artifacts and source files are kept, on this
    machine and on the remotes. A name without a dataset is passed over, because it may have been removed before.

    Raises
    ------
    ScriptError
        A dataset that is not among them is derived from one, or a file cannot be edited. No file is changed.
    """
    with scratch_folder(root, EDIT_LOCK) as scratch:
        known = _names(root)
        names = tuple(name for name in dict.fromkeys(names) if name in known)
        if not names:
            return Removal((), ())
        _check_not_needed(names, root)
        removed = []

        def remove_files() -> None:
            folders = [folder for name in names for folder in sorted((root / "datasets").glob(f"*/{name}"))]
            for number, folder in enumerate(folders):
                if _is_committed(folder, root):
                    folder.rename(scratch / str(number))  # atomic
                    removed.append(folder)
            for described in [path for name in names for path in sorted((root / ARTIFACTS).glob(f"{name}.*json"))]:
                described.unlink()
                removed.append(described)

        changed = remove_dataset(*names, root=root, before_edit=remove_files)
    kept = [path for name in names for pattern in _kept(name) for path in sorted(root.glob(pattern))]
    return Removal(
        (*changed, *(path.relative_to(root).as_posix() for path in removed)),
        tuple(path.relative_to(root).as_posix() for path in kept),
    )


def command(names: Annotated[list[str], typer.Argument(help="The names of the datasets in params.yaml.")]) -> None:
    """Remove datasets from this repository, all or none, but keep their artifacts and source files."""
    known = sorted(_names(ROOT))
    removal = remove(*names)
    for name in names:
        if name not in known:
            hint = nearest(name, known)
            print(f"nothing to remove: there is no dataset {name!r} in params.yaml, dvc.yaml or dvc.lock; {hint}")
    if not removal.removed:
        return
    print(f"removed {', '.join(name for name in names if name in known)} from {', '.join(removal.removed)}")
    if removal.kept:
        print(f"kept, delete them if they are not needed: {' '.join(removal.kept)}")
    print("pushed artifacts are still on the remotes; committed files are still in git's history")


def _names(root: Path) -> set[str]:
    """Return the datasets that params.yaml, dvc.yaml or dvc.lock has: a removal may have been killed in between."""
    recorded = read_stages(root / LOCK_FILE) if (root / LOCK_FILE).exists() else {}
    return {*read_names(root=root), *read_stages(root / STAGES_FILE), *recorded}


def _kept(name: str) -> tuple[str, ...]:
    """Return the patterns of a dataset's artifacts, definition, source files and extracted files."""
    artifacts = (f"{ARTIFACTS}/{name}.tar", f"{ARTIFACTS}/{name}-*.tar")
    return (*artifacts, f"datasets/*/{name}", f"sources/{name}", f"sources/{name}.dvc", f"extracted/{name}")


def _check_not_needed(names: Sequence[str], root: Path) -> None:
    stages = read_stages(root / STAGES_FILE)
    for name in names:
        for other in derived_from(name, stages):
            if other not in names:
                raise ScriptError(
                    f"{other} is derived from {name}; remove it first, or with it: "
                    f'make remove DATASET="{" ".join([*names, other])}"'
                )


def _is_committed(folder: Path, root: Path) -> bool:
    """Return whether git has committed all files of the folder, apart from Python's caches."""
    try:
        listed = git(root, "ls-files", "--", str(folder))
        changed = changed_files(root, str(folder), with_ignored=True)
    except ScriptError:
        return False
    return bool(listed) and all("__pycache__/" in path for path in changed)
