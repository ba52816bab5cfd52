"""The three-way merge of `params.yaml`, `dvc.yaml` and `dvc.lock`, entry by entry."""

from __future__ import annotations

import heapq
import re
import subprocess
import tempfile
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from scripts._dvc.order import by_name
from scripts._merge.parts import LAYOUTS, Layout, Level, Part, divide
from scripts._process.errors import ScriptError

Side = Literal["ours", "theirs"]
_OURS: Side = "ours"
TOP = "the lines at the top"
"""The name of a conflict in what is above the first key of a file."""

# branches that were merged into each other have several bases, of which git makes one, with these in it
_CONFLICT = re.compile(r"^<{7,} .*?^>{7,} [^\n]*\n", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Merged:
    """A merged file: its text, with conflict markers around each entry in conflict, and the datasets of these."""

    text: str
    conflicts: tuple[str, ...]


def merge_texts(
    file: str, base: str, ours: str, theirs: str, *, choices: Mapping[str, Side] = MappingProxyType({})
) -> Merged:
    """Merge the texts of a file, entry by entry.

    An entry that one side changed is taken from this side, with its comments and every byte as it is. One that both
    changed is merged key by key, except in `dvc.lock`; if both changed a key, the entry is in conflict. Entries that
    both sides added in one place are sorted by name. The lines at the top are merged as text.

    Parameters
    ----------
    file
        The name of the file.
    base, ours, theirs
        The texts; an empty one if there is no file.
    choices
        The side to take all entries of some datasets from, whatever changed.

    Raises
    ------
    ScriptError
        A text is not valid YAML, or has a layout that cannot be merged by entry.
    """
    layout, base = LAYOUTS[file], without_conflicts(base)
    texts = [text if text.endswith("\n") or not text else f"{text}\n" for text in (base, ours, theirs)]
    try:
        values = [_by_entry(text, layout) for text in texts]
        parts = [divide(text, layout) for text in texts]
        merged, conflicts = _merge(parts, choices)
        # the content is merged a second time, as values, to know that the lines say the same
        decided: dict[str, Side] = {**dict.fromkeys(conflicts, _OURS), **choices}
        without_markers = merged if not conflicts else _merge(parts, decided)[0]
        expected = _Values(layout, decided).merge((values[0], values[1], values[2]), "file", "")
        if _by_entry(without_markers, layout) != expected:
            raise ScriptError("its layout does not allow it")
    except (ScriptError, RecursionError) as error:  # of a value that contains itself
        raise ScriptError(f"{file} cannot be merged by entry: {error}") from error
    ends = [text.endswith("\n") or not text for text in (base, ours, theirs)]
    if not (ends[1] if ends[1] != ends[0] else ends[2]) and not conflicts:
        merged = merged.removesuffix("\n")
    return Merged(merged, tuple(dict.fromkeys(conflicts)))


def _merge(parts: Sequence[Part], choices: Mapping[str, Side]) -> tuple[str, list[str]]:
    """Return the merged text and the conflicts."""
    merge = _Lines(choices, [])
    whole = merge.inside(*parts)
    return whole.body, merge.conflicts


@dataclass(frozen=True)
class _Lines:
    """The merge of parts; the names of the entries in conflict are added to `conflicts`."""

    choices: Mapping[str, Side]
    conflicts: list[str]

    def part(self, base: Part | None, ours: Part | None, theirs: Part | None) -> Part | None:
        """Merge a part, which at least one side has; None if it is gone."""
        given = next(part for part in (ours, theirs, base) if part)
        if side := self.choices.get(_choice(given.level, given.name)):
            return ours if side == "ours" else theirs
        if given.level == "section" and any(part.parts for part in (base, ours, theirs) if part):
            nothing = Part(given.name, given.level, "", "")
            merged = self.inside(base or nothing, ours or nothing, theirs or nothing)
            return merged if merged.head else None
        before, here, there = (part.body if part else None for part in (base, ours, theirs))
        if here == there or there == before:
            return ours
        if here == before:
            return theirs
        if given.level == "entry" and ours and theirs and ours.parts and theirs.parts:
            inner = _Lines({}, [])
            merged = inner.inside(base or Part(given.name, given.level, "", ""), ours, theirs)
            if not inner.conflicts:
                return merged
        self.conflicts.append(_choice(given.level, given.name))
        return replace(given, head=_marked(here or "", there or ""), parts=())

    def inside(self, base: Part, ours: Part, theirs: Part) -> Part:
        """Merge a part that is divided, in which each of its parts is merged."""
        by_part = [{part.name: part for part in side.parts} for side in (base, ours, theirs)]
        found: dict[str, Part] = {}
        for name in dict.fromkeys(name for side in by_part for name in side):
            versions = [side.get(name) for side in by_part]
            if (merged := self.part(*versions)) is not None:
                found[name] = replace(merged, gap=_gap(*versions))
        ordered = [found[name] for name in _order(*by_part, kept=found.keys())]
        parts = _with_gaps(ordered, ours.parts, theirs.parts)
        return replace(
            ours, name=base.name, head=self._head(base, ours, theirs, _has_entries(parts)), parts=tuple(parts)
        )

    def _head(self, base: Part, ours: Part, theirs: Part, has_entries: bool) -> str:
        """Merge the lines of a part that are above those inside."""
        if ours.level == "section":  # the head of an empty one is another, like `stages: {}`
            heads = {side.head for side in (ours, theirs) if _has_entries(side.parts) == has_entries}
            if not heads:  # each side removed what the other kept
                return f"{base.name}: {{}}\n"
            if len(heads) == 1:
                return heads.pop()
        if ours.head == theirs.head or theirs.head == base.head:
            return ours.head
        if ours.head == base.head:
            return theirs.head
        name = base.name or TOP
        if name in self.choices:
            return ours.head if self.choices[name] == "ours" else theirs.head
        text, is_clean = merge_as_text(base.head, ours.head, theirs.head)
        if not is_clean:
            self.conflicts.append(name)
        return text


def _has_entries(parts: Sequence[Part]) -> bool:
    return any(part.level != "comment" for part in parts)


def _choice(level: Level, name: str) -> str:
    """Return the name under which a side is chosen for a part: that of a section is no dataset's."""
    return dataset_of(name) if level == "entry" else f"{name}:" if level == "section" else name


def dataset_of(entry: str) -> str:
    """Return the dataset of an entry: under `artifacts`, one with configs has the entries `<dataset>-<config>`."""
    return entry.partition("-")[0]


def _marked(ours: str, theirs: str) -> str:
    return f"<<<<<<< ours\n{ours}=======\n{theirs}>>>>>>> theirs\n"


def _gap(base: Part | None, ours: Part | None, theirs: Part | None) -> str:
    """Merge the blank lines above a part; they are never in conflict."""
    if ours is None or (theirs and base and ours.gap == base.gap):
        return theirs.gap if theirs else ""
    return ours.gap


def _with_gaps(parts: list[Part], *sides: tuple[Part, ...]) -> list[Part]:
    """Give the first part the blank lines of a first part, and one that is no longer the first those of the others."""
    firsts = {side[0].name: side for side in sides if side}
    for place, part in enumerate(parts):
        if place == 0:
            gap = next((side[0].gap for side in sides if side), part.gap)
        elif part.gap == "" and len(firsts.get(part.name, ())) > 1:
            gap = firsts[part.name][1].gap
        else:
            continue
        parts[place] = replace(part, gap=gap)
    return parts


def _order(
    base: Mapping[str, Part], ours: Mapping[str, Part], theirs: Mapping[str, Part], *, kept: Container[str]
) -> list[str]:
    """Return the names that are kept in their order: that of the side that changed it, new ones between by name."""
    old = [name for name in base if name in kept]
    moved = [name for name in ours if name in base and name in kept]
    if moved == [name for name in old if name in ours]:
        moved = [name for name in theirs if name in base and name in kept]
    order: list[str] = moved
    for place, name in enumerate(old):
        if name not in order:
            before = next((other for other in reversed(old[:place]) if other in order), None)
            order.insert(order.index(before) + 1 if before is not None else 0, name)
    known = {*order}
    new: dict[str | None, list[list[str]]] = {name: [[], []] for name in (None, *order)}
    listed: set[str] = set()
    for number, side in enumerate((ours, theirs)):
        above = None
        for name in side:
            if name in known:
                above = name
            elif name in kept and name not in listed:
                new[above][number].append(name)
                listed.add(name)
    keys = {**_keys(ours), **_keys(theirs)}
    return [
        name
        for above in (None, *order)
        for name in (*(() if above is None else (above,)), *heapq.merge(*new[above], key=keys.__getitem__))
    ]


def _keys(parts: Mapping[str, Part]) -> dict[str, tuple[bool, str]]:
    """Return by what to sort parts: a comment stays above the part that follows it."""
    keys: dict[str, tuple[bool, str]] = {}
    following = (True, "\U0010ffff")
    for name, part in reversed([*parts.items()]):
        following = following if part.level == "comment" else by_name(name)
        keys[name] = following
    return keys


def without_conflicts(base: str) -> str:
    """Return a base without what is in conflict in it, so that each side added that."""
    return _CONFLICT.sub("", base)


def merge_as_text(base: str, ours: str, theirs: str) -> tuple[str, bool]:
    """Merge texts as git does, and return the result and whether there is no conflict."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, name) for name in ("ours", "base", "theirs")]
        for path, text in zip(paths, (ours, base, theirs), strict=True):
            path.write_bytes(text.encode())
        labels = [option for path in paths for option in ("-L", path.name)]
        done = subprocess.run(["git", "merge-file", "-p", *labels, *paths], capture_output=True)
    if done.returncode not in range(128):
        raise ScriptError(f"git merge-file fails: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout.decode(), done.returncode == 0


_GONE: Any = object()


@dataclass(frozen=True)
class _Values:
    """The merge of what the files say."""

    layout: Layout
    sides: Mapping[str, Side]

    def merge(self, values: tuple[Any, Any, Any], level: Level, name: str) -> Any:
        """Merge the values of base, ours and theirs, which may be gone."""
        base, ours, theirs = values
        if side := self.sides.get(_choice(level, name)):
            return ours if side == "ours" else theirs
        inner = self.layout.inside(level, name)
        if inner in (None, "key"):  # an entry in a section may be one of `sides`, even if nobody changed it
            if ours == theirs or theirs == base:
                return ours
            if ours == base:
                return theirs
        base, ours, theirs = ({} if value is _GONE else value for value in values)
        if not inner or not all(isinstance(each, dict) for each in (base, ours, theirs)):
            raise ScriptError(f"both sides changed {name}")
        names = dict.fromkeys([*base, *ours, *theirs])
        merged = {
            key: self.merge((base.get(key, _GONE), ours.get(key, _GONE), theirs.get(key, _GONE)), inner, key)
            for key in names
        }
        emptied = self.layout.sections if level == "file" else ()
        return {key: value for key, value in merged.items() if value is not _GONE and (value or key not in emptied)}


def _by_entry(text: str, layout: Layout) -> dict[str, Any]:
    """Return what a file says, without empty sections, and with lists of entries as mappings."""
    import yaml

    try:
        content = yaml.load(text, yaml.CSafeLoader) or {}
    except (yaml.YAMLError, ValueError) as error:  # a date that does not exist is a ValueError
        raise ScriptError(f"it is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise ScriptError("it is not a mapping")
    found = {}
    for key, value in content.items():
        if key in layout.sections and isinstance(value, list):
            value = {name: item for each in value if isinstance(each, dict) for name, item in each.items()}
        if key not in layout.sections or value:
            found[str(key)] = value
    return found
