"""The version of a dataset: what `params.yaml` and the builder's source say of it, and where.

A block without a version leaves it to the builder. Configs may have versions of their own; the dataset then has the
version of its block, or else the highest of its configs.
"""

from __future__ import annotations

import ast
import io
from collections.abc import Iterable
from pathlib import Path

from loader._format.names import version_order
from scripts._define.definition import PARAMS_FILE, Definition


def builder_version(definition: Definition, config: str | None) -> str | None:
    """Return the version that the builder of a config must have, None if it is the builder that decides."""
    return definition.config_versions.get(config or "") if definition.config_versions else definition.version


def highest(versions: Iterable[str]) -> str:
    """Return the highest of some versions like "1.10.0"."""
    return max(versions, key=version_order)


def raise_version(definition: Definition) -> str:
    """Return what to do so that other bytes of a dataset get another version, in the imperative."""
    if definition.config_versions:
        return f"give the dataset a higher version in {PARAMS_FILE}, beside those of its configs"
    if definition.version is None:
        return "raise the version in the builder" + (", the highest of its configs" if definition.configs else "")
    return f"raise the version in {PARAMS_FILE} and in the builder"


def params_place(definition: Definition, *keys: str) -> str:
    """Return the file and line of a value in a dataset's block, such as "params.yaml:31"; the first key that it has."""
    from ruamel.yaml import YAML
    from ruamel.yaml.nodes import MappingNode

    text = (definition.root / PARAMS_FILE).read_text(encoding="utf-8")
    node = YAML(typ="safe", pure=True).compose(io.StringIO(text))
    for wanted in (definition.name, *keys):
        inside = {key.value: (key, value) for key, value in node.value} if isinstance(node, MappingNode) else {}
        if wanted not in inside:
            break
        key, node = inside[wanted]
        line = key.start_mark.line + 1
    return f"{PARAMS_FILE}:{line}"


def line_of_version(path: Path, class_name: str, *, config: str | None = None) -> int | None:
    """Return the line of a builder's source that states its version, or that of one of its configs.

    The source is read, not run. None if it states none in the usual form: `VERSION = ...` in the class, or a call
    with a literal `name=` and a `version=` for a config.
    """
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None
    if config is not None:
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            given = {keyword.arg: keyword.value for keyword in call.keywords}
            name = given.get("name")
            if isinstance(name, ast.Constant) and name.value == config and "version" in given:
                return given["version"].lineno
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.name == class_name:
            for statement in node.body:
                targets = getattr(statement, "targets", None) or [getattr(statement, "target", None)]
                if any(isinstance(target, ast.Name) and target.id == "VERSION" for target in targets):
                    return statement.lineno
    return None
