"""Values that are stored or read as others than a builder gave, and the sentence that tells of them."""

from __future__ import annotations

from typing import NamedTuple


class Change(NamedTuple):
    """Values of a feature that are stored as others.

    Attributes
    ----------
    feature
        The feature, by its path.
    example
        The number of the first example, in the order that was checked.
    given, stored
        The first of the values, and what it is stored as.
    total
        The number of such values; 0 if it is not known.
    advice
        How to store them as they are.
    verb
        "read" if they are files that are stored as given, and lose something when they are decoded.
    """

    feature: str
    example: int
    given: str
    stored: str
    total: int
    advice: str
    verb: str = "stored"


def describe_change(key: object, change: Change) -> str:
    """Return a change as a sentence; `key` is that of the first example."""
    total = f"{change.total:,}" if change.total else "some"
    return (
        f"feature {change.feature!r}: {total} {'value is' if change.total == 1 else 'values are'} not {change.verb} as "
        f"given, first {change.given} as {change.stored} in the example with key {key!r}; {change.advice}"
    )
