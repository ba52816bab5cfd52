"""What changed in a version, in words and as tables."""

from __future__ import annotations

from markupsafe import Markup

from loader._catalog.history import Version
from loader._display.markup import escape, table_html
from loader._registry.differences import words
from loader._registry.differences.text import COLUMNS, cells

_NOT_COMPARED = "examples not compared: the record indexes of both versions were not on the machine that made this page"


def changes(version: Version) -> list[str]:
    """Return what changed in a version, in a few words for each."""
    return [] if version.difference is None else [*words.changes(version.difference, not_compared=_NOT_COMPARED)]


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
