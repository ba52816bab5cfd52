"""The features of a dataset that are its inputs and targets, as TFDS's `supervised_keys` names them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from loader._errors import ArgumentError
from loader._format.description import ReadFile, get_field, parse_json

Keys = str | tuple[Any, ...] | dict[str, Any]
"""The name of a feature, or a tuple or a dict of Keys."""


def read_keys(read_file: ReadFile) -> tuple[Keys, ...] | None:
    """Read the supervised keys from `dataset_info.json`: a tuple of two or three Keys, None if the dataset has none.

    Raises
    ------
    ValueError, KeyError, TypeError, AttributeError, RecursionError
        TFDS did not write them.
    """
    raw = get_field(parse_json(read_file("dataset_info.json")), "supervised_keys") or {}
    if raw.get("input") and raw.get("output"):  # as TFDS wrote them until 2020
        return _keys({"featureKey": raw["input"]}), _keys({"featureKey": raw["output"]})
    return tuple(map(_keys, raw.get("tuple", {}).get("items", ()))) or None


def _keys(raw: Any) -> Keys:
    if "tuple" in raw:
        return tuple(map(_keys, raw["tuple"].get("items", ())))
    if "dict" in raw:
        return {str(name): _keys(each) for name, each in sorted(raw["dict"].get("dict", {}).items())}
    key = get_field(raw, "feature_key")
    if not isinstance(key, str):
        raise TypeError(f"{key!r} is not the name of a feature")
    return key


def names(keys: Keys) -> Iterator[str]:
    """Yield the names of the features in `keys`, in order."""
    if isinstance(keys, str):
        yield keys
    else:
        for each in keys.values() if isinstance(keys, dict) else keys:
            yield from names(each)


def arrange(keys: Keys, values: Mapping[str, Any]) -> Any:
    """Return the values in the structure of `keys`."""
    if isinstance(keys, str):
        return values[keys]
    if isinstance(keys, dict):
        return {name: arrange(each, values) for name, each in keys.items()}
    return tuple([arrange(each, values) for each in keys])


def text(keys: Keys) -> str:
    """Return `keys` as text, like "(image, label)"."""
    if isinstance(keys, str):
        return keys
    if isinstance(keys, dict):
        return f"{{{', '.join(f'{name}: {text(each)}' for name, each in keys.items())}}}"
    return f"({', '.join(map(text, keys))})"


def check_keys(keys: tuple[Keys, ...] | None, dataset: str, features: Mapping[str, Any]) -> tuple[Keys, ...]:
    """Return the keys, if there are any.

    Raises
    ------
    ArgumentError
        There are none, or they name another feature.
    """
    problem = "names no inputs and targets"
    if keys is not None:
        unknown = [name for name in names(keys) if name not in features]
        if not unknown:
            return keys
        problem = f"names {unknown[0]!r}, which is no feature, in its supervised keys"
    raise ArgumentError(f"{dataset} {problem}, so supervised=True cannot be used; its features: {', '.join(features)}")
