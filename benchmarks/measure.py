"""Measuring figures in separate processes, and printing tables of them."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

FIGURE = Path(__file__).resolve().with_name("figure.py")
TIMEOUT_SECONDS = 300  # a process that takes longer hangs

# a small process in between, because a process starts with the peak memory of the one that it was forked from
TIMED = """
import subprocess, sys, time, json, resource
start = time.perf_counter()
done = subprocess.run(sys.argv[1:], check=True, stdout=subprocess.PIPE)
seconds = time.perf_counter() - start
used = resource.getrusage(resource.RUSAGE_CHILDREN)
figures = {"seconds": seconds, "processor seconds": used.ru_utime + used.ru_stime}
print(json.dumps({**figures, **json.loads(done.stdout.splitlines()[-1])}))
"""

# otherwise Python compiles the modules of this checkout again in each process
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

Figures = dict[str, float]


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes
    ----------
    title
        The name of the figure, with its unit.
    number
        The number of threads or cores that the process uses.
    key
        The key of the figure in the JSON that the process prints.
    form
        The format of the figure.
    less
        Whether less is better.
    is_compared
        Whether a column of ratios follows.
    """

    title: str
    number: int = 0
    key: str = "rate"
    form: str = "{:,.0f}"
    less: bool = False
    is_compared: bool = True


def run(dataset: str, reader: str, measure: str, number: int = 0) -> Figures:
    """Measure a figure of a reader in a process."""
    return timed([sys.executable, str(FIGURE), dataset, reader, measure, str(number)])


def timed(command: Sequence[str]) -> Figures:
    """Run a process and return the figures that it prints, and the seconds that it and its processors took."""
    done = subprocess.run([sys.executable, "-c", TIMED, *command], capture_output=True, timeout=TIMEOUT_SECONDS)
    if done.returncode:
        raise SystemExit(f"{' '.join(command[1:])}: failed\n{done.stderr.decode(errors='replace')}")
    return dict(json.loads(done.stdout))


def rows(titles: dict[str, str], columns: Sequence[Column], rounds: dict[tuple[str, int], list[Figures]]) -> list[str]:
    """Return the rows of a Markdown table: the readers' medians, and by how much the first reader is better.

    Parameters
    ----------
    titles
        The title of each reader; the others are compared with the first one.
    columns
        The figures.
    rounds
        The figures of each round, by reader and number of threads or cores. A reader without figures gets a dash.
    """
    heads = [head for column in columns for head in (column.title, "ratio")[: 1 + column.is_compared]]
    lines = [f"| | {' | '.join(heads)} |", f"|---{'|---:' * len(heads)}|"]
    first = next(iter(titles))
    for reader, title in titles.items():
        cells = []
        for column in columns:
            ours, theirs = (rounds.get((name, column.number)) for name in (first, reader))
            if theirs is None:
                cells += ["-", ""][: 1 + column.is_compared]
                continue
            cells.append(column.form.format(statistics.median(figures[column.key] for figures in theirs)))
            if column.is_compared:
                cells.append("" if reader == first or ours is None else _ratio(ours, theirs, column))
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return lines


def _ratio(ours: list[Figures], theirs: list[Figures], column: Column) -> str:
    """Return the median of the rounds' ratios, with the smallest and the largest."""
    pairs = [(a[column.key], b[column.key]) for a, b in zip(ours, theirs, strict=True)]
    ratios = [b / a if column.less else a / b for a, b in pairs]
    form = "{:.1f} ({:.1f} to {:.1f})" if min(ratios) > 2 else "{:.2f} ({:.2f} to {:.2f})"
    return form.format(statistics.median(ratios), min(ratios), max(ratios))
