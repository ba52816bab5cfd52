"""Several examples as HTML: a grid of cards, or a table if there is nothing to look at or to listen to."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from loader._display.markup import and_more, fields_html, name_html, table_html
from loader._display.values import MOST_FEATURES, boxed_image, find_boxes, value_html
from loader._features import connectors
from loader._features.connectors import Audio, BBoxFeature, Feature, FeaturesDict, Image, Video

_MEDIUM_SIDE = 240  # of images with boxes, whose labels must be readable


def examples_html(
    features: FeaturesDict,
    examples: Sequence[Mapping[str, Any]],
    *,
    names: Sequence[str] = (),
    hidden: Collection[str] = (),
    budget: int = 2_000_000,
) -> str:
    """Return examples as a grid of cards, or as a table if they have neither images nor audio.

    Parameters
    ----------
    features
        The features of the examples.
    examples
        Examples as the loader decodes them.
    names
        What each example is called, as "train 17".
    hidden
        The features that are not shown, because the surroundings say them.
    budget
        About the most bytes of the result.
    """
    wanted = [name for name in features if name not in hidden]
    shown, left_out = wanted[:MOST_FEATURES], and_more(MOST_FEATURES, len(wanted), "features")
    share = budget // max(len(examples), 1)
    captions = [*names] or [f"example {number}" for number in range(len(examples))]
    if not any(_is_media(features[name]) for name in shown):
        rows = (
            [
                name_html(caption),
                *(value_html(features[n], example[n], label=n, budget=share // max(len(shown), 1)) for n in shown),
            ]
            for caption, example in zip(captions, examples, strict=True)
        )
        return table_html(["example", *shown], rows, label="examples", has_row_heads=True) + left_out
    cards = (
        _card(features, shown, example, caption, share) for caption, example in zip(captions, examples, strict=True)
    )
    return f'<div class="dv-grid{_width(features, shown)}">{"".join(cards)}</div>{left_out}'


def _width(features: FeaturesDict, shown: list[str]) -> str:
    """Return the class of a grid whose cards are wider than those of single images; empty if they are not."""
    media = [features[name] for name in shown if _is_media(features[name])]
    if any(isinstance(each, connectors.Sequence) for each in media) or any(_is_boxes(features[name]) for name in shown):
        return " dv-wide"
    return " dv-medium" if len(media) > 1 or any(isinstance(each, Audio) for each in media) else ""


def _card(features: FeaturesDict, shown: list[str], example: Mapping[str, Any], caption: str, budget: int) -> str:
    boxes = find_boxes(features, example)
    image = boxed_image(features) if boxes else None
    media = [name for name in shown if _is_media(features[name])]
    others = [name for name in shown if name not in media]
    share = budget * 3 // 4 // len(media)
    parts = []
    for name in media:
        settings: dict[str, Any] = {"boxes": boxes, "side": _MEDIUM_SIDE} if name == image else {}
        picture = value_html(features[name], example[name], label=f"{name} of {caption}", budget=share, **settings)
        heading = f'<span class="dv-name">{name_html(name)}</span>' if len(media) > 1 else ""
        parts.append(f"<div>{heading}{picture}</div>")
    fields = fields_html(
        (name, _folded(features[name], example[name], name, budget // 4 // len(others))) for name in others
    )
    below = f'<figcaption>{fields}<span class="dv-note">{name_html(caption)}</span></figcaption>'
    return f'<figure class="dv-card"><div class="dv-media">{"".join(parts)}</div>{below}</figure>'


def _folded(feature: Feature, value: Any, name: str, budget: int) -> str:
    """Return a value; a table is folded, so that cards stay small."""
    inner = value_html(feature, value, label=name, budget=budget)
    if "<table" not in inner:
        return inner
    summary = "details"
    if isinstance(feature, connectors.Sequence):
        count = min(map(len, value.values()), default=0) if isinstance(value, Mapping) else len(value)
        summary = f"{count:,} {'row' if count == 1 else 'rows'}"
    return f"<details><summary>{summary}</summary>{inner}</details>"


def _is_media(feature: Feature) -> bool:
    if isinstance(feature, (Image, Audio, Video)):
        return True
    return isinstance(feature, connectors.Sequence) and isinstance(feature.feature, (Image, Audio))


def _is_boxes(feature: Feature) -> bool:
    if isinstance(feature, connectors.Sequence):
        return _is_boxes(feature.feature)
    if isinstance(feature, FeaturesDict):
        return any(isinstance(each, BBoxFeature) for each in feature.values())
    return isinstance(feature, BBoxFeature)
