"""Adding a dataset to `dvc.yaml` and `params.yaml`, removing it from them and from `dvc.lock`, and renaming it in them.

Each file is replaced atomically, `params.yaml` last, so that a dataset exists until its block is removed. A command
that was killed can be run again: it recognizes by its content what is already written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from pathlib import Path
from typing import Any

from loader._format.names import ARTIFACTS, tar_name
from scripts._define.artifact_entries import ENTRIES_KEY, Entry, artifact_entries, entries_in, entries_of
from scripts._define.definition import PARAMS_FILE, TOOLCHAIN
from scripts._define.renamed import in_params, in_stages, rename_in_yaml
from scripts._define.yaml_edits import add_dependency, add_entry, remove_entry
from scripts._dvc.remotes import PRIVATE
from scripts._dvc.stages import LOCK_FILE, STAGES_FILE, STAGES_KEY, dependencies, read_stage, read_stages
from scripts._process.errors import ScriptError
from scripts._process.files import read_yaml, replacing

EDIT_LOCK = "define"
"""The scratch folder whose lock lets one process at a time edit these files."""

COMMITTED = {"cache": False, "persist": True}
"""The options of an output that git keeps: a build that fails leaves the recorded one."""
PLOTS_KEY, PLOT_TEMPLATE = "plots", "classes"

Edit = Callable[[str, Path], str]


@dataclass(frozen=True)
class NewDataset:
    """A dataset to add.

    Attributes
    ----------
    name
        The dataset.
    params
        Its block in params.yaml.
    description
        The description of its stage, one line.
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
            "outs": [
                *({f"{ARTIFACTS}/{tar}": {"remote": PRIVATE}} for tar in tars),
                {f"{ARTIFACTS}/{self.name}.json": {**COMMITTED}},
                {f"{ARTIFACTS}/{self.name}.croissant.json": {**COMMITTED}},
            ],
            "metrics": [{f"{ARTIFACTS}/{self.name}.stats.json": {**COMMITTED}}],
        }

    @property
    def artifacts(self) -> dict[str, Entry]:
        """Its entries under `artifacts` in dvc.yaml."""
        builder = self.params["builder"]
        kind = builder.split("/")[1] if "/" in builder else "standard"  # datasets/<kind>/<name>
        configs = self.params.get("configs") or ()
        return artifact_entries(self.name, configs, kind=kind, description=self.description)

    @property
    def plot(self) -> dict[str, Any]:
        """The drawing of its classes in dvc.yaml, for `dvc plots show`."""
        file = f"{ARTIFACTS}/{self.name}.stats.json"
        return {"template": PLOT_TEMPLATE, "x": {file: "examples"}, "y": {file: "class"}}


def add_dataset(*new: NewDataset, root: Path, before_edit: Callable[[], None] = lambda: None) -> None:
    """Add the stages of datasets to dvc.yaml and their blocks to params.yaml, unless they exist; all or none of them.

    Parameters
    ----------
    new
        The datasets.
    root
        The repository.
    before_edit
        Called when all edits are known to be possible and no file has been changed yet.

    Raises
    ------
    ScriptError
        A name is in use, or a file cannot be edited. No file is changed.
    """
    edits: dict[str, list[Edit]] = {STAGES_FILE: [], PARAMS_FILE: []}
    for dataset in new:
        for file, edit in _additions(dataset, root).items():
            edits[file].append(edit)
    _edit({file: _one_after_another(each) for file, each in edits.items() if each}, root, before_edit)


def _additions(new: NewDataset, root: Path) -> dict[str, Edit]:
    """Return the edits that add a dataset to the files that do not have it."""
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
            f"dvc.yaml has another stage {name}, for which params.yaml has no block; "
            f"remove it with: make remove DATASET={name}"
        )
    edits: dict[str, Edit] = {
        STAGES_FILE: lambda text, path: _with_artifacts(
            _with_plot(add_entry(text, name, new.stage, under=STAGES_KEY, path=path), new, path), new, path
        ),
        PARAMS_FILE: lambda text, path: add_entry(text, name, new.params, path=path),
    }
    return {file: edit for file, edit in edits.items() if present[file] is None}


def name_in_use(name: str) -> ScriptError:
    """Return the error for a name that is in use."""
    return ScriptError(
        f"there is already a dataset {name}; choose another name, "
        f"build it with: make build DATASET={name}, or remove it with: make remove DATASET={name}; "
        f"to build other configs of it, edit configs in params.yaml and outs in dvc.yaml"
    )


