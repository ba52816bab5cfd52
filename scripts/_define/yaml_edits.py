"""Adding an entry to a YAML file and taking one out, every other byte kept.

`dvc stage add` writes the whole file anew: the indentation, line breaks and quotes of all stages change. So the text
itself is edited here, at the lines that the parser names, and the outcome is parsed again: an edit counts only if it
says exactly what it should.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts._process.errors import ScriptError

INDENT = 2


@dataclass(frozen=True)
class _Span:
    """An entry's lines: from that of its key up to that of the next entry, or to the end of the mapping."""

    name: str
    start: int
    stop: int
    indent: int


def add_entry(text: str, name: str, value: Any, *, under: str | None = None, path: Path) -> str:
    """Return a YAML text with an entry added after the last one, a blank line before it.

    Parameters
    ----------
    text
        A mapping in YAML.
    name, value
        The entry.
    under
        The key of the mapping inside `text` that it goes into; `text` itself by default.
    path
        The file that `text` is of, for messages.

    Raises
    ------
    ScriptError
        The file is written in a way that nothing can be added to line by line.
    """
    expected = _parse(text, path)
    if under is None:
        expected[name] = value
    else:
        expected[under] = {**(expected.get(under) or {}), name: value}
    lines = _lines(text)
    spans = _spans(text, under)
    if spans:
        indent = spans[-1].indent
        # comments of the last entry's indentation stay above what is added: a stage commented out, say
        end = len(lines) if under is None else _content_stop(lines, spans[-1].stop, indent - 1)
        lines[end:end] = ["\n", *_dump(name, value, indent)]
    elif under is None:
        lines += ["\n" if lines else "", *_dump(name, value, 0)]
    else:
        opening = next((n for n, line in enumerate(lines) if line.startswith(f"{under}:")), len(lines))
        lines[opening : opening + 1] = [f"{under}:\n", *_dump(name, value, INDENT)]
    return _proved("".join(lines), expected, path, f"{name!r} cannot be added to it line by line")


def remove_entry(text: str, name: str, *, under: str | None = None, path: Path) -> str:
    """Return a YAML text without an entry, its comments and the blank line before it.

    The comment lines directly above the key are its own, unless they are the first of the file.

    Parameters
    ----------
    text
        A mapping in YAML.
    name
        The entry, which is there.
    under
        The key of the mapping inside `text` that holds it; `text` itself by default.
    path
        The file that `text` is of, for messages.

    Raises
    ------
    ScriptError
        The file is written in a way that nothing can be removed from line by line, or another entry needs this one's
        anchor.
    """
    expected = _parse(text, path)
    del (expected if under is None else expected[under])[name]
    lines = _lines(text)
    spans = _spans(text, under)
    for span in spans:
        if span.name == name:
            start, stop = span.start, _content_stop(lines, span.stop, span.indent)
            while start and lines[start - 1].startswith(" " * span.indent + "#"):
                start -= 1
            start = start or span.start
            if start and not lines[start - 1].strip():
                start -= 1
            elif stop < len(lines) and not lines[stop].strip():
                stop += 1
            del lines[start:stop]
    if under is not None and len(spans) == 1:
        lines = [f"{under}: {{}}\n" if line.startswith(f"{under}:") else line for line in lines]
    rest = "".join(lines)
    rest = rest if text.endswith("\n") else rest.removesuffix("\n")
    return _proved(rest, expected, path, f"{name!r} cannot be removed from it line by line")


def _lines(text: str) -> list[str]:
    """The lines with their ends, the last one too."""
    lines = [f"{line}\n" for line in text.split("\n")]
    return lines[:-1] if lines[-1] == "\n" else lines


def _spans(text: str, under: str | None) -> list[_Span]:
    """The entries of a mapping; none where it is missing or empty."""
    from ruamel.yaml import YAML
    from ruamel.yaml.nodes import MappingNode

    node, stop = YAML(typ="safe", pure=True).compose(io.StringIO(text)), len(_lines(text))
    if under is not None and node is not None:
        starts = [key.start_mark.line for key, _ in node.value]
        place = next((n for n, (key, _) in enumerate(node.value) if key.value == under), None)
        stop = ([*starts, stop])[place + 1] if place is not None else stop
        node = None if place is None else node.value[place][1]
    if not isinstance(node, MappingNode) or not node.value:
        return []
    keys = [key for key, _ in node.value]
    stops = [*(key.start_mark.line for key in keys[1:]), stop]
    return [
        _Span(key.value, key.start_mark.line, end, key.start_mark.column) for key, end in zip(keys, stops, strict=True)
    ]


def _content_stop(lines: list[str], stop: int, indent: int) -> int:
    """Go back from line `stop` over blank lines and comments that are not indented deeper than `indent`."""
    while stop:
        line = lines[stop - 1]
        content = line.lstrip(" ")
        if content.strip() and not (content.startswith("#") and len(line) - len(content) <= indent):
            break
        stop -= 1
    return stop


def _dump(name: str, value: Any, indent: int) -> list[str]:
    """The lines of an entry, laid out as those of this repository are."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.width = 1 << 20  # a text is never wrapped
    yaml.indent(mapping=INDENT, sequence=2 * INDENT, offset=INDENT)
    out = io.StringIO()
    yaml.dump({name: value}, out)
    return [" " * indent + line for line in _lines(out.getvalue())]


def _parse(text: str, path: Path) -> dict[str, Any]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        content = YAML(typ="safe", pure=True).load(text) or {}
    except YAMLError as error:
        raise ScriptError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise ScriptError(f"{path} is not a mapping")
    return content


def _proved(text: str, expected: dict[str, Any], path: Path, problem: str) -> str:
    try:
        right = _parse(text, path) == expected
    except ScriptError:
        right = False
    if not right:
        raise ScriptError(f"{path}: {problem}; do it by hand, the file is as it was")
    return text
