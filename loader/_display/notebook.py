"""What a split and a description show of themselves in a notebook: little, soon, and never an error."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from loader._display.dataset import features_html, link_html, splits_html
from loader._display.examples import examples_html
from loader._display.markup import escape, name_html, note, text_html
from loader._display.page import fragment
from loader._display.values import example_html
from loader._features.connectors import ClassLabel, Feature, FeaturesDict, Image, Tensor
from loader._features.values import Array
from loader._format.description import Description

MAX_BYTES = 500_000
_EXAMPLES, _BUDGET = 8, 320_000


def split_html(text: str, features: FeaturesDict, read: Callable[[int], Sequence[Any]], total: int) -> str:
    """Return the first examples of a split, or its only example in full.

    Parameters
    ----------
    text
        The split's repr, which is shown if anything fails.
    features
        The features of its examples, or of those that a function of `map` is given.
    read
        Returns a number of its first examples, which are anything if a function made them.
    total
        The number of its examples.
    """

    def render() -> str:
        title = f'<p class="dv-title">{escape(text[1:-1][:500])}</p>'
        examples = [_as_dict(example) for example in read(min(total, _EXAMPLES))]
        shown = features
        if examples:
            shown = FeaturesDict({name: _feature_of(features.get(name), each) for name, each in examples[0].items()})
        if total == 1:
            return title + example_html(shown, examples[0], budget=_BUDGET)
        names = [f"[{number}]" for number in range(len(examples))]
        rest = total - len(examples)
        more = f'<p class="dv-more">…and {rest:,} more examples; split[3:4] shows one in full</p>' if rest else ""
        return title + examples_html(shown, examples, names=names, budget=_BUDGET) + more

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


def _as_dict(example: Any) -> dict[str, Any]:
    """Return an example as a dict of NumPy values, whatever a function made of it."""
    if isinstance(example, tuple):
        example = {str(number): value for number, value in enumerate(example)}
    elif not isinstance(example, Mapping):
        example = {"value": example}
    return {str(name): _as_numpy(value) for name, value in example.items()}


def _as_numpy(value: Any) -> Any:
    """Return a tensor of PyTorch or JAX as an array, an image with the channels last; any other value as it is."""
    if isinstance(value, np.ndarray | np.generic) or not hasattr(value, "__array__"):
        return value
    array = np.asarray(value)
    return np.moveaxis(array, 0, 2) if array.ndim == 3 and array.shape[0] in (1, 3, 4) else array


def _feature_of(known: Feature | None, value: Any) -> Feature:
    """Return the feature by which to show a value: the known one, unless a function made another kind of value."""
    array: Array = value if isinstance(value, np.ndarray) else np.empty(0)
    is_class = isinstance(value, int | np.integer) or array.dtype.kind in "iu"
    if known is not None and (is_class or not isinstance(known, ClassLabel)):
        return known
    if array.ndim == 3 and array.shape[2] in (1, 3, 4):
        return Image(shape=array.shape, dtype=array.dtype)
    return Tensor(shape=(), dtype=np.dtype(object))  # shown by the value's own type


def _safely(text: str, render: Callable[[], str]) -> str:
    try:
        shown = fragment(render())
        if len(shown.encode()) <= MAX_BYTES:
            return shown
        problem = f"it takes more than {MAX_BYTES:,} bytes to show"
    except Exception as error:  # whatever the data are, a notebook shows the object
        problem = str(error) or type(error).__name__
    return fragment(f"<pre>{escape(text[:2000])}</pre><p>{note(problem)}</p>")
