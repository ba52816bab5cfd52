"""One value, or one example, as HTML.

Everything that data can hold is escaped, and every size is limited; what is left out is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sized
from collections.abc import Sequence as Values
from typing import Any

import numpy as np

from loader._display.audio import audio_html
from loader._display.images import LARGE_SIDE, SMALL_SIDE, Box, boxes_of, image_html
from loader._display.markup import and_more, bytes_html, escape, fields_html, name_html, note, table_html
from loader._display.tensors import array_html, number_html
from loader._features.connectors import (
    Audio,
    BBoxFeature,
    ClassLabel,
    Feature,
    FeaturesDict,
    Image,
    LabeledImage,
    Sequence,
    Text,
    Video,
)
from loader._features.values import Array

MOST_FEATURES = 50
_MOST_ITEMS, _MOST_FRAMES, _MOST_DEPTH = 10, 8, 5


@np.errstate(all="ignore")  # data may hold numbers of any size
def value_html(
    feature: Feature | None,
    value: Any,
    *,
    label: str = "",
    budget: int = 150_000,
    side: int = SMALL_SIDE,
    boxes: Values[Box] = (),
) -> str:
    """Return one value as HTML.

    Parameters
    ----------
    feature
        The feature; None for a value about which nothing is known.
    value
        The value as the loader decodes it.
    label
        What a screen reader calls an image or a recording.
    budget
        About the most bytes of the result. An image is reduced and a recording cut off until it fits.
    side
        The most pixels of an image's longer side on the screen.
    boxes
        The boxes to draw if it is an image.
    """
    return _Renderer(side, boxes).html(feature, value, label, budget, 0)


def example_html(features: FeaturesDict, example: Mapping[str, Any], *, budget: int = 500_000) -> str:
    """Return one example in full: every feature of it, with the boxes drawn on the image."""
    boxes = find_boxes(features, example)
    image = boxed_image(features) if boxes else None
    shown = [*example][:MOST_FEATURES]
    share = budget // max(len(shown), 1)
    fields = (
        (
            name,
            value_html(
                features[name],
                example[name],
                label=name,
                budget=share,
                side=LARGE_SIDE,
                boxes=boxes if name == image else (),
            ),
        )
        for name in shown
    )
    return f'<div class="dv-example">{fields_html(fields)}</div>{and_more(len(shown), len(example), "features")}'


def boxed_image(features: FeaturesDict) -> str | None:
    """Return the name of the image that boxes are drawn on: the first one."""
    images = (name for name, each in features.items() if isinstance(each, Image) and not isinstance(each, LabeledImage))
    return next(images, None)


def find_boxes(features: FeaturesDict, example: Mapping[str, Any]) -> list[Box]:
    """Return the boxes of an example: its BBoxFeatures, also those in a sequence, with the class beside each."""
    found: list[Box] = []
    for name, value in example.items():
        inner = _item(features[name])
        if isinstance(inner, BBoxFeature):
            found += boxes_of(value)
        elif isinstance(inner, FeaturesDict) and isinstance(value, Mapping):
            items = {key: _item(each) for key, each in inner.items()}
            texts = next((_labels(each, value[key]) for key, each in items.items() if isinstance(each, ClassLabel)), [])
            found += [
                box
                for key, each in items.items()
                if isinstance(each, BBoxFeature)
                for box in boxes_of(value[key], texts)
            ]
    return found


def _item(feature: Feature) -> Feature:
    return feature.feature if isinstance(feature, Sequence) else feature


def class_name(feature: ClassLabel, number: int) -> str:
    """Return a class's name, its number if it has none, "no label" for -1."""
    if number == -1:
        return "no label"
    return feature.given_names[number] if 0 <= number < len(feature.given_names) else str(number)


def _labels(feature: ClassLabel, numbers: Any) -> list[str]:
    return [class_name(feature, int(number)) for number in np.atleast_1d(numbers)]


def _is_audible(value: Array) -> bool:
    return value.ndim in (1, 2) and value.dtype.kind in "biuf"


