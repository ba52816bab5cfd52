"""The features of a dataset that have no named ones in them, and what an example has for each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple


class Leaf(NamedTuple):
    """A feature that has no named ones: the names that lead to it, and in how many sequences it is."""

    path: tuple[str, ...]
    depth: int
    feature: Any

    @property
    def name(self) -> str:
        return "/".join(self.path)


def leaves(feature: Any, path: tuple[str, ...] = (), depth: int = 0) -> Iterator[Leaf]:
    import tensorflow_datasets as tfds

    if isinstance(feature, tfds.features.FeaturesDict):
        for name, inner in feature.items():
            yield from leaves(inner, (*path, name), depth)
    elif type(feature) in (tfds.features.Sequence, tfds.features.Dataset, tfds.features.Video):
        yield from leaves(feature.feature, path, depth + 1)
    else:
        yield Leaf(path, depth, feature)


def values_at(value: Any, path: tuple[str, ...]) -> Iterator[Any]:
    """Yield what an example has at a path; a sequence of dicts on the way may also be a dict of sequences."""
    if isinstance(value, list | tuple) and path:
        for each in value:
            yield from values_at(each, path)
    elif path:
        if isinstance(value, dict) and path[0] in value:
            yield from values_at(value[path[0]], path[1:])
    else:
        yield value


def value_at(path: tuple[str, ...], value: Any) -> Any:
    """Return what an example has at a path; None if it has nothing there."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def flat(value: Any) -> Iterator[Any]:
    """Yield what is in nested lists, and any other value as it is, also a list of numbers."""
    if isinstance(value, list | tuple) and not (value and isinstance(value[0], int | float)):
        for each in value:
            yield from flat(each)
    else:
        yield value
