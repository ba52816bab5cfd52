"""The values in a dataset's block of `params.yaml`; each function raises a ScriptError that names what is wrong."""

from __future__ import annotations

import json
import re
from typing import Any

from scripts._process.errors import ScriptError

CONFIG_NAME = re.compile(r"\w[\w.-]{0,99}")


def read_configs(name: str, configs: Any) -> tuple[str, ...]:
    """Return the configs that a block lists."""
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
