"""What a dataset's files say once it has another name: the pure changes of texts that renaming makes."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from loader._format.names import ARTIFACTS, tar_name
from scripts._define.artifact_entries import ENTRIES_KEY, artifact_names
from scripts._define.yaml_edits import parse
from scripts._dvc.stages import STAGES_KEY
from scripts._process.errors import ScriptError

Place = tuple[str | int, ...]
"""Where a string is in a YAML document: the keys and numbers that lead to it."""

Renamed = Callable[[str, Place, bool], str]
"""Returns what a string becomes: given the string, its place, and whether it is a key."""


def rename_in_yaml(text: str, path: Path, renamed: Renamed) -> str:
    """Return a YAML text with some strings replaced, and every other byte as it is.

    Parameters
    ----------
    text
        A mapping in YAML.
    path
        The file that has the text, for messages.
    renamed
        What each string becomes.

    Raises
    ------
    ScriptError
        The layout of the file does not allow it.
    """
    from ruamel.yaml import YAML

    changes: dict[tuple[int, int], str] = {}
    _collect(YAML(typ="safe", pure=True).compose(io.StringIO(text)), (), renamed, changes)
    result = text
    for (start, stop), new in sorted(changes.items(), reverse=True):
        quote = text[start] if text[start] in "'\"" else ""
        result = f"{result[:start]}{quote}{new}{quote}{result[stop:]}"
    try:
        is_expected = parse(result, path) == _replaced(parse(text, path), (), renamed)
    except ScriptError:
        is_expected = False
    if not is_expected:
        raise ScriptError(f"{path}: the dataset cannot be renamed by editing strings; edit it by hand, it is unchanged")
    return result


def _collect(node: Any, place: Place, renamed: Renamed, changes: dict[tuple[int, int], str]) -> None:
    from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

    def note(scalar: Any, *, is_key: bool) -> None:
        if isinstance(scalar, ScalarNode) and (new := renamed(scalar.value, place, is_key)) != scalar.value:
            changes[scalar.start_mark.index, scalar.end_mark.index] = new

    if isinstance(node, MappingNode):
        for key, value in node.value:
            note(key, is_key=True)
            _collect(value, (*place, str(key.value)), renamed, changes)
    elif isinstance(node, SequenceNode):
        for number, item in enumerate(node.value):
            _collect(item, (*place, number), renamed, changes)
    else:
        note(node, is_key=False)


def _replaced(value: Any, place: Place, renamed: Renamed) -> Any:
    if isinstance(value, dict):
        return {
            renamed(key, place, True) if isinstance(key, str) else key: _replaced(item, (*place, str(key)), renamed)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_replaced(item, (*place, number), renamed) for number, item in enumerate(value)]
    return renamed(value, place, False) if isinstance(value, str) else value


def in_params(old: str, new: str) -> Renamed:
    """Return what the strings of `params.yaml` become: the key of the block, and the path of the builder in it."""

    def renamed(value: str, place: Place, is_key: bool) -> str:
        if is_key:
            return new if (place, value) == ((), old) else value
        return _with_path(value, old, new) if place[:1] == (old,) else value

    return renamed


def in_stages(old: str, new: str, configs: Sequence[str]) -> Renamed:
    """Return what the strings of `dvc.yaml` become: the stage, its outputs, and the dependencies of other stages."""
    tars = {f"{ARTIFACTS}/{tar_name(old, each)}": f"{ARTIFACTS}/{tar_name(new, each)}" for each in configs or (None,)}
    entries = dict(zip(artifact_names(old, configs).values(), artifact_names(new, configs).values(), strict=True))

    def renamed(value: str, place: Place, is_key: bool) -> str:
        if is_key and place == (STAGES_KEY,):
            return new if value == old else value
        if is_key and place == (ENTRIES_KEY,):
            return entries.get(value, value)
        if is_key and place[:1] == ("plots",) and len(place) == 2:
            return new if value == old else value
        if place[:2] == (STAGES_KEY, old) and place[2:3] == ("cmd",):
            return " ".join(new if word == old else word for word in value.split(" "))
        if place[:2] == (STAGES_KEY, old) and place[2:3] == ("params",):
            return new if value == old else re.sub(rf"^{re.escape(old)}(?=\.)", new, value)
        return tars.get(value) or _with_path(value, old, new)

    return renamed


def in_tracked(old: str, new: str) -> Renamed:
    """Return what the strings of `sources/<name>.dvc` become: the paths of the files."""
    return lambda value, place, is_key: (
        re.sub(rf"^{re.escape(old)}(?=/|$)", new, value) if place[-1:] == ("path",) and not is_key else value
    )


def _with_path(value: str, old: str, new: str) -> str:
    """Return a path with another name if it is in the dataset's folders, or one of the files that describe it."""
    name = re.escape(old)
    value = re.sub(rf"^((?:datasets/[^/]+|sources)/){name}(?=/|$)", rf"\g<1>{new}", value)
    return re.sub(rf"^({ARTIFACTS}/){name}(?=(\.stats|\.croissant)?\.json$)", rf"\g<1>{new}", value)


