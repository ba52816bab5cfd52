"""The definition of a dataset in `params.yaml` and `dvc.yaml`."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from loader import reading_only
from loader._format.names import ARTIFACTS, tar_name
from scripts._define.block import check_artifact_name, check_version, read_arguments, read_configs, read_withdrawn
from scripts._define.lineage import Lineage
from scripts._dvc.stages import LOCK_FILE, STAGES_FILE, Stage, output_remotes, read_stages, recorded_dependencies
from scripts._process.errors import ScriptError
from scripts._process.files import read_yaml
from scripts._process.hints import nearest

ROOT = Path(__file__).resolve().parents[2]
PARAMS_FILE = "params.yaml"
TOOLCHAIN = "toolchain"
DECIDES_BYTES = ("builder", "version", "configs", "arguments")
"""The keys of a block that determine the bytes of an artifact; the others are about the manifest only."""
UNKNOWN_LICENSE = "unknown"


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
        The version of the dataset that `params.yaml` states; None if it states none, so that the builder decides.
    visibility
        "public" or "private": the remote of its outputs in `dvc.yaml`.
    license
        The license of the data.
    description
        What the data are, if `params.yaml` says so; the builder's own description otherwise.
    configs
        The configs to build, each as an artifact of its own; if empty, one artifact of the builder's default config.
    config_versions
        The version that `params.yaml` gives each config; empty if it gives them none of their own.
    arguments
        Keyword arguments for the builder's class.
    parents
        The datasets that its stage depends on and its builder reads, with the file names of their artifacts.
    toolchain
        The versions of the packages that determine the bytes of an artifact.
    withdrawn
        The commits whose records of the dataset do not count, because they were never released.
    block
        Its block of `params.yaml`, as it is.
    """

    root: Path
    name: str
    builder: str
    version: str | None
    visibility: str
    license: str
    description: str | None
    configs: tuple[str, ...]
    config_versions: dict[str, str]
    arguments: dict[str, Any]
    parents: dict[str, tuple[str, ...]]
    toolchain: dict[str, str]
    withdrawn: tuple[str, ...]
    block: dict[str, Any]

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

    @property
    def statistics(self) -> Path:
        """The path of the statistics."""
        return self.root / ARTIFACTS / f"{self.name}.stats.json"

    @property
    def croissant(self) -> Path:
        """The path of the Croissant description."""
        return self.root / ARTIFACTS / f"{self.name}.croissant.json"

    @property
    def descriptions(self) -> tuple[Path, Path, Path]:
        """The paths of the small outputs, which are committed; a build writes the manifest last."""
        return self.statistics, self.croissant, self.manifest

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
    return _Files.read(root).definition(name)


def read_definitions(*, root: Path = ROOT) -> dict[str, Definition | ScriptError]:
    """Read and check the definitions of all datasets; the value is the error if a definition is wrong.

    Raises
    ------
    ScriptError
        `params.yaml` or `dvc.yaml` cannot be read.
    """
    files = _Files.read(root)
    found: dict[str, Definition | ScriptError] = {}
    for name in files.names:
        try:
            found[name] = files.definition(name)
        except ScriptError as error:
            found[name] = error
    return found


