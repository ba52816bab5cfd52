"""Describing how two decoded values differ."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np

MAX_CHARACTERS = 60  # shown of a value
MAX_ITEMS = 3  # shown of the differences between two lists


def differences(left: Any, right: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield the features that differ, each with a description; the names of nested ones are like `outer/inner`.

    Parameters
    ----------
    left, right
        Two decoded examples, or two values of one feature.
    name
        The feature; empty for a whole example.
    """
    if isinstance(left, dict) and isinstance(right, dict):
        for key in {**left, **right}:
            path = f"{name}/{key}" if name else key
            if key not in right:
                yield path, "is only in the recorded artifact"
            elif key not in left:
                yield path, "is only in the fresh build"
            else:
                yield from differences(left[key], right[key], path)
    elif isinstance(left, list | tuple) and isinstance(right, list | tuple) and len(left) == len(right):
        pairs = enumerate(zip(left, right, strict=True))
        shown = list(islice((f"[{n}] {how}" for n, pair in pairs for _, how in differences(*pair)), MAX_ITEMS))
        if shown:
            yield name, ", ".join(shown)
    elif isinstance(left, np.ndarray) and isinstance(right, np.ndarray):
        if how := _compare_arrays(left, right):
            yield name, how
    elif not _same(left, right):
        yield name, _compare_scalars(left, right)


def brief(value: Any) -> str:
    """Return a value as one short line."""
    text = str(value.item()) if isinstance(value, np.generic) and not isinstance(value, bytes) else repr(value)
    text = " ".join(text.split())
    return text if len(text) <= MAX_CHARACTERS else f"{text[:MAX_CHARACTERS]}..."


def _compare_arrays(left: np.ndarray[Any, Any], right: np.ndarray[Any, Any]) -> str | None:
    if left.shape != right.shape:
        return f"has the shape {left.shape} and {right.shape}"
    if left.dtype != right.dtype:
        return f"has the type {left.dtype} and {right.dtype}"
    unequal = left != right
    if left.dtype.kind in "fcV":  # ml_dtypes' bfloat16 is of kind V
        unequal &= (left == left) | (right == right)  # two NaN count as equal
    count = int(np.count_nonzero(unequal))
    if not count:
        return None
    first = tuple(int(n) for n in np.unravel_index(int(np.argmax(unequal)), unequal.shape))
    text = f"{count:,} of {left.size:,} elements, first {list(first)}: {brief(left[first])} and {brief(right[first])}"
    if left.dtype.kind in "iuf":
        by = np.abs(left[unequal].astype(np.float64) - right[unequal].astype(np.float64))
        text += f", at most by {np.nanmax(by):g}" if not np.isnan(by).all() else ""
    return text


def _same(left: Any, right: Any) -> bool:
    if type(left) is not type(right):
        return False
    try:
        return bool(left == right) or bool(left != left and right != right)  # two NaN count as equal
    except ValueError:  # an object that contains arrays, such as a ragged tensor
        return repr(left) == repr(right)


def _compare_scalars(left: Any, right: Any) -> str:
    """Return both values; of long texts only the part where they begin to differ."""
    if isinstance(left, str | bytes) and type(left) is type(right) and max(len(left), len(right)) > MAX_CHARACTERS:
        pairs = zip(left, right, strict=False)
        at = next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(left), len(right)))
        unit = "byte" if isinstance(left, bytes) else "character"
        start, end = max(0, at - 10), at + 30
        lengths = f"{len(left):,} and {len(right):,}"
        return f"from {unit} {at:,} on, of {lengths}: ...{left[start:end]!r} and ...{right[start:end]!r}"
    return f"{brief(left)} and {brief(right)}"