def _is_scalar(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.ndim == 0


class _Renderer:
    """Renders a value and what is in it."""

    def __init__(self, side: int, boxes: Values[Box]) -> None:
        self._side = side
        self._boxes = boxes

    def html(self, feature: Feature | None, value: Any, label: str, budget: int, depth: int) -> str:
        if value is None:
            return note("missing")
        if depth > _MOST_DEPTH:
            return note("…nested deeper")
        if isinstance(feature, FeaturesDict) and isinstance(value, Mapping):
            share = budget // max(len(feature), 1)
            return fields_html(
                (name, self.html(feature[name], each, name, share, depth + 1))
                for name, each in value.items()
                if name in feature
            )
        if isinstance(feature, Sequence) and isinstance(value, Sized) and not _is_scalar(value):
            return self._sequence(feature, value, label, budget, depth)
        if isinstance(feature, ClassLabel) and np.ndim(value) == 0:
            return f'<span class="dv-class">{name_html(class_name(feature, int(value)))}</span>'
        if isinstance(feature, Text) and isinstance(value, bytes):
            return bytes_html(value, is_text=True, budget=budget // 2)
        if isinstance(feature, Image) and isinstance(value, np.ndarray) and value.ndim == 3:
            return image_html(
                value,
                label=label,
                side=self._side,
                boxes=self._boxes,
                classes=feature.given_names if isinstance(feature, LabeledImage) else None,
                use_colormap=feature.use_colormap,
                budget=budget,
            )
        if isinstance(feature, Audio) and isinstance(value, np.ndarray) and _is_audible(value):
            return audio_html(value, feature.sample_rate, label=label, budget=budget)
        return self._plain(value, label, budget, depth)

    def _sequence(self, feature: Sequence, value: Any, label: str, budget: int, depth: int) -> str:
        inner = feature.feature
        if isinstance(inner, FeaturesDict):
            return self._rows(inner, value, label, budget, depth)
        if not len(value):
            return note("empty")
        if isinstance(inner, (Image, Audio, Sequence)):
            most = _MOST_FRAMES if isinstance(inner, Image) else _MOST_ITEMS
            # of a video, frames from all of it; of other sequences, the first items
            chosen = np.linspace(0, len(value) - 1, min(most, len(value))).astype(int)
            chosen = chosen if isinstance(feature, Video) else np.arange(len(chosen))
            noun = "frame" if isinstance(feature, Video) else "item"
            share = budget // len(chosen)
            items = [
                f"<li>{self.html(inner, value[at], f'{label}, {noun} {at}', share, depth + 1)}</li>" for at in chosen
            ]
            left_out = and_more(len(chosen), len(value), f"{noun}s")
            if isinstance(feature, Video):
                left_out = f"<p>{note(f'{len(chosen)} of {len(value):,} frames')}</p>"
            kind = "dv-strip" if isinstance(inner, Image) else "dv-list"
            return f'<ul class="{kind}">{"".join(items)}</ul>{left_out}'
        if isinstance(inner, (ClassLabel, Text)) and np.ndim(value) == 1:
            items = [
                f"<li>{self.html(inner, each, label, budget, depth + 1)}</li>" for each in value[:_MOST_ITEMS].tolist()
            ]
            return f'<ul class="dv-list">{"".join(items)}</ul>{and_more(len(items), len(value), "items")}'
        return self._plain(value, label, budget, depth)

    def _rows(self, features: FeaturesDict, value: Any, label: str, budget: int, depth: int) -> str:
        """Return a sequence of dicts as a table: `value` has a column for each feature, or is a sequence of dicts."""
        row: Callable[[int], Mapping[str, Any]]
        if isinstance(value, Mapping):
            count, row = min(map(len, value.values()), default=0), lambda at: {n: v[at] for n, v in value.items()}
        else:
            count, row = len(value), lambda at: value[at]
        if not count:
            return note("empty")
        shown = min(count, _MOST_ITEMS)
        share = budget // (shown * max(len(features), 1))
        cells = (
            [
                self.html(features[name], each, f"{label} {at}, {name}", share, depth + 1)
                for name, each in row(at).items()
            ]
            for at in range(shown)
        )
        return table_html(features, cells, label=label or "items") + and_more(shown, count, "rows")

    def _plain(self, value: Any, label: str, budget: int, depth: int) -> str:
        """Return a value by its own type."""
        if isinstance(value, np.ndarray):
            return array_html(value, label=label, budget=budget)
        if isinstance(value, bytes):
            return bytes_html(value, budget=budget // 2)
        if isinstance(value, (bool, int, float, complex, np.generic)):
            return number_html(value)
        if isinstance(value, Mapping):
            shown, share = [*value.items()][:_MOST_ITEMS], budget // _MOST_ITEMS
            inner = fields_html((str(name), self.html(None, each, label, share, depth + 1)) for name, each in shown)
            return inner + and_more(len(shown), len(value), "fields")
        if isinstance(value, Values) and not isinstance(value, str):
            if not len(value):
                return note("empty")
            items = [
                f"<li>{self.html(None, each, label, budget // _MOST_ITEMS, depth + 1)}</li>"
                for each in value[:_MOST_ITEMS]
            ]
            return f'<ul class="dv-list">{"".join(items)}</ul>{and_more(len(items), len(value), "items")}'
        return f"<code>{escape(repr(value)[:500])}</code>"
