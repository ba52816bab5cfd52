"""Collate examples into a batch: values of a fixed shape are stacked, others are listed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from loader._features.connectors import Dataset, Feature, FeaturesDict, Sequence
from loader._features.values import LARGE_BYTES

Collator = Callable[[list[Any]], Any]


def make_collator(features: FeaturesDict) -> Callable[[list[dict[str, Any]]], dict[str, Any]]:
    """Return a function from a list of examples to their batch, a dict of the same keys."""
    join = make_joiner(features)
    return lambda examples: join({name: [example[name] for example in examples] for name in features})


def make_joiner(features: FeaturesDict) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return a function from the values of each feature to their batch; a list becomes what examples' values become."""
    collators = {name: _collator(feature) for name, feature in features.items()}

    def join(columns: dict[str, Any]) -> dict[str, Any]:
        return {
            name: collator(values) if isinstance(values := columns[name], list) else values
            for name, collator in collators.items()
        }

    return join


def _collator(feature: Feature) -> Collator:
    if isinstance(feature, FeaturesDict):
        return make_collator(feature)
    shape, dtype = feature.shape, feature.dtype
    if shape is None or dtype is None or None in shape or not _is_array(feature):
        return list
    fixed = tuple(size for size in shape if size is not None)
    if shape == () and dtype.kind != "O":
        return lambda values: np.array(values, dtype)

    def stack(values: list[Any]) -> Any:
        if dtype.kind == "O":
            stacked = np.empty((len(values), *fixed), dtype)
            for number, value in enumerate(values):
                stacked[number] = value
            return stacked
        if values and values[0].nbytes > LARGE_BYTES:
            return np.concatenate(values).reshape(len(values), *fixed)
        # joining small buffers takes a fifth of the time of np.stack, and an array over a bytearray is writable
        return np.frombuffer(bytearray().join(values), dtype).reshape(len(values), *fixed)

    return stack


def _is_array(feature: Feature) -> bool:
    """Return whether the feature always decodes to one array."""
    if isinstance(feature, Sequence):
        return not isinstance(feature, Dataset) and not isinstance(feature.feature, Sequence)
    return not getattr(feature, "optional", False)
