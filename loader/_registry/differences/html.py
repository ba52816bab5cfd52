"""Differences as a page: tables, and the changed examples of both sides beside each other."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import SequenceMatcher
from typing import Any

import numpy as np

from loader._display.markup import escape, fields_html, note, table_html
from loader._display.page import page
from loader._display.values import value_html
from loader._features.connectors import Audio, Feature, FeaturesDict, Image, Sequence
from loader._format.value_changes import ValueChange
from loader._registry.differences.difference import (
    SAME,
    Change,
    ConfigDifference,
    Difference,
    ExampleDifference,
    OneSidedExample,
)
from loader._registry.differences.text import COLUMNS, as_text, cells, first_upper, heading, verdict

PAGE_BYTES = 8_000_000
"""About the most bytes of the examples on a page; with more examples, each gets fewer."""

MAX_WORDS = 1_000  # of a text whose changed words are marked
_SIDE = 224  # pixels of an image's longer side
STYLES = """
.dv ins { background: rgba(46, 160, 67, .3); text-decoration: none; }
.dv del { background: rgba(248, 81, 73, .3); }
.dv section { margin-top: 2rem; }
.dv section .dv-table td { min-width: 7.5rem; }
"""


def difference_page(difference: Difference) -> str:
    """Return a whole HTML document, which needs no other file."""
    return page(f"{difference.name}: what changed", difference_html(difference), styles=STYLES)


def difference_html(difference: Difference) -> str:
    """Return a difference as HTML."""
    return "\n".join(_parts(difference))


def _parts(difference: Difference) -> Iterator[str]:
    yield f'<h1>{escape(difference.name)}: what changed</h1><p class="dv-lead">{escape(heading(difference))}</p>'
    yield f"<p>{escape(first_upper(verdict(difference)))}.</p>"
    if remarks := difference.remarks:
        yield f"<ul>{''.join(f'<li>{escape(remark)}</li>' for remark in remarks)}</ul>"
    yield from _changes("Metadata", difference.metadata)
    shown = sum(
        len(config.examples) + len(config.removed_examples) + len(config.added_examples)
        for config in difference.configs
    )
    for config in difference.configs:
        suffix = f" of {config.config}" if config.config else ""
        yield from _changes(f"Features{suffix}", config.features)
        if config.splits and config.status != SAME:
            rows = ([escape(cell) for cell in cells(split)] for split in config.splits)
            columns = range(1, len(COLUMNS))
            label = f"Examples{suffix}"
            yield f"<h2>{escape(label)}</h2>"
            yield table_html(COLUMNS, rows, label=label, has_row_heads=True, numeric=columns)
        if config.examples:
            counts = (f"{escape(name)} in {count:,}" for name, count in config.changed_features.items())
            yield f"<h2>Changed examples{escape(suffix)}</h2>"
            yield f"<p>{len(config.examples):,} of {config.changed:,} compared; {', '.join(counts)}</p>"
            for example in config.examples:
                yield _example(config, example, PAGE_BYTES // shown)
        for title, examples, count, types in (
            ("Removed", config.removed_examples, config.removed, config.old_types),
            ("Added", config.added_examples, config.added, config.new_types),
        ):
            if examples:
                yield f"<h2>{title} examples{escape(suffix)}</h2><p>{len(examples):,} of {count:,} shown</p>"
            for one in examples:
                yield _one_sided(types, one, PAGE_BYTES // shown)
    yield from _changes("Statistics", difference.statistics)
    if difference.bytes_fetched:
        yield f"<p>{note(f'{difference.bytes_fetched:,} bytes were read from the remote.')}</p>"


def _changes(title: str, changes: Iterable[Change]) -> Iterator[str]:
    if changes:
        rows = ([escape(name), escape(as_text(old)), escape(as_text(new))] for name, old, new in changes)
        yield f"<h2>{escape(title)}</h2>{table_html(('', 'old', 'new'), rows, label=title, has_row_heads=True)}"


def _example(config: ConfigDifference, example: ExampleDifference, budget: int) -> str:
    name = f"{example.split} {example.old_number:,}"
    also = f", now {example.new_number:,}" if example.new_number != example.old_number else ""
    share = budget // (3 * len(example.changes) + 3)
    rows = [
        [
            escape(change.feature),
            *_values(
                change,
                _find(config.old_types, change.feature),
                _find(config.new_types, change.feature),
                name,
                share,
            ),
        ]
        for change in example.changes
    ]
    table = table_html(("", "old", "new", "difference"), rows, label=f"{name}: what changed", has_row_heads=True)
    return f"<section><h3>{escape(name + also)}</h3>{_same_values(config, example, share)}{table}</section>"


def _values(change: ValueChange, old: Feature | None, new: Feature | None, name: str, budget: int) -> list[str]:
    """Return the cells of a feature that differs: both values and the difference."""
    if not change.is_value or (change.old is None and change.new is None):
        return ["", "", escape(change.how)]
    if (marked := _marked(change.old, change.new)) is not None:
        return [*marked, ""]
    sides = [
        ""
        if value is None
        else value_html(feature, value, label=f"{change.feature} of {name}, {side}", budget=budget, side=_SIDE)
        for side, feature, value in (("old", old, change.old), ("new", new, change.new))
    ]
    return [*sides, f"{_picture(change, new, name, budget)}<p>{note(change.how)}</p>"]


def _picture(change: ValueChange, feature: Feature | None, name: str, budget: int) -> str:
    """Return the difference of two images or recordings of the same shape as one."""
    old, new = change.old, change.new
    is_pair = isinstance(old, np.ndarray) and isinstance(new, np.ndarray)
    if not is_pair or old.shape != new.shape or old.dtype != new.dtype or not isinstance(feature, Image | Audio):
        return ""
    if old.dtype.kind not in "iuf":
        return ""
    by = new.astype(np.float64) - old
    limits = np.iinfo(old.dtype) if old.dtype.kind in "iu" else np.finfo(old.dtype)
    factor, label = 1.0, f"difference of {change.feature} of {name}"
    if isinstance(feature, Image):
        by = np.abs(by)
        brightest = float(limits.max) if old.dtype.kind in "iu" else 1.0
        factor = brightest / max(float(by.max(initial=0)), brightest / 255)
        by *= factor
        if by.shape[-1] == 4:
            by[..., 3] = brightest  # opaque
        feature = Image(shape=feature.shape, dtype=feature.dtype)  # without a colormap, which differences lack
    picture = value_html(
        feature, np.clip(by, limits.min, limits.max).astype(old.dtype), label=label, budget=budget, side=_SIDE
    )
    return picture + (f"<p>{note(f'{factor:.3g} times as bright')}</p>" if factor > 1 else "")


def _marked(old: Any, new: Any) -> list[str] | None:
    """Return two texts with their changed words marked; None for other values, and for very long texts."""
    if not isinstance(old, bytes) or not isinstance(new, bytes):
        return None
    try:
        words = [re.findall(r"\s+|\w+|[^\w\s]", side.decode()) for side in (old, new)]
    except UnicodeDecodeError:
        return None
    if max(map(len, words)) > MAX_WORDS:
        return None
    texts: tuple[list[str], list[str]] = ([], [])
    matcher = SequenceMatcher(a=words[0], b=words[1], autojunk=False)
    for how, old_start, old_stop, new_start, new_stop in matcher.get_opcodes():
        spans = ((old_start, old_stop, "del"), (new_start, new_stop, "ins"))
        for side, (start, stop, tag) in enumerate(spans):
            text = escape("".join(words[side][start:stop]))
            texts[side].append(text if how == "equal" or not text else f"<{tag}>{text}</{tag}>")
    return [f'<bdi class="dv-text">{"".join(side)}</bdi>' for side in texts]


def _same_values(config: ConfigDifference, example: ExampleDifference, budget: int) -> str:
    """Return the features of an example that do not differ, by which a reader knows it."""
    changed = {change.feature.partition("/")[0] for change in example.changes if change.is_value}
    if example.new is None or config.new_types is None:
        return ""
    same = {name: value for name, value in example.new.items() if name not in changed}
    return _fields(config.new_types, same, f"{example.split} {example.new_number}", budget)


def _one_sided(types: FeaturesDict | None, example: OneSidedExample, budget: int) -> str:
    """Return an example that only one side has."""
    if types is None or example.values is None:
        shown = f"<p>{note('the loader cannot decode it')}</p>"
    else:
        shown = _fields(types, example.values, f"{example.split} {example.number}", budget)
    return f"<section><h3>{escape(f'{example.split} {example.number:,}')}</h3>{shown}</section>"


def _fields(types: Mapping[str, Feature], values: Mapping[str, Any], example: str, budget: int) -> str:
    share = budget // max(len(values), 1)
    return fields_html(
        (name, value_html(types[name], value, label=f"{name} of {example}", budget=share))
        for name, value in values.items()
    )


def _find(types: FeaturesDict | None, path: str) -> Feature | None:
    """Return the feature at a path like `outer/inner`."""
    feature: Feature | None = types
    for name in path.split("/"):
        while isinstance(feature, Sequence):
            feature = feature.feature
        feature = feature[name] if isinstance(feature, FeaturesDict) and name in feature else None
    return feature
