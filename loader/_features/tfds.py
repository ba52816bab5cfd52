"""Features that only TFDS can decode.

A dataset may define its own feature connectors. TFDS finds such a class by its name in `features.json`, and imports the
module of that name. The loader imports nothing that a dataset names: the class must be one of TFDS's, or one that the
caller has already imported. TFDS is imported only for such a feature, and TensorFlow when one is first decoded.

The loader still decodes the other features of the dataset. Connectors do not get the metadata files that they saved
next to the shards; if one needs them, read the dataset with `loader.load(..., format="tf")`.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from loader._errors import UnsupportedError
from loader._features.connectors import TfdsFeature
from loader._features.sequences import split_rows
from loader._features.values import Decoder, Fields
from loader._format.example import Example

# of a builder of the repository: the module of its own file, and those of the other files of its folder
_OWN_MODULE = re.compile(r"(?:(?P<name>\w+?)_dataset_builder|dataset_folders\.(?P<folder>\w+)\.(?P<part>[\w.]+))$")
_NAME = "feature"  # the name of the feature in the record that TFDS decodes


def tfds_decoder(feature: TfdsFeature, key: str) -> Decoder:
    """Return a decoder that lets TFDS decode the feature.

    A tf.RaggedTensor becomes lists of arrays, a nested dataset a list of its examples.

    Raises
    ------
    UnsupportedError
        TFDS is not installed, does not know the class, or refuses the feature's JSON.
    """
    problem = f"feature {key!r} is a {feature.python_class_name}, which only TFDS can decode"
    if not all(map(find_spec, ("tensorflow_datasets", "tensorflow"))):
        raise UnsupportedError(f"{problem}; install it with: pip install tensorflow-datasets tensorflow")
    import tensorflow_datasets as tfds

    try:
        if missing := missing_class(feature.document):
            raise UnsupportedError(f"{problem}; {missing}")
        connector = tfds.features.FeatureConnector.from_json(feature.document)
        features = tfds.features.FeaturesDict({_NAME: connector})
    except UnsupportedError:
        raise
    except Exception as error:  # the constructor of any class may run
        raise UnsupportedError(f"{problem}, and TFDS refuses it: {_brief(error)}") from error
    parser = cache(lambda: _parser(features))

    def decode(fields: Fields) -> Any:
        message = Example()
        for name in fields:
            if name == key or name.startswith(key + "/"):
                message.features.feature[_NAME + name[len(key) :]].CopyFrom(fields[name])
        try:
            return _plain(tfds.as_numpy(parser()(message.SerializeToString())))
        except Exception as error:  # the code of any class may run
            raise ValueError(f"TFDS cannot decode it: {_brief(error)}") from error

    return decode


def missing_class(document: Any) -> str | None:
    """Return how to import the first class in a features.json that is not imported; None if all are.

    TFDS would import it by the name that its module had in the build. A class that the caller imported from the file of
    the dataset's builder, under whatever name, is the one.
    """
    import tensorflow_datasets as tfds

    known = tfds.features.FeatureConnector._registered_features
    for name in _class_names(document):
        module, _, class_name = name.rpartition(".")
        dataset = _OWN_MODULE.match(module)
        if name not in known and dataset is not None:
            folder = dataset["name"] or dataset["folder"]
            path = "/".join([folder, *(dataset["part"] or folder).split(".")]) + ".py"
            for imported in list(known.values()):
                file = getattr(sys.modules.get(imported.__module__), "__file__", None) or ""
                if imported.__name__ == class_name and f"/{Path(file).as_posix()}".endswith(f"/{path}"):
                    known[name] = imported
            if name not in known:
                return (
                    f"its class is defined in datasets/*/{path} of the repository; import that file first, as with: "
                    f"sys.path.append('<repository>/datasets/standard'); import {path[:-3].replace('/', '.')}"
                )
        elif name not in known:
            return f"import the module that defines {name} first"
    return None


def _parser(features: Any) -> Callable[[bytes], Any]:
    """Return TFDS's own parser as a TensorFlow graph, because connectors are written to run in one."""
    import tensorflow as tf

    def parse(record: Any) -> Any:
        return features.deserialize_example(record)[_NAME]

    graph: Callable[[bytes], Any] = tf.function(parse, input_signature=[tf.TensorSpec((), tf.string)])
    return graph


def _plain(value: Any) -> Any:
    """Replace the TensorFlow and TFDS types in a result of `tfds.as_numpy`."""
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
    """Yield every string that TFDS could use as a class name, including those in nested JSON text."""
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
    """Return the most helpful line of an error; in TensorFlow's long messages, it is the last that names an error."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reasons = [line for line in lines if re.match(r"[\w.]*(Error|Exception)\b", line)]
    return f"{type(error).__name__}: {(reasons[-1:] or lines[:1] or ['no reason given'])[0]}"
