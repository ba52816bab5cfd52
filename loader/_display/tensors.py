"""Numbers as HTML: the values of a small array, the extent of a large one, a table of numbers as a heat map."""

from __future__ import annotations

from typing import Any

import numpy as np

from loader._display.images import apply_colormap, image_html
from loader._display.markup import TIMES, bytes_html, escape, note
from loader._features.values import Array

_MOST_VALUES = 16
_LEAST_ROWS = 3  # of a heat map


def number_html(value: Any) -> str:
    """Return a number or a truth value."""
    return f'<span class="dv-number">{escape(_brief(value))}</span>'


def array_html(array: Array, *, label: str = "", budget: int = 150_000) -> str:
    """Return an array: all values if there are few; otherwise shape, dtype and extent, and in two dimensions a map."""
    if array.shape == ():
        return _item_html(array[()])
    shape = TIMES.join(f"{size:,}" for size in array.shape)
    if not array.size:
        return note(f"empty, {shape} {array.dtype}")
    if array.dtype.kind not in "biufc":
        return _strings_html(array)
    if array.size <= _MOST_VALUES and array.ndim < 3:
        rows = array.reshape(1, -1) if array.ndim == 1 else array
        lines = "<br>".join(escape(", ".join(map(_brief, row))) for row in rows)
        return f'<span class="dv-number">{lines}</span>'
    facts = f'<span class="dv-facts">{shape} {escape(str(array.dtype))}, {_extent(array)}</span>'
    if array.ndim == 2 and min(array.shape) >= _LEAST_ROWS and array.dtype.kind != "c":
        return _heat_map(array, label or "heat map", budget) + facts
    return facts


def _item_html(value: Any) -> str:
    """Return one value of an array."""
    if isinstance(value, (bytes, np.bytes_)):
        return bytes_html(bytes(value))
    return number_html(value)


def _heat_map(array: Array, label: str, budget: int) -> str:
    finite = np.isfinite(array)
    values = np.where(finite, array, 0).astype(np.float64)
    low = values.min(where=finite, initial=np.inf)
    spread = values.max(where=finite, initial=-np.inf) - low
    if not finite.any() or not np.isfinite(spread):
        return ""
    grey = ((values - low) * (255 / (spread or 1))).clip(0, 255).astype(np.uint8)
    return image_html(apply_colormap(grey), label=f"{label}, drawn as a heat map", budget=budget) + "<br>"


def _extent(array: Array) -> str:
    if array.dtype.kind == "b":
        return f"{int(array.sum()):,} of {array.size:,} are true"
    if array.dtype.kind == "c":
        return f"mean {_brief(array.mean())}"
    finite = array[np.isfinite(array)]
    others = f", {array.size - finite.size:,} not finite" if finite.size < array.size else ""
    if not finite.size:
        return f"no finite value{others}"
    mean = finite.mean(dtype=np.float64)
    return f"{_brief(finite.min())} to {_brief(finite.max())}, mean {_brief(mean)}{others}"


def _strings_html(array: Array) -> str:
    values = array.reshape(-1)[:_MOST_VALUES].tolist()
    shown = "".join(f"<li>{_item_html(value)}</li>" for value in values)
    rest = f"<li>{note(f'…and {array.size - len(values):,} more')}</li>" if array.size > len(values) else ""
    return f'<ul class="dv-list">{shown}{rest}</ul>'


def _brief(value: Any) -> str:
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, (int, np.integer)):
        return str(int(value))
    if isinstance(value, (float, np.floating)):
        return f"{float(value):.4g}"
    if isinstance(value, (complex, np.complexfloating)):
        return f"{complex(value):.4g}"
    return str(value)[:200]
