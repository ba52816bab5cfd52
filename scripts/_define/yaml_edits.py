"""Adding an entry to a YAML file and removing one, without changing any other byte.

`dvc stage add` rewrites the whole file: the indentation, line breaks and quotes of all stages change. This module
edits the lines that the parser reports, parses the result, and accepts it only if it has exactly the expected content.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts._dvc.order import predecessor
from scripts._process.errors import ScriptError

INDENT = 2


@dataclass(frozen=True)
class Span:
    """The lines of an entry: from its key to the next entry, or to the end of the mapping."""

    name: str
    start: int
    stop: int
    indent: int


def add_entry(text: str, name: str, value: Any, *, under: str | None = None, path: Path, as_item: bool = False) -> str:
    """Return a YAML text with an entry added by name, and a blank line between it and the others.

    It goes after the entry before it in alphabetical order, or before all others; the toolchain stays the first.
    Comments directly above an entry stay with it. So the entries that two branches add are merged without a conflict,
    unless they go after the same entry.

    Parameters
    ----------
    text
        A mapping in YAML.
    name, value
        The entry.
    under
        The key of the mapping to add it to; the top-level mapping by default.
    path
        The file that has the text, for messages.
    as_item
        Whether `under` is a list of mappings with one entry each, to which such a mapping is added.

    Raises
    ------
    ScriptError
        The layout of the file does not allow adding lines.
    """
    expected = parse(text, path)
    lines = split_lines(text)
    spans = find_spans(text, under)
    names = [span.name for span in spans]
    before = predecessor(name, names)
    place = names.index(before) + 1 if before is not None else 0
    if under is None:
        expected[name] = value
    elif as_item:
        items = list(expected.get(under) or ())
        expected[under] = [*items[:place], {name: value}, *items[place:]]
    else:
        expected[under] = {**(expected.get(under) or {}), name: value}
    if spans:
        indent = spans[0].indent
        new, blank = _dump(name, value, indent, as_item), () if as_item else ("\n",)
        if place == 0:
            start = _own_comments(lines, spans[0].start, indent)
            lines[start:start] = [*new, *blank]
        else:
            if place < len(spans):
                end = content_stop(lines, spans[place].start, indent)  # the comments above the next entry stay with it
            elif under is None:
                end = len(lines)
            else:
                # comments with the last entry's indentation, such as a stage commented out, stay above the new entry
                end = content_stop(lines, spans[-1].stop, indent - 1)
            lines[end:end] = [*blank, *new]
    elif under is None:
        lines += ["\n" if lines else "", *_dump(name, value, 0)]
    else:
        opening = next((n for n, line in enumerate(lines) if line.startswith(f"{under}:")), len(lines))
        lines[opening : opening + 1] = [f"{under}:\n", *_dump(name, value, INDENT, as_item)]
    return _checked("".join(lines), expected, path, f"{name!r} cannot be added by editing lines")


def remove_entry(text: str, name: str, *, under: str | None = None, path: Path) -> str:
    """Return a YAML text without an entry, its comments and the blank line before it.

    Comment lines directly above the key belong to the entry, unless they are the first lines of the file.

    Parameters
    ----------
    text
        A mapping in YAML.
    name
        The entry, which must exist.
    under
        The key of the mapping that holds it, or of a list of mappings with one entry each, which is removed with its
        last one; the top-level mapping by default.
    path
        The file that has the text, for messages.

    Raises
    ------
    ScriptError
        The layout of the file does not allow removing lines, or another entry refers to an anchor of this one.
    """
    expected = parse(text, path)
    inside: Any = expected if under is None else expected[under]
    is_list = isinstance(inside, list)
    del inside[next(n for n, item in enumerate(inside) if name in item) if is_list else name]
    if under is not None and is_list and not inside:
        del expected[under]
    lines = split_lines(text)
    spans = find_spans(text, under)
    for span in spans:
        if span.name == name:
            start = _own_comments(lines, span.start, span.indent)
            stop = content_stop(lines, span.stop, span.indent)
            if start and not lines[start - 1].strip():
                start -= 1
            elif stop < len(lines) and not lines[stop].strip():
                stop += 1
            del lines[start:stop]
    if under is not None and len(spans) == 1:
        nothing = [] if is_list else [f"{under}: {{}}\n"]
        lines = [new for line in lines for new in (nothing if line.startswith(f"{under}:") else [line])]
    rest = "".join(lines)
    rest = rest if text.endswith("\n") else rest.removesuffix("\n")
    return _checked(rest, expected, path, f"{name!r} cannot be removed by editing lines")


def add_dependency(text: str, stage: str, dependency: str, *, path: Path) -> str:
    """Return the text of a `dvc.yaml` in which a stage depends on one more path, as the last of its `deps`.

    Parameters
    ----------
    text
        The content of `dvc.yaml`.
    stage
        The stage, which must exist.
    dependency
        The path.
    path
        The file that has the text, for messages.

    Raises
    ------
    ScriptError
        The layout of the file does not allow adding lines.
    """
    expected = parse(text, path)
    deps = expected["stages"][stage]["deps"] = [*(expected["stages"][stage].get("deps") or ()), dependency]
    lines = split_lines(text)
    inside = find_spans(text, "stages", stage)
    before = next((span for name in ("deps", "cmd") for span in inside if span.name == name), None)
    if before is not None:
        end = content_stop(lines, before.stop, before.indent)
        new = _dump("deps", deps, before.indent)
        if before.name == "cmd":
            lines[end:end] = new
        elif end - before.start > 1:  # a line for each
            item = lines[before.start + 1]
            lines[end:end] = [item[: len(item) - len(item.lstrip())] + new[-1].lstrip()]
        else:
            lines[before.start : end] = new
    return _checked("".join(lines), expected, path, f"{dependency} cannot be added to the deps of {stage!r}")


def split_lines(text: str) -> list[str]:
    """Return the lines, each with a line ending."""
    lines = [f"{line}\n" for line in text.split("\n")]
    return lines[:-1] if lines[-1] == "\n" else lines


def find_spans(text: str, *under: str | None) -> list[Span]:
    """Return the lines of each entry of a mapping, also of an inner one; an empty list if it is missing or empty.

    Parameters
    ----------
    text
        A mapping in YAML.
    under
        The keys that lead to the mapping; the top-level mapping if there is none, or it is None.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.nodes import MappingNode, SequenceNode

    node, stop = YAML(typ="safe", pure=True).compose(io.StringIO(text)), len(split_lines(text))
    for name in filter(None, under):
        if not isinstance(node, MappingNode):
            return []
        starts = [key.start_mark.line for key, _ in node.value]
        place = next((n for n, (key, _) in enumerate(node.value) if key.value == name), None)
        stop = ([*starts, stop])[place + 1] if place is not None else stop
        node = None if place is None else node.value[place][1]
    if not isinstance(node, MappingNode | SequenceNode) or not node.value:
        return []
    if isinstance(node, SequenceNode):  # of mappings with one entry each; `text` in the list would be an item too
        keys = [item.value[0][0] if isinstance(item, MappingNode) else item for item in node.value]
    else:
        keys = [key for key, _ in node.value]
    stops = [*(key.start_mark.line for key in keys[1:]), stop]
    column = node.start_mark.column
    return [Span(str(key.value), key.start_mark.line, end, column) for key, end in zip(keys, stops, strict=True)]


