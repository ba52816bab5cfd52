"""Entering a dataset into dvc.yaml, README.md and params.yaml, and taking it out of them and of dvc.lock.

Each file is replaced whole, params.yaml last, whichever the way. A command that was killed in between is simply given
again: what is written already is known by its content, and a dataset is there until its block is gone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loader._format.names import ARTIFACTS
from scripts._define.definition import TOOLCHAIN, read_stage, read_yaml
from scripts._define.entries import add_entry, remove_entry
from scripts._define.readme import add_row, remove_row
from scripts._process.errors import ScriptError
from scripts._process.files import replacing

PARAMS, STAGES, LOCK, README = "params.yaml", "dvc.yaml", "dvc.lock", "README.md"
UNDER = "stages"
LOCK_NAME = "define"  # one process at a time edits these files
# Private stays private: nothing is published before somebody says so in params.yaml and in dvc.yaml.
VISIBILITY = "private"


@dataclass(frozen=True)
class Entry:
    """What is written of a new dataset.

    Attributes
    ----------
    name
        The dataset.
    params
        Its block of params.yaml.
    description
        The stage's description, in one line.
    row
        The dataset's row of README's table.
    parents
        The datasets it is derived from, as the artifacts that its stage depends on.
    """

    name: str
    params: dict[str, Any]
    description: str
    row: str
    parents: tuple[str, ...] = ()

    @property
    def stage(self) -> dict[str, Any]:
        """The dataset's stage in dvc.yaml."""
        folder = [self.params["builder"]] if "/" in self.params["builder"] else []
        deps = [*folder, *self.parents]
        configs = self.params.get("configs")
        tars = [f"{self.name}-{config}.tar" for config in configs] if configs else [f"{self.name}.tar"]
        return {
            "desc": self.description,
            "cmd": f"python -m scripts build {self.name}",
            **({"deps": deps} if deps else {}),
            "params": [self.name, TOOLCHAIN],
            "outs": [{f"{ARTIFACTS}/{tar}": {"remote": self.params["visibility"]}} for tar in tars],
            "metrics": [{f"{ARTIFACTS}/{self.name}.json": {"cache": False, "persist": True}}],
        }


def enter(entry: Entry, *, root: Path, first: Callable[[], None] = lambda: None) -> None:
    """Write a dataset's stage, its row and its block, where they are not there already.

    Parameters
    ----------
    entry
        What to write.
    root
        The repository.
    first
        Called once it is sure that all can be written, before anything is.

    Raises
    ------
    ScriptError
        The name is taken, or a file cannot be edited; no file is changed then.
    """
    name = entry.name
    wanted = {PARAMS: entry.params, STAGES: entry.stage}
    there = {PARAMS: read_yaml(root / PARAMS).get(name), STAGES: read_stage(root / STAGES, name) or None}
    if there[PARAMS] is not None and there != wanted:
        raise taken(name)
    if there[STAGES] not in (None, wanted[STAGES]):
        raise ScriptError(
            f"dvc.yaml has a stage {name} that params.yaml does not know and that is not what would be written; "
            f"take it out with: make remove DATASET={name}"
        )
    edits: dict[str, Callable[[str, Path], str]] = {
        STAGES: lambda text, path: add_entry(text, name, entry.stage, under=UNDER, path=path),
        README: lambda text, _: add_row(text, name, entry.row),
        PARAMS: lambda text, path: add_entry(text, name, entry.params, path=path),
    }
    _edit({file: edit for file, edit in edits.items() if there.get(file) is None}, root, first)


def taken(name: str) -> ScriptError:
    """Return the error of a name that a dataset has."""
    return ScriptError(
        f"there is a dataset {name} already; take another name, "
        f"build it with: make build DATASET={name}, or take it out with: make remove DATASET={name}"
    )


def take_out(name: str, *, root: Path, first: Callable[[], None] = lambda: None) -> list[str]:
    """Take a dataset out of params.yaml, dvc.yaml, README.md and dvc.lock.

    Parameters
    ----------
    name
        The dataset.
    root
        The repository.
    first
        Called once it is sure that all can be edited, before any file is.

    Returns
    -------
    list of str
        The files that it was in.

    Raises
    ------
    ScriptError
        A file cannot be edited; none is changed then.
    """
    edits: dict[str, Callable[[str, Path], str]] = {README: lambda text, _: remove_row(text, name)}
    if name in read_yaml(root / PARAMS):
        edits[PARAMS] = lambda text, path: remove_entry(text, name, path=path)
    for file in (STAGES, LOCK):
        if (root / file).exists() and read_stage(root / file, name):
            edits[file] = lambda text, path: remove_entry(text, name, under=UNDER, path=path)
    return _edit({file: edits[file] for file in (LOCK, README, STAGES, PARAMS) if file in edits}, root, first)


def _edit(
    edits: dict[str, Callable[[str, Path], str]], root: Path, first: Callable[[], None] = lambda: None
) -> list[str]:
    """Work out every edit before the first file is replaced; return the files that changed."""
    # a repository may do without a README, not without the others
    before = {file: _read_text(root / file) for file in edits if file != README or (root / file).exists()}
    after = {file: edits[file](text, root / file) for file, text in before.items()}
    changed = [file for file in before if after[file] != before[file]]
    first()
    for file in changed:
        with replacing(root / file) as out:
            out.write(after[file].encode())
    return changed


def _read_text(path: Path) -> str:
    try:
        return path.read_bytes().decode()  # line ends as they are
    except UnicodeDecodeError as error:
        raise ScriptError(f"{path} is not UTF-8 text ({error.reason} at byte {error.start})") from error
