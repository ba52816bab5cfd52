"""The derivation of datasets from other datasets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

Parents = Callable[[str], Iterable[str]]
"""Returns the datasets that a dataset is directly derived from."""


def ancestors(name: str, parents: Parents) -> list[str]:
    """Return the datasets that `name` is directly or indirectly derived from, each once.

    If the derivation has a cycle, a dataset is among its own ancestors.
    """
    found = list(dict.fromkeys(parents(name)))
    for ancestor in found:  # grows while it is iterated
        found += [parent for parent in dict.fromkeys(parents(ancestor)) if parent not in found]
    return found


def group_related(names: Sequence[str], parents: Parents) -> list[list[str]]:
    """Group datasets that share an ancestor or are derived from one another; keep the order."""
    groups: list[tuple[list[str], set[str]]] = []
    for name in dict.fromkeys(names):
        members, needed = [name], {name, *ancestors(name, parents)}
        for group in [group for group in groups if group[1] & needed]:
            groups.remove(group)
            members, needed = group[0] + members, group[1] | needed
        groups.append((members, needed))
    return [members for members, _ in groups]
