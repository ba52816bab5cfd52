"""What `params.yaml` and `dvc.yaml` say of a dataset."""

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
UNKNOWN_LICENSE = "unknown"  # how a license begins that somebody has yet to look up
CONFIG_NAME = re.compile(r"\w[\w.-]{0,99}")


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
    configs
        The builder configs to build, each into a tar of its own; none for one tar of the builder's default.
    arguments
        Keyword arguments for the builder's class.
    parents
        The datasets that the builder reads, with the file names of their artifacts: the stage's dependencies.
    toolchain
        The package versions that decide bytes.
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
        """Whether the builder is a folder of this repository."""
        return "/" in self.builder

    @property
    def folder(self) -> Path | None:
        """The dataset's folder below `datasets/`, None where a TFDS dataset has none."""
        if self.is_ours:
            return self.root / self.builder
        return next((self.root / "datasets").glob(f"*/{self.name}"), None)

    @property
    def tars(self) -> dict[str | None, Path]:
        """Where the artifact of each config belongs; without configs, that of None."""
        return {config: self.root / ARTIFACTS / tar_name(self.name, config) for config in self.configs or (None,)}

    @property
    def manifest(self) -> Path:
        """Where the manifest belongs."""
        return self.root / ARTIFACTS / f"{self.name}.json"

    def limit_reading(self, *folders: Path) -> AbstractContextManager[dict[str, str]]:
        """Have the loader read, in a `with` block, the artifacts that the stage depends on and nothing else.

        Parameters
        ----------
        folders
            Where the builder may read prepared data too: scratch space into which its sources are extracted.
        """
        own = [self.folder] if self.folder else []
        return reading_only(self.parents, reader=self.name, root=self.root, folders=[*own, *folders])

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
            raise ScriptError(f"params.yaml: the block {name!r} needs {field!r}, a text")
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
        raise ScriptError(f"dvc.yaml has no stage {name!r}, params.yaml has")
    owners = {path: other for other in datasets for path in output_remotes(stages.get(other, {}))}
    parents = {other: _parents(stages.get(other, {}), owners) for other in datasets}
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
        raise ScriptError(f"params.yaml: the configs of {name!r} are {configs!r}, they must be a list of names")
    for config in configs:
        if not isinstance(config, str) or not CONFIG_NAME.fullmatch(config):
            raise ScriptError(
                f"params.yaml: {name!r} has the config {config!r}; a config becomes part of a file name, "
                f"so it must be a text of letters, digits, '_', '-' and '.'"
            )
    if len(set(configs)) != len(configs):
        raise ScriptError(f"params.yaml: {name!r} names a config twice: {', '.join(configs)}")
    return tuple(configs)


def _arguments(name: str, arguments: Any) -> dict[str, Any]:
    if arguments is None:
        return {}
    if not isinstance(arguments, dict) or not all(isinstance(key, str) for key in arguments):
        raise ScriptError(f"params.yaml: the arguments of {name!r} must be a mapping of names to values")
    if reserved := arguments.keys() & {"data_dir", "config", "version", "file_format"}:
        raise ScriptError(f"params.yaml: {name!r} cannot give its builder {', '.join(sorted(reserved))} as an argument")
    for key, value in arguments.items():
        if not _is_json(value):
            raise ScriptError(
                f"params.yaml: {name!r} has the argument {key}: {value!r}; the manifest records arguments in JSON, "
                f"so it must be a text, a number, true, false, null, or lists or mappings of them; write a date as text"
            )
    return dict(arguments)


def _is_json(value: Any) -> bool:
    try:
        return bool(json.loads(json.dumps(value, allow_nan=False)) == value)
    except (TypeError, ValueError):
        return False


def _parents(stage: dict[str, Any], owners: dict[str, str]) -> dict[str, tuple[str, ...]]:
    parents: dict[str, tuple[str, ...]] = {}
    for dep in dependencies(stage):
        if dep in owners:
            parents[owners[dep]] = (*parents.get(owners[dep], ()), dep.removeprefix(f"{ARTIFACTS}/"))
    return parents


def _check_remote(definition: Definition, stage: dict[str, Any]) -> None:
    """The outputs' remote in dvc.yaml is what DVC obeys, so it must be the visibility's."""
    outs = output_remotes(stage)
    for path, remote in outs.items():
        if remote != definition.visibility:
            raise ScriptError(
                f"dvc.yaml sends {path} to remote {remote!r}, but params.yaml calls {definition.name} "
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
    """What is made from private data is private, in however many steps."""
    if definition.visibility != "public":
        return
    for ancestor in ancestors(definition.name, parents.__getitem__):
        block = params[ancestor]
        if not isinstance(block, dict) or block.get("visibility") != "public":
            raise ScriptError(
                f"{definition.name} is public and made from {ancestor}, which is not; "
                f"make {definition.name} private in params.yaml and dvc.yaml"
            )
