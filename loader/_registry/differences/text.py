"""Differences as plain text, as Markdown and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from loader._errors import printable
from loader._format.value_changes import brief
from loader._registry.differences.difference import (
    CHANGED,
    SAME,
    Change,
    ConfigDifference,
    Difference,
    OneSidedExample,
    SplitDifference,
)
from loader._registry.statistics import Range

MAX_STATISTICS = 24  # listed one by one
MAX_TEXT = 70  # characters shown of a value
COLUMNS = ("split", "old", "new", "added", "removed", "changed", "unchanged", "moved")


def heading(difference: Difference) -> str:
    """Return one line that names the dataset, the versions and the revisions."""
    old, new = difference.old_version or "none", difference.new_version or "none"
    return f"{difference.name}: {old} in {difference.old_label}, {new} in {difference.new_label}"


def verdict(difference: Difference) -> str:
    """Return the result in a few words."""
    match difference.status:
        case "same":
            return "no difference"
        case "new":
            return f"new: not recorded in {difference.old_label}"
        case "removed":
            return f"removed: not recorded in {difference.new_label}"
        case status:
            return status


def first_upper(text: str) -> str:
    """Return a text as the beginning of a sentence; names in it keep their letters."""
    return text[:1].upper() + text[1:]


def plain(difference: Difference) -> str:
    """Return a difference as lines of text."""
    return "\n".join(_plain(difference))


def markdown(difference: Difference) -> str:
    """Return a difference in Markdown."""
    return "\n".join(_markdown(difference)) + "\n"


def as_json(difference: Difference) -> dict[str, Any]:
    """Return a difference as JSON values; values of examples are shortened to a line."""
    return {
        "name": difference.name,
        "status": difference.status,
        "old": {"revision": difference.old_label, "version": difference.old_version},
        "new": {"revision": difference.new_label, "version": difference.new_version},
        "metadata": [_json_safe(change._asdict()) for change in difference.metadata],
        "statistics": [_json_safe(change._asdict()) for change in difference.statistics],
        "configs": [_config_json(config) for config in difference.configs],
        "remarks": difference.remarks,
        "bytes_fetched": difference.bytes_fetched,
    }


def _config_json(config: ConfigDifference) -> dict[str, Any]:
    return {
        "config": config.config,
        "status": config.status,
        "features": [change._asdict() for change in config.features],
        "files": list(config.files),
        "splits": [vars(split) for split in config.splits],
        "changed_features": config.changed_features,
        "examples": [
            {
                "split": each.split,
                "old_number": each.old_number,
                "new_number": each.new_number,
                "changes": [
                    {
                        "feature": change.feature,
                        "how": change.how,
                        "old": None if change.old is None else brief(change.old),
                        "new": None if change.new is None else brief(change.new),
                        "is_value": change.is_value,
                    }
                    for change in each.changes
                ],
            }
            for each in config.examples
        ],
        "removed_examples": [_one_sided_json(each) for each in config.removed_examples],
        "added_examples": [_one_sided_json(each) for each in config.added_examples],
    }


def _one_sided_json(example: OneSidedExample) -> dict[str, Any]:
    values = example.values
    return {
        "split": example.split,
        "number": example.number,
        "values": None if values is None else {name: _value(value) for name, value in values.items()},
    }


def _plain(difference: Difference) -> Iterator[str]:
    yield heading(difference)
    if difference.status != CHANGED:
        yield f"  {verdict(difference)}"
    yield from _section("metadata", difference.metadata)
    for config in difference.configs:
        if config.config and difference.status == CHANGED:
            yield f"config {config.config}: {config.status}"
        yield from _section("features", config.features)
        if config.splits and config.status != SAME:
            yield from _table([COLUMNS, *(cells(split) for split in config.splits)])
        yield from _examples(config)
    statistics = difference.statistics
    yield from _section("statistics", statistics[:MAX_STATISTICS])
    if len(statistics) > MAX_STATISTICS:
        yield f"  and {len(statistics) - MAX_STATISTICS:,} more"
    yield from difference.remarks
    if difference.bytes_fetched:
        yield f"{difference.bytes_fetched:,} bytes were read from the remote, of record indexes and the examples shown"


def _markdown(difference: Difference) -> Iterator[str]:
    versions = difference.old_version or "-", difference.new_version or "-"
    moved = f"{versions[0]} → {versions[1]}" if versions[0] != versions[1] else versions[0]
    yield f"### {escaped(f'{difference.name} {moved}')}"
    yield ""
    if difference.status != CHANGED:
        yield f"{escaped(first_upper(verdict(difference)))}."
        yield ""
    rows = [*difference.metadata, *difference.statistics[:MAX_STATISTICS]]
    for config in difference.configs:
        rows += [Change(f"feature {_in_config(config, change.name)}", *change[1:]) for change in config.features]
    if rows:
        yield "| | old | new |"
        yield "|---|---|---|"
        for name, old, new in rows:
            yield f"| {escaped(name)} | {escaped(as_text(old))} | {escaped(as_text(new))} |"
        if len(difference.statistics) > MAX_STATISTICS:
            yield f"| and {len(difference.statistics) - MAX_STATISTICS:,} more statistics | | |"
        yield ""
    yield from split_table(difference)
    yield from (f"- {escaped(remark)}" for remark in difference.remarks)
    for config in difference.configs:
        for line in _examples(config):
            yield f"{'  - ' if line.startswith('  ') else '- '}{escaped(line.strip())}"


def split_table(difference: Difference) -> Iterator[str]:
    """Yield the lines of a table in Markdown with the numbers of examples that differ, if artifacts do."""
    shown = [config for config in difference.configs if config.status != SAME and config.splits]
    if shown:
        yield f"| {' | '.join(COLUMNS)} |"
        yield f"|---{'|---:' * (len(COLUMNS) - 1)}|"
        for config in shown:
            for split in config.splits:
                name, *numbers = cells(split)
                yield f"| {escaped(_in_config(config, name))} | {' | '.join(numbers)} |"
        yield ""


def _in_config(config: ConfigDifference, name: str) -> str:
    return f"{config.config}/{name}" if config.config else name


def _examples(config: ConfigDifference) -> Iterator[str]:
    if config.examples:
        counts = ", ".join(f"{name} in {count:,}" for name, count in config.changed_features.items())
        yield f"changed examples: {len(config.examples):,} of {config.changed:,} compared; {counts}"
    for each in config.examples:
        also = f" (now {each.new_number:,})" if each.new_number != each.old_number else ""
        changes = "; ".join(f"{change.feature} {change.how}" for change in each.changes)
        yield f"  {each.split} {each.old_number:,}{also}: {changes}"
    for what, shown, count in (
        ("removed", config.removed_examples, config.removed),
        ("added", config.added_examples, config.added),
    ):
        if shown:
            yield f"{what} examples: {len(shown):,} of {count:,} shown"
        for one in shown:
            yield f"  {one.split} {one.number:,}: {_values(one)}"


def _values(example: OneSidedExample) -> str:
    if example.values is None:
        return "the loader cannot decode it"
    return "; ".join(f"{name} {_value(value)}" for name, value in example.values.items())


def _value(value: Any) -> str:
    """Return a value as one short line; of an array only its type and shape."""
    if isinstance(value, np.ndarray) and value.ndim:
        return f"{value.dtype} {value.shape}"
    return brief(value)


def _section(title: str, changes: Sequence[Change]) -> Iterator[str]:
    if not changes:
        return
    yield title
    width = max(len(change.name) for change in changes)
    for name, old, new in changes:
        if old is None or new is None:
            yield f"  {'+' if old is None else '-'} {name:<{width}}  {as_text(new if old is None else old)}"
        else:
            yield f"    {name:<{width}}  {as_text(old)} -> {as_text(new)}"


def cells(split: SplitDifference) -> list[str]:
    """Return the row of a split in the table with these `COLUMNS`."""
    return [
        split.split,
        *("-" if count is None else f"{count:,}" for count in (split.old, split.new)),
        *(f"{count:,}" for count in (split.added, split.removed, split.changed, split.unchanged, split.moved)),
    ]


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        first, *others = zip(row, widths, strict=True)
        yield "  ".join([f"{first[0]:<{first[1]}}", *(f"{cell:>{width}}" for cell, width in others)])


def as_text(value: Any) -> str:
    """Return a value on one short line."""
    if value is None:
        return ""
    match value:
        case Range():
            text = f"{_span(value.min, value.max)}, mean {value.mean:.6g}"
        case tuple():  # the smallest and the largest size of each axis
            text = " x ".join(_span(*sizes) for sizes in value) or "scalar"
        case float():
            text = f"{value:.6g}"
        case int() if not isinstance(value, bool):
            text = f"{value:,}"
        case _:
            text = str(value)
    text = printable(" ".join(text.split()))
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}..."


def _span(smallest: int, largest: int) -> str:
    return f"{smallest:,}" if smallest == largest else f"{smallest:,}..{largest:,}"


def escaped(text: str) -> str:
    """Return a text that means nothing else in Markdown."""
    text = printable(text)
    for character in "\\`*_[]<>|":
        text = text.replace(character, f"\\{character}")
    return text


def _json_safe(values: dict[str, Any]) -> dict[str, Any]:
    """Return values as JSON has them: infinities and NaN, which it lacks, as text."""
    return {key: _json_value(value) for key, value in values.items()}


def _json_value(value: Any) -> Any:
    if isinstance(value, Range):
        return asdict(value)
    return str(value) if isinstance(value, float) and value - value != 0 else value
