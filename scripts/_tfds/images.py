"""Whether an encoded image that a builder gave can be decoded; TFDS stores whatever bytes it is given."""

from __future__ import annotations

import re
import zlib
from typing import Any

Shape = tuple[int | None, ...]

_PNG, _PNG_END = b"\x89PNG\r\n\x1a\n", b"\0\0\0\0IEND\xaeB\x60\x82"
_JPEG, _JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
_NO_FRAME = {0xC4, 0xC8, 0xCC}  # tables among the markers C0 to CF of JPEG, which otherwise begin a frame
_SHOWN = 24  # bytes of something that is no image
_NAMES = {_PNG: "a PNG", _JPEG: "a JPEG", b"GIF8": "a GIF", b"BM": "a BMP", b"RIFF": "a RIFF", b"II*\0": "a TIFF"}


def image_problem(data: bytes, feature: Any) -> str | None:
    """Return what is wrong with the bytes of an image; None if they can be decoded.

    A complete PNG with right checksums, and a JPEG that begins and ends as one, pass at once if their size fits the
    feature. TensorFlow decodes whatever else there is, which takes as long as reading it.

    Parameters
    ----------
    data
        The encoded image.
    feature
        The feature, an `Image` of TFDS.
    """
    size = _png_size(data) if data.startswith(_PNG) else _jpeg_size(data)
    if size is not None and len(feature.shape) == 3 and _fits(size, feature.shape[:2]):
        return None
    try:
        import tensorflow as tf

        with tf.device("cpu"):
            decoded = feature.decode_example(data)
    except Exception as error:  # of TensorFlow, whose messages are long
        return (
            f"{_describe(data, size)}, which cannot be decoded as an image of shape {feature.shape} ({_brief(error)})"
        )
    if len(decoded.shape) == len(feature.shape) and _fits(tuple(decoded.shape), feature.shape):
        return None
    return f"{_describe(data, size)}, which decodes to the shape {tuple(decoded.shape)}, not {feature.shape}"


def _fits(shape: Shape, declared: Shape) -> bool:
    return all(wanted in (None, found) for found, wanted in zip(shape, declared, strict=True))


def _png_size(data: bytes) -> tuple[int, int] | None:
    """Return height and width of a PNG; None if it is incomplete or a checksum is wrong."""
    if not data.endswith(_PNG_END) or data[12:16] != b"IHDR":
        return None
    at, view = len(_PNG), memoryview(data)
    while at < len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        if end + 4 > len(data) or zlib.crc32(view[at + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            return None
        at = end + 4
    return int.from_bytes(data[20:24], "big"), int.from_bytes(data[16:20], "big")


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Return height and width of a JPEG; None if it is cut off or has no frame."""
    if not data.startswith(_JPEG) or not data.rstrip(b"\0\r\n").endswith(_JPEG_END):
        return None
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in _NO_FRAME:
            return int.from_bytes(data[at + 5 : at + 7], "big"), int.from_bytes(data[at + 7 : at + 9], "big")
        at += 1 if marker == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None


def _describe(data: bytes, size: tuple[int, int] | None) -> str:
    """Return what bytes are, for messages."""
    if not data:
        return "it is empty"
    name = next((name for start, name in _NAMES.items() if data.startswith(start)), None)
    if name is not None:
        pixels = f" with {size[1]} x {size[0]} pixels" if size else ""
        return f"it is {name} of {len(data):,} bytes{pixels}"
    shown = data[:_SHOWN]
    text = f"begin with {shown!r}" if len(data) > _SHOWN else f"are {shown!r}"
    return f"its {len(data):,} bytes {text}"


def _brief(error: Exception) -> str:
    """Return the reason in an error of TensorFlow, which puts the operation around it."""
    text = " ".join(str(error).split()).rpartition("}} ")[2]
    return re.sub(r" \[Op:\w+\]$", "", text).rstrip(".")
