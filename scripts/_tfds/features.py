"""Encoding examples with TFDS's features, also in other processes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any


def are_stateless(features: Any) -> bool:
    """Return whether all features, nested ones included, are classes of TFDS, none of which keeps state.

    A feature class of the builder may keep state, like a vocabulary: it must encode every example, in order.
    """
    for feature in features.values():
        if not type(feature).__module__.startswith("tensorflow_datasets.core.features."):
            return False
        inner = feature if hasattr(feature, "values") else {"": feature.feature} if hasattr(feature, "feature") else {}
        if not are_stateless(inner):
            return False
    return True


def can_fork() -> bool:
    """Return whether this process may fork, which is safe only before TensorFlow starts its threads."""
    from tensorflow.python.eager import context

    return sys.platform == "linux" and context.context_safe() is None


def features_taking_paths(features: Any) -> list[str]:
    """Return the names of the features whose values may be file paths: all but those known to take only data."""
    import tensorflow_datasets as tfds

    only_data = (tfds.features.ClassLabel, tfds.features.Text, tfds.features.Scalar, tfds.features.BBoxFeature)

    def takes_only_data(feature: Any) -> bool:
        if isinstance(feature, tfds.features.Sequence):
            return takes_only_data(feature.feature)
        if isinstance(feature, tfds.features.FeaturesDict):
            return all(map(takes_only_data, feature.values()))
        return isinstance(feature, only_data) or type(feature) is tfds.features.Tensor

    return [name for name, feature in features.items() if not takes_only_data(feature)]


def paths_in(feature: Any, value: Any) -> Iterator[str]:
    """Yield the files that a value of a feature names and TFDS reads: those of images, audio and videos."""
    import tensorflow_datasets as tfds

    if isinstance(value, str | os.PathLike):
        if isinstance(feature, tfds.features.Image | tfds.features.Audio | tfds.features.Video):
            yield os.fspath(value)
        return
    inner = getattr(feature, "feature", feature)  # of a sequence; its value may be a mapping of sequences
    if isinstance(value, dict) and hasattr(inner, "keys"):
        for name in value.keys() & inner.keys():
            yield from paths_in(inner[name], value[name])
    elif isinstance(value, list | tuple):
        for each in value:
            yield from paths_in(inner, each)


def uses_zlib(features: Any) -> bool:
    """Return whether a feature, nested ones included, is compressed with zlib."""

    def found(value: Any) -> bool:
        if isinstance(value, dict):
            return any(
                (key == "encoding" and str(each).lower() == "zlib") or found(each) for key, each in value.items()
            )
        return False

    return found(features.to_json())


def encode_all(features: Any, examples: list[Any]) -> list[Any]:
    """Return `features.encode_example` of each example, computed feature by feature.

    The code of one feature stays in the processor's cache, which saves a third of the time.
    """
    import tensorflow_datasets as tfds

    names = features.keys()
    if type(features) is not tfds.features.FeaturesDict or any(example.keys() != names for example in examples):
        return [features.encode_example(example) for example in examples]
    columns = [[feature.encode_example(example[name]) for example in examples] for name, feature in features.items()]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def raise_with_prefix(error: Exception, prefix: str) -> None:
    """Raise an error of the same type, with `prefix` before its message."""
    from tensorflow_datasets.core import utils

    utils.reraise(error, prefix=prefix)
