"""A sheet of examples as one PNG: images, or the spectrograms of recordings, each with a line of text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from loader._display.audio import spectrogram
from loader._display.images import color_classes, to_uint8
from loader._display.raster import draw_text, encode_png, resize
from loader._errors import UnsupportedError
from loader._features.connectors import Audio, Feature, FeaturesDict, Image, LabeledImage, Video
from loader._features.values import Array

_CELL, _GAP, _LINE = 112, 16, 22  # pixels; the sheet is drawn at twice that
_SCALE = 2
_PAPER, _INK = 255, (60, 60, 60)
_MOST_CELLS = 400


@np.errstate(all="ignore")  # data may hold numbers of any size
def sheet(features: FeaturesDict, examples: Sequence[Mapping[str, Any]], texts: Sequence[str]) -> bytes:
    """Return a PNG with an image of each example and its text below, from left to right and from the top down.

    Parameters
    ----------
    features, examples
        The examples, at least one; the first feature that is an image, a video or audio is drawn, of 400 at most.
    texts
        The line below each.

    Raises
    ------
    UnsupportedError
        There is no such feature.
    """
    name = next((name for name, each in features.items() if isinstance(each, (Image, Video, Audio))), None)
    if name is None:
        raise UnsupportedError(
            "a PNG shows images, videos or audio, and these examples have none: write a page instead, with --output"
        )
    cells = [_picture(features[name], example[name]) for example in examples[:_MOST_CELLS]]
    columns = min(len(cells), 12 if len(cells) > 40 else 8)
    rows = -(-len(cells) // columns)
    pictures = [_fit(cell, _CELL * _SCALE) for cell in cells]
    tallest = -(-max(picture.shape[0] for picture in pictures) // _SCALE)
    wide, high = _CELL + _GAP, tallest + _LINE + _GAP
    canvas = np.full(((rows * high + _GAP) * _SCALE, (columns * wide + _GAP) * _SCALE, 3), _PAPER, np.uint8)
    for number, (picture, text) in enumerate(zip(pictures, texts, strict=False)):
        row, column = divmod(number, columns)
        y, x = (_GAP + row * high) * _SCALE, (_GAP + column * wide) * _SCALE
        down = y + tallest * _SCALE - picture.shape[0]  # at the bottom of its cell, above its text
        canvas[down : down + picture.shape[0], x : x + picture.shape[1]] = picture
        line = text if len(text) <= 16 else text[:15] + "…"
        draw_text(canvas, line, x, y + (tallest + 16) * _SCALE, _INK)
    return encode_png(canvas)


def _picture(feature: Feature, value: Array) -> Array:
    """Return a value as an RGB image."""
    if not value.size:
        return np.full((1, 1, 3), 230, np.uint8)
    if isinstance(feature, Audio):
        mono = value.astype(np.float64).reshape(len(value), -1).mean(axis=1)
        return spectrogram(np.nan_to_num(mono, posinf=0, neginf=0), feature.sample_rate or 16_000)
    if isinstance(feature, LabeledImage):
        return color_classes(value)
    pixels = to_uint8(value[len(value) // 2] if isinstance(feature, Video) else value)[0]
    if pixels.shape[2] == 4:
        alpha = pixels[:, :, 3:] / 255
        return (pixels[:, :, :3] * alpha + _PAPER * (1 - alpha)).astype(np.uint8)
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels


def _fit(picture: Array, side: int) -> Array:
    """Return a picture whose longer side has `side` pixels; a small one is enlarged without smoothing."""
    scale = side / max(picture.shape[:2])
    height, width = (max(round(length * scale), 1) for length in picture.shape[:2])
    return resize(picture, (height, width))
