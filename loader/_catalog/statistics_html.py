"""The statistics of a dataset as HTML and in sentences."""

from __future__ import annotations

from collections.abc import Mapping

from markupsafe import Markup

from loader._display.histogram import histogram_html
from loader._display.markup import TIMES, escape, table_html
from loader._registry.statistics import Range, Statistics, ValueStatistics

_MOST_ROWS, _MOST_HISTOGRAMS = 200, 12
_HEAD = ("feature", "split", "smallest", "largest", "mean", "shape", "length", "missing", "empty")
_NUMBERS = ("smallest", "largest", "mean", "missing", "empty")


def histograms(statistics: Statistics, config: str | None) -> list[Markup]:
    """Return how many examples of a config each class has, for each feature with classes, up to a dozen."""
    counts = statistics.class_totals(config)
    splits: dict[str, dict[str, None]] = {}
    for count in statistics.class_counts:
        if count.config == config:
            splits.setdefault(count.feature, {})[count.split] = None
    return [
        Markup(histogram_html(each, label=f"Classes of {feature}: examples in {_joined(splits[feature])}"))
        for feature, each in list(counts.items())[:_MOST_HISTOGRAMS]
    ]


def values_html(statistics: Statistics, config: str | None) -> Markup:
    """Return the statistics of the values of a config as a table, without empty columns."""
    found = sorted((value for value in statistics.values if value.config == config), key=lambda value: value.feature)
    rows = [_value_row(value) for value in found[:_MOST_ROWS]]
    used = [at for at in range(len(_HEAD)) if at < 2 or any(row[at] for row in rows)]
    head = [_HEAD[at] for at in used]
    table = table_html(
        head,
        [[f'<span class="dv-nowrap">{escape(row[at])}</span>' if row[at] else "" for at in used] for row in rows],
        label="Values",
        has_row_heads=True,
        numeric=[place for place, name in enumerate(head) if name in _NUMBERS],
    )
    return Markup(table)


def duplicates(statistics: Statistics) -> list[str]:
    """Return what was found of examples that repeat others, in sentences."""
    found = [f"{each}." for each in statistics.duplicates_found]
    return found or ["No example repeats another one, within a split or across splits."]


def _value_row(value: ValueStatistics) -> list[str]:
    return [
        value.feature,
        value.split,
        _number(value.min),
        _number(value.max),
        _number(value.mean),
        TIMES.join(_span(*axis) for axis in value.shape or ()),
        _length(value.length),
        f"{value.missing:,}" if value.missing else "",
        f"{value.empty:,}" if value.empty else "",
    ]


def _number(value: int | float | None) -> str:
    return "" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"


def _span(smallest: int, largest: int) -> str:
    return f"{smallest:,}" if smallest == largest else f"{smallest:,}\u2013{largest:,}"


def _length(length: Range | None) -> str:
    if length is None:
        return ""
    span = _span(length.min, length.max)
    return span if length.min == length.max else f"{span}, mean {length.mean:,.4g}"


def _joined(names: Mapping[str, None]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
