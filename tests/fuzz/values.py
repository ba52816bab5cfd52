"""Check that a value matches its feature, and compare values."""

from __future__ import annotations

from typing import Any

import numpy as np

from loader._features.connectors import Dataset, Feature, FeaturesDict, Sequence
from loader._features.values import fits


def check(feature: Feature, value: Any) -> None:
    """Assert that a decoded value has the type, dtype and shape that the feature declares."""
    if isinstance(feature, FeaturesDict):
        assert isinstance(value, dict)
        assert list(value) == list(feature)
        for name, inner in feature.items():
            check(inner, value[name])
    elif isinstance(feature, Dataset):
        assert feature.length in (None, len(value))
        for example in value:
            check(feature.feature, example)
    elif isinstance(value, list):  # rows of a Sequence in a Sequence
        assert isinstance(feature, Sequence)
        assert feature.length in (None, len(value))
        for row in value:
            check(feature.feature, row)
    elif isinstance(value, dict):  # a Sequence of dicts decodes to a dict of Sequences
        for name in value:
            check(_of(feature, name), value[name])
    elif feature.shape == ():
        assert isinstance(value, bytes) if feature.dtype == object else value.dtype == feature.dtype
    else:
        assert isinstance(value, np.ndarray)
        assert value.dtype == feature.dtype
        assert feature.shape is not None
        assert fits(value.shape, feature.shape)


def _of(feature: Feature, name: str) -> Feature:
    if isinstance(feature, Sequence):
        return Sequence(_of(feature.feature, name), feature.length)
    assert isinstance(feature, FeaturesDict)
    return feature[name]


def same(one: Any, other: Any) -> bool:
    """Return whether two decoded values are the same."""
    if isinstance(one, dict):
        return isinstance(other, dict) and one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, (np.ndarray, np.generic)):
        if type(one) is not type(other) or one.dtype != other.dtype or one.shape != other.shape:
            return False
        return one.tolist() == other.tolist() if one.dtype == object else one.tobytes() == other.tobytes()
    if isinstance(one, bytes):
        return one == other
    return len(one) == len(other) and all(map(same, one, other))
