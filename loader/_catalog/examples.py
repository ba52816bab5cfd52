"""The examples on a dataset's page, of artifacts that are on this machine; nothing is fetched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from loader._display.choice import Choice, choose_by_class, choose_evenly, class_label
from loader._display.examples import examples_html
from loader._errors import LoaderError
from loader._features.connectors import ClassLabel, FeaturesDict
from loader._load import load
from loader._registry.entry import HERE, IN_CACHE, ConfigEntry
from loader._split import Split

MOST_EXAMPLES = 20
PAGE_BYTES = 700_000
"""About the most bytes of the examples on a page."""

_LABELS_READ = 16 * MOST_EXAMPLES


@dataclass(frozen=True)
class Examples:
    """Examples as HTML, their split, and the features with their class names."""

    html: str
    split: str
    count: int
    features: FeaturesDict


def is_at_hand(config: ConfigEntry) -> bool:
    """Return whether an artifact can be read without fetching it."""
    return config.place in (HERE, IN_CACHE)


def read_examples(name: str, config: ConfigEntry, options: dict[str, Any]) -> Examples | None:
    """Read some examples of each class, or evenly spaced ones; None if there are none.

    Parameters
    ----------
    name, config
        The dataset, and its config, whose artifact is at hand.
    options
        The repository and revision, for `loader.load`.

    Raises
    ------
    LoaderError
        The artifact cannot be read.
    """
    options = {**options, "config": config.name, "offline": True}
    info, splits = load(name, **options)
    filled = [split for split in splits if len(splits[split])]
    if not filled:
        return None
    split = "train" if "train" in filled else filled[0]
    choice = _choose(name, splits[split], split, info.features, options)
    examples = list(splits[split][list(choice.positions)])
    names = [f"{split} {position}" for position in choice.positions]
    try:
        html = examples_html(info.features, examples, names=names, budget=PAGE_BYTES)
    except (ValueError, ArithmeticError, LookupError, TypeError) as error:  # values that no picture can be made of
        raise LoaderError(f"{name}: its examples cannot be shown: {error}") from error
    return Examples(html, split, len(examples), info.features)


def _choose(name: str, chosen: Split, split: str, features: FeaturesDict, options: dict[str, Any]) -> Choice:
    label = class_label(features)
    feature = features[label] if label is not None else None
    if label is None or not isinstance(feature, ClassLabel):
        return choose_evenly(len(chosen), MOST_EXAMPLES)
    _, labels = load(name, split=split, features=[label], **options)
    return choose_by_class(
        len(chosen),
        MOST_EXAMPLES,
        feature.num_classes,
        lambda positions: [example[label] for example in labels[positions]],
        most_read=_LABELS_READ,
    )
