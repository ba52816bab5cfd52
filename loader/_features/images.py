"""Decode images bit for bit as TensorFlow's `decode_image` does.

PNG, JPEG and BMP are decoded whatever the feature's `encoding_format`, and converted to its channels and dtype.

- PNG: kornia-rs if the pixels have the declared channels and dtype, otherwise kornia-rs and `loader._features.png`.
- JPEG: simplejpeg, which uses libjpeg-turbo, as TensorFlow does, with TensorFlow's default: the fast inverse cosine
  transform, less exact than the usual one. If simplejpeg does not support the subsampling, kornia-rs decodes the
  image with the exact transform, and pixels differ by a few of 255 steps; a damaged one is refused.
- BMP: decoded in this module.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Protocol

import kornia_rs
import numpy as np
import simplejpeg
from kornia_rs import io as kornia

from loader._features.connectors import DType, Image
from loader._features.image_header import PNG_COLOR_TYPES, PNG_END, Header, png_head, read_header
from loader._features.png import decode_png
from loader._features.values import MAX_BYTES, Array, fits

DECODERS = (f"kornia-rs {kornia_rs.__version__}", f"simplejpeg {simplejpeg.__version__}")
"""The decoders and their versions, which decide the values of images."""

_UINT8 = np.dtype(np.uint8)
_MODES = {1: "mono", 3: "rgb", 4: "rgba"}


class ImageDecoder(Protocol):
    """A function from an encoded image to its array of shape (height, width, channels).

    If it is given an array of this shape and dtype, and the image is a JPEG, it may decode into that and return it.
    """

    def __call__(self, data: bytes, out: Array | None = None) -> Array: ...


def image_decoder(feature: Image) -> ImageDecoder:
    """Return a decoder of encoded images.

    It raises ValueError if the image is damaged, has another size than declared, or is one that TensorFlow refuses.
    """
    shape = feature.shape
    as_float = feature.dtype == np.float32  # TFDS stores a float32 pixel as the four uint8 channels of a PNG
    channels = 4 if as_float else shape[-1]
    dtype = _UINT8 if as_float else feature.dtype

    def decode(data: bytes, out: Array | None = None) -> Array:
        header = read_header(data)
        height, width = header.height, header.width
        if not fits((height, width), shape[:2]):
            raise ValueError(f"the image is {height} x {width}, but {shape[0]} x {shape[1]} is declared")
        pixel = max(header.channels, channels or 0) * max(header.bits // 8, dtype.itemsize)
        if not 0 < height * width * pixel <= MAX_BYTES or not header.can_be_in(data):
            raise ValueError(f"an image of {len(data):,} bytes that claims {height} x {width} pixels is refused")
        image = np.ascontiguousarray(_READERS[header.format](data, header, channels, dtype, out))
        if image.shape[:2] != (height, width):
            raise ValueError("the image has another size than its header says")
        return image.view(np.float32) if as_float else image

    height, width = shape[:2]
    if as_float or channels is None or height is None or width is None or not 0 < height * width <= 1 << 24:
        return decode
    return _with_fast_path(decode, (height, width), channels, dtype)


def _with_fast_path(decode: ImageDecoder, size: tuple[int, int], channels: int, dtype: DType) -> ImageDecoder:
    """Return a decoder with a fast path for the PNGs that TFDS writes: declared size and dtype, pixels in one chunk.

    Their first and last bytes are enough to recognise them; `decode` handles everything else.
    """
    head = png_head(*size, dtype.itemsize * 8, PNG_COLOR_TYPES[channels])
    unpack, decode_plain, mode = struct.Struct(">29s4xI4s").unpack_from, _plain_png_decoder(dtype), _MODES[channels]

    def decode_fast(data: bytes, out: Array | None = None) -> Array:
        if len(data) < 57 or unpack(data) != (head, len(data) - 57, b"IDAT") or not data.endswith(PNG_END):
            return decode(data, out)
        try:
            return decode_plain(data, size, mode)
        except Exception as error:  # kornia-rs raises this class
            raise ValueError(f"the PNG is damaged ({error})") from error

    return decode_fast


def _plain_png_decoder(dtype: DType) -> Callable[[bytes, tuple[int, int], str], Array]:
    decoder: Callable[..., Array] = kornia.decode_image_png_u8 if dtype == _UINT8 else kornia.decode_image_png_u16
    return decoder


def _read_png(data: bytes, header: Header, channels: int | None, dtype: DType, _: Array | None) -> Array:
    if header.is_plain and header.channels == (channels or header.channels) and header.bits == dtype.itemsize * 8:
        try:
            return _plain_png_decoder(dtype)(data, (header.height, header.width), _MODES[header.channels])
        except Exception as error:  # kornia-rs raises this class
            raise ValueError(f"the PNG is damaged ({error})") from error
    image = decode_png(data, header, channels)
    # 8 bits become 16 by repeating the byte, and 16 become 8 by dropping the lower byte
    if dtype == np.uint16 and image.dtype == np.uint8:
        return image.astype(np.uint16) * 257
    return (image >> 8).astype(np.uint8) if dtype == np.uint8 and image.dtype == np.uint16 else image


def _read_jpeg(data: bytes, header: Header, channels: int | None, dtype: DType, out: Array | None) -> Array:
    channels = channels or min(header.channels, 3)
    if channels == 4 or (channels == 1 and header.channels == 4):
        raise ValueError(f"a JPEG with {header.channels} channels cannot be decoded to {channels}")
    if header.channels == 4:
        image = _decode_jpeg(data, "CMYK", 4).astype(np.uint16)
        image = image if header.is_inverted else 255 - image
        image = (image[:, :, :3] * image[:, :, 3:] // 255).astype(np.uint8)
    else:
        image = _decode_jpeg(data, "GRAY" if channels == 1 else "RGB", channels, out if dtype == np.uint8 else None)
    return image if dtype == np.uint8 else image.astype(np.uint16) * 256


def _decode_jpeg(data: bytes, colorspace: str, channels: int, out: Array | None = None) -> Array:
    decode: Callable[..., Array] = simplejpeg.decode_jpeg
    try:
        image = decode(data, colorspace, fastdct=True, buffer=out)
        return image if out is None or image.shape != out.shape else out
    except ValueError as error:
        # TensorFlow refuses truncated images, and decodes other damaged ones as far as it can
        if "Premature end" in str(error) or data.find(b"\xff\xd9", max(data.rfind(b"\xff\xda"), 0)) < 0:
            raise ValueError("the JPEG is truncated") from error
    try:
        return decode(data, colorspace, fastdct=True, strict=False)
    except ValueError:
        if channels == 4:
            raise
    try:
        return kornia.decode_image_jpegturbo(data, "mono" if channels == 1 else "rgb")  # type: ignore[no-any-return]
    except Exception as error:  # kornia-rs raises this class
        raise ValueError(f"the JPEG is damaged ({error})") from error


def _read_bmp(data: bytes, header: Header, channels: int | None, dtype: DType, _: Array | None) -> Array:
    """Read pixels as TensorFlow does: rows from the bottom up, BGR, one byte per pixel as grey whatever the palette."""
    start, _, _, height = struct.unpack_from("<Iiii", data, 10)
    stored, width = header.channels, header.width
    row = (stored * width + 3) // 4 * 4
    if channels == 1 or stored not in (1, 3, 4) or len(data) != start + row * header.height:
        raise ValueError(
            f"a BMP of {len(data):,} bytes with {stored} bytes per pixel cannot be decoded to {channels} channels"
        )
    rows = np.frombuffer(data, _UINT8, offset=start).reshape(header.height, row)[:: -1 if height > 0 else 1]
    image = rows[:, : stored * width].reshape(header.height, width, stored)
    image = image[:, :, [2, 1, 0, 3][:stored] if stored > 1 else [0]]
    if channels is not None and stored == 1:
        image = np.repeat(image, 3, 2)
    if channels == 4 and stored < 4:
        image = np.concatenate([image, np.full_like(image[:, :, :1], 255)], 2)
    image = image[:, :, :channels]
    return image if dtype == np.uint8 else image.astype(np.uint16) * 256


_READERS = {"png": _read_png, "jpeg": _read_jpeg, "bmp": _read_bmp}
