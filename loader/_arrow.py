"""Values of many examples as Arrow arrays, and as columns of pandas."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

import numpy as np

from loader._errors import DecodeError, UnsupportedError
from loader._features.connectors import Feature, FeaturesDict, Sequence, Text
from loader._features.values import Array


def check_package(package: str, caller: str) -> None:
    """Check that a package is installed, without importing it.

    Raises
    ------
    UnsupportedError
        It is not.
    """
    if importlib.util.find_spec(package) is None:
        raise UnsupportedError(
            f"{caller} needs {package}, which is not installed; install it with: pip install {package}"
        )


def to_table(values: Mapping[str, Any], features: Mapping[str, Feature], label: str) -> Any:
    """Return a `pyarrow.Table` of the values of all examples, by feature name.

    Parameters
    ----------
    values
        Arrays or lists, as in a batch.
    features
        The features, as far as they are known.
    label
        The examples' name, for messages.

    Raises
    ------
    DecodeError
        A text is not UTF-8.
    UnsupportedError
        Arrow has no such type.
    """
    import pyarrow as pa

    columns = {}
    for name, value in values.items():
        try:
            columns[name] = _array(value, features.get(name))
        except UnicodeDecodeError as error:
            raise DecodeError(f"{label}: feature {name!r} is not text in UTF-8 ({error})") from error
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
            raise UnsupportedError(f"{label}: feature {name!r} cannot become an Arrow array ({error})") from error
    return pa.table(columns)


def to_frame(values: Mapping[str, Any], features: Mapping[str, Feature], label: str) -> Any:
    """Return a `pandas.DataFrame` of the values of all examples; parameters and errors are those of `to_table`."""
    import pandas as pd

    columns = {}
    for name, value, feature in _flat(values, features):
        if isinstance(value, np.ndarray) and value.dtype == object and isinstance(feature, Text):
            try:
                value = [text.decode() for text in value]
            except UnicodeDecodeError as error:
                raise DecodeError(f"{label}: feature {name!r} is not text in UTF-8 ({error})") from error
            columns[name] = pd.Series(value, dtype="str")
        elif isinstance(value, np.ndarray) and value.ndim == 1:
            columns[name] = pd.Series(value)
        else:
            columns[name] = pd.Series(list(value), dtype=object)
    return pd.DataFrame(columns)


def _flat(
    values: Mapping[str, Any], features: Mapping[str, Feature], path: str = ""
) -> Iterator[tuple[str, Any, Feature | None]]:
    """Yield the path, like "objects/bbox", the values and the feature of each array or list."""
    for name, value in values.items():
        feature = features.get(name)
        if isinstance(value, dict):
            yield from _flat(value, feature if isinstance(feature, FeaturesDict) else {}, f"{path}{name}/")
        else:
            yield path + name, value, feature


def _array(values: Any, feature: Feature | None) -> Any:
    """Return an Arrow array of the values of a feature."""
    import pyarrow as pa

    if isinstance(values, dict):
        inner = feature if isinstance(feature, FeaturesDict) else {}
        return pa.StructArray.from_arrays(
            [_array(value, inner.get(name)) for name, value in values.items()], list(values)
        )
    if isinstance(values, np.ndarray):
        return _nested(values.reshape(-1), values.shape[1:], np.empty((len(values), 0)), feature)
    first = values[0] if values else None
    declared = getattr(feature, "shape", None)
    if isinstance(first, list):  # of rows
        inner_feature = feature.feature if isinstance(feature, Sequence) else None
        return _lists([len(value) for value in values], _array(list(chain.from_iterable(values)), inner_feature))
    if isinstance(first, np.ndarray) or (first is None and declared):
        rank = len(declared or first.shape)  # type: ignore[union-attr]
        shapes = np.array([value.shape for value in values], np.int64).reshape(-1, rank)
        dtype = first.dtype if first is not None else feature.dtype  # type: ignore[union-attr]
        flat = np.concatenate([value.reshape(-1) for value in values]) if values else np.empty(0, dtype)
        return _nested(flat, declared or (None,) * rank, shapes, feature)
    return pa.array(values if declared is None else np.array(values, feature.dtype))  # type: ignore[union-attr]


def _nested(flat: Array, shape: tuple[int | None, ...], shapes: Array, feature: Feature | None) -> Any:
    """Return lists in lists: of one size where `shape` has one, otherwise of the sizes in `shapes`, a row for each."""
    import pyarrow as pa

    while isinstance(feature, Sequence):
        feature = feature.feature
    if flat.dtype == object:
        is_text = isinstance(feature, Text) or any(isinstance(value, str) for value in flat[:1])
        texts = [value.decode() if isinstance(value, bytes) else value for value in flat] if is_text else list(flat)
        array = pa.array(texts, pa.large_string() if is_text else pa.large_binary())
    else:
        array = pa.array(flat)
    counts = [np.ones(len(shapes), np.int64)]  # of lists in each value, level by level
    for axis, size in enumerate(shape):
        counts.append(counts[-1] * (shapes[:, axis] if size is None else size))
    for axis in reversed(range(len(shape))):
        if size := shape[axis]:
            array = pa.FixedSizeListArray.from_arrays(array, size)
        else:  # of no fixed size, or 0, from which Arrow cannot tell how many there are
            sizes = shapes[:, axis] if size is None else np.zeros(len(shapes), np.int64)
            array = _lists(np.repeat(sizes, counts[axis]), array)
    return array


def _lists(lengths: Any, array: Any) -> Any:
    import pyarrow as pa

    return pa.LargeListArray.from_arrays(np.cumsum([0, *lengths]), array)
