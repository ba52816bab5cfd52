"""Opening the artifacts of a dataset."""

from __future__ import annotations

from pathlib import Path

from loader._format.artifact import LocalArtifact
from loader._format.manifest import read_manifest
from scripts._define.definition import Definition
from scripts._process.errors import ScriptError


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
    if manifest.version != definition.version:
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
