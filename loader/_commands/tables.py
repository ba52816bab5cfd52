"""Print tables: by rich on a terminal, as plain aligned lines elsewhere; and JSON.

What a repository says may be anybody's: control characters are escaped, and nothing is read as rich's markup.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any, Literal

from loader._errors import printable

NONE = "-"
"""Stands for a cell without text, so that every line has every column."""


def is_terminal() -> bool:
    """Return whether stdout is a terminal."""
    return sys.stdout.isatty()


def print_line(text: str) -> None:
    """Print one line, with its control characters escaped."""
    print(printable(text))


def print_heading(text: str) -> None:
    """Print a heading after an empty line."""
    print()
    print(f"\033[1m{printable(text)}\033[0m" if is_terminal() else printable(text))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: Sequence[str] = ()) -> None:
    """Print a table, one line for each row if stdout is not a terminal.

    Parameters
    ----------
    columns
        The names of the columns.
    rows
        The cells of each row.
    numbers
        The columns that are aligned on the right.
    """
    cells = [[printable(cell) or NONE for cell in row] for row in rows]
    if is_terminal():
        _print_rich(columns, cells, numbers)
        return
    lines = [[column.upper() for column in columns], *cells]
    widths = [max(len(line[at]) for line in lines) for at in range(len(columns))]
    for line in lines:
        padded = (
            cell.rjust(width) if column in numbers else cell.ljust(width)
            for cell, width, column in zip(line, widths, columns, strict=True)
        )
        print("  ".join(padded).rstrip())


def print_json(value: Any) -> None:
    """Print a value as JSON in ASCII."""
    print(json.dumps(value, indent=2))


def _print_rich(columns: Sequence[str], cells: Sequence[Sequence[str]], numbers: Sequence[str]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for at, column in enumerate(columns):
        is_number = column in numbers
        justify: Literal["left", "right"] = "right" if is_number else "left"
        table.add_column(Text(column), justify=justify, overflow="fold", no_wrap=at == 0 or is_number)
    for row in cells:
        table.add_row(*map(Text, row))
    Console(markup=False, highlight=False, emoji=False).print(table)


def size_text(size: int) -> str:
    """Return a number of bytes with a unit in which it has few digits."""
    for unit, factor in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} B"
