"""What changed in a version, in words and as tables."""

from __future__ import annotations

from collections.abc import Iterator

from markupsafe import Markup

from loader._catalog.history import Version
from loader._display.markup import escape, table_html
from loader._registry.differences.difference import Change
from loader._registry.differences.text import COLUMNS, as_text, cells

_COUNTS = ("examples", "bytes", "features", "classes", "missing", "empty", "duplicates", "leaked")


def changes(version: Version) -> list[str]:
    """Return what changed in a version, in a few words for each."""
    return [*_changes(version)]


def split_changes(version: Version) -> list[tuple[str | None, Markup]]:
    """Return a table of the changed examples for each config of a version, with its name."""
    if version.difference is None:
        return []
    label = f"Changes of {version.entry.version}"
    numeric = range(1, len(COLUMNS))
    found = []
    for config in version.difference.configs:
        if any(config.splits):
            rows = ([escape(cell) for cell in cells(split)] for split in config.splits)
            found.append(
                (config.config, Markup(table_html(COLUMNS, rows, label=label, has_row_heads=True, numeric=numeric)))
            )
    return found


def _changes(version: Version) -> Iterator[str]:
    difference = version.difference
    if difference is None:
        return
    for change in difference.metadata:
        yield _change(change)
    for config in difference.configs:
        prefix = f"{config.config}: " if config.config else ""
        if config.status in ("new", "removed"):
            yield f"{prefix}this config is {config.status}"
        yield from (f"{prefix}feature {_change(change)}" for change in config.features)
    if difference.note:
        yield "examples not compared: the record indexes of both versions were not on the machine that made this page"
        yield from (_change(change) for change in difference.statistics if change.name in _COUNTS)
    yield from (remark for remark in difference.remarks if remark != difference.note)


def _change(change: Change) -> str:
    old, new = as_text(change.old), as_text(change.new)
    if change.old is None:
        return f"{change.name}: {new}, new"
    if change.new is None:
        return f"{change.name}: {old}, removed"
    return f"{change.name}: {old} → {new}"
