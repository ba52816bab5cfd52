"""Values that a record stores as encoded bytes: images, audio files, encoded tensors."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from loader._errors import UnsupportedError
from loader._features.connectors import Audio, Image, Tensor
from loader._features.values import MAX_BYTES, Array, Decoder, Fields, fits, only

BytesDecoder = Callable[..., Array]  # from the bytes, and the shape if the record stores it


def is_encoded(feature: Tensor | Image) -> bool:
    """Return whether values of `feature` are stored as encoded bytes."""
    return (
        isinstance(feature, Image) or feature.encoding != "none" or (isinstance(feature, Audio) and feature.lazy_decode)
    )


def encoded_decoder(feature: Tensor | Image, key: str) -> Decoder:
    """Return a decoder of a feature that is stored as encoded bytes.

    Raises
    ------
    UnsupportedError
        The combination of dtype, shape and encoding cannot be decoded.
    """
    encoded = EncodedValues(feature, key)
    if encoded.shape_key is not None:
        return lambda fields: only(list(encoded.read(fields)))
    decode_bytes = encoded.decode

    def decode(fields: Fields) -> Any:
        values = fields[key].bytes_list.value
        return decode_bytes(values[0] if len(values) == 1 else only(values))

    return decode


def encoded_keys(feature: Tensor | Image, key: str) -> tuple[str, str | None]:
    """Return the keys of the bytes and of the shapes; TFDS stores a shape if several dimensions are unknown."""
    dynamic = isinstance(feature, Tensor) and feature.shape.count(None) > 1
    return (f"{key}/value", f"{key}/shape") if dynamic else (key, None)


class EncodedValues:
    """The values of a feature, each stored as encoded bytes.

    Attributes
    ----------
    key, shape_key
        The keys of the bytes and of the shapes; `shape_key` is None if shapes are not stored.
    decode
        Function from the bytes (and the shape, if it is stored) to the value.
    """

    def __init__(self, feature: Tensor | Image, key: str) -> None:
        self.key, self.shape_key = encoded_keys(feature, key)
        self.decode = _bytes_decoder(feature, key)
        self._rank = len(feature.shape)

    def read(self, fields: Fields, suffix: str = "") -> Iterator[Any]:
        """Yield the values that the record stores under the key with `suffix`."""
        values = fields[self.key + suffix].bytes_list.value
        if self.shape_key is None:
            return map(self.decode, values)
        shapes = np.array(fields[self.shape_key + suffix].int64_list.value, np.int64).reshape(len(values), self._rank)
        return map(self.decode, values, map(tuple, shapes.tolist()))


def _bytes_decoder(feature: Tensor | Image, key: str) -> BytesDecoder:
    if isinstance(feature, Image):
        from loader._features.images import image_decoder  # slow to import, so only datasets with images do it

        return image_decoder(feature)
    if isinstance(feature, Audio) and feature.lazy_decode:
        from loader._features.audio import wav_decoder

        return wav_decoder(feature)
    if feature.dtype == object:
        raise UnsupportedError(f"feature {key!r}: strings cannot be stored with the encoding {feature.encoding}")
    return _tensor_decoder(feature)


def _tensor_decoder(feature: Tensor) -> BytesDecoder:
    dtype, declared = feature.dtype.newbyteorder("<"), feature.shape
    template = tuple(-1 if size is None else size for size in declared)
    known = None if None in declared else math.prod(template) * dtype.itemsize
    inflate = feature.encoding == "zlib"

    def decode(data: bytes, shape: tuple[int, ...] = template, size: int | None = known) -> Any:
        if inflate:
            data = _inflate(data, size)
        array = np.frombuffer(data, dtype).reshape(shape)
        # copied, because an array over bytes is read-only; a single value becomes a NumPy scalar
        return array.copy() if shape else array[()]

    def decode_shaped(data: bytes, shape: tuple[int, ...]) -> Any:
        if min(shape) < 0 or not fits(shape, declared):
            raise ValueError(f"shape {declared} is declared, but the record has {shape}")
        return decode(data, shape, math.prod(shape) * dtype.itemsize)

    return decode_shaped if declared.count(None) > 1 else decode


def _inflate(data: bytes, size: int | None) -> bytes:
    """Decompress to exactly `size` bytes, or to any number if `size` is None; MAX_BYTES at most."""
    most = MAX_BYTES if size is None else size
    if most > MAX_BYTES:
        raise ValueError(f"{most:,} bytes are declared, but at most {MAX_BYTES:,} are decompressed")
    inflater = zlib.decompressobj()
    inflated = inflater.decompress(data, most + 1)
    if len(inflated) > most:
        raise ValueError(f"the value decompresses to more than {most:,} bytes")
    if not inflater.eof or (size is not None and len(inflated) != size):
        raise ValueError(f"the value decompresses to only {len(inflated):,} bytes")
    return inflated
