"""A YAML file as parts: its entries, the keys in them, and the comments between them, with their lines as they are."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal

from scripts._define.definition import PARAMS_FILE
from scripts._define.yaml_edits import content_stop, split_lines
from scripts._dvc.stages import LOCK_FILE, STAGES_FILE, STAGES_KEY
from scripts._process.errors import ScriptError

Level = Literal["file", "section", "entry", "key", "comment"]


@dataclass(frozen=True)
class Layout:
    """Which parts a file has.

    Attributes
    ----------
    sections
        The keys at the top whose values hold the entries; if there are none, the keys at the top are the entries.
    by_key
        Whether an entry is divided into its keys. Those of `dvc.lock` are not, because each records one build.
    """

    sections: tuple[str, ...]
    by_key: bool

    def inside(self, level: Level, name: str) -> Level | None:
        """Return what a part is divided into, None if it is not."""
        if level == "file":
            return "section" if self.sections else "entry"
        if level == "section":
            return "entry" if name in self.sections else None
        return "key" if level == "entry" and self.by_key else None


LAYOUTS = {
    PARAMS_FILE: Layout((), by_key=True),
    STAGES_FILE: Layout(("plots", "artifacts", STAGES_KEY), by_key=True),
    LOCK_FILE: Layout((STAGES_KEY,), by_key=False),
}


@dataclass(frozen=True)
class Part:
    """Consecutive lines of a file: an entry, a key in one, or a comment between two of them.

    Attributes
    ----------
    name
        The key; of a comment its text, with a number if there are several like it.
    level
        What it is.
    gap
        The blank lines above.
    head
        The comments directly above the key, and the lines from it to the first of `parts`.
    parts
        The parts inside; none if it is not divided.
    """

    name: str
    level: Level
    gap: str
    head: str
    parts: tuple[Part, ...] = ()

    @cached_property
    def body(self) -> str:
        """Its lines, without the blank ones above."""
        return self.head + "".join(part.gap + part.body for part in self.parts)


def divide(text: str, layout: Layout) -> Part:
    """Return a YAML text, a mapping whose last line ends with a newline, as one part; its body is the text.

    Raises
    ------
    ScriptError
        Its entries are not on lines of their own.
    """
    import yaml

    lines = split_lines(text)
    node = yaml.compose(text, yaml.CSafeLoader)  # libyaml, which is ten times as fast as the parser for edits
    whole = _part(lines, node, layout, Part("", "file", "", ""), comments=0, start=-1, stop=len(lines))
    if text and not whole.parts and node is not None and node.value:
        raise ScriptError("its entries are not on lines of their own")
    return whole


def _part(lines: list[str], node: Any, layout: Layout, part: Part, *, comments: int, start: int, stop: int) -> Part:
    """Return a part with its lines, from its comments over its key in line `start` to the end of its content."""
    name, level, gap = part.name, part.level, part.gap
    inner = layout.inside(level, name)
    keys = _keys(node) if inner else []
    rows = [start, *(row for _, row, _ in keys)]
    if not inner or not keys or any(row >= following for row, following in pairwise(rows)):
        return Part(name, level, gap, "".join(lines[comments:stop]))
    indent, seen = node.start_mark.column, Counter[str]()
    head, parts = "".join(lines[comments : start + 1]), list[Part]()
    end = start + 1
    for (key, row, value), following in zip(keys, [*rows[2:], stop], strict=True):
        own = _own_comments(lines, end, row, indent, is_top=level == "file" and not parts)
        rest = lines[end:own]
        blank = len(rest)
        while blank and not rest[blank - 1].strip():
            blank -= 1
        if level == "file" and not parts:
            head = "".join(rest[:blank])  # what is at the top of a file belongs to none of its keys
        else:
            parts += _comments(rest[:blank], seen)
        end = content_stop(lines, following, indent)
        empty = Part(key, inner, "".join(rest[blank:]), "")
        parts.append(_part(lines, value, layout, empty, comments=own, start=row, stop=end))
    return Part(name, level, gap, head, (*parts, *_comments(lines[end:stop], seen)))


def _keys(node: Any) -> list[tuple[str, int, Any]]:
    """Return the keys of a mapping, or of a list of mappings with one entry each, with their lines and values."""
    from yaml import MappingNode, SequenceNode

    found: list[tuple[str, int, Any]] = []
    if isinstance(node, MappingNode | SequenceNode) and not node.flow_style:
        for item in node.value:
            if isinstance(item, tuple):
                found.append((str(item[0].value), item[0].start_mark.line, item[1]))
            elif isinstance(item, MappingNode) and len(item.value) == 1:
                found.append((str(item.value[0][0].value), item.start_mark.line, None))
            else:
                return []
    names = [name for name, _, _ in found]
    return found if len({*names}) == len(names) else []


def _own_comments(lines: list[str], above: int, row: int, indent: int, *, is_top: bool) -> int:
    """Return where the comments directly above a key begin; the first lines of a file are none of them."""
    first = row
    while first > above and lines[first - 1].startswith(" " * indent + "#"):
        first -= 1
    return row if is_top and first == above else first


def _comments(lines: list[str], seen: Counter[str]) -> list[Part]:
    """Return comments that stand alone, and blank lines at the end, as parts."""
    parts: list[Part] = []
    start = 0
    while start < len(lines):
        text = start
        while text < len(lines) and not lines[text].strip():
            text += 1
        stop = text
        while stop < len(lines) and lines[stop].strip():
            stop += 1
        comment = "".join(lines[text:stop])
        seen[comment] += 1
        name = f"# {seen[comment]} {comment}"
        parts.append(Part(name, "comment", "".join(lines[start:text]), comment))
        start = stop
    return parts
