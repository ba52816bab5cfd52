"""Values that are kept as bytes of their own: images, audio files, encoded tensors."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from loader._errors import UnsupportedError
from loader._features.connectors import Audio, Image, Tensor
from loader._features.values import MAX_BYTES, Array, Fields, Leaf, fits, only

Decoder = Callable[..., Array]  # from the bytes, and from the shape where the record keeps one


def is_cell(feature: Tensor | Image) -> bool:
    """Say whether values of `feature` are kept as bytes of their own."""
    return (
        isinstance(feature, Image) or feature.encoding != "none" or (isinstance(feature, Audio) and feature.lazy_decode)
    )


def cell_leaf(feature: Tensor | Image, key: str) -> Leaf:
    """Return a decoder of a feature that is kept as bytes.

    Raises
    ------
    UnsupportedError
        Its combination of dtype, shape and encoding cannot be decoded.
    """
    cells = Cells(feature, key)
    if cells.shape_key is not None:
        return lambda fields: only(list(cells.read(fields)))
    decode_cell = cells.decode

    def decode(fields: Fields) -> Any:
        values = fields[key].bytes_list.value
        return decode_cell(values[0] if len(values) == 1 else only(values))

    return decode


def cell_keys(feature: Tensor | Image, key: str) -> tuple[str, str | None]:
    """Return where the bytes are, and where the shapes: TFDS keeps that of a tensor of several unknown dimensions."""
    dynamic = isinstance(feature, Tensor) and feature.shape.count(None) > 1
    return (f"{key}/value", f"{key}/shape") if dynamic else (key, None)


class Cells:
    """The values of a feature, each kept as bytes.

    Attributes
    ----------
    key, shape_key
        Where the bytes are, and where the shapes.
    decode
        From the bytes (and the shape, where it is kept) to the value.
    """

    def __init__(self, feature: Tensor | Image, key: str) -> None:
        self.key, self.shape_key = cell_keys(feature, key)
        self.decode = _decoder(feature, key)
        self._rank = len(feature.shape)

    def read(self, fields: Fields, suffix: str = "") -> Iterator[Any]:
        """Yield the values that the record keeps under the key with `suffix`."""
        values = fields[self.key + suffix].bytes_list.value
        if self.shape_key is None:
            return map(self.decode, values)
        shapes = np.array(fields[self.shape_key + suffix].int64_list.value, np.int64).reshape(len(values), self._rank)
        return map(self.decode, values, map(tuple, shapes.tolist()))


def _decoder(feature: Tensor | Image, key: str) -> Decoder:
    if isinstance(feature, Image):
        from loader._features.images import image_decoder  # only who has images pays for the import of their decoders

        return image_decoder(feature)
    if isinstance(feature, Audio) and feature.lazy_decode:
        from loader._features.audio import wav_decoder

        return wav_decoder(feature)
    if feature.dtype == object:
        raise UnsupportedError(f"feature {key!r}: strings cannot be kept as {feature.encoding}")
    return _tensor_decoder(feature)


def _tensor_decoder(feature: Tensor) -> Decoder:
    dtype, declared = feature.dtype.newbyteorder("<"), feature.shape
    template = tuple(-1 if size is None else size for size in declared)
    known = None if None in declared else math.prod(template) * dtype.itemsize
    inflate = feature.encoding == "zlib"

    def decode(data: bytes, shape: tuple[int, ...] = template, size: int | None = known) -> Any:
        if inflate:
            data = _inflate(data, size)
        array = np.frombuffer(data, dtype).reshape(shape)
        # a copy, because an array over bytes cannot be written to; a single value comes as NumPy's scalar
        return array.copy() if shape else array[()]

    def decode_shaped(data: bytes, shape: tuple[int, ...]) -> Any:
        if min(shape) < 0 or not fits(shape, declared):
            raise ValueError(f"shape {declared} is declared, the record has {shape}")
        return decode(data, shape, math.prod(shape) * dtype.itemsize)

    return decode_shaped if declared.count(None) > 1 else decode


def _inflate(data: bytes, size: int | None) -> bytes:
    """Decompress to `size` bytes, or to as many as there are where that is not known."""
    most = MAX_BYTES if size is None else size
    if most > MAX_BYTES:
        raise ValueError(f"{most:,} bytes are declared, more than the {MAX_BYTES:,} that are decompressed at most")
    inflater = zlib.decompressobj()
    inflated = inflater.decompress(data, most + 1)
    if len(inflated) > most:
        raise ValueError(f"it decompresses to more than {most:,} bytes")
    if not inflater.eof or (size is not None and len(inflated) != size):
        raise ValueError(f"it decompresses to {len(inflated):,} bytes only")
    return inflated
