"""Figures from processes of their own, and tables of them."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

FIGURE = Path(__file__).resolve().with_name("figure.py")
SECONDS = 300  # a process that takes longer hangs

# in between, because a process starts with the peak memory of the one it was forked from
TIMED = """
import subprocess, sys, time, json
start = time.perf_counter()
done = subprocess.run(sys.argv[1:], check=True, stdout=subprocess.PIPE)
print(json.dumps({"seconds": time.perf_counter() - start, **json.loads(done.stdout.splitlines()[-1])}))
"""

Figures = dict[str, float]


@dataclass(frozen=True)
class Column:
    """A figure of a table.

    Attributes
    ----------
    title
        What the figure is, with its unit.
    number
        The number of threads or cores that the process is told to use.
    key
        The figure's name among those that the process prints.
    form
        How it is printed.
    less
        Whether less is better.
    """

    title: str
    number: int = 0
    key: str = "rate"
    form: str = "{:,.0f}"
    less: bool = False


def run(dataset: str, reader: str, measure: str, number: int = 0) -> Figures:
    """Return the figures that a process of its own prints, and the seconds that it took."""
    command = [sys.executable, str(FIGURE), dataset, reader, measure, str(number)]
    done = subprocess.run([sys.executable, "-c", TIMED, *command], capture_output=True, timeout=SECONDS)
    if done.returncode:
        raise SystemExit(f"{dataset}, {reader}, {measure}: failed\n{done.stderr.decode(errors='replace')}")
    return dict(json.loads(done.stdout))


def rows(titles: dict[str, str], columns: Sequence[Column], rounds: dict[tuple[str, int], list[Figures]]) -> list[str]:
    """Return the rows of a Markdown table: the readers' medians, and by how much the first one is better.

    Parameters
    ----------
    titles
        What each reader is called; the first is the one that the others are compared with.
    columns
        The figures.
    rounds
        By reader and number of threads or cores: the figures of each round. Where a reader has none, a dash stands.
    """
    heads = [head for column in columns for head in (column.title, "ratio")]
    lines = [f"| | {' | '.join(heads)} |", f"|---{'|---:' * len(heads)}|"]
    first = next(iter(titles))
    for reader, title in titles.items():
        cells = []
        for column in columns:
            ours, theirs = (rounds.get((who, column.number)) for who in (first, reader))
            if theirs is None:
                cells += ["-", ""]
                continue
            cells.append(column.form.format(statistics.median(figures[column.key] for figures in theirs)))
            cells.append("" if reader == first or ours is None else _ratio(ours, theirs, column))
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return lines


def _ratio(ours: list[Figures], theirs: list[Figures], column: Column) -> str:
    """The median of the rounds' ratios, with the least and the greatest."""
    pairs = [(a[column.key], b[column.key]) for a, b in zip(ours, theirs, strict=True)]
    ratios = [b / a if column.less else a / b for a, b in pairs]
    return f"{statistics.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})"
