"""Describing artifacts anew without building them: if nothing that determines their bytes has changed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loader import LoaderError
from scripts._define.artifacts import open_artifact
from scripts._define.definition import DECIDES_BYTES, PARAMS_FILE, TOOLCHAIN, Definition
from scripts._dvc.stages import LOCK_FILE, STAGES_FILE, Stage, outputs, read_stage
from scripts._process.files import hash_file


@dataclass(frozen=True)
class Kept:
    """Artifacts that need not be built.

    Attributes
    ----------
    manifest
        Their manifest, with the license and the description that the definition has now.
    statistics
        Their statistics, None if these have to be computed.
    """

    manifest: dict[str, Any]
    statistics: dict[str, Any] | None


def kept_artifacts(definition: Definition) -> Kept | None:
    """Return what describes a dataset's recorded artifacts now; None if the dataset must be built.

    It need not be built if everything that determines bytes is as `dvc.lock` records it, and something else is not: the
    license, the description, or one of the small files that describe the artifacts, which an older version of this
    project did not write. The artifacts, which DVC has removed to run the stage, are put back.

    Raises
    ------
    ScriptError
        `dvc.lock` cannot be read, or DVC fails.
    """
    root, name = definition.root, definition.name
    if not (root / LOCK_FILE).exists():
        return None
    stage = read_stage(root / LOCK_FILE, name)
    params = _recorded_params(stage)
    before, now = params.get(name), definition.block
    if not isinstance(before, dict) or _decisive(before) != _decisive(now):
        return None
    if params.get(TOOLCHAIN) != definition.toolchain or not _is_recorded(definition.manifest, definition, stage):
        return None
    listed = outputs(read_stage(root / STAGES_FILE, name))
    described = [path for path in definition.descriptions if path.relative_to(root).as_posix() in listed]
    if before == now and all(_is_recorded(path, definition, stage) for path in described):
        return None  # all is as it was, so that DVC was told to build it again
    from scripts._dvc.recorded import dependencies_changed, restore_outputs

    if dependencies_changed(root, name):
        return None
    restore_outputs(root, name)
    if not all(tar.exists() for tar in definition.tars.values()):
        return None
    try:
        artifacts = [open_artifact(definition, config=config) for config in definition.tars]
        infos = [json.loads(artifact.read_file("dataset_info.json")) for artifact in artifacts]
    except LoaderError:
        return None  # an artifact is not the recorded one
    manifest = {
        **artifacts[0].manifest.raw,
        "license": definition.license,
        "description": definition.description or infos[0].get("description", "").strip(),
    }
    has_statistics = _is_recorded(definition.statistics, definition, stage)
    return Kept(manifest, json.loads(definition.statistics.read_bytes()) if has_statistics else None)


def _recorded_params(stage: Stage) -> dict[str, Any]:
    params = (stage.get("params") or {}).get(PARAMS_FILE)
    return params if isinstance(params, dict) else {}


def _decisive(block: dict[str, Any]) -> dict[str, Any]:
    return {key: block.get(key) for key in DECIDES_BYTES}


def _is_recorded(path: Path, definition: Definition, stage: Stage) -> bool:
    """Return whether a small output is here, and as `dvc.lock` records it."""
    relative = path.relative_to(definition.root).as_posix()
    recorded = [out.get("md5") for out in stage.get("outs") or () if out.get("path") == relative]
    return path.exists() and recorded == [hash_file(path, "md5")]
