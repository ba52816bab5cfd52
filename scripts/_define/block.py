"""The values in a dataset's block of `params.yaml`; each function raises a ScriptError that names what is wrong."""

from __future__ import annotations

import json
import re
from typing import Any

from loader._format.names import MAX_FILENAME, tar_name
from scripts._process.errors import ScriptError

CONFIG_NAME = re.compile(r"\w[\w.-]{0,99}")
_VERSION = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*)){2}")  # as for TFDS


def read_configs(name: str, configs: Any) -> dict[str, str | None]:
    """Return the configs of a block, each with the version that the block gives it, None if it gives it none."""
    if configs is None:
        return {}
    if not isinstance(configs, list | dict) or not configs:
        raise ScriptError(
            f"params.yaml: the configs of {name!r} must be a list of names, like [a, b], or names with a version each, "
            f"like {{a: 1.0.0, b: 2.0.0}}, not {configs!r}"
        )
    for config in configs:
        if not isinstance(config, str) or not CONFIG_NAME.fullmatch(config):
            raise ScriptError(
                f"params.yaml: {name!r} has the config {config!r}; a config becomes part of a file name, "
                f"so it must be a string of letters, digits, '_', '-' and '.'"
            )
    if isinstance(configs, dict):
        for config, version in configs.items():
            check_version(f"the config {config} of {name!r}", version)
        return dict(configs)
    if len(set(configs)) != len(configs):
        raise ScriptError(f"params.yaml: {name!r} lists a config twice: {', '.join(configs)}")
    return dict.fromkeys(configs)


def check_version(of: str, version: Any) -> None:
    """Check a version in a block; `of` says whose it is."""
    if not isinstance(version, str) or not _VERSION.fullmatch(version):
        raise ScriptError(f"params.yaml: the version of {of} must be a string like 1.0.0, not {version!r}")


def check_artifact_name(name: str, config: str | None) -> None:
    """Check that the file name of an artifact is possible.

    Raises
    ------
    ScriptError
        It is too long.
    """
    if len(filename := tar_name(name, config)) > MAX_FILENAME:
        raise ScriptError(
            f"params.yaml: the artifact {filename[:60]}... of {name[:20]}... would have a file name of {len(filename)} "
            f"characters, and at most {MAX_FILENAME} work: shorten the name of the dataset or of its config"
        )


def read_withdrawn(name: str, commits: Any) -> tuple[str, ...]:
    """Return the commits that a block declares withdrawn."""
    if commits is None:
        return ()
    if not isinstance(commits, list) or not all(re.fullmatch("[0-9a-f]{7,64}", str(commit)) for commit in commits):
        raise ScriptError(f"params.yaml: {name!r} must list the withdrawn commits by their hashes, quoted")
    return tuple(map(str, commits))


def read_arguments(name: str, arguments: Any) -> dict[str, Any]:
    """Return the arguments that a block gives the builder."""
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
