"""Opening the artifacts of a dataset."""

from __future__ import annotations

from pathlib import Path

from loader._format.artifact import LocalArtifact
from loader._format.manifest import read_manifest
from scripts._define.definition import Definition, read_definition
from scripts._define.several import NothingToDoError
from scripts._dvc.stages import LOCK_FILE, read_stage
from scripts._process.errors import ScriptError


def read_built(name: str, *, root: Path) -> Definition:
    """Read and check the definition of a dataset that was built: `dvc.lock` records it, or it has a manifest.

    Raises
    ------
    NothingToDoError
        It was never built.
    ScriptError
        The dataset does not exist, its definition is wrong, or `dvc.lock` cannot be read.
    """
    definition = read_definition(name, root=root)
    lock = root / LOCK_FILE
    if not definition.manifest.exists() and not (lock.exists() and read_stage(lock, name)):
        raise NothingToDoError(f"{name}: it was never built; build it with: make build DATASET={name}")
    return definition


def open_artifact(definition: Definition, *, config: str | None = None, folder: Path | None = None) -> LocalArtifact:
    """Open the artifact of a config in `folder` (`artifacts/` by default), with the manifest next to it.

    Raises
    ------
    ScriptError
        The artifact is missing, or it has another version than params.yaml.
    ManifestError
        The manifest is missing or invalid.
    """
    folder = folder or definition.manifest.parent
    manifest = read_manifest(folder / definition.manifest.name)
    entry = manifest.artifact(config)
    path = folder / entry.filename
    if definition.version not in (None, manifest.version):
        raise ScriptError(
            f"{definition.name}: params.yaml says version {definition.version}, but {manifest.label} has "
            f"{manifest.version}; build it with: make build DATASET={definition.name}"
        )
    if not path.exists():
        raise ScriptError(
            f"{definition.name}: {path} is missing; get it with: make pull DATASET={definition.name}, "
            f"or build it with: make build DATASET={definition.name}"
        )
    return LocalArtifact(path, manifest, entry)
