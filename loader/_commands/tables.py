"""Print tables: by rich on a terminal, as plain aligned lines elsewhere; and JSON.

What a repository says may be anybody's: control characters are escaped, and nothing is read as rich's markup.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import Any, Literal

from loader._errors import printable
from loader._format.plain_table import GAP, NONE, aligned_lines, printable_cells

LABEL = 12  # characters of a label and the spaces after it
NARROW, COMFORTABLE = 12, 24
"""Cells are not wrapped to fewer characters than these: the second while there are columns to leave out."""


def is_terminal() -> bool:
    """Return whether stdout is a terminal."""
    return sys.stdout.isatty()


def print_line(text: str) -> None:
    """Print one line, with its control characters escaped."""
    print(printable(text))


def print_wrapped(text: str, *, label: str = "") -> None:
    """Print one line after its label, on a terminal as lines of its width; words stay in one piece, to be copied."""
    start = f"{printable(label) + ' ':<{LABEL}}" if label else ""
    if not is_terminal():
        print(start + printable(text))
        return
    filled = textwrap.fill(
        printable(text),
        _width(),
        initial_indent=start,
        subsequent_indent=" " * len(start),
        break_long_words=False,
        break_on_hyphens=False,
    )
    print(filled)


def paragraphs(text: str) -> list[str]:
    """Return the lines of a text, on a terminal with its paragraphs filled anew to the width."""
    if not is_terminal():
        return text.strip().splitlines()
    parts = [" ".join(part.split()) for part in re.split(r"\n\s*\n", text.strip())]
    filled = [textwrap.wrap(part, _width(), break_long_words=False, break_on_hyphens=False) for part in parts]
    return [line for lines in filled for line in (*lines, "")][:-1]


def print_heading(text: str) -> None:
    """Print a heading after an empty line."""
    print()
    print(f"\033[1m{printable(text)}\033[0m" if is_terminal() else printable(text))


def print_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    numbers: Sequence[str] = (),
    optional: Sequence[str] = (),
) -> None:
    """Print a table, one line for each row if stdout is not a terminal.

    A terminal that is too narrow for the columns gets a block of lines for each row.

    Parameters
    ----------
    columns
        The names of the columns.
    rows
        The cells of each row.
    numbers
        The columns that are aligned on the right.
    optional
        The columns that a narrow terminal does without; the first ones are left out first.
    """
    if is_terminal():
        _print_to_fit(columns, printable_cells(rows), numbers, optional)
        return
    for line in aligned_lines(columns, rows, numbers=numbers):
        print(line)


def print_json(value: Any) -> None:
    """Print a value as JSON in ASCII."""
    print(json.dumps(value, indent=2))


def _print_to_fit(
    columns: Sequence[str], cells: Sequence[Sequence[str]], numbers: Sequence[str], optional: Sequence[str]
) -> None:
    """Print a table without the optional columns for which the terminal is too narrow, or else a block for each row."""
    texts = {column: [row[at] for row in cells] for at, column in enumerate(columns)}
    whole = {column: max(map(len, (column, *texts[column]))) for column in columns}
    words = {column: max(len(word) for text in (column, *texts[column]) for word in text.split()) for column in columns}
    unwrapped = {columns[0], *numbers}

    def widths_of(shown: Sequence[str], most: int) -> dict[str, int]:
        return {
            column: whole[column] if column in unwrapped else max(words[column], min(whole[column], most))
            for column in shown
        }

    left_out: list[str] = []
    shown = list(columns)
    while len(left_out) < len(optional) and _room(widths_of(shown, COMFORTABLE)) < 0:
        left_out.append(optional[len(left_out)])
        shown.remove(left_out[-1])
    widths = widths_of(shown, NARROW)
    if _room(widths) < 0:
        _print_blocks(columns, cells)
        return
    for column in widths:
        widths[column] += min(whole[column] - widths[column], _room(widths))
    _print_rich({column: texts[column] for column in widths}, widths, numbers)
    if left_out:
        print_wrapped(f"... more columns: {', '.join(left_out)}: a wider window and --json have them")


def _room(widths: dict[str, int]) -> int:
    """Return how many characters columns leave of the terminal's width."""
    return _width() - sum(widths.values()) - GAP * (len(widths) - 1)


def _width() -> int:
    return shutil.get_terminal_size().columns


def _print_blocks(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    for number, row in enumerate(cells):
        if number:
            print()
        for column, cell in zip(columns, row, strict=True):
            if cell != NONE:
                print_wrapped(cell, label=column)


def _print_rich(texts: dict[str, list[str]], widths: dict[str, int], numbers: Sequence[str]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style="bold")
    for column, width in widths.items():
        justify: Literal["left", "right"] = "right" if column in numbers else "left"
        table.add_column(Text(column), justify=justify, overflow="fold", width=width)
    for row in zip(*texts.values(), strict=True):
        table.add_row(*map(Text, row))
    Console(width=_width(), markup=False, highlight=False, emoji=False).print(table)
