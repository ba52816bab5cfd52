"""The leaves of a dataset's features, and their values in examples as the loader returns them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

MEDIA = ("Image", "Video", "Audio")
CONTENT = ("Text", "Tensor")  # what identifies an example that has no media


@dataclass(frozen=True)
class Leaf:
    """A feature that contains no others, and where it is.

    Attributes
    ----------
    path
        Its names, outermost first.
    feature
        The feature as in `info.features`, without the sequences around it.
    type
        The names of its class and of those around it, like "Sequence(ClassLabel)".
    depth
        The number of Sequences around it: its value is an array with one more axis, or a list of rows if there are
        several.
    in_dataset
        Whether it belongs to a nested dataset, so that an example has a value for each step.
    """

    path: tuple[str, ...]
    feature: Any
    type: str
    depth: int = 0
    in_dataset: bool = False

    @property
    def name(self) -> str:
        """The path as text, like "objects/bbox"."""
        return "/".join(self.path)

    @property
    def dtype(self) -> str:
        """The name of the dtype."""
        return "string" if self.feature.dtype == object else str(self.feature.dtype.name)

    @property
    def num_classes(self) -> int:
        """The number of classes of a label, 0 for another feature."""
        return int(self.feature.num_classes) if type(self.feature).__name__ == "ClassLabel" else 0

    @property
    def is_text(self) -> bool:
        """Whether it is text, not any string of bytes."""
        return type(self.feature).__name__ == "Text"


@dataclass(frozen=True)
class Column:
    """The values of a leaf in some examples; in a nested dataset, `lengths` has the number of steps of each example."""

    leaf: Leaf
    values: list[Any]
    lengths: list[int] | None


def leaves(features: Mapping[str, Any]) -> list[Leaf]:
    """Return the leaves of some features, in order."""
    return [column.leaf for column in columns(features, [])]


def columns(features: Mapping[str, Any], examples: list[Any]) -> Iterator[Column]:
    """Yield the values of each leaf in some examples, in the order of `leaves`."""
    for name, feature in features.items():
        yield from _columns(Leaf((name,), feature, ""), [example[name] for example in examples], None)


def identifying(found: list[Leaf]) -> list[Leaf]:
    """Return the leaves by whose value two examples are the same although their records differ.

    These are images, videos and audio; or, if there are none, texts and arrays. Labels, boxes and numbers are none.
    """
    single = [leaf for leaf in found if not leaf.in_dataset and leaf.depth <= 1]
    media = [leaf for leaf in single if type(leaf.feature).__name__ in MEDIA]
    return media or [leaf for leaf in single if _is_content(leaf)]


def _is_content(leaf: Leaf) -> bool:
    return leaf.is_text or (type(leaf.feature).__name__ in CONTENT and len(leaf.feature.shape) + leaf.depth > 0)


def _columns(leaf: Leaf, values: list[Any], lengths: list[int] | None) -> Iterator[Column]:
    """Yield the columns of a feature, whose place `leaf` says; it may turn out to contain others."""
    feature, kind = leaf.feature, type(leaf.feature).__name__
    if isinstance(feature, Mapping):
        for name, inner in feature.items():
            yield from _columns(
                replace(leaf, path=(*leaf.path, name), feature=inner), [value[name] for value in values], lengths
            )
    elif kind == "Dataset":
        steps = [list(value) for value in values]
        inside = replace(leaf, feature=feature.feature, type=f"{leaf.type}Dataset(", in_dataset=True)
        counts = [len(each) for each in steps] if lengths is None else lengths
        yield from _columns(inside, [step for each in steps for step in each], counts)
    elif hasattr(feature, "feature") and kind != "Video":  # a Sequence
        inside = replace(leaf, feature=feature.feature, type=f"{leaf.type}Sequence(", depth=leaf.depth + 1)
        yield from _columns(inside, values, lengths)
    else:
        around = leaf.type
        yield Column(replace(leaf, type=f"{around}{kind}{')' * around.count('(')}"), values, lengths)


def size(value: Any) -> int:
    """Return about how many bytes a value needs."""
    try:
        return value.nbytes  # type: ignore[no-any-return]
    except AttributeError:
        if isinstance(value, dict):
            value = value.values()
        elif not isinstance(value, list):
            return len(value)
        return sum(map(size, value))
