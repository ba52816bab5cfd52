"""Where a new entry goes among the entries of a file: by name, so that those of two branches seldom meet."""

from __future__ import annotations

from collections.abc import Iterable

_FIRST = "toolchain"  # the first block of params.yaml; no dataset is called so


def by_name(name: str) -> tuple[bool, str]:
    """Return the key that sorts entries by name, the toolchain first."""
    return name != _FIRST, name


def predecessor(name: str, names: Iterable[str]) -> str | None:
    """Return the entry after which a new one goes: the one before it in alphabetical order, None if it is the first.

    In a sorted file this keeps the order. In one that is not, each name between two others still has a place of its
    own, so two branches meet only if their names follow the same entry.
    """
    return max((other for other in names if by_name(other) < by_name(name)), key=by_name, default=None)