@dataclass(frozen=True)
class _Files:
    """The content of `params.yaml` and `dvc.yaml`.

    Attributes
    ----------
    root
        The repository.
    params
        All of `params.yaml`.
    stages
        The stages of `dvc.yaml`, by name.
    names
        The datasets that `params.yaml` defines, sorted.
    lineage
        What the stages are made from.
    """

    root: Path
    params: dict[str, Any]
    stages: dict[str, Stage]
    names: list[str]
    lineage: Lineage

    @classmethod
    def read(cls, root: Path) -> _Files:
        params, stages = read_yaml(root / PARAMS_FILE), read_stages(root / STAGES_FILE)
        names = _names(params)
        return cls(root, params, stages, names, Lineage.of(root, stages, {name: params[name] for name in names}))

    def definition(self, name: str) -> Definition:
        if name not in self.names:
            raise _no_dataset(name, self.names)
        block = self.params[name]
        if not isinstance(block, dict):
            raise ScriptError(f"params.yaml: the block {name!r} is not a mapping")
        for field in ("builder", "license"):
            if not isinstance(block.get(field), str):
                raise ScriptError(f"params.yaml: the block {name!r} needs {field!r}, a string")
        if block.get("version") is not None:
            check_version(repr(name), block["version"])
        if not isinstance(block.get("description"), str | None):
            raise ScriptError(f"params.yaml: the description of {name!r} must be a string")
        toolchain = self.params.get(TOOLCHAIN)
        if not isinstance(toolchain, dict):
            raise ScriptError(f"params.yaml: the block {TOOLCHAIN!r} is missing")
        if not self.stages.get(name):
            raise ScriptError(f"dvc.yaml has no stage {name!r}, but params.yaml has a block {name!r}")
        if several := {"foreach", "matrix"} & self.stages[name].keys():
            raise ScriptError(
                f"dvc.yaml: the stage {name!r} has {several.pop()!r}, so DVC gives its stages other names; "
                f"write a plain stage {name!r}"
            )
        configs = read_configs(name, block.get("configs"))
        definition = Definition(
            self.root,
            name,
            builder=block["builder"],
            version=block.get("version"),
            visibility=self._visibility(name),
            license=block["license"],
            description=block.get("description"),
            configs=tuple(configs),
            config_versions={config: version for config, version in configs.items() if version is not None},
            arguments=read_arguments(name, block.get("arguments")),
            parents=self.lineage.parents(name),
            toolchain={package: str(version) for package, version in toolchain.items()},
            withdrawn=read_withdrawn(name, block.get("withdrawn")),
            block=block,
        )
        for config in definition.tars:
            check_artifact_name(name, config)
        wanted = {f"{ARTIFACTS}/{tar.name}" for tar in definition.tars.values()}
        if missing := sorted(wanted - output_remotes(self.stages[name]).keys()):
            raise ScriptError(f"dvc.yaml: the stage {name!r} needs the output {missing[0]}, with remote: private")
        self.lineage.check_outputs(name)
        self.lineage.check_public(name)
        return definition

    def _visibility(self, name: str) -> str:
        """The visibility that `dvc.yaml` says, which `params.yaml` does not contradict."""
        visibility = self.lineage.visibility(name)
        if self.params[name].get("visibility", visibility) != visibility:
            raise ScriptError(
                f"params.yaml calls {name} {self.params[name]['visibility']}, but dvc.yaml has remote: {visibility}, "
                f"which decides; remove visibility from params.yaml, and set remote in dvc.yaml"
            )
        return visibility


def built_from_private(names: Iterable[str], *, root: Path = ROOT) -> list[str]:
    """Return what is wrong with the origin of recorded artifacts, a sentence for each public dataset of which it is.

    `dvc.yaml` says what the next build reads; `dvc.lock` says what the recorded artifacts were built from.

    Raises
    ------
    ScriptError
        `params.yaml`, `dvc.yaml` or `dvc.lock` cannot be read.
    """
    lineage, recorded = _Files.read(root).lineage, read_stages(root / LOCK_FILE)
    built = {name: {**lineage.stages.get(name, {}), "deps": recorded_dependencies(recorded[name])} for name in recorded}
    lineage = replace(lineage, stages={**lineage.stages, **built})
    problems = []
    for name in names:
        try:
            lineage.check_public(name)
        except ScriptError as error:
            problems.append(
                f"{name}: its recorded artifacts were built from what {LOCK_FILE} lists: {error}; "
                f"or build them again: make build DATASET={name}"
            )
    return problems


def read_names(*, root: Path = ROOT) -> list[str]:
    """Return the names of all datasets that `params.yaml` defines."""
    return _names(read_yaml(root / PARAMS_FILE))


def check_names(names: Iterable[str], *, root: Path = ROOT) -> None:
    """Check that `params.yaml` defines all of these datasets.

    Raises
    ------
    ScriptError
        It does not define one of them.
    """
    known = read_names(root=root)
    for name in names:
        if name not in known:
            raise _no_dataset(name, known)


def _no_dataset(name: str, known: list[str]) -> ScriptError:
    return ScriptError(f"there is no dataset {name!r} in params.yaml; {nearest(name, known)}")


def _names(params: dict[Any, Any]) -> list[str]:
    return sorted(key for key in params if isinstance(key, str) and key != TOOLCHAIN)
