"""Encoding examples with TFDS's features: which may be encoded in another process, and how."""

from __future__ import annotations

import sys
from typing import Any


def remember_nothing(features: Any) -> bool:
    """Return whether the features, and those inside them, are of TFDS's own kinds, none of which keeps any state.

    A feature of the builder's own may remember what it has encoded, as a vocabulary does: it must see every example, in
    order.
    """
    for feature in features.values():
        if not type(feature).__module__.startswith("tensorflow_datasets.core.features."):
            return False
        inner = feature if hasattr(feature, "values") else {"": feature.feature} if hasattr(feature, "feature") else {}
        if not remember_nothing(inner):
            return False
    return True


def can_fork() -> bool:
    """Return whether this process may fork: TensorFlow has not started its threads yet."""
    from tensorflow.python.eager import context

    return sys.platform == "linux" and context.context_safe() is None


def features_taking_paths(features: Any) -> list[str]:
    """Return the features whose values may be paths of files: all but those known to take data alone."""
    import tensorflow_datasets as tfds

    data_alone = (tfds.features.ClassLabel, tfds.features.Text, tfds.features.Scalar, tfds.features.BBoxFeature)

    def takes_data_alone(feature: Any) -> bool:
        if isinstance(feature, tfds.features.Sequence):
            return takes_data_alone(feature.feature)
        if isinstance(feature, tfds.features.FeaturesDict):
            return all(map(takes_data_alone, feature.values()))
        return isinstance(feature, data_alone) or type(feature) is tfds.features.Tensor

    return [name for name, feature in features.items() if not takes_data_alone(feature)]


def encode_all(features: Any, examples: list[Any]) -> list[Any]:
    """Return what `features.encode_example` gives for each example, working feature by feature.

    The code of one feature stays in the processor's cache, which saves a third of the time.
    """
    import tensorflow_datasets as tfds

    names = features.keys()
    if type(features) is not tfds.features.FeaturesDict or any(example.keys() != names for example in examples):
        return [features.encode_example(example) for example in examples]
    columns = [[feature.encode_example(example[name]) for example in examples] for name, feature in features.items()]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def raise_with(error: Exception, prefix: str) -> None:
    """Raise an error of the same type, whose message begins with `prefix`."""
    from tensorflow_datasets.core import utils

    utils.reraise(error, prefix=prefix)
