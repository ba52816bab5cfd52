"""List the tables of `benchmarks/README.md`, or measure and print those that are named; `all` names all of them."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
READING = {
    "first": (3, "the first example, from a cold process"),
    "random": (5, "`[i]` at random"),
    "each": (10, "an epoch one by one"),
    "batches": (7, "an epoch in batches of 256, on 1 and 2 threads"),
    "workers": (6, "an epoch in batches of 256, with 2 worker processes"),
}


@dataclass(frozen=True)
class Table:
    """A table: about how many minutes it takes, what it shows, and the command that prints it."""

    minutes: int
    what: str
    command: tuple[str, ...]


def _tables() -> dict[str, Table]:
    tables = {
        f"{dataset}-{name}": Table(minutes, f"{dataset}: {what}", ("reading.py", dataset, name))
        for dataset in ("mnist", "jpeg", "digit")
        for name, (minutes, what) in READING.items()
    }
    return tables | {
        "limit": Table(1, "mnist: how fast one thread could read it", ("limit.py",)),
        "epochs": Table(3, "mnist: epochs from a cache, and all of it as arrays", ("epochs.py",)),
        "building": Table(5, "building mnist and 20,000 generated images", ("building.py",)),
        "size": Table(15, "building, packing and recording 5 GB of images", ("size.py",)),
        "scale": Table(1, "opening an artifact of ten million records", ("scale.py",)),
        "streaming": Table(12, "mnist and 2 GB from S3, over a slow wire", ("over_s3.py",)),
        "versions": Table(6, "fetching a version of which a part changed", ("versions.py",)),
        "registry": Table(2, "finding datasets among 300", ("registry.py",)),
        "catalog": Table(1, "the catalog of 300 datasets", ("catalog.py",)),
        "differences": Table(2, "comparing two versions of a million records", ("differences.py",)),
    }


def main(names: list[str]) -> None:
    """List the tables, or print the named ones."""
    tables = _tables()
    if not names:
        print("make benchmark TABLE=NAME prints one of these tables, TABLE=all prints all:\n")
        for name, table in tables.items():
            print(f"  {name:15} {table.minutes:2} min  {table.what}")
        return
    names = list(tables) if names == ["all"] else names
    for name in names:
        if name not in tables:
            raise SystemExit(f"error: there is no table {name}; list them with: make benchmark")
    for name in names:
        print(f"\n{name}: {tables[name].what}\n", flush=True)
        script, *arguments = tables[name].command
        if code := subprocess.run([sys.executable, FOLDER / script, *arguments]).returncode:
            raise SystemExit(code)


if __name__ == "__main__":
    main(sys.argv[1:])
