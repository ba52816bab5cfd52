"""Which datasets are derived from which."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

Parents = Callable[[str], Iterable[str]]
"""Returns the datasets that one is directly derived from."""


def ancestors(name: str, parents: Parents) -> list[str]:
    """Return the datasets that `name` is derived from, in however many steps, each once.

    A dataset that is derived from itself is among its ancestors.
    """
    found = list(dict.fromkeys(parents(name)))
    for ancestor in found:  # grows while it is iterated
        found += [parent for parent in dict.fromkeys(parents(ancestor)) if parent not in found]
    return found


def related(names: Sequence[str], parents: Parents) -> list[list[str]]:
    """Divide datasets into groups of which none shares a dataset or an ancestor with another; the order is kept."""
    groups: list[tuple[list[str], set[str]]] = []
    for name in dict.fromkeys(names):
        members, needed = [name], {name, *ancestors(name, parents)}
        for group in [group for group in groups if group[1] & needed]:
            groups.remove(group)
            members, needed = group[0] + members, group[1] | needed
        groups.append((members, needed))
    return [members for members, _ in groups]
