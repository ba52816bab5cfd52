"""Changing a manifest without building: if nothing that determines the bytes of a dataset has changed."""

from __future__ import annotations

import json
from typing import Any

from loader._format.manifest import read_manifest
from scripts._define.artifacts import open_artifact
from scripts._define.definition import DECIDES_BYTES, PARAMS_FILE, TOOLCHAIN, Definition
from scripts._dvc.stages import LOCK_FILE, Stage, read_stage
from scripts._process.errors import ScriptError
from scripts._process.files import hash_file


def updated_manifest(definition: Definition) -> dict[str, Any] | None:
    """Return the manifest with a definition's new license and description; None if the dataset must be built.

    It need not be built if its block of `params.yaml` has changed, but only in keys that do not determine bytes, and
    everything else is as `dvc.lock` records it. Its artifacts, which DVC has removed to run the stage, are put back.

    Raises
    ------
    ScriptError
        `dvc.lock` cannot be read, or DVC fails.
    """
    root, name = definition.root, definition.name
    if not (root / LOCK_FILE).exists():
        return None
    stage = read_stage(root / LOCK_FILE, name)
    recorded = _recorded_params(stage)
    before, now = recorded.get(name), definition.block
    if not isinstance(before, dict) or before == now or _decisive(before) != _decisive(now):
        return None
    if recorded.get(TOOLCHAIN) != definition.toolchain or not _manifest_is_recorded(definition, stage):
        return None
    from scripts._dvc.recorded import dependencies_changed, restore_outputs

    if dependencies_changed(root, name):
        return None
    restore_outputs(root, name)
    if not all(tar.exists() for tar in definition.tars.values()):
        return None
    artifacts = [open_artifact(definition, config=config) for config in definition.tars]
    own_description = json.loads(artifacts[0].read_file("dataset_info.json")).get("description", "").strip()
    return {
        **artifacts[0].manifest.raw,
        "license": definition.license,
        "description": definition.description or own_description,
    }


def _recorded_params(stage: Stage) -> dict[str, Any]:
    params = (stage.get("params") or {}).get(PARAMS_FILE)
    return params if isinstance(params, dict) else {}


def _decisive(block: dict[str, Any]) -> dict[str, Any]:
    return {key: block.get(key) for key in DECIDES_BYTES}


def _manifest_is_recorded(definition: Definition, stage: Stage) -> bool:
    path = definition.manifest
    recorded = [out for out in stage.get("outs") or () if str(out.get("path")).endswith(f"/{path.name}")]
    return path.exists() and [out.get("md5") for out in recorded] == [hash_file(path, "md5")]
