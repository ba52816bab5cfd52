"""Reading: the loader compared with other readers, in turn, each figure from a separate process.

    make benchmark                                      (every table, about an hour; needs the datasets' artifacts)
    python benchmarks/reading.py mnist --only batches   (one table)

Prints Markdown tables. A figure is the median of the rounds. The ratio says by how much the loader is better: the
median of the rounds' ratios, with the smallest and the largest.
"""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer
from measure import Column, Figures, rows, run
from prepare import prepare
from readers import READERS

DATASETS = {
    "mnist": "60,000 grey PNG images of 28 x 28",
    "digit": "1,350 recordings of half a second on average, int16 at 8 kHz",
    "jpeg": "4,000 generated colour JPEG images of 224 x 224",
}
TOLERANCE = 0.01  # of the sums of decoded values: JPEG decoders round differently


# measure -> (title of the table, the method that a reader needs, columns)
TABLES: dict[str, tuple[str, str, tuple[Column, ...]]] = {
    "first": (
        "First example, from a cold process",
        "examples",
        (
            Column("s", key="seconds", form="{:.2f}", less=True),
            Column("peak MB", key="megabytes", less=True),
        ),
    ),
    "random": ("`[i]` at random, examples/s", "__getitem__", (Column("all cores"),)),
    "each": ("An epoch one by one, examples/s", "examples", (Column("all cores"), Column("one core", 1))),
    "batches": (
        "An epoch in batches of 256, examples/s",
        "batches",
        (Column("1 thread", 1), Column("2 threads", 2)),
    ),
    "torch": ("An epoch in batches of 256 with 2 worker processes, examples/s", "torch", (Column("all cores"),)),
}


def main(
    datasets: Annotated[
        list[str] | None, typer.Argument(help=f"Which of {', '.join(DATASETS)}; all by default.")
    ] = None,
    only: Annotated[str | None, typer.Option(help=f"One of {', '.join(TABLES)}; all by default.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="How often every figure is measured.")] = 3,
) -> None:
    """Measure and print the tables."""
    for dataset in datasets or DATASETS:
        if dataset not in DATASETS or (only and only not in TABLES):
            raise typer.BadParameter(f"datasets are {', '.join(DATASETS)}, tables {', '.join(TABLES)}")
        _say(f"preparing {dataset}")
        prepare(dataset)
        _check_same(dataset)
        print(f"\n## {dataset}: {DATASETS[dataset]}")
        for measure in [only] if only else TABLES:
            _print_table(dataset, measure, rounds)


def _print_table(dataset: str, measure: str, rounds: int) -> None:
    title, needed, columns = TABLES[measure]
    readers = {name: reader for name, reader in READERS.items() if hasattr(reader, needed)}
    found: dict[tuple[str, int], list[Figures]] = {}
    for number in range(rounds):
        for name, reader in readers.items():
            for threads in sorted({column.number for column in columns}):
                if measure == "batches" and threads not in reader.threads:
                    continue
                _say(f"{dataset}, {measure}, round {number + 1} of {rounds}: {name} {threads or ''}")
                found.setdefault((name, threads), []).append(run(dataset, name, measure, threads))
    titles = {name: reader.title for name, reader in readers.items()}
    print(f"\n### {title}\n", *rows(titles, columns, found), sep="\n", flush=True)


def _check_same(dataset: str) -> None:
    """Refuse to compare readers that do not return the same values."""
    sums: dict[str, Any] = {name: run(dataset, name, "same")["sum"] for name in READERS}
    expected = sums["loader"]
    for name, found in sums.items():
        if abs(found - expected) > TOLERANCE * abs(expected):
            raise SystemExit(f"{dataset}: {name} returns other values than the loader ({found:,} and {expected:,})")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    typer.run(main)
