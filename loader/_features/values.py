"""Values that an Example keeps one by one in its own lists: numbers and strings."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from operator import attrgetter
from typing import Any

import numpy as np

from loader._errors import UnsupportedError
from loader._features.connectors import DType, Shape, Tensor

Fields = Any  # the map from feature name to Feature message of a parsed Example
Leaf = Callable[[Fields], Any]
Array = np.ndarray[Any, np.dtype[Any]]  # `numpy.typing` takes as long to import as all of the loader's decoders

MAX_BYTES = 1 << 30
"""The most bytes that one value may take which the record does not hold as they are: an image, a compressed tensor."""

ERRORS = (ValueError, TypeError, OverflowError, MemoryError, zlib.error)
"""What decoding raises where a record does not hold what is declared."""

_LISTS = {"O": "bytes_list", "f": "float_list", "b": "int64_list", "i": "int64_list", "u": "int64_list"}


def only(values: Any) -> Any:
    """Return the one item of `values`; ValueError where there is not one."""
    if len(values) != 1:
        raise ValueError(f"one value is declared, the record has {len(values)}")
    return values[0]


def list_of(dtype: DType, key: str) -> str:
    """Return in which of its lists an Example keeps values of `dtype`.

    Raises
    ------
    UnsupportedError
        In none: bfloat16 and complex numbers need an encoding.
    """
    kind = _LISTS.get(dtype.kind)
    if kind is None:
        raise UnsupportedError(f"feature {key!r}: dtype {dtype} needs an encoding")
    return kind


def is_missing(fields: Fields, key: str, kind: str) -> bool:
    """Say whether the record has nothing under `key`; ValueError where it has a list of another kind."""
    found = fields[key].WhichOneof("kind") if key in fields else None
    if found not in (None, kind):
        raise ValueError(f"values of a {kind} are declared, the record has a {found}")
    return found is None


def values_leaf(feature: Tensor, key: str) -> Leaf:
    """Return a decoder of a feature without encoding."""
    leaf = array_leaf(feature.shape, feature.dtype, key)
    shape = [size for size in feature.shape if size is not None]
    # TFDS has a default only where it knows the shape
    if not feature.optional or len(shape) < len(feature.shape) or math.prod(shape) * feature.dtype.itemsize > MAX_BYTES:
        return leaf
    default = _smallest(feature.dtype)

    def decode(fields: Fields) -> Any:
        if key in fields:
            return leaf(fields)
        return np.full(shape, default, feature.dtype) if shape else default

    return decode


def _smallest(dtype: DType) -> Any:
    """What TFDS hands out for an optional value that an example lacks."""
    if dtype.kind == "O":
        return b""
    if dtype.kind == "b":
        return np.False_
    if dtype.kind in "iu":
        return dtype.type(np.iinfo(dtype).min)
    with np.errstate(over="ignore"):  # the smallest float64 becomes -inf, because an Example keeps float32
        return dtype.type(np.float32(np.finfo(dtype).min))


def array_leaf(shape: Shape, dtype: DType, key: str) -> Leaf:
    """Return a decoder of values of `shape`.

    Raises
    ------
    UnsupportedError
        They cannot be kept, or not be put in shape again, without an encoding.
    """
    if shape.count(None) > 1:
        raise UnsupportedError(f"feature {key!r}: more than one unknown dimension needs an encoding")
    kind = list_of(dtype, key)
    if shape == ():
        return _scalar_leaf(kind, dtype, key)
    values = attrgetter(f"{kind}.value")
    target = tuple(-1 if size is None else size for size in shape)
    # tf.train.Example has no uint64 (TFDS keeps its bits as int64) and no other width than 64 bits for integers
    wire = {"O": object, "f": np.float32}.get(dtype.kind, np.int64)

    def decode(fields: Fields) -> Array:
        array = np.array(values(fields[key]), dtype=wire)
        if not array.size:
            is_missing(fields, key, kind)
        array = array.view(np.uint64) if dtype == np.uint64 else array.astype(dtype, copy=False)
        return array.reshape(target)

    return _unwarned(decode, dtype)


def _unwarned(leaf: Leaf, dtype: DType) -> Leaf:
    """A float32 beyond float16 becomes infinite, as in TensorFlow; NumPy warns of that as well."""
    return np.errstate(over="ignore")(leaf) if dtype == np.float16 else leaf


def _scalar_leaf(kind: str, dtype: DType, key: str) -> Leaf:
    # one closure for each list, because every example passes through and a lookup by name would cost
    scalar = dtype.type

    def decode_bytes(fields: Fields) -> bytes:
        values = fields[key].bytes_list.value
        return values[0] if len(values) == 1 else only(values)  # type: ignore[no-any-return]

    def decode_integer(fields: Fields) -> Any:
        values = fields[key].int64_list.value
        return scalar(values[0] if len(values) == 1 else only(values))

    def decode_uint64(fields: Fields) -> Any:
        return np.int64(only(fields[key].int64_list.value)).view(np.uint64)

    def decode_float(fields: Fields) -> Any:
        return scalar(only(fields[key].float_list.value))

    if dtype == np.uint64:
        return decode_uint64
    leaf = {"bytes_list": decode_bytes, "int64_list": decode_integer, "float_list": decode_float}[kind]
    return _unwarned(leaf, dtype)


def fits(shape: Shape, declared: Shape) -> bool:
    """Say whether a value of `shape` is one of the `declared` shape."""
    return len(shape) == len(declared) and all(d is None or d == s for s, d in zip(shape, declared, strict=True))
