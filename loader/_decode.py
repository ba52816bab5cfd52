"""From the bytes of a record to an example: the values that `tfds.as_numpy` gives.

A decoder is put together once from the features and then runs for every record. Numbers come as NumPy scalars or
arrays of the declared dtype and shape, text and other strings as bytes, images as arrays of (height, width, channels).
Images are decoded by OpenCV: PNG exactly as TensorFlow does; JPEG with libjpeg-turbo, which differs from what
TensorFlow does by one or two of 255 steps on average and by up to 16 at hard edges.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from operator import attrgetter
from typing import Any

import numpy as np
import numpy.typing as npt
from google.protobuf.message import DecodeError as ProtobufError

from loader._errors import DecodeError, UnsupportedError
from loader._example import Example
from loader._features import Audio, ClassLabel, Feature, FeaturesDict, Image, Shape, Tensor, Text

Fields = Any  # the map from feature name to Feature message of a parsed Example
Leaf = Callable[[Fields], Any]
Array = npt.NDArray[Any]

_LISTS = {"O": "bytes_list", "f": "float_list", "b": "int64_list", "i": "int64_list", "u": "int64_list"}
_ERRORS = (ValueError, TypeError, OverflowError, zlib.error)


def make_decoder(features: FeaturesDict) -> Callable[[bytes], dict[str, Any]]:
    """Return a function from a record's bytes to its example.

    Raises
    ------
    UnsupportedError
        A feature's combination of dtype, shape and encoding cannot be decoded.
    """
    leaves = _leaves(features, "")
    parse = Example.FromString

    def decode(record: bytes) -> dict[str, Any]:
        try:
            fields = parse(record).features.feature
        except ProtobufError as error:
            raise DecodeError(f"it is no tf.train.Example ({error})") from error
        example = {}
        try:
            for name, leaf in leaves:
                example[name] = leaf(fields)
        except _ERRORS as error:
            raise DecodeError(_blame(leaves, fields, "")) from error
        return example

    return decode


def _leaves(features: FeaturesDict, prefix: str) -> list[tuple[str, Leaf]]:
    return [(name, _leaf(feature, prefix + name)) for name, feature in features.items()]


def _leaf(feature: Feature, key: str) -> Leaf:
    if isinstance(feature, FeaturesDict):
        return _DictLeaf(_leaves(feature, key + "/"))
    if isinstance(feature, Image):
        return _image_leaf(feature, key)
    if isinstance(feature, (ClassLabel, Text)):
        return _values_leaf((), np.dtype(feature.dtype), key)
    if feature.encoding == "none":
        return _values_leaf(feature.shape, np.dtype(feature.dtype), key)
    return _encoded_leaf(feature, key)


class _DictLeaf:
    """A FeaturesDict inside another."""

    def __init__(self, leaves: list[tuple[str, Leaf]]) -> None:
        self.leaves = leaves

    def __call__(self, fields: Fields) -> dict[str, Any]:
        return {name: leaf(fields) for name, leaf in self.leaves}


def _blame(leaves: list[tuple[str, Leaf]], fields: Fields, prefix: str) -> str:
    """Decode anew, feature by feature, to say which one fails: only failures pay for knowing."""
    for name, leaf in leaves:
        if isinstance(leaf, _DictLeaf):
            reason = _blame(leaf.leaves, fields, f"{prefix}{name}/")
            if reason:
                return reason
            continue
        try:
            leaf(fields)
        except _ERRORS as error:
            return f"feature {prefix + name!r}: {error}"
    return ""


def _only(values: Any) -> Any:
    if len(values) != 1:
        raise ValueError(f"one value is declared, the record has {len(values)}")
    return values[0]


def _values_leaf(shape: Shape, dtype: np.dtype[Any], key: str) -> Leaf:
    """Values kept one by one in the Example's own lists."""
    if shape.count(None) > 1:
        raise UnsupportedError(f"feature {key!r}: more than one unknown dimension needs an encoding")
    kind = _LISTS.get(dtype.kind)
    if kind is None:
        raise UnsupportedError(f"feature {key!r}: dtype {dtype} cannot be decoded")
    if shape == ():
        return _scalar_leaf(kind, dtype, key)
    values = attrgetter(f"{kind}.value")
    target = tuple(-1 if size is None else size for size in shape)
    # tf.train.Example has no uint64 (TFDS keeps its bits as int64) and no other width than 64 bits for integers
    wire = {"O": object, "f": np.float32}.get(dtype.kind, np.int64)

    def decode(fields: Fields) -> Array:
        array = np.array(values(fields[key]), dtype=wire)
        array = array.view(np.uint64) if dtype == np.uint64 else array.astype(dtype, copy=False)
        return array.reshape(target)

    return decode


