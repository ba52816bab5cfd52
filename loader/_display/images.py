"""Images as HTML: PNG or JPEG in data URIs, with boxes drawn over them.

Pixels of any of TFDS's dtypes and 1 to 4 channels become 8 bits; where that changes the contrast, a note says so. Small
images are enlarged by whole factors, without smoothing, and large ones are reduced.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from loader._display.markup import TIMES, escape, name_html, note
from loader._display.raster import encode_jpeg, encode_png, resize
from loader._features.values import Array

SMALL_SIDE, LARGE_SIDE = 112, 448
"""Pixels of the longer side on the screen: in a grid, and alone."""

COLORS = ("#1f6fb4", "#b3400f", "#23723b", "#8d3b9c", "#8a6100", "#b3265b", "#0b7285", "#5a5f66")
"""Of boxes and classes; white text is readable on each."""

_MOST_BOXES = 50
_LARGEST_FACTOR = 8
_LEAST_BYTES = 2000  # an image is not shown in less


@dataclass(frozen=True)
class Box:
    """A box on an image: corners from 0 to 1, and a text."""

    ymin: float
    xmin: float
    ymax: float
    xmax: float
    text: str = ""


def image_html(
    pixels: Array,
    *,
    label: str = "",
    side: int = SMALL_SIDE,
    boxes: Sequence[Box] = (),
    classes: Sequence[str] | None = None,
    use_colormap: bool = False,
    budget: int = 150_000,
) -> str:
    """Return an image as HTML.

    Parameters
    ----------
    pixels
        Array of shape (height, width, channels) or (height, width), of integers, floats or booleans.
    label
        What a screen reader calls it.
    side
        The most pixels of the longer side on the screen.
    boxes
        The boxes to draw.
    classes
        If given, pixels are class numbers, each of which gets a colour; the names of the classes, or none.
    use_colormap
        Whether to show a single channel with a colour map.
    budget
        The most bytes of the data URI; the image is reduced until it fits.
    """
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    height, width = pixels.shape[:2]
    size = f"{width:,}{TIMES}{height:,}"
    if not pixels.size:
        return note(f"empty image, {size}")
    if budget < _LEAST_BYTES:
        return note(f"image, {size}")
    reduced = _reduce(pixels, 2 * side, is_exact=classes is not None)
    shown, remark = (color_classes(reduced), "") if classes is not None else to_uint8(reduced)
    if use_colormap and shown.shape[2] == 1:
        shown = apply_colormap(shown[:, :, 0])
    longest = max(height, width)
    factor = min(side // longest, _LARGEST_FACTOR) if longest <= side else side / longest
    across, down = max(round(width * factor), 1), max(round(height * factor), 1)
    crisp = ' class="dv-crisp"' if factor > 1 else ""
    picture = (
        f'<img src="{_fitting_uri(shown, budget)}" alt="{name_html(label or f"image, {size}")}" width="{across}" '
        f'height="{down}"{crisp}>'
    )
    if boxes:
        picture += _overlay(boxes[:_MOST_BOXES], across, down)
    remarks = [remark] if remark else []
    if len(boxes) > _MOST_BOXES:
        remarks.append(f"…and {len(boxes) - _MOST_BOXES:,} more boxes")
    legend = _legend(reduced, classes) if classes is not None else ""
    notes = "".join(f"<br>{note(each)}" for each in remarks)
    return f'<span class="dv-image">{picture}</span>{legend}{notes}'


def to_uint8(pixels: Array) -> tuple[Array, str]:
    """Return pixels as uint8 with 1, 3 or 4 channels, and a remark if their contrast or channels were changed."""
    remark = ""
    if pixels.shape[2] > 4 or pixels.dtype.kind not in "buif":
        remark = f"channel 0 of {pixels.shape[2]}"
        pixels = pixels[:, :, :1].real
    if pixels.dtype != np.uint8:
        values = np.nan_to_num(pixels.astype(np.float64), nan=0, posinf=0, neginf=0)
        low, high = _range(pixels, values)
        if (low, high) not in ((0, 1), (0, 65535)):
            remark = ", ".join(filter(None, (remark, f"black is {low:.4g}, white is {high:.4g}")))
        pixels = ((values - low) * (255 / ((high - low) or 1))).round().clip(0, 255).astype(np.uint8)
    if pixels.shape[2] == 2:  # grey and alpha
        pixels = pixels[:, :, [0, 0, 0, 1]]
    return np.ascontiguousarray(pixels), remark


def _range(pixels: Array, values: Array) -> tuple[float, float]:
    """Return the values that become black and white: the dtype's, unless the image uses little of it or more."""
    low, high = float(values.min()), float(values.max())
    if pixels.dtype.kind == "b" or (pixels.dtype.kind == "f" and low >= 0 and high <= 1):
        return 0, 1
    if pixels.dtype == np.uint16 and high > 0x1FFF:
        return 0, 65535
    return low, high


