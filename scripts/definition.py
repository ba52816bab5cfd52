"""What `params.yaml` and `dvc.yaml` say of a dataset."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from loader._fetch.revision import ARTIFACTS
from scripts.errors import ScriptError

ROOT = Path(__file__).resolve().parent.parent
TOOLCHAIN = "toolchain"
VISIBILITIES = ("public", "private")


@dataclass(frozen=True)
class Definition:
    """One dataset's block of `params.yaml`, checked.

    Attributes
    ----------
    root
        The repository.
    name
        The dataset.
    builder
        The name of one of TFDS's own builders, or the folder (relative to the root) of one of ours.
    version
        The version that the builder must give.
    visibility
        "public" or "private": the remote its artifact belongs to.
    license
        The licence of the data.
    toolchain
        The package versions that decide bytes.
    """

    root: Path
    name: str
    builder: str
    version: str
    visibility: str
    license: str
    toolchain: dict[str, str]

    @property
    def is_ours(self) -> bool:
        """Whether the builder is a folder of this repository."""
        return "/" in self.builder

    @property
    def folder(self) -> Path | None:
        """The dataset's folder below `datasets/`, None where a TFDS dataset has none."""
        if self.is_ours:
            return self.root / self.builder
        return next((self.root / "datasets").glob(f"*/{self.name}"), None)

    @property
    def tar(self) -> Path:
        """Where the artifact belongs."""
        return self.root / ARTIFACTS / f"{self.name}.tar"

    @property
    def manifest(self) -> Path:
        """Where the manifest belongs."""
        return self.root / ARTIFACTS / f"{self.name}.json"

    def check_toolchain(self) -> None:
        """Refuse to build with other packages than those that decide the recorded bytes.

        Raises
        ------
        ScriptError
            A package of the toolchain is missing or has another version.
        """
        for package, wanted in self.toolchain.items():
            try:
                installed = metadata.version(package)
            except metadata.PackageNotFoundError:
                installed = "not installed"
            if installed != wanted:
                raise ScriptError(
                    f"{self.name}: params.yaml asks for {package} {wanted}, here it is {installed}; "
                    f"set up the locked toolchain with: make setup, and build with: make build DATASET={self.name}"
                )


def read_definition(name: str, *, root: Path = ROOT) -> Definition:
    """Read and check the definition of dataset `name`.

    Raises
    ------
    ScriptError
        There is no such dataset, its block is incomplete, or `dvc.yaml` contradicts it.
    """
    params = read_yaml(root / "params.yaml")
    datasets = _names(params)
    if name not in datasets:
        close = difflib.get_close_matches(name, datasets, n=3)
        hint = f"did you mean {' or '.join(close)}?" if close else f"it has: {', '.join(datasets)}"
        raise ScriptError(f"there is no dataset {name!r} in params.yaml; {hint}")
    block = params[name]
    if not isinstance(block, dict):
        raise ScriptError(f"params.yaml: the block {name!r} is not a mapping")
    fields = {}
    for field in ("builder", "version", "visibility", "license"):
        if not isinstance(block.get(field), str):
            raise ScriptError(f"params.yaml: the block {name!r} needs {field!r}, a text")
        fields[field] = block[field]
    if fields["visibility"] not in VISIBILITIES:
        raise ScriptError(
            f"params.yaml: the visibility of {name!r} is {fields['visibility']!r}, it must be public or private"
        )
    toolchain = params.get(TOOLCHAIN)
    if not isinstance(toolchain, dict):
        raise ScriptError(f"params.yaml: the block {TOOLCHAIN!r} is missing")
    definition = Definition(root, name, toolchain={k: str(v) for k, v in toolchain.items()}, **fields)
    _check_remote(definition)
    return definition


def read_names(*, root: Path = ROOT) -> list[str]:
    """Return the names of all datasets that `params.yaml` defines."""
    return _names(read_yaml(root / "params.yaml"))


def _names(params: dict[Any, Any]) -> list[str]:
    return sorted(key for key in params if isinstance(key, str) and key != TOOLCHAIN)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file that holds a mapping.

    Raises
    ------
    ScriptError
        It is missing, or not YAML, or no mapping.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        content = YAML(typ="safe").load(path)
    except FileNotFoundError as error:
        raise ScriptError(f"{path} is missing") from error
    except YAMLError as error:
        raise ScriptError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise ScriptError(f"{path} is not a mapping")
    return content


def read_stage(path: Path, name: str) -> dict[str, Any]:
    """Return the stage `name` of a `dvc.yaml` or `dvc.lock`, empty where there is none.

    Raises
    ------
    ScriptError
        The file is missing or not of that form.
    """
    stages = read_yaml(path).get("stages") or {}
    stage = stages.get(name) or {} if isinstance(stages, dict) else None
    if not isinstance(stage, dict) or not isinstance(stage.get("outs") or [], list):
        raise ScriptError(
            f"{name}: {path} is not of the form that DVC writes: stages, by name, each with a list of outs"
        )
    return stage


def _check_remote(definition: Definition) -> None:
    """The outputs' remote in dvc.yaml is what DVC obeys, so it must be the visibility's."""
    stage = read_stage(definition.root / "dvc.yaml", definition.name)
    if not stage:
        raise ScriptError(f"dvc.yaml has no stage {definition.name!r}, params.yaml has")
    tar = f"{ARTIFACTS}/{definition.tar.name}"
    remotes = {}
    for out in stage.get("outs") or ():
        for path, options in out.items() if isinstance(out, dict) else [(out, None)]:
            remotes[path] = options.get("remote") if isinstance(options, dict) else None
    for path, remote in remotes.items():
        if remote != definition.visibility:
            raise ScriptError(
                f"dvc.yaml sends {path} to remote {remote!r}, but params.yaml calls {definition.name} "
                f"{definition.visibility}; make the two agree"
            )
    if tar not in remotes:
        raise ScriptError(
            f"dvc.yaml: the stage {definition.name!r} needs the output {tar} with remote: {definition.visibility}"
        )
