"""Features that only TFDS can decode.

A dataset may have feature connectors of its own. TFDS finds such a class by the name in `features.json`, and imports
the module of that name. Here nothing that a dataset names is imported: a class must be one of TFDS's, or one that the
caller has imported. TFDS is imported for such a feature only, TensorFlow when it is decoded first.

The other features of the dataset are decoded as ever. Metadata files that a connector keeps beside the records are not
given to it; where it needs them, `loader.load(..., format="tf")` reads the dataset.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np

from loader._errors import UnsupportedError
from loader._features.connectors import TfdsFeature
from loader._features.sequences import split_rows
from loader._features.values import Fields, Leaf
from loader._format.example import Example

_NAME = "feature"  # what the feature is called towards TFDS


def tfds_leaf(feature: TfdsFeature, key: str) -> Leaf:
    """Return a decoder that lets TFDS decode the feature.

    A tf.RaggedTensor comes as lists of arrays, a nested dataset as a list of its examples.

    Raises
    ------
    UnsupportedError
        TFDS is not installed, does not know the class, or refuses what is saved of it.
    """
    what = f"feature {key!r} is a {feature.python_class_name}, which only TFDS can decode"
    if not all(map(find_spec, ("tensorflow_datasets", "tensorflow"))):
        raise UnsupportedError(f"{what}; install it with: pip install tensorflow-datasets tensorflow")
    import tensorflow_datasets as tfds

    try:
        known = tfds.features.FeatureConnector._registered_features  # where TFDS looks before it imports
        for name in _class_names(feature.document):
            if name not in known:
                raise UnsupportedError(f"{what}; import the module that defines {name} first")
        connector = tfds.features.FeatureConnector.from_json(feature.document)
        features = tfds.features.FeaturesDict({_NAME: connector})
    except UnsupportedError:
        raise
    except Exception as error:  # a class of anyone's is made
        raise UnsupportedError(f"{what}, and TFDS refuses it: {_brief(error)}") from error
    parser = cache(lambda: _parser(features))

    def decode(fields: Fields) -> Any:
        message = Example()
        for name in fields:
            if name == key or name.startswith(key + "/"):
                message.features.feature[_NAME + name[len(key) :]].CopyFrom(fields[name])
        try:
            return _plain(tfds.as_numpy(parser()(message.SerializeToString())))
        except Exception as error:  # a class of anyone's is run
            raise ValueError(f"TFDS cannot decode it: {_brief(error)}") from error

    return decode


def _parser(features: Any) -> Callable[[bytes], Any]:
    """Return TFDS's own decoding, as a graph: that is how connectors are made to run."""
    import tensorflow as tf

    def parse(record: Any) -> Any:
        return features.deserialize_example(record)[_NAME]

    graph: Callable[[bytes], Any] = tf.function(parse, input_signature=[tf.TensorSpec((), tf.string)])
    return graph


def _plain(value: Any) -> Any:
    """Return what `tfds.as_numpy` gives without what is TensorFlow's or TFDS's in it."""
    if value is None or isinstance(value, (np.ndarray, np.generic, bytes)):
        return value
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if hasattr(value, "nested_row_lengths"):  # a tf.RaggedTensor
        rows = value.flat_values.numpy()
        for lengths in reversed(value.nested_row_lengths()):
            rows = split_rows(rows, lengths.numpy())
        return rows
    return [_plain(item) for item in value]  # a nested dataset


def _class_names(document: Any) -> Iterator[str]:
    """Yield every name that TFDS could take for that of a class, also those inside JSON that is kept as text."""
    if isinstance(document, str) and document.lstrip()[:1] in ("{", "["):
        try:
            document = json.loads(document)
        except ValueError:
            return
    if isinstance(document, dict):
        for name in ("pythonClassName", "python_class_name", *(["type"] if "content" in document else [])):
            if name in document:
                yield str(document[name])
        document = list(document.values())
    if isinstance(document, list):
        for value in document:
            yield from _class_names(value)


def _brief(error: Exception) -> str:
    """The line of an error that says most: TensorFlow's run over many, and the reason is in the last that names one."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reasons = [line for line in lines if re.match(r"[\w.]*(Error|Exception)\b", line)]
    return f"{type(error).__name__}: {(reasons[-1:] or lines[:1] or ['no reason given'])[0]}"
