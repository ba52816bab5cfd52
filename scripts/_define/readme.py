"""The table of datasets in README.md, one row a dataset."""

from __future__ import annotations

import re

_TABLE = re.compile(r"^\| name \|.*\n\|[-| ]+\|\n(?:\|.*\n)*", re.MULTILINE)


def make_row(name: str, link: str, what: str, license: str) -> str:
    """Return the row of a dataset, its cells in one line each."""
    cells = (" ".join(text.split()).replace("|", "\\|") for text in (what, license))
    return f"| [`{name}`]({link}) | " + " | ".join(cells) + " |\n"


def add_row(text: str, name: str, row: str) -> str:
    """Return README's text with the row at the table's end; as it was without a table, or with a row of that name."""
    table = _TABLE.search(text)
    if table is None or _find(table.group(), name):
        return text
    return text[: table.end()] + row + text[table.end() :]


def remove_row(text: str, name: str) -> str:
    """Return README's text without the row of a dataset."""
    table = _TABLE.search(text)
    row = table and _find(table.group(), name)
    if table is None or row is None:
        return text
    return text[: table.start() + row.start()] + text[table.start() + row.end() :]


def _find(table: str, name: str) -> re.Match[str] | None:
    return re.search(rf"^\| \[`{re.escape(name)}`\].*\n", table, re.MULTILINE)