def remove_dataset(*names: str, root: Path, before_edit: Callable[[], None] = lambda: None) -> list[str]:
    """Remove datasets from params.yaml, dvc.yaml and dvc.lock; all or none of them.

    Parameters
    ----------
    names
        The datasets.
    root
        The repository.
    before_edit
        Called when all edits are known to be possible and no file has been changed yet.

    Returns
    -------
    list of str
        The files that were changed.

    Raises
    ------
    ScriptError
        A file cannot be edited. No file is changed.
    """
    edits: dict[str, Edit] = {}
    for file in (LOCK_FILE, STAGES_FILE):
        stages = read_stages(root / file) if (root / file).exists() else {}
        if present := [name for name in names if stages.get(name)]:
            edits[file] = _one_after_another([partial(_without_stage, name) for name in present])
    blocks = read_yaml(root / PARAMS_FILE)
    if present := [name for name in names if name in blocks]:
        edits[PARAMS_FILE] = _one_after_another([partial(_without_block, name) for name in present])
    return _edit(edits, root, before_edit)


def _one_after_another(edits: Sequence[Edit]) -> Edit:
    return lambda text, path: reduce(lambda changed, edit: edit(changed, path), edits, text)


def _without_stage(name: str, text: str, path: Path) -> str:
    text = _without_plot(remove_entry(text, name, under=STAGES_KEY, path=path), name, path)
    return _without_artifacts(text, name, path)


def _without_block(name: str, text: str, path: Path) -> str:
    return remove_entry(text, name, path=path)


def rename_dataset(
    old: str, new: str, *, configs: Sequence[str], root: Path, before_edit: Callable[[], None]
) -> list[str]:
    """Rename a dataset in params.yaml and dvc.yaml, and remove it from dvc.lock, because it has to be built again.

    Parameters
    ----------
    old, new
        Its names.
    configs
        The configs that it is built in, if any.
    root
        The repository.
    before_edit
        Called when all edits are known to be possible and no file has been changed yet.

    Returns
    -------
    list of str
        The files that were changed.

    Raises
    ------
    ScriptError
        A file cannot be edited. No file is changed.
    """
    edits: dict[str, Edit] = {}
    if (root / LOCK_FILE).exists() and read_stage(root / LOCK_FILE, old):
        edits[LOCK_FILE] = lambda text, path: remove_entry(text, old, under=STAGES_KEY, path=path)
    edits[STAGES_FILE] = lambda text, path: rename_in_yaml(text, path, in_stages(old, new, configs))
    edits[PARAMS_FILE] = lambda text, path: rename_in_yaml(text, path, in_params(old, new))
    return _edit(edits, root, before_edit)


def depend_on(name: str, wanted: Path, *, root: Path) -> bool:
    """Make the stage of a dataset of TFDS depend on its folder or a file in it, and return whether it did not.

    Raises
    ------
    ScriptError
        `dvc.yaml` cannot be edited. It is not changed.
    """
    path = wanted.relative_to(root).as_posix()
    if path in dependencies(read_stage(root / STAGES_FILE, name)):
        return False
    return bool(
        _edit({STAGES_FILE: lambda text, file: add_dependency(text, name, path, path=file)}, root, lambda: None)
    )


def _with_plot(text: str, new: NewDataset, path: Path) -> str:
    if _has_plot(text, new.name):
        return text
    return add_entry(text, new.name, new.plot, under=PLOTS_KEY, path=path, as_item=True)


def _without_plot(text: str, name: str, path: Path) -> str:
    return remove_entry(text, name, under=PLOTS_KEY, path=path) if _has_plot(text, name) else text


def _has_plot(text: str, name: str) -> bool:
    plots = _parse(text).get(PLOTS_KEY) or ()
    return any(isinstance(plot, dict) and name in plot for plot in plots)


def _with_artifacts(text: str, new: NewDataset, path: Path) -> str:
    present = entries_in(_parse(text))
    for entry, value in new.artifacts.items():
        if entry not in present:
            text = add_entry(text, entry, value, under=ENTRIES_KEY, path=path)
        elif present[entry].get("path") != value["path"]:
            raise ScriptError(
                f"{path.name} has another entry {entry} under {ENTRIES_KEY}; rename it, or choose another name"
            )
    return text


def _without_artifacts(text: str, name: str, path: Path) -> str:
    for entry in entries_of(name, entries_in(_parse(text))):
        text = remove_entry(text, entry, under=ENTRIES_KEY, path=path)
    return text


def _parse(text: str) -> dict[str, Any]:
    from ruamel.yaml import YAML

    return dict(YAML(typ="safe").load(text))


def _edit(edits: dict[str, Edit], root: Path, before_edit: Callable[[], None]) -> list[str]:
    """Prepare all edits before replacing the first file; return the files that changed."""
    old = {file: _read_text(root / file) for file in edits}
    new = {file: edit(old[file], root / file) for file, edit in edits.items()}
    changed = [file for file in edits if new[file] != old[file]]
    before_edit()
    for file in changed:
        with replacing(root / file) as out:
            out.write(new[file].encode())
    return changed


def _read_text(path: Path) -> str:
    try:
        return path.read_bytes().decode()  # read_text would change the line endings
    except UnicodeDecodeError as error:
        raise ScriptError(f"{path} is not UTF-8 text ({error.reason} at byte {error.start})") from error
