"""Values that an Example stores without encoding, in its own lists: numbers and strings."""

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
Decoder = Callable[[Fields], Any]
Array = np.ndarray[Any, np.dtype[Any]]  # `numpy.typing` takes as long to import as all of the loader's decoders

MAX_BYTES = 1 << 30
"""The most bytes that one compressed value may decode to: an image, a compressed tensor."""

LARGE_BYTES = 4096
"""A value of more bytes is copied into its batch by NumPy, which meanwhile lets other threads run."""

ERRORS = (ValueError, TypeError, OverflowError, MemoryError, zlib.error)
"""The errors that decoding may raise if a record does not match the declared features."""

_LISTS = {"O": "bytes_list", "f": "float_list", "b": "int64_list", "i": "int64_list", "u": "int64_list"}


def only(values: Any) -> Any:
    """Return the only item of `values`; ValueError if there is none or more than one."""
    if len(values) != 1:
        raise ValueError(f"one value is declared, but the record has {len(values)}")
    return values[0]


def list_of(dtype: DType, key: str) -> str:
    """Return the name of the list in which an Example stores values of `dtype`.

    Raises
    ------
    UnsupportedError
        There is no such list: bfloat16 and complex numbers need an encoding.
    """
    kind = _LISTS.get(dtype.kind)
    if kind is None:
        raise UnsupportedError(f"feature {key!r}: dtype {dtype} needs an encoding")
    return kind


def is_missing(fields: Fields, key: str, kind: str) -> bool:
    """Return whether the record has no values under `key`; ValueError if it has a list of another kind."""
    found = fields[key].WhichOneof("kind") if key in fields else None
    if found not in (None, kind):
        raise ValueError(f"a {kind} is declared, but the record has a {found}")
    return found is None


def values_decoder(feature: Tensor, key: str) -> Decoder:
    """Return a decoder of a feature without encoding."""
    decode_present = array_decoder(feature.shape, feature.dtype, key)
    shape = [size for size in feature.shape if size is not None]
    # TFDS has a default only if it knows the shape
    if not feature.optional or len(shape) < len(feature.shape) or math.prod(shape) * feature.dtype.itemsize > MAX_BYTES:
        return decode_present
    default = _smallest(feature.dtype)

    def decode(fields: Fields) -> Any:
        if key in fields:
            return decode_present(fields)
        return np.full(shape, default, feature.dtype) if shape else default

    return decode


def _smallest(dtype: DType) -> Any:
    """Return the value that TFDS uses for a missing optional value."""
    if dtype.kind == "O":
        return b""
    if dtype.kind == "b":
        return np.False_
    if dtype.kind in "iu":
        return dtype.type(np.iinfo(dtype).min)
    with np.errstate(over="ignore"):  # the smallest float64 becomes -inf, because an Example stores float32
        return dtype.type(np.float32(np.finfo(dtype).min))


def array_decoder(shape: Shape, dtype: DType, key: str) -> Decoder:
    """Return a decoder of values of `shape`.

    Raises
    ------
    UnsupportedError
        Such values cannot be stored, or not be reshaped, without an encoding.
    """
    if shape.count(None) > 1:
        raise UnsupportedError(f"feature {key!r}: more than one unknown dimension needs an encoding")
    kind = list_of(dtype, key)
    if shape == ():
        return _scalar_decoder(kind, dtype, key)
    values = attrgetter(f"{kind}.value")
    target = tuple(-1 if size is None else size for size in shape)
    # the only integers of tf.train.Example are int64; TFDS stores the bits of a uint64 as int64
    wire = {"O": object, "f": np.float32}.get(dtype.kind, np.int64)

    def decode(fields: Fields) -> Array:
        array = np.array(values(fields[key]), dtype=wire)
        if not array.size:
            is_missing(fields, key, kind)
        array = array.view(np.uint64) if dtype == np.uint64 else array.astype(dtype, copy=False)
        return array.reshape(target)

    return _without_warning(decode) if dtype in (np.float16, np.float64) else decode


def _without_warning(decode: Decoder) -> Decoder:
    """Suppress NumPy's warnings about a float32 that it converts as TensorFlow does.

    One too large for float16 becomes infinite, and a signalling NaN a quiet one.
    """
    return np.errstate(over="ignore", invalid="ignore")(decode)


def _scalar_decoder(kind: str, dtype: DType, key: str) -> Decoder:
    # one function per list, because these run for every example, and a lookup by name would be slower
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
    decode = {"bytes_list": decode_bytes, "int64_list": decode_integer, "float_list": decode_float}[kind]
    return _without_warning(decode) if dtype == np.float16 else decode  # Python's floats have no signalling NaN


def fits(shape: Shape, declared: Shape) -> bool:
    """Return whether `shape` matches the `declared` shape, in which None matches any size."""
    return len(shape) == len(declared) and all(d is None or d == s for s, d in zip(shape, declared, strict=True))
