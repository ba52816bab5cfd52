"""The definition of a dataset in `params.yaml` and `dvc.yaml`."""

from __future__ import annotations

import json
import re
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from loader import reading_only
from loader._format.names import ARTIFACTS, tar_name
from scripts._define.lineage import ancestors
from scripts._dvc.remotes import VISIBILITIES
from scripts._dvc.stages import STAGES_FILE, dependencies, output_remotes, read_stages
from scripts._process.errors import ScriptError
from scripts._process.files import read_yaml
from scripts._process.hints import nearest

ROOT = Path(__file__).resolve().parents[2]
PARAMS_FILE = "params.yaml"
TOOLCHAIN = "toolchain"
UNKNOWN_LICENSE = "unknown"  # a license that begins with this has yet to be looked up
CONFIG_NAME = re.compile(r"\w[\w.-]{0,99}")


@dataclass(frozen=True)
class Definition:
    """The checked definition of a dataset.

    Attributes
    ----------
    root
        The repository.
    name
        The dataset.
    builder
        The name of a builder of TFDS, or the folder (relative to the root) of a builder of this repository.
    version
        The version that the builder must have.
    visibility
        "public" or "private": the remote that its artifacts belong to.
    license
        The license of the data.
    configs
        The configs to build, each as an artifact of its own; if empty, one artifact of the builder's default config.
    arguments
        Keyword arguments for the builder's class.
    parents
        The datasets that its stage depends on and its builder reads, with the file names of their artifacts.
    toolchain
        The versions of the packages that determine the bytes of an artifact.
    """

    root: Path
    name: str
    builder: str
    version: str
    visibility: str
    license: str
    configs: tuple[str, ...]
    arguments: dict[str, Any]
    parents: dict[str, tuple[str, ...]]
    toolchain: dict[str, str]

    @property
    def is_ours(self) -> bool:
        """Whether the builder is a folder of this repository, not a builder of TFDS."""
        return "/" in self.builder

    @property
    def folder(self) -> Path | None:
        """The dataset's folder below `datasets/`, None if it has none (possible for a builder of TFDS)."""
        if self.is_ours:
            return self.root / self.builder
        return next((self.root / "datasets").glob(f"*/{self.name}"), None)

    @property
    def tars(self) -> dict[str | None, Path]:
        """The path of the artifact of each config; the only key is None if no configs are listed."""
        return {config: self.root / ARTIFACTS / tar_name(self.name, config) for config in self.configs or (None,)}

    @property
    def manifest(self) -> Path:
        """The path of the manifest."""
        return self.root / ARTIFACTS / f"{self.name}.json"

    def limit_reading(self, *folders: Path) -> AbstractContextManager[dict[str, str]]:
        """Return a context in which the loader reads only the artifacts that the stage depends on.

        Parameters
        ----------
        folders
            Further folders from which prepared data may be read, such as those of extracted source files.
        """
        own = [self.folder] if self.folder else []
        return reading_only(self.parents, reader=self.name, root=self.root, folders=[*own, *folders])

    def check_toolchain(self) -> None:
        """Check that the installed packages have the versions of the toolchain.

        Raises
        ------
        ScriptError
            A package of the toolchain is missing or has another version.
        """
        for package, wanted in self.toolchain.items():
            try:
                installed = metadata.version(package)
            except metadata.PackageNotFoundError:
                installed = "none"
            if installed != wanted:
                raise ScriptError(
                    f"{self.name}: params.yaml asks for {package} {wanted}, this environment has {installed}; "
                    f"set up the locked toolchain with: make setup, and build with: make build DATASET={self.name}"
                )


def read_definition(name: str, *, root: Path = ROOT) -> Definition:
    """Read and check the definition of dataset `name`.

    Raises
    ------
    ScriptError
        The dataset does not exist, its block is incomplete, or `dvc.yaml` contradicts it.
    """
    params = read_yaml(root / PARAMS_FILE)
    datasets = _names(params)
    if name not in datasets:
        raise ScriptError(f"there is no dataset {name!r} in params.yaml; {nearest(name, datasets)}")
    block = params[name]
    if not isinstance(block, dict):
        raise ScriptError(f"params.yaml: the block {name!r} is not a mapping")
    fields = {}
    for field in ("builder", "version", "visibility", "license"):
        if not isinstance(block.get(field), str):
            raise ScriptError(f"params.yaml: the block {name!r} needs {field!r}, a string")
        fields[field] = block[field]
    if fields["visibility"] not in VISIBILITIES:
        raise ScriptError(
            f"params.yaml: the visibility of {name!r} is {fields['visibility']!r}, it must be public or private"
        )
    toolchain = params.get(TOOLCHAIN)
    if not isinstance(toolchain, dict):
        raise ScriptError(f"params.yaml: the block {TOOLCHAIN!r} is missing")
    stages = read_stages(root / STAGES_FILE)
    if not stages.get(name):
        raise ScriptError(f"dvc.yaml has no stage {name!r}, but params.yaml has a block {name!r}")
    dataset_by_output = {path: other for other in datasets for path in output_remotes(stages.get(other, {}))}
    parents = {other: _parents(stages.get(other, {}), dataset_by_output) for other in datasets}
    definition = Definition(
        root,
        name,
        **fields,
        configs=_configs(name, block.get("configs")),
        arguments=_arguments(name, block.get("arguments")),
        parents=parents[name],
        toolchain={package: str(version) for package, version in toolchain.items()},
    )
    _check_remote(definition, stages[name])
    _check_ancestors(definition, parents, params)
    return definition