def color_classes(numbers: Array) -> Array:
    """Return an image of class numbers in colours; class 0, which is mostly the background, is grey."""
    palette = np.array([[int(color[at : at + 2], 16) for at in (1, 3, 5)] for color in COLORS], np.uint8)
    classes = _class_numbers(numbers)
    colored: Array = palette[(classes - 1) % len(COLORS)]
    colored[classes == 0] = 0xC8
    return colored


def _class_numbers(numbers: Array) -> Array:
    """Return the class of each pixel, of shape (height, width); 0 for what is no number."""
    classes: Array = np.nan_to_num(numbers[:, :, 0].real, posinf=0, neginf=0).astype(np.int64)
    return classes


def _legend(numbers: Array, names: Sequence[str]) -> str:
    found = np.unique(_class_numbers(numbers))
    items = []
    for number in map(int, found[: len(COLORS)]):
        color = COLORS[(number - 1) % len(COLORS)] if number else "#c8c8c8"
        name = names[number] if 0 <= number < len(names) else f"class {number}"
        items.append(f'<span><i style="background:{color}"></i>{name_html(name)}</span>')
    if len(found) > len(COLORS):
        items.append(note(f"…and {len(found) - len(COLORS):,} more classes"))
    return f'<span class="dv-legend">{" ".join(items)}</span>'


def apply_colormap(grey: Array, name: Literal["viridis", "magma"] = "viridis") -> Array:
    """Return uint8 values of shape (height, width) in the colours of a colour map, as RGB."""
    from kornia_rs.imgproc import apply_colormap as apply

    return np.asarray(apply(np.ascontiguousarray(grey)[:, :, None], name))


def _reduce(pixels: Array, side: int, *, is_exact: bool = False) -> Array:
    """Return pixels whose longer side has at most `side`; without a mixture of neighbours if `is_exact`."""
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return pixels
    size = max(round(height * scale), 1), max(round(width * scale), 1)
    return resize(pixels, size, is_exact=is_exact or pixels.dtype.kind not in "uif")


def _fitting_uri(pixels: Array, budget: int) -> str:
    """Return a data URI of at most `budget` characters; the image is reduced until it fits."""
    while True:
        uri = data_uri(pixels)
        if len(uri) > budget and pixels.shape[2] != 4:
            uri = data_uri(pixels, as_jpeg=True)
        if len(uri) <= budget or max(pixels.shape[:2]) <= 16:
            return uri
        pixels = _reduce(pixels, max(pixels.shape[:2]) * 2 // 3)


def data_uri(pixels: Array, *, as_jpeg: bool = False) -> str:
    """Return uint8 pixels with 1, 3 (RGB) or 4 (RGBA) channels as a data URI of a PNG or a JPEG."""
    kind, data = ("jpeg", encode_jpeg(pixels)) if as_jpeg else ("png", encode_png(pixels))
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def boxes_of(corners: Any, texts: Sequence[str] = ()) -> list[Box]:
    """Return boxes from an array of shape (4,) or (number, 4), with these texts if there is one for each."""
    rows = np.asarray(corners, np.float64).reshape(-1, 4)
    named = texts if len(texts) == len(rows) else [""] * len(rows)
    return [
        Box(ymin, xmin, ymax, xmax, text) for (ymin, xmin, ymax, xmax), text in zip(rows.tolist(), named, strict=True)
    ]


def _overlay(boxes: Sequence[Box], across: int, down: int) -> str:
    colors = {
        text: COLORS[number % len(COLORS)] for number, text in enumerate(dict.fromkeys(box.text for box in boxes))
    }
    shapes, tags = [], []
    for box in boxes:
        corners = (box.xmin, box.ymin, box.xmax, box.ymax)
        if not np.isfinite(corners).all():
            continue
        x1, y1, x2, y2 = (
            min(max(corner, 0), 1) * size for corner, size in zip(corners, (across, down) * 2, strict=True)
        )
        x, y, w, h = min(x1, x2), min(y1, y2), abs(x2 - x1), abs(y2 - y1)
        color = colors[box.text]
        place = f'x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}"'
        shapes.append(f'<rect {place} fill="none" stroke="#fff" stroke-width="3.5" stroke-opacity=".7"/>')
        shapes.append(f'<rect {place} fill="none" stroke="{color}" stroke-width="2"/>')
        if box.text:
            text = box.text if len(box.text) <= 20 else box.text[:19] + "…"
            is_right = x + w / 2 > across / 2  # then the text ends at the right edge of its box
            place = f'x="{x + w - 4 if is_right else x + 4:.1f}" y="{min(y + 12, down - 3):.1f}"'
            anchor = ' text-anchor="end"' if is_right else ""
            tags.append(f'<text {place} stroke="{color}"{anchor}>{escape(text)}</text>')
    return (
        f'<svg class="dv-boxes" viewBox="0 0 {across} {down}" aria-hidden="true">{"".join(shapes)}{"".join(tags)}</svg>'
    )
