"""Whether an encoded image that a builder gave can be decoded, and as what; TFDS stores whatever bytes it is given."""

from __future__ import annotations

import re
import zlib
from collections.abc import Container
from typing import Any

import numpy as np

Shape = tuple[int | None, ...]

_PNG, _PNG_END = b"\x89PNG\r\n\x1a\n", b"\0\0\0\0IEND\xaeB\x60\x82"
_JPEG, _JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # without tables
_SCAN = 0xDA
_NO_CODES = re.compile(rb"\xff[\x01-\xc3\xc5-\xcf\xd8\xd9\xdb-\xff]")  # not in the scans, or between them
_ZEROS = bytes(32)  # nor do they usually contain as many; a block that was not written is full of them
_COLORS, _WITH_ALPHA = (2, 6), (4, 6)  # kinds of PNG
_SHOWN = 24  # bytes of something that is no image
_NAMES = {_PNG: "a PNG", _JPEG: "a JPEG", b"GIF8": "a GIF", b"BM": "a BMP", b"RIFF": "a RIFF", b"II*\0": "a TIFF"}


def image_loss(data: bytes, feature: Any) -> tuple[str, str, str] | None:
    """Return what an image is, what it is read as, and what to do; None if nothing of it is lost.

    A complete PNG with right checksums, and a JPEG that begins and ends as one and whose scans look like ones, pass at
    once if their size fits the feature. TensorFlow decodes whatever else there is, which takes as long as reading it.

    Parameters
    ----------
    data
        The encoded image.
    feature
        The feature, an `Image` of TFDS.

    Raises
    ------
    ValueError
        It cannot be decoded.
    """
    size = _png_size(data) if data.startswith(_PNG) else _jpeg_size(data)
    damage = _jpeg_damage(data) if data.startswith(_JPEG) else ""
    if size is None or damage is None or len(feature.shape) != 3 or not _fits(size, feature.shape[:2]):
        _check_decodable(data, size, feature)
    dtype, channels = np.dtype(feature.np_dtype), feature.shape[-1]
    if dtype == np.float32:  # a pixel is stored as the four channels of a PNG
        return None
    if data.startswith(_PNG):
        bits, kind = data[24], data[25]
        if bits == 16 and dtype == np.uint8:
            return "a PNG of 16 bits", "uint8", "to keep them, declare dtype=np.uint16"
        if kind in _COLORS and channels == 1:
            return "a colour PNG", "grey", "to keep its colours, declare 3 channels"
        if kind in _WITH_ALPHA and channels in (1, 3):
            return "a PNG with an alpha channel", f"one of {channels}", "to keep it, declare 4 channels"
    elif channels == 1 and _jpeg_channels(data) == 3:
        return "a colour JPEG", "grey", "to keep its colours, declare 3 channels"
    elif damage:
        return f"a damaged JPEG ({damage})", "what can be decoded of it", "replace it or leave it out"
    return None


def _check_decodable(data: bytes, size: tuple[int, int] | None, feature: Any) -> None:
    try:
        import tensorflow as tf

        with tf.device("cpu"):
            decoded = feature.decode_example(data)
    except Exception as error:  # of TensorFlow, whose messages are long
        raise ValueError(
            f"{_describe(data, size)}, which cannot be decoded as an image of shape {feature.shape} ({_brief(error)})"
        ) from error
    if len(decoded.shape) != len(feature.shape) or not _fits(tuple(decoded.shape), feature.shape):
        raise ValueError(
            f"{_describe(data, size)}, which decodes to the shape {tuple(decoded.shape)}, not {feature.shape}"
        )


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
    if not data.rstrip(b"\0\r\n").endswith(_JPEG_END) or (at := _jpeg_segment(data, _FRAMES)) is None:
        return None
    return int.from_bytes(data[at + 5 : at + 7], "big"), int.from_bytes(data[at + 7 : at + 9], "big")


def _jpeg_channels(data: bytes) -> int:
    """Return the number of channels of a JPEG; 0 if it has no frame."""
    at = _jpeg_segment(data, _FRAMES)
    return 0 if at is None else data[at + 9]


def _jpeg_segment(data: bytes, markers: Container[int]) -> int | None:
    """Return where the first segment of a JPEG with one of some markers begins; None if it has none."""
    at = 2 if data.startswith(_JPEG) else len(data)
    while at + 10 <= len(data) and data[at] == 0xFF:
        if (marker := data[at + 1]) in markers:
            return at
        at += 1 if marker == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None


def _jpeg_damage(data: bytes) -> str | None:
    """Return what is wrong in a JPEG of which TensorFlow decodes the rest; empty if nothing is, None if it may not.

    Only what looks like other bytes in the place of the pixels is decoded: a block of them or of zeros is found in less
    than a tenth of the time that decoding takes. Most single wrong bits are not, by decoding neither.
    """
    start, end = _jpeg_segment(data, {_SCAN}) or 0, data.rfind(_JPEG_END)
    if _NO_CODES.search(data, start + 2, end) is None and data.find(_ZEROS, start, end) < 0:
        return ""
    import simplejpeg

    try:
        simplejpeg.decode_jpeg(data, "GRAY", fastdct=True, min_height=1, min_width=1)
    except ValueError as error:
        return str(error).partition("Corrupt JPEG data: ")[2].partition("\n")[0] or None
    return ""


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