def read_names(*, root: Path = ROOT) -> list[str]:
    """Return the names of all datasets that `params.yaml` defines."""
    return _names(read_yaml(root / PARAMS_FILE))


def _names(params: dict[Any, Any]) -> list[str]:
    return sorted(key for key in params if isinstance(key, str) and key != TOOLCHAIN)


def _configs(name: str, configs: Any) -> tuple[str, ...]:
    if configs is None:
        return ()
    if not isinstance(configs, list) or not configs:
        raise ScriptError(f"params.yaml: the configs of {name!r} must be a list of names, not {configs!r}")
    for config in configs:
        if not isinstance(config, str) or not CONFIG_NAME.fullmatch(config):
            raise ScriptError(
                f"params.yaml: {name!r} has the config {config!r}; a config becomes part of a file name, "
                f"so it must be a string of letters, digits, '_', '-' and '.'"
            )
    if len(set(configs)) != len(configs):
        raise ScriptError(f"params.yaml: {name!r} lists a config twice: {', '.join(configs)}")
    return tuple(configs)


def _arguments(name: str, arguments: Any) -> dict[str, Any]:
    if arguments is None:
        return {}
    if not isinstance(arguments, dict) or not all(isinstance(key, str) for key in arguments):
        raise ScriptError(f"params.yaml: the arguments of {name!r} must be a mapping of names to values")
    if reserved := arguments.keys() & {"data_dir", "config", "version", "file_format"}:
        raise ScriptError(f"params.yaml: the arguments of {name!r} must not include {', '.join(sorted(reserved))}")
    for key, value in arguments.items():
        if not _is_json(value):
            raise ScriptError(
                f"params.yaml: {name!r} has the argument {key}: {value!r}; the manifest records arguments in JSON, so "
                f"it must be a string, a number, true, false, null, or lists or mappings of them; quote a date"
            )
    return dict(arguments)


def _is_json(value: Any) -> bool:
    try:
        return bool(json.loads(json.dumps(value, allow_nan=False)) == value)
    except (TypeError, ValueError):
        return False


def _parents(stage: dict[str, Any], dataset_by_output: dict[str, str]) -> dict[str, tuple[str, ...]]:
    parents: dict[str, tuple[str, ...]] = {}
    for dep in dependencies(stage):
        if dep in dataset_by_output:
            parent = dataset_by_output[dep]
            parents[parent] = (*parents.get(parent, ()), dep.removeprefix(f"{ARTIFACTS}/"))
    return parents


def _check_remote(definition: Definition, stage: dict[str, Any]) -> None:
    """Check that dvc.yaml, which decides where DVC pushes the outputs, names the remote of the visibility."""
    outs = output_remotes(stage)
    for path, remote in outs.items():
        if remote != definition.visibility:
            raise ScriptError(
                f"dvc.yaml names remote {remote!r} for {path}, but in params.yaml {definition.name} is "
                f"{definition.visibility}; make the two agree"
            )
    wanted = {f"{ARTIFACTS}/{tar.name}" for tar in definition.tars.values()}
    if missing := sorted(wanted - outs.keys()):
        raise ScriptError(
            f"dvc.yaml: the stage {definition.name!r} needs the output {missing[0]} with remote: "
            f"{definition.visibility}"
        )


def _check_ancestors(
    definition: Definition, parents: dict[str, dict[str, tuple[str, ...]]], params: dict[str, Any]
) -> None:
    """Check that a public dataset is derived, directly or indirectly, from public datasets only."""
    if definition.visibility != "public":
        return
    for ancestor in ancestors(definition.name, parents.__getitem__):
        block = params[ancestor]
        if not isinstance(block, dict) or block.get("visibility") != "public":
            raise ScriptError(
                f"{definition.name} is public, but derived from {ancestor}, which is not; "
                f"make {definition.name} private in params.yaml and dvc.yaml"
            )
