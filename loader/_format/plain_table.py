"""Tables of plain aligned lines, and sizes that a person can read, as commands print them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from loader._errors import printable

NONE = "-"
"""Stands for a cell without text, so that every line has every column."""
GAP = 2
"""The number of spaces between columns."""


def printable_cells(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """Return the cells of each row with their control characters escaped; what a repository says may be anybody's."""
    return [[printable(cell) or NONE for cell in row] for row in rows]


def aligned_lines(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: Collection[str] = ()
) -> Iterator[str]:
    """Yield the lines of a table: the names of the columns, and each row; the columns `numbers` align on the right."""
    lines = [[column.upper() for column in columns], *printable_cells(rows)]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    for line in lines:
        padded = (
            cell.rjust(width) if column in numbers else cell.ljust(width)
            for cell, width, column in zip(line, widths, columns, strict=True)
        )
        yield (" " * GAP).join(padded).rstrip()


def size_text(size: int) -> str:
    """Return a number of bytes with a unit in which it has few digits."""
    for unit, factor in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} B"
