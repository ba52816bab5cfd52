"""Reading `dvc.yaml`, `dvc.lock` and `.dvc` files."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts._process.errors import ScriptError
from scripts._process.files import read_yaml

STAGES_FILE, LOCK_FILE = "dvc.yaml", "dvc.lock"
STAGES_KEY = "stages"

Stage = dict[str, Any]


def read_stages(path: Path) -> dict[str, Stage]:
    """Return the stages of a `dvc.yaml` or `dvc.lock`, by name; a name without content has an empty stage.

    Raises
    ------
    ScriptError
        The file is missing, or does not have DVC's format.
    """
    stages = read_yaml(path).get(STAGES_KEY) or {}
    if not isinstance(stages, dict):
        raise ScriptError(f"{path} does not have DVC's format: {STAGES_KEY!r} must be a mapping")
    for name, stage in stages.items():
        if not isinstance(stage or {}, dict) or not all(
            isinstance(stage.get(key) or [], list) for key in ("deps", "outs") if stage
        ):
            raise ScriptError(
                f"{name}: {path} does not have DVC's format: a stage must be a mapping with lists as 'deps' and 'outs'"
            )
    return {str(name): stage or {} for name, stage in stages.items()}


def check_stages(path: Path) -> None:
    """Check a `dvc.yaml` against DVC's own description of its format, before DVC does, which prints many lines.

    Raises
    ------
    ScriptError
        The file is missing, or does not have DVC's format; the message names the first wrong place.
    """
    from dvc.schema import COMPILED_MULTI_STAGE_SCHEMA
    from voluptuous import MultipleInvalid

    try:
        COMPILED_MULTI_STAGE_SCHEMA(read_yaml(path))
    except MultipleInvalid as error:
        first = error.errors[0]
        place = ".".join(map(str, first.path))
        raise ScriptError(f"{path} does not have DVC's format: at {place}: {first.msg}") from error


def read_stage(path: Path, name: str) -> Stage:
    """Return one stage, an empty one if it does not exist; errors as for `read_stages`."""
    return read_stages(path).get(name, {})


def dependencies(stage: Stage) -> list[str]:
    """Return the paths that a stage of `dvc.yaml` depends on, normalized (`./a` is `a`) and without options."""
    paths = (path for dep in stage.get("deps") or () for path in (dep if isinstance(dep, dict) else (dep,)))
    return [posixpath.normpath(str(path)) for path in paths]


def recorded_dependencies(stage: Stage) -> list[str]:
    """Return the paths that a stage of `dvc.lock` depended on when it ran."""
    return [str(dep["path"]) for dep in stage.get("deps") or () if isinstance(dep, dict) and "path" in dep]


def output_remotes(stage: Stage) -> dict[str, str | None]:
    """Return the remote of each output of a stage of `dvc.yaml`, None for an output that names none.

    Outputs that git keeps instead of DVC (`cache: false`) are left out.

    Raises
    ------
    ScriptError
        The remote of an output has no value.
    """
    remotes = {}
    for out in stage.get("outs") or ():
        for path, options in out.items() if isinstance(out, dict) else [(out, None)]:
            options = options if isinstance(options, dict) else {}
            remote = options.get("remote")
            if remote is None and "remote" in options:
                raise ScriptError(
                    f"{STAGES_FILE} does not have DVC's format: the remote of the output {path} must be a name, as in "
                    f"remote: private"
                )
            if options.get("cache", True):
                remotes[path] = remote if remote is None else str(remote)
    return remotes


def outputs(stage: Stage) -> set[str]:
    """Return the paths of all outputs of a stage of `dvc.yaml`, metrics and plots included."""
    outs = [*(stage.get("outs") or ()), *(stage.get("metrics") or ()), *(stage.get("plots") or ())]
    return {str(path) for out in outs for path in (out if isinstance(out, dict) else (out,))}


def recorded_output(root: Path, name: str, path: Path) -> dict[str, Any]:
    """Return the record of an output of stage `name` in `dvc.lock`, with its `md5` and `size`.

    Raises
    ------
    ScriptError
        `dvc.lock` has no record of it, or does not have DVC's format.
    """
    relative = path.relative_to(root).as_posix()
    for out in read_stage(root / LOCK_FILE, name).get("outs") or ():
        if isinstance(out, dict) and out.get("path") == relative:
            return out
    raise ScriptError(f"{LOCK_FILE} does not record {relative}; build it with: make build DATASET={name}")


@dataclass(frozen=True)
class TrackedFile:
    """A file that a `.dvc` file records: its md5 (hex), its size in bytes, and the remote that it belongs to."""

    md5: str
    size: int
    remote: str | None


def read_tracked(record: Path) -> dict[str, TrackedFile]:
    """Return the files that a `.dvc` file records, by path relative to its folder.

    Raises
    ------
    ScriptError
        The file does not have DVC's format.
    """
    try:
        return {
            str(out["path"]): TrackedFile(str(out["md5"]), int(out["size"]), out.get("remote"))
            for out in read_yaml(record)["outs"]
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ScriptError(f"{record} does not have DVC's format: {error!r}") from error
