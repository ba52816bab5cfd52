"""From the bytes of a record to an example: the values that `tfds.as_numpy` gives.

A decoder is put together once from the features and then runs for every record. Numbers come as NumPy scalars or
arrays of the declared dtype and shape, text and other strings as bytes, images as arrays of (height, width, channels).
Images are decoded by OpenCV: PNG exactly as TensorFlow does; JPEG through libjpeg-turbo, which may differ from
TensorFlow's decoder by a few of 255 steps.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from loader._errors import DecodeError, UnsupportedError
from loader._example import Example
from loader._features import Audio, ClassLabel, Feature, FeaturesDict, Image, Shape, Tensor, Text

Fields = Any  # the map from feature name to Feature message of a parsed Example
Leaf = Callable[[Fields], Any]
Array = npt.NDArray[Any]

_ERRORS = (ValueError, TypeError, OverflowError, zlib.error)


def make_decoder(features: FeaturesDict) -> Callable[[bytes], dict[str, Any]]:
    """Return a function from a record's bytes to its example.

    Raises
    ------
    UnsupportedError
        A feature's combination of dtype, shape and encoding cannot be decoded.
    """
    leaf = _dict_leaf(features, "")
    parse = Example.FromString

    def decode(record: bytes) -> dict[str, Any]:
        try:
            fields = parse(record).features.feature
        except Exception as error:  # protobuf's DecodeError has no stable home to import it from
            raise DecodeError(f"the record is no tf.train.Example: {error}") from error
        return leaf(fields)  # type: ignore[no-any-return]

    return decode


def _leaf(feature: Feature, key: str) -> Leaf:
    if isinstance(feature, FeaturesDict):
        return _dict_leaf(feature, key + "/")
    if isinstance(feature, Image):
        return _named(_image_leaf(feature, key), key)
    if isinstance(feature, (ClassLabel, Text)):
        return _named(_values_leaf((), np.dtype(feature.dtype), key), key)
    if feature.encoding == "none":
        return _named(_values_leaf(feature.shape, np.dtype(feature.dtype), key), key)
    return _named(_encoded_leaf(feature, key), key)


def _dict_leaf(features: FeaturesDict, prefix: str) -> Leaf:
    leaves = [(name, _leaf(feature, prefix + name)) for name, feature in features.items()]

    def decode(fields: Fields) -> dict[str, Any]:
        return {name: leaf(fields) for name, leaf in leaves}

    return decode


def _named(leaf: Leaf, key: str) -> Leaf:
    """Return `leaf` with its failures turned into a DecodeError that names the feature."""

    def decode(fields: Fields) -> Any:
        try:
            return leaf(fields)
        except _ERRORS as error:
            raise DecodeError(f"feature {key!r}: {error}") from error

    return decode


def _values_leaf(shape: Shape, dtype: np.dtype[Any], key: str) -> Leaf:
    """Values kept one by one in the Example's own lists."""
    if shape.count(None) > 1:
        raise UnsupportedError(f"feature {key!r}: more than one unknown dimension needs an encoding")
    if dtype.kind == "O":
        values: Leaf = lambda fields: fields[key].bytes_list.value  # noqa: E731
    elif dtype.kind == "f":
        values = lambda fields: fields[key].float_list.value  # noqa: E731
    elif dtype.kind in "biu":
        values = lambda fields: fields[key].int64_list.value  # noqa: E731
    else:
        raise UnsupportedError(f"feature {key!r}: dtype {dtype} cannot be decoded")

    if shape == ():
        return _scalar_leaf(values, dtype)
    target = tuple(-1 if size is None else size for size in shape)
    # tf.train.Example has no uint64 (TFDS keeps its bits as int64) and no other width than 64 bits for integers
    wire = {"O": object, "f": np.float32}.get(dtype.kind, np.int64)

    def decode(fields: Fields) -> Array:
        array = np.array(values(fields), dtype=wire)
        array = array.view(np.uint64) if dtype == np.uint64 else array.astype(dtype, copy=False)
        return array.reshape(target)

    return decode


def _scalar_leaf(values: Leaf, dtype: np.dtype[Any]) -> Leaf:
    if dtype.kind == "O":

        def decode_bytes(fields: Fields) -> bytes:
            (value,) = values(fields)
            return value  # type: ignore[no-any-return]

        return decode_bytes
    scalar = dtype.type
    mask = 2**64 - 1 if dtype == np.uint64 else None

    def decode(fields: Fields) -> Any:
        (value,) = values(fields)
        return scalar(value if mask is None else value & mask)

    return decode


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
        (data,) = fields[value_key].bytes_list.value
        if inflate:
            data = zlib.decompress(data)
        shape = tuple(fields[f"{key}/shape"].int64_list.value) if dynamic else static
        # a copy, because an array over bytes cannot be written to
        return np.frombuffer(data, dtype).reshape(shape).copy()

    return decode


def _image_leaf(feature: Image, key: str) -> Leaf:
    import cv2

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
    swap = stored_channels == 4
    expected = feature.shape
    fixed = None if None in expected else tuple(expected)
    imdecode, frombuffer, uint8 = cv2.imdecode, np.frombuffer, np.uint8

    def decode(fields: Fields) -> Array:
        (data,) = fields[key].bytes_list.value
        try:
            image: Any = imdecode(frombuffer(data, uint8), flags)
        except cv2.error as error:
            raise ValueError(f"OpenCV cannot decode the image: {error}") from error
        if image is None:
            raise ValueError("the image is neither PNG nor JPEG, or is damaged")
        if image.ndim == 2:
            image = image[:, :, None]
        if image.dtype != stored_dtype or image.shape[2] != stored_channels:
            raise ValueError(f"the image has {image.shape[2]} channels of {image.dtype}, not those declared")
        if swap:
            image = cv2.cvtColor(image, cv2.COLOR_BGRA2RGBA)
        if as_float:
            image = image.view(np.float32)
        if image.shape != fixed and not _fits(image.shape, expected):
            raise ValueError(f"the image has shape {image.shape}, declared is {expected}")
        return image  # type: ignore[no-any-return]

    return decode


def _fits(shape: tuple[int, ...], expected: Shape) -> bool:
    return len(shape) == len(expected) and all(e is None or e == s for s, e in zip(shape, expected, strict=True))
