"""Printing a table of plain aligned lines, and sizes that a person can read."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from loader._errors import printable

GAP = "  "
NONE = "-"
"""Stands for a cell without text, so that every line has every column."""


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: Collection[str]) -> None:
    """Print a table, a line for each row; the columns `numbers` are aligned on the right."""
    lines = [[column.upper() for column in columns], *([printable(cell) or NONE for cell in row] for row in rows)]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    for line in lines:
        padded = (
            cell.rjust(width) if column in numbers else cell.ljust(width)
            for cell, width, column in zip(line, widths, columns, strict=True)
        )
        print(GAP.join(padded).rstrip())


def size_text(size: int) -> str:
    """Return a number of bytes with a unit in which it has few digits."""
    for unit, factor in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} B"