def _scalar_leaf(kind: str, dtype: np.dtype[Any], key: str) -> Leaf:
    # one closure for each list, because every example passes through and a lookup by name would cost
    scalar = dtype.type

    def decode_bytes(fields: Fields) -> bytes:
        values = fields[key].bytes_list.value
        return values[0] if len(values) == 1 else _only(values)  # type: ignore[no-any-return]

    def decode_integer(fields: Fields) -> Any:
        values = fields[key].int64_list.value
        return scalar(values[0] if len(values) == 1 else _only(values))

    def decode_uint64(fields: Fields) -> Any:
        return np.int64(_only(fields[key].int64_list.value)).view(np.uint64)

    def decode_float(fields: Fields) -> Any:
        return scalar(_only(fields[key].float_list.value))

    if dtype == np.uint64:
        return decode_uint64
    return {"bytes_list": decode_bytes, "int64_list": decode_integer, "float_list": decode_float}[kind]


def _encoded_leaf(feature: Tensor | Audio, key: str) -> Leaf:
    """Values kept as one string of little-endian bytes, perhaps compressed."""
    if feature.encoding not in ("bytes", "zlib"):
        raise UnsupportedError(f"feature {key!r}: encoding {feature.encoding!r} cannot be decoded")
    inflate = feature.encoding == "zlib"
    dtype = np.dtype(feature.dtype).newbyteorder("<")
    dynamic = feature.shape.count(None) > 1
    value_key = f"{key}/value" if dynamic else key
    static = tuple(-1 if size is None else size for size in feature.shape)

    def decode(fields: Fields) -> Array:
        data = _only(fields[value_key].bytes_list.value)
        if inflate:
            data = zlib.decompress(data)
        shape = tuple(fields[f"{key}/shape"].int64_list.value) if dynamic else static
        # a copy, because an array over bytes cannot be written to
        return np.frombuffer(data, dtype).reshape(shape).copy()

    return decode


def _image_leaf(feature: Image, key: str) -> Leaf:
    import cv2

    if len(feature.shape) != 3:
        raise UnsupportedError(f"feature {key!r}: images of shape {feature.shape} cannot be decoded")
    channels = feature.shape[-1]
    if channels not in (1, 3, 4):
        raise UnsupportedError(f"feature {key!r}: images of {channels} channels cannot be decoded")
    bits = np.dtype(feature.dtype)
    as_float = bits == np.float32  # TFDS keeps a float32 pixel as the four uint8 channels of a PNG
    stored_channels = 4 if as_float else channels
    stored_dtype = np.dtype(np.uint8) if as_float else bits
    flags = int(cv2.IMREAD_UNCHANGED)
    if stored_channels == 3:
        flags = int(cv2.IMREAD_COLOR_RGB | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION)
    expected = feature.shape
    # what OpenCV hands out for one channel has two dimensions; compared whole, because that is quick
    flat = expected[:2] if stored_channels == 1 and None not in expected else None
    imdecode, frombuffer, uint8 = cv2.imdecode, np.frombuffer, np.uint8

    def decode(fields: Fields) -> Array:
        values = fields[key].bytes_list.value
        data = values[0] if len(values) == 1 else _only(values)
        try:
            image: Any = imdecode(frombuffer(data, uint8), flags)
        except cv2.error as error:
            raise ValueError(f"OpenCV cannot decode the image: {error}") from error
        if image is None:
            raise ValueError("the image is neither PNG nor JPEG, or is damaged")
        if image.shape == flat and image.dtype is stored_dtype:
            return image.reshape(expected)  # type: ignore[no-any-return]
        return checked(image)

    def checked(image: Array) -> Array:
        if image.ndim == 2:
            image = image[:, :, None]
        if image.dtype != stored_dtype or image.shape[2] != stored_channels:
            raise ValueError(f"the image has {image.shape[2]} channels of {image.dtype}, not those declared")
        if stored_channels == 4:
            image = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGRA2RGBA))
        if as_float:
            image = image.view(np.float32)
        if not _fits(image.shape, expected):
            raise ValueError(f"the image has shape {image.shape}, declared is {expected}")
        return image

    return decode


def _fits(shape: tuple[int, ...], expected: Shape) -> bool:
    return len(shape) == len(expected) and all(e is None or e == s for s, e in zip(shape, expected, strict=True))
