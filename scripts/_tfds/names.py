"""Names that TFDS cannot keep: those of classes, which it writes to a file with one on each line, and of splits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from scripts._process.errors import ScriptError

_NOT_IN_SPLITS = set("[]+/{}\\")  # of split strings, of paths, and of the template of shard names


def check_class_names(features: Any, dataset: str) -> None:
    """Check that the class names of all features can be read again from the files in which TFDS keeps them.

    TFDS strips each line and leaves out empty ones, after which the names of all further classes would be others.

    Raises
    ------
    ScriptError
        One cannot.
    """
    files: dict[str, tuple[str, list[str]]] = {}
    for path, names in _class_names(features):
        feature = "/".join(path)
        for number, name in enumerate(names):
            problem = _problem(name)
            if problem is not None:
                raise ScriptError(
                    f"{dataset}: class {number} of the feature {feature!r} is called {name!r}, which {problem}, so "
                    f"TFDS's file of class names cannot keep it; give the class another name"
                )
        file = "-".join(part.replace("/", ".") for part in path)
        other, others = files.setdefault(file, (feature, names))
        if others != names:
            raise ScriptError(
                f"{dataset}: the features {other!r} and {feature!r} have different class names, but TFDS keeps both in "
                f"one file, {file}.labels.txt; rename one of the features"
            )


def _class_names(feature: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    import tensorflow_datasets as tfds

    if isinstance(feature, tfds.features.FeaturesDict):
        for name, inner in feature.items():
            yield from _class_names(inner, (*path, name))
    elif isinstance(feature, tfds.features.Sequence | tfds.features.Dataset):
        yield from _class_names(feature.feature, path)
    elif isinstance(feature, tfds.features.ClassLabel | tfds.features.LabeledImage) and feature.num_classes:
        yield path, feature.names  # their numbers if they have no names


def _problem(name: Any) -> str | None:
    if not isinstance(name, str):
        return "is no string"
    try:
        name.encode()
    except UnicodeEncodeError:
        return "has half of a surrogate pair in it"
    if not name.strip():
        return "is empty" if not name else "has nothing but white space"
    if name != name.strip():
        return "begins or ends with white space"
    return "has more than one line" if "\n" in name or "\r" in name else None


def check_split_names(names: Iterable[str], dataset: str) -> None:
    """Check that a split string can name each split, alone and with a part of it, and a file its shards.

    Raises
    ------
    ScriptError
        One cannot.
    """
    for name in map(str, names):
        if not name.strip() or name != name.strip() or not name.isprintable() or not _NOT_IN_SPLITS.isdisjoint(name):
            raise ScriptError(
                f"{dataset}: the split {name!r} could not be read: a name has no [ ] + / {{ }} or \\, no other white "
                f"space than blanks, and none at its ends; rename it in _split_generators"
            )
