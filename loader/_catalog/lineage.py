"""The lineage of a dataset as a drawing: those that it is derived from, and those that are derived from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from loader._display.markup import escape

MOST_NODES = 40
"""Most datasets of a drawing; the nearest ones are drawn, and the text beside it names all parents and children."""

_MOST_CHARACTERS = 26
_WIDTH, _HEIGHT, _COLUMN_GAP, _ROW_GAP = 200, 44, 56, 16

_Slot = tuple[str, str, int]
"""A place in a column: of a dataset, which is named twice, or of the line from a parent to its child."""


@dataclass(frozen=True)
class Node:
    """A dataset of the drawing: its version, and its parents."""

    name: str
    version: str
    parents: tuple[str, ...]


def relatives(name: str, parents: Mapping[str, Iterable[str]], children: Mapping[str, Iterable[str]]) -> list[str]:
    """Return a dataset, its ancestors and its descendants, the nearest first, at most `MOST_NODES`."""
    found = [name]
    generations = [[name], [name]]
    while len(found) < MOST_NODES and any(generations):
        for side, relation in enumerate((parents, children)):
            nearest = dict.fromkeys(other for each in generations[side] for other in relation.get(each, ()))
            generations[side] = [other for other in nearest if other not in found]
            found += generations[side]
    return found[:MOST_NODES]


def lineage_svg(name: str, nodes: Mapping[str, Node], link: Callable[[str], str]) -> str:
    """Return a drawing of datasets, from left to right, each linked to its page but the one that the page is about.

    Parameters
    ----------
    name
        The dataset that the page is about.
    nodes
        The datasets to draw.
    link
        Returns the address of the page of a dataset; empty if it has none.
    """
    depth = _depths(nodes)
    columns = _columns(nodes, depth)
    tallest = max(map(len, columns))
    height = tallest * (_HEIGHT + _ROW_GAP) - _ROW_GAP
    width = len(columns) * (_WIDTH + _COLUMN_GAP) - _COLUMN_GAP
    places: dict[_Slot, tuple[int, int]] = {}
    for number, column in enumerate(columns):
        top = (height - len(column) * (_HEIGHT + _ROW_GAP) + _ROW_GAP) // 2
        for row, slot in enumerate(column):
            places[slot] = number * (_WIDTH + _COLUMN_GAP), top + row * (_HEIGHT + _ROW_GAP)
    edges = "".join(
        _edge([places[slot] for slot in _line(parent, each, depth)])
        for each in sorted(nodes)
        for parent in sorted(nodes[each].parents)
        if parent in depth and depth[parent] < depth[each]
    )
    boxes = "".join(
        _box(nodes[each], place, None if each == name else link(each))
        for (each, child, _), place in places.items()
        if each == child
    )
    return (
        f'<svg class="lineage" viewBox="-1 -1 {width + 2} {height + 2}" width="{width + 2}" height="{height + 2}" '
        f'role="group" aria-label="Lineage of {escape(name)}">{edges}{boxes}</svg>'
    )


def _columns(nodes: Mapping[str, Node], depth: Mapping[str, int]) -> list[list[_Slot]]:
    """Return the columns of the drawing: each dataset is right of all its parents, and near to them in height.

    Where a line passes through a column, it has a slot of its own, so that it runs behind no dataset.
    """
    columns: list[list[_Slot]] = [[] for _ in range(max(depth.values()) + 1)]
    before: dict[_Slot, list[_Slot]] = {(each, each, depth[each]): [] for each in nodes}
    for each in sorted(nodes):
        columns[depth[each]].append((each, each, depth[each]))
        for parent in sorted(nodes[each].parents):
            if parent in depth and depth[parent] < depth[each]:
                line = _line(parent, each, depth)
                for slot in line[1:-1]:
                    columns[slot[2]].append(slot)
                for first, second in pairwise(line):
                    before.setdefault(second, []).append(first)
    rows: dict[_Slot, float] = {}
    for slots in columns:
        middle = {slot: [rows[other] for other in before[slot]] or [float(at)] for at, slot in enumerate(slots)}
        slots.sort(key=lambda slot: (sum(middle[slot]) / len(middle[slot]), slot[0] == slot[1], slot))
        rows |= {slot: at - len(slots) / 2 for at, slot in enumerate(slots)}
    return columns


def _line(parent: str, child: str, depth: Mapping[str, int]) -> list[_Slot]:
    """Return the slots from a parent to its child."""
    between: list[_Slot] = [(parent, child, column) for column in range(depth[parent] + 1, depth[child])]
    return [(parent, parent, depth[parent]), *between, (child, child, depth[child])]


def _depths(nodes: Mapping[str, Node]) -> dict[str, int]:
    """Return the column of each dataset: one more than those of its parents."""
    depth = dict.fromkeys(nodes, 0)
    for _ in nodes:  # as many rounds as the longest line can have; a circle, which nobody can build, ends there too
        depth = {
            each: max((depth[p] + 1 for p in node.parents if p in depth), default=0) for each, node in nodes.items()
        }
    numbers = {value: number for number, value in enumerate(sorted({*depth.values()}))}
    return {each: numbers[value] for each, value in depth.items()}


def _edge(places: list[tuple[int, int]]) -> str:
    """Return the line from the first place to the last one, through the others."""
    x, y = places[0][0] + _WIDTH, places[0][1] + _HEIGHT // 2
    path = [f"M{x} {y}"]
    for number, (to_x, top) in enumerate(places[1:], start=2):
        to_y, middle = top + _HEIGHT // 2, (x + to_x) // 2
        is_last = number == len(places)
        path.append(
            f"C{middle} {y} {middle} {to_y} {to_x - 6 * is_last} {to_y}" + ("" if is_last else f"H{to_x + _WIDTH}")
        )
        x, y = to_x + (0 if is_last else _WIDTH), to_y
    return f'<path class="edge" d="{"".join(path)}"/><path class="head" d="M{x - 7} {y - 4}L{x} {y}L{x - 7} {y + 4}Z"/>'


def _box(node: Node, place: tuple[int, int], address: str | None) -> str:
    """Return a node, linked to its address; None is the dataset that the page is about."""
    x, y = place
    name = node.name if len(node.name) <= _MOST_CHARACTERS else f"{node.name[: _MOST_CHARACTERS - 1]}…"
    version = node.version if len(node.version) <= _MOST_CHARACTERS else f"{node.version[: _MOST_CHARACTERS - 1]}…"
    box = (
        f'<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="6"/>'
        f'<text class="name" x="{x + 12}" y="{y + 18}">{escape(name)}</text>'
        f'<text class="version" x="{x + 12}" y="{y + 35}">{escape(version or "never built")}</text>'
    )
    if not address:
        return f'<g class="node{" here" if address is None else ""}">{box}</g>'
    label = escape(f"{node.name} {node.version}".strip())
    return f'<a class="node" href="{escape(address)}" aria-label="{label}">{box}</a>'
