"""Measure one figure in this process: `python figure.py DATASET READER MEASURE [THREADS or CORES]`.

Prints a JSON object: the number of examples per second, and per second of all its threads' processor time; the peak
memory; or by how much decoded values differ from the loader's, by which `reading.py` checks that all readers return the
same ones.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from data import locate
from reader import BATCH
from readers import READERS

MIN_SECONDS = 2.0  # short epochs are repeated until this time has passed
MAX_SECONDS = 6.0  # a longer epoch is cut off at this time


class _NotInstalled:
    """Finds no packages of some names, as if they were not installed."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names

    def find_spec(self, name: str, path: object, target: object = None) -> None:
        if name in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def main(dataset: str, name: str, measure: str, number: int) -> None:
    """Measure and print."""
    if measure == "each" and number == 1:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    if measure not in ("workers", "same"):
        sys.meta_path.insert(0, _NotInstalled(READERS[name].without))
    if measure == "batches":
        os.environ.update(READERS[name].limits(number))
    reader = READERS[name](locate(dataset))
    figures: dict[str, float] = {}
    if measure == "first":
        reader[0] if hasattr(reader, "__getitem__") else next(iter(reader.examples()))
        figures["megabytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    elif measure == "same":
        ours, theirs = (islice(each.examples(), BATCH) for each in (READERS["loader"](locate(dataset)), reader))
        figures["difference"] = max(map(_difference, ours, theirs))
    elif measure == "random":
        figures = _rate(lambda: _at_random(reader), lambda example: 1)
    elif measure == "each":
        figures = _rate(reader.examples, lambda example: 1)
    elif measure == "batches":
        figures = _rate(lambda: reader.batches(number), _size)
    elif measure == "workers":
        batches = reader.torch()  # once, because the worker processes are kept from epoch to epoch
        figures = _rate(lambda: batches, _size)
    print(json.dumps(figures))


def _at_random(reader: Any) -> Iterator[Any]:
    import numpy as np

    order = np.random.default_rng(0).permutation(len(reader)).tolist()
    return (reader[number] for number in order)


def _rate(epoch: Callable[[], Iterable[Any]], size: Callable[[Any], int]) -> dict[str, float]:
    """Read one epoch after another and return the number of examples per second."""
    next(iter(epoch()))  # imports at the first example do not count
    count, used = 0, time.process_time()
    now = start = time.perf_counter()
    while now < start + MIN_SECONDS:
        for item in epoch():
            count += size(item)
            now = time.perf_counter()
            if now > start + MAX_SECONDS:
                break
    return {"rate": count / (now - start), "processor rate": count / (time.process_time() - used)}


def _size(batch: Any) -> int:
    return len(batch if isinstance(batch, list) else next(iter(batch.values())))


def _difference(ours: dict[str, Any], theirs: dict[str, Any]) -> float:
    """Return the mean difference of an example's values; infinity if they have another size or label."""
    import numpy as np

    theirs = {name.partition(".")[0]: value for name, value in theirs.items()}  # of webdataset's `image.png`
    array = "audio" if "audio" in ours else "image"
    a, b = (np.asarray(example[array]).ravel().astype(float) for example in (ours, theirs))
    return float(abs(a - b).mean()) if a.size == b.size and ours["label"] == theirs["label"] else float("inf")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
