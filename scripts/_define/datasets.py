"""Adding a dataset to `dvc.yaml` and `params.yaml`, and removing it from them and from `dvc.lock`.

Each file is replaced whole, `params.yaml` last, so that a dataset is there until its block is gone. A command that was
killed in between can simply be run again: it finds what is written already by its content.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loader._format.names import ARTIFACTS, tar_name
from scripts._define.definition import PARAMS_FILE, TOOLCHAIN
from scripts._define.yaml_edits import add_entry, remove_entry
from scripts._dvc.stages import LOCK_FILE, STAGES_FILE, STAGES_KEY, read_stage
from scripts._process.errors import ScriptError
from scripts._process.files import read_yaml, replacing

EDIT_LOCK = "define"
"""The scratch folder of who edits these files: one process at a time."""
NEW_VISIBILITY = "private"
"""Nothing is published before somebody says so in params.yaml and in dvc.yaml."""

Edit = Callable[[str, Path], str]


@dataclass(frozen=True)
class NewDataset:
    """What is written for a new dataset.

    Attributes
    ----------
    name
        The dataset.
    params
        Its block of params.yaml.
    description
        The stage's description, in one line.
    parents
        The artifacts that its stage depends on, relative to the root.
    """

    name: str
    params: dict[str, Any]
    description: str
    parents: tuple[str, ...] = ()

    @property
    def stage(self) -> dict[str, Any]:
        """The dataset's stage in dvc.yaml."""
        folder = [self.params["builder"]] if "/" in self.params["builder"] else []
        deps = [*folder, *self.parents]
        tars = [tar_name(self.name, config) for config in self.params.get("configs") or (None,)]
        return {
            "desc": self.description,
            "cmd": f"python -m scripts build {self.name}",
            **({"deps": deps} if deps else {}),
            "params": [self.name, TOOLCHAIN],
            "outs": [{f"{ARTIFACTS}/{tar}": {"remote": self.params["visibility"]}} for tar in tars],
            "metrics": [{f"{ARTIFACTS}/{self.name}.json": {"cache": False, "persist": True}}],
        }


def add_dataset(new: NewDataset, *, root: Path, before: Callable[[], None] = lambda: None) -> None:
    """Write a dataset's stage and its block, where they are not there already.

    Parameters
    ----------
    new
        The dataset.
    root
        The repository.
    before
        Called once all edits are known to be possible, before any file is changed.

    Raises
    ------
    ScriptError
        The name is in use, or a file cannot be edited; no file is changed then.
    """
    name = new.name
    wanted = {PARAMS_FILE: new.params, STAGES_FILE: new.stage}
    present = {
        PARAMS_FILE: read_yaml(root / PARAMS_FILE).get(name),
        STAGES_FILE: read_stage(root / STAGES_FILE, name) or None,
    }
    if present[PARAMS_FILE] is not None and present != wanted:
        raise name_in_use(name)
    if present[STAGES_FILE] not in (None, wanted[STAGES_FILE]):
        raise ScriptError(
            f"dvc.yaml has a stage {name} that params.yaml does not know and that is not what would be written; "
            f"remove it with: make remove DATASET={name}"
        )
    edits: dict[str, Edit] = {
        STAGES_FILE: lambda text, path: add_entry(text, name, new.stage, under=STAGES_KEY, path=path),
        PARAMS_FILE: lambda text, path: add_entry(text, name, new.params, path=path),
    }
    _edit({file: edit for file, edit in edits.items() if present[file] is None}, root, before)


def name_in_use(name: str) -> ScriptError:
    """Return the error for a name that another dataset has."""
    return ScriptError(
        f"there is a dataset {name} already; choose another name, "
        f"build it with: make build DATASET={name}, or remove it with: make remove DATASET={name}"
    )


def remove_dataset(name: str, *, root: Path, before: Callable[[], None] = lambda: None) -> list[str]:
    """Remove a dataset from params.yaml, dvc.yaml and dvc.lock.

    Parameters
    ----------
    name
        The dataset.
    root
        The repository.
    before
        Called once all edits are known to be possible, before any file is changed.

    Returns
    -------
    list of str
        The files that it was in.

    Raises
    ------
    ScriptError
        A file cannot be edited; none is changed then.
    """
    edits: dict[str, Edit] = {}
    for file in (LOCK_FILE, STAGES_FILE):
        if (root / file).exists() and read_stage(root / file, name):
            edits[file] = lambda text, path: remove_entry(text, name, under=STAGES_KEY, path=path)
    if name in read_yaml(root / PARAMS_FILE):
        edits[PARAMS_FILE] = lambda text, path: remove_entry(text, name, path=path)
    return _edit(edits, root, before)


def _edit(edits: dict[str, Edit], root: Path, before: Callable[[], None]) -> list[str]:
    """Work out every edit before the first file is replaced; return the files that changed."""
    old = {file: _read_text(root / file) for file in edits}
    new = {file: edit(old[file], root / file) for file, edit in edits.items()}
    changed = [file for file in edits if new[file] != old[file]]
    before()
    for file in changed:
        with replacing(root / file) as out:
            out.write(new[file].encode())
    return changed


def _read_text(path: Path) -> str:
    try:
        return path.read_bytes().decode()  # not read_text, which would change the line ends
    except UnicodeDecodeError as error:
        raise ScriptError(f"{path} is not UTF-8 text ({error.reason} at byte {error.start})") from error
