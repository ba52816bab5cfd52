"""Pixels of pages and sheets: resized, written as PNG or JPEG, and lines of text drawn on them."""

from __future__ import annotations

import zlib
from functools import cache
from pathlib import Path

import numpy as np

from loader._features.connectors import Image
from loader._features.image_header import PNG_COLOR_TYPES, png_file, png_head
from loader._features.values import Array

_BELOW = 7  # rows of a letter that are below its line


def resize(pixels: Array, size: tuple[int, int], *, is_exact: bool = False) -> Array:
    """Return pixels of another (height, width).

    A side that becomes shorter is averaged over the area of each new pixel, unless `is_exact` asks for stored pixels
    only; a longer one repeats them.
    """
    for axis, new in enumerate(size):
        old = pixels.shape[axis]
        if new > old or (is_exact and new < old):
            pixels = pixels.take(np.arange(new) * old // new, axis)
        elif new < old:
            pixels = _average(pixels, new, axis)
    return pixels


def _average(pixels: Array, new: int, axis: int) -> Array:
    rows = np.moveaxis(pixels, axis, 0)
    old, kind = len(rows), np.result_type(pixels.dtype, np.float32)
    edges = np.arange(new + 1) * old / new
    first, last = np.floor(edges[:-1]).astype(np.int64), np.ceil(edges[1:]).astype(np.int64) - 1
    shape = (-1, *(1,) * (rows.ndim - 1))
    before, after = ((first - edges[:-1]).reshape(shape), (edges[1:] - last - 1).reshape(shape))
    # of each pair of sums, the second one, of what lies between two new pixels, is not used
    bounds = np.stack([first, last + 1], 1).ravel()[:-1]
    sums = np.add.reduceat(rows, bounds, axis=0, dtype=kind)[::2]
    averages = (sums + before.astype(kind) * rows[first] + after.astype(kind) * rows[last]) / kind.type(old / new)
    averages = np.moveaxis(averages, 0, axis)
    averaged: Array = (averages.round() if pixels.dtype.kind in "ui" else averages).astype(pixels.dtype)
    return averaged


def encode_jpeg(pixels: Array) -> bytes:
    """Return a JPEG of uint8 pixels with 1 or 3 (RGB) channels."""
    import simplejpeg

    space = "GRAY" if pixels.shape[2] == 1 else "RGB"
    return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), 80, space, "Gray" if space == "GRAY" else "420"))


def encode_png(pixels: Array) -> bytes:
    """Return a PNG of uint8 pixels with 1, 3 (RGB) or 4 (RGBA) channels."""
    height, width, channels = pixels.shape
    rows = pixels.reshape(height, -1)
    left, up = np.zeros_like(rows), np.zeros_like(rows)
    left[:, channels:], up[1:] = rows[:, :-channels], rows[:-1]
    # three of PNG's filters; the one whose differences are smallest is usually the one that compresses best
    filtered = np.stack([rows, rows - left, rows - up])
    best = np.abs(filtered.view(np.int8).astype(np.int16)).sum(2, dtype=np.int64).argmin(0)
    lines = np.concatenate([best.astype(np.uint8)[:, None], filtered[best, np.arange(height)]], 1)
    return png_file(png_head(height, width, 8, PNG_COLOR_TYPES[channels]), zlib.compress(lines.tobytes(), 9))


def draw_text(canvas: Array, text: str, x: int, y: int, ink: tuple[int, int, int]) -> None:
    """Draw a line of text on a canvas of shape (height, width, 3), with its lower left corner at (x, y).

    Letters other than those of ASCII become question marks; what does not fit on the canvas is cut off.
    """
    for letter in text:
        shape = _letters()[letter if letter in _letters() else "?"]
        above, across = shape.shape[0] - _BELOW, shape.shape[1]
        part = canvas[max(y - above, 0) : y + _BELOW, x : x + across]
        cover = shape[max(above - y, 0) :][: part.shape[0], : part.shape[1], None] / 255
        part[:] = (part * (1 - cover) + np.array(ink) * cover).round()
        x += across


@cache
def _letters() -> dict[str, Array]:
    """Return the letters of ASCII as arrays of shape (height, width), of coverage from 0 to 255.

    They are those of the font Aileron, which is in the public domain (CC0), 24 pixels high, next to each other in an
    image, whose first row has a white pixel where each one begins.
    """
    from loader._features.images import image_decoder

    strip = image_decoder(Image(shape=(None, None, 1), dtype=np.dtype(np.uint8)))(
        (Path(__file__).parent / "letters.png").read_bytes()
    )
    shapes = np.split(strip[1:, :, 0], np.flatnonzero(strip[0])[1:], axis=1)
    return {chr(32 + number): shape for number, shape in enumerate(shapes)}