def _own_comments(lines: list[str], start: int, indent: int) -> int:
    """Move the start of an entry up over its comments: those directly above, unless they are the file's first lines."""
    first = start
    while first and lines[first - 1].startswith(" " * indent + "#"):
        first -= 1
    return first or start


def content_stop(lines: list[str], stop: int, indent: int) -> int:
    """Move `stop` back over blank lines and comments that are indented by at most `indent`."""
    while stop:
        line = lines[stop - 1]
        content = line.lstrip(" ")
        if content.strip() and not (content.startswith("#") and len(line) - len(content) <= indent):
            break
        stop -= 1
    return stop


def _dump(name: str, value: Any, indent: int, as_item: bool = False) -> list[str]:
    """Return the lines of an entry, or of an item of a list, in the layout of this repository's files."""
    from ruamel.yaml import YAML
    from ruamel.yaml.emitter import RoundTripEmitter

    class _Emitter(RoundTripEmitter):
        MAX_SIMPLE_KEY_LENGTH = (
            1024  # as in YAML; a longer name than ruamel's 128 would be written with a question mark
        )

    yaml = YAML()
    yaml.Emitter = _Emitter
    yaml.width = 1 << 20  # never wrap a string
    yaml.indent(mapping=INDENT, sequence=2 * INDENT, offset=INDENT)
    out = io.StringIO()
    yaml.dump([{name: value}] if as_item else {name: value}, out)
    if as_item:
        indent -= INDENT  # which ruamel puts before an item
    return [" " * indent + line for line in split_lines(out.getvalue())]


def parse(text: str, path: Path) -> dict[str, Any]:
    """Return the mapping in a YAML text.

    Raises
    ------
    ScriptError
        It is not valid YAML, or not a mapping.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        content = YAML(typ="safe", pure=True).load(text) or {}
    except YAMLError as error:
        raise ScriptError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise ScriptError(f"{path} is not a mapping")
    return content


def _checked(text: str, expected: dict[str, Any], path: Path, problem: str) -> str:
    try:
        is_expected = parse(text, path) == expected
    except ScriptError:
        is_expected = False
    if not is_expected:
        raise ScriptError(f"{path}: {problem}; edit it by hand, it is unchanged")
    return text
