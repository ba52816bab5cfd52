"""Reading: the loader compared with other readers, in turn, each figure from a separate process.

    make benchmark TABLE=mnist-batches        (needs the dataset's artifact)

Prints a Markdown table. A figure is the median of the rounds. The ratio says by how much the loader is better: the
median of the rounds' ratios, with the smallest and the largest.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from measure import Column, Figures, rows, run, timed
from prepare import prepare
from readers import READERS

DATASETS = {
    "mnist": "60,000 grey PNG images of 28 x 28",
    "digit": "1,350 recordings of half a second on average, int16 at 8 kHz",
    "jpeg": "4,000 generated colour JPEG images of 224 x 224",
}
TOLERANCE = {"jpeg": 2.55}  # mean difference of an image's values, 1 percent of their range: decoders round differently
NUMPY = "numpy"
IMPORT_NUMPY = """
import numpy, resource
print('{"megabytes": %f}' % (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))
"""

# measure -> (title of the table, the method that a reader needs, columns)
TABLES: dict[str, tuple[str, str, tuple[Column, ...]]] = {
    "first": (
        "First example, from a cold process",
        "examples",
        (
            Column("s", key="seconds", form="{:.2f}", less=True),
            Column("s of processor time", key="processor seconds", form="{:.2f}", less=True),
            Column("peak MB", key="megabytes", less=True),
        ),
    ),
    "random": ("`[i]` at random, examples/s", "__getitem__", (Column("all cores"),)),
    "each": ("An epoch one by one, examples/s", "examples", (Column("all cores"), Column("one core", 1))),
    "batches": (
        "An epoch in batches of 256, examples/s",
        "batches",
        (
            Column("1 thread", 1),
            Column("per second of processor time", 1, key="processor rate"),
            Column("2 threads", 2),
        ),
    ),
    "workers": ("An epoch in batches of 256 with 2 worker processes, examples/s", "torch", (Column("all cores"),)),
}


def main(
    dataset: Annotated[str, typer.Argument(help=f"One of {', '.join(DATASETS)}.")],
    table: Annotated[str, typer.Argument(help=f"One of {', '.join(TABLES)}.")],
    rounds: Annotated[int, typer.Option(min=1, help="How often every figure is measured.")] = 3,
) -> None:
    """Measure and print a table."""
    if dataset not in DATASETS or table not in TABLES:
        raise typer.BadParameter(f"datasets are {', '.join(DATASETS)}, tables {', '.join(TABLES)}")
    title, needed, columns = TABLES[table]
    prepare(dataset)
    readers = {
        name: reader
        for name, reader in READERS.items()
        if hasattr(reader, needed) and (dataset != "digit" or not reader.only_images)
    }
    for name in readers:
        _check_same(dataset, name)
    found: dict[tuple[str, int], list[Figures]] = {}
    for number in range(rounds):
        for name, reader in readers.items():
            for threads in sorted({column.number for column in columns}):
                if table == "batches" and threads not in reader.threads:
                    continue
                _say(f"{dataset}, {table}, round {number + 1} of {rounds}: {name} {threads or ''}")
                found.setdefault((name, threads), []).append(run(dataset, name, table, threads))
        if table == "first":
            found.setdefault((NUMPY, 0), []).append(timed([sys.executable, "-c", IMPORT_NUMPY]))
    titles = {name: reader.title for name, reader in readers.items()}
    if table == "first":
        titles[NUMPY] = "`python -c 'import numpy'`, nothing read"
    print(f"{dataset}: {DATASETS[dataset]}. {title}\n", *rows(titles, columns, found), sep="\n", flush=True)


def _check_same(dataset: str, name: str) -> None:
    """Refuse to measure a reader that does not return the loader's values."""
    _say(f"{dataset}: comparing the values of {name}")
    difference = run(dataset, name, "same")["difference"]
    if difference > TOLERANCE.get(dataset, 0):
        raise SystemExit(f"{dataset}: {name} returns other values than the loader (by {difference:.2f} on average)")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    typer.run(main)
