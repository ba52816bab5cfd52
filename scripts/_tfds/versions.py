"""A builder whose version is not that of `params.yaml`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from scripts._define.definition import PARAMS_FILE, Definition
from scripts._define.versions import builder_version, line_of_version, params_place
from scripts._process.errors import ScriptError


def check_configs(builder_class: Any, definition: Definition) -> None:
    """Check that a builder has the configs of a dataset, with the versions that `params.yaml` states for them.

    Raises
    ------
    ScriptError
        It has not; the message names both places.
    """
    for config in definition.configs:
        stated = builder_version(definition, config)
        found = builder_class.get_builder_config(config, stated)
        if found is None:
            raise ScriptError(
                f"{definition.name}: its builder has no config {config!r}; it has: "
                f"{', '.join(builder_class.builder_configs) or 'none'}"
            )
        own = found.version or builder_class.VERSION
        others = found.supported_versions or builder_class.SUPPORTED_VERSIONS
        if stated is not None and stated not in map(str, (own, *others)):
            raise other_version(builder_class, definition, found, version=str(own), is_listed=True)


def other_version(
    builder_class: Any, definition: Definition, found: Any, *, version: str, is_listed: bool = False
) -> ScriptError:
    """Return the error for a builder that has another version than `params.yaml` states; it names both places.

    Parameters
    ----------
    builder_class
        The class of the builder.
    definition
        The dataset.
    found
        The builder config that has another version; None for a builder without configs.
    version
        Its version.
    is_listed
        Whether `params.yaml` lists the config.
    """
    name, config = definition.name, found.name if found else None
    stated = builder_version(definition, config if is_listed else None)
    keys = ("configs", config) if is_listed and definition.config_versions else ("version",)
    what = f"config {config}" if config else "builder"
    have = (
        f"{params_place(definition, *keys)} says version {stated}, but its {what} has version {version} "
        f"({_place(builder_class, config, definition.root)})"
    )
    if not is_listed:
        return ScriptError(f"{name}: {have}; make the two agree, or leave version out of {PARAMS_FILE}")
    if definition.config_versions:
        return ScriptError(f"{name}: {have}; make the two agree")
    configs = ((each, builder_class.get_builder_config(each)) for each in definition.configs)
    own = (f"{each}: {(found.version if found else None) or builder_class.VERSION}" for each, found in configs)
    return ScriptError(
        f"{name}: {have}; make the two agree, or write into {PARAMS_FILE} what each config has: "
        f"configs: {{{', '.join(own)}}}"
    )


def _place(builder_class: Any, config: str | None, root: Path) -> str:
    """Return the file that states a builder's version, and the line if its source shows one."""
    for each in builder_class.__mro__:
        file = getattr(sys.modules.get(each.__module__), "__file__", None)
        line = line_of_version(Path(file), each.__name__, config=config) if file else None
        if line is not None:
            break
    else:
        file, line = sys.modules[builder_class.__module__].__file__, None
    path = Path(str(file))
    shown = path.relative_to(root) if path.is_relative_to(root) else path
    return f"{shown}:{line}" if line else f"{shown}"
