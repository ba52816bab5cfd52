"""What a split and a description show of themselves in a notebook: little, soon, and never an error."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from loader._display.dataset import features_html, link_html, splits_html
from loader._display.examples import examples_html
from loader._display.markup import escape, name_html, note, text_html
from loader._display.page import fragment
from loader._display.values import example_html
from loader._features.connectors import FeaturesDict
from loader._format.description import Description

MAX_BYTES = 500_000
_EXAMPLES, _BUDGET = 8, 320_000


def split_html(text: str, features: FeaturesDict, read: Callable[[int], Sequence[dict[str, Any]]], total: int) -> str:
    """Return the first examples of a split, or its only example in full.

    Parameters
    ----------
    text
        The split's repr, which is shown if anything fails.
    features
        The features of its examples.
    read
        Returns a number of its first examples.
    total
        The number of its examples.
    """

    def render() -> str:
        title = f'<p class="dv-title">{escape(text[1:-1][:500])}</p>'
        examples = read(min(total, _EXAMPLES))
        if total == 1:
            return title + example_html(features, examples[0], budget=_BUDGET)
        names = [f"[{number}]" for number in range(len(examples))]
        rest = total - len(examples)
        more = f'<p class="dv-more">…and {rest:,} more examples; split[3:4] shows one in full</p>' if rest else ""
        return title + examples_html(features, examples, names=names, budget=_BUDGET) + more

    return _safely(text, render)


def info_html(text: str, info: Description, features: FeaturesDict) -> str:
    """Return a dataset's description, splits and features; `text` is its repr, which is shown if anything fails."""

    def render() -> str:
        facts = " · ".join(filter(None, (name_html(info.license), info.homepage and link_html(info.homepage))))
        about = " ".join(info.description.split())
        return (
            f'<p class="dv-title">{name_html(info.full_name)}</p>'
            + (f'<p class="dv-note">{facts}</p>' if facts else "")
            + (f"<div>{text_html(about)}</div>" if about else "")
            + splits_html(info.splits)
            + features_html(features)
        )

    return _safely(text, render)


def _safely(text: str, render: Callable[[], str]) -> str:
    try:
        shown = fragment(render())
        if len(shown.encode()) <= MAX_BYTES:
            return shown
        problem = f"it takes more than {MAX_BYTES:,} bytes to show"
    except Exception as error:  # whatever the data are, a notebook shows the object
        problem = str(error) or type(error).__name__
    return fragment(f"<pre>{escape(text[:2000])}</pre><p>{note(problem)}</p>")
