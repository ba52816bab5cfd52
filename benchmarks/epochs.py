"""Epochs after the first one, and whole splits as arrays: the loader's cache beside those of TFDS and HF datasets.

    make benchmark TABLE=epochs        (needs the artifact of mnist)

Prints a Markdown table. Each figure comes from a process of its own, in turn with the others'; it is the median of the
rounds. The ratio says by how much the loader is better: the median of the rounds' ratios, with the smallest and the
largest.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer
from data import Data, locate
from measure import Column, Figures, rows
from prepare import prepare
from reader import BATCH

EPOCHS = 5  # at most; the fastest counts, because the first one fills the cache
MAX_SECONDS = 5.0  # after the second epoch, no further one begins after this time
CACHE = "DATASETS_CACHE"

COLUMNS = (
    Column("in order, examples/s", key="ordered"),
    Column("shuffled, examples/s", key="shuffled"),
    Column("all as arrays, s", key="arrays", form="{:.2f}", less=True),
    Column("first batch of a later process, s", key="later", form="{:.2f}", less=True),
)


def main(rounds: Annotated[int, typer.Option(min=1, help="How often every figure is measured.")] = 3) -> None:
    """Measure and print the table."""
    prepare("mnist")
    found: dict[tuple[str, int], list[Figures]] = {}
    with TemporaryDirectory() as cache:
        for number in range(rounds):
            for name in READERS:
                print(f"round {number + 1} of {rounds}: {name}", file=sys.stderr, flush=True)
                found.setdefault((name, 0), []).append(
                    {column.key: _figure(name, column.key, cache) for column in COLUMNS}
                )
    print(*rows({name: title for name, (title, _) in READERS.items()}, COLUMNS, found), sep="\n")


def _figure(name: str, key: str, cache: str) -> float:
    """Measure a figure in another process."""
    if key == "later":  # the process before it filled the cache on disk
        _run(name, key, cache)
    start = time.perf_counter()
    figure = _run(name, key, cache)
    return time.perf_counter() - start if key == "later" else figure


def _run(name: str, key: str, cache: str) -> float:
    environment = {**os.environ, CACHE: cache, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, Path(__file__).resolve(), "--measure", name, key]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, cwd=Path(__file__).parent)
    return float(json.loads(done.stdout.splitlines()[-1]))


def _rate(epoch: Callable[[], Iterable[dict[str, Any]]]) -> float:
    """Return the examples per second of the fastest epoch."""
    best, first = 0.0, time.perf_counter()
    for number in range(EPOCHS):
        start = time.perf_counter()
        if number > 1 and start > first + MAX_SECONDS:
            break
        count = sum(len(batch["label"]) for batch in epoch())
        best = max(best, count / (time.perf_counter() - start))
    return best


def _seconds(read: Callable[[], Any]) -> float:
    start = time.perf_counter()
    read()
    return time.perf_counter() - start


def _loader(data: Data, key: str) -> float:
    import loader

    _, train = loader.load(data.name, split="train", repo=data.repository)
    if key == "arrays":
        return _seconds(train.arrays)
    if key == "later":
        return float(next(iter(train.cache(disk=True).batches(BATCH)))["label"][0])
    batches = train.cache().batches(BATCH, shuffle=key == "shuffled")
    return _rate(lambda: batches)


def _tfds(data: Data, key: str) -> float:
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(data.tfds)
    if key == "arrays":
        return _seconds(lambda: tfds.as_numpy(builder.as_dataset(split="train", batch_size=-1)))
    dataset = builder.as_dataset(split="train", shuffle_files=False).cache()
    if key == "shuffled":
        dataset = dataset.shuffle(60_000, seed=0)
    batches = tfds.as_numpy(dataset.batch(BATCH).prefetch(2))
    if key == "later":
        return float(next(iter(batches))["label"][0])
    return _rate(lambda: batches)


def _tfds_batched(data: Data, key: str) -> float:
    """Measure what TFDS itself caches: `as_dataset(batch_size=...)` keeps a small dataset in memory."""
    import tensorflow_datasets as tfds

    if key not in ("ordered", "shuffled"):
        return _tfds(data, key)
    builder = tfds.builder_from_directory(data.tfds)
    dataset = builder.as_dataset(split="train", shuffle_files=key == "shuffled", batch_size=BATCH)
    batches = tfds.as_numpy(dataset)
    return _rate(lambda: batches)


def _hugging_face(data: Data, key: str) -> float:
    import datasets

    dataset = datasets.load_from_disk(str(data.arrow)).with_format("numpy")
    if key == "arrays":
        return _seconds(lambda: dataset[:])
    if key == "later":
        return float(next(iter(dataset.iter(BATCH)))["label"][0])
    shuffled = dataset.shuffle(seed=0) if key == "shuffled" else dataset
    return _rate(lambda: shuffled.iter(BATCH))


READERS: dict[str, tuple[str, Callable[[Data, str], float]]] = {
    "loader": ("loader, `cache()`", _loader),
    "tfds": ("TFDS `as_numpy`, `cache()` of its examples", _tfds),
    "tfds_batched": ("TFDS `as_numpy`, its own cache of batches", _tfds_batched),
    "hf": ("HF datasets, `numpy`", _hugging_face),
}

if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(READERS[sys.argv[2]][1](locate("mnist"), sys.argv[3])))
    else:
        typer.run(main)
