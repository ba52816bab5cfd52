"""The examples on a dataset's page, of artifacts that are on this machine; nothing is fetched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from loader._display.examples import examples_html
from loader._errors import LoaderError
from loader._features.connectors import FeaturesDict
from loader._load import load
from loader._registry.entry import HERE, IN_CACHE, ConfigEntry
from loader._sample import read_sample, shown_split

MOST_EXAMPLES = 20
PAGE_BYTES = 700_000
"""About the most bytes of the examples on a page."""
NONE = "It has none."
UNREADABLE = "They could not be read on the machine that made this page."
NOT_HERE = "Its artifact was not on the machine that made this page. The commands above fetch it and show examples."


@dataclass(frozen=True)
class Examples:
    """Examples as HTML, their split and number, and the features with their class names."""

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
    info, splits = load(name, **{**options, "config": config.name, "offline": True})
    split = shown_split(splits)
    if split is None:
        return None
    sample = read_sample(info, split, splits[split], MOST_EXAMPLES)
    try:
        html = examples_html(info.features, sample.examples, names=sample.names, budget=PAGE_BYTES)
    except (ValueError, ArithmeticError, LookupError, TypeError) as error:  # values that no picture can be made of
        raise LoaderError(f"{name}: its examples cannot be shown: {error}") from error
    return Examples(html, split, len(sample.examples), info.features)