def rename_builder(source: str, old: str, new: str, label: str) -> str:
    """Return the source of a builder whose dataset has another name: its class, or the `name` that it states.

    Parameters
    ----------
    source
        The Python code.
    old, new
        The names of the dataset.
    label
        The file, for messages.

    Raises
    ------
    ScriptError
        It has no class with the name in the usual form.
    """
    try:
        classes = [node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]
    except (SyntaxError, ValueError) as error:
        raise ScriptError(f"{label} is not valid Python: {error}") from error
    for each in classes:
        for statement in each.body:
            stated = _stated_name(statement)
            if stated is not None and stated.value == old:
                return _with_string(source, stated, new)
    if any(_snake_case(each.name) == old for each in classes):
        camel = "".join(word.capitalize() for word in new.split("_"))
        # TFDS takes the name of a class called Builder from its module
        target = camel if _snake_case(camel) == new else "Builder"
        return _with_identifiers(source, {each.name: target for each in classes if _snake_case(each.name) == old})
    if any(each.name == "Builder" for each in classes):
        return source
    raise ScriptError(
        f"{label} has no class whose name gives {old}, and none called Builder; rename the builder by hand: its class, "
        f"file and folder, and {old} in params.yaml and dvc.yaml"
    )


def _stated_name(statement: ast.stmt) -> ast.Constant | None:
    """Return the string in a statement like `name = "mnist"`."""
    targets = getattr(statement, "targets", None) or [getattr(statement, "target", None)]
    value = getattr(statement, "value", None)
    if any(isinstance(target, ast.Name) and target.id == "name" for target in targets):
        return value if isinstance(value, ast.Constant) else None
    return None


def _with_string(source: str, node: ast.Constant, new: str) -> str:
    lines = source.splitlines(keepends=True)
    line = lines[node.lineno - 1].encode()
    lines[node.lineno - 1] = (line[: node.col_offset] + f'"{new}"'.encode() + line[node.end_col_offset :]).decode()
    return "".join(lines)


def _with_identifiers(source: str, names: dict[str, str]) -> str:
    lines = source.splitlines(keepends=True)
    found = [token for token in tokenize.generate_tokens(io.StringIO(source).readline) if token.string in names]
    for token in sorted(found, key=lambda token: token.start, reverse=True):
        if token.type == tokenize.NAME:
            row, start = token.start
            line = lines[row - 1]
            lines[row - 1] = line[:start] + names[token.string] + line[token.end[1] :]
    return "".join(lines)


def _snake_case(name: str) -> str:
    """Return the name that TFDS derives from that of a class."""
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z0-9])([A-Z])", r"\1_\2", name).lower()
