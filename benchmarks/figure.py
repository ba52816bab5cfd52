"""Measure one figure in this process: `python figure.py DATASET READER MEASURE [THREADS or CORES]`.

Prints a JSON object: the number of examples per second, the peak memory, or the sum of some decoded values, with which
`reading.py` checks that all readers return the same values.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from data import locate
from reader import BATCH
from readers import READERS

MIN_SECONDS = 2.0  # short epochs are repeated until this time has passed
MAX_SECONDS = 6.0  # a longer epoch is cut off at this time


def main(dataset: str, name: str, measure: str, number: int) -> None:
    """Measure and print."""
    if measure == "each" and number == 1:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    if measure != "torch":
        sys.modules.update(dict.fromkeys(READERS[name].without))  # as if they were not installed
    reader = READERS[name](locate(dataset))
    figures: dict[str, float] = {}
    if measure == "first":
        reader[0] if hasattr(reader, "__getitem__") else next(iter(reader.examples()))
        figures["megabytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    elif measure == "same":
        figures["sum"] = sum(map(_sum, islice(reader.examples(), BATCH)))
    elif measure == "random":
        figures["rate"] = _rate(lambda: _at_random(reader), lambda example: 1)
    elif measure == "each":
        figures["rate"] = _rate(reader.examples, lambda example: 1)
    elif measure == "batches":
        figures["rate"] = _rate(lambda: reader.batches(number), _size)
    elif measure == "torch":
        figures["rate"] = _rate(reader.torch, _size)
    print(json.dumps(figures))


def _at_random(reader: Any) -> Iterator[Any]:
    import numpy as np

    order = np.random.default_rng(0).permutation(len(reader)).tolist()
    return (reader[number] for number in order)


def _rate(epoch: Callable[[], Iterable[Any]], size: Callable[[Any], int]) -> float:
    """Read one epoch after another and return the number of examples per second."""
    next(iter(epoch()))  # imports at the first example do not count
    count = 0
    now = start = time.perf_counter()
    while now < start + MIN_SECONDS:
        for item in epoch():
            count += size(item)
            now = time.perf_counter()
            if now > start + MAX_SECONDS:
                break
    return count / (now - start)


def _size(batch: Any) -> int:
    return len(batch if isinstance(batch, list) else next(iter(batch.values())))


def _sum(example: dict[str, Any]) -> float:
    return sum(
        float(value.sum() if hasattr(value, "sum") else value) for value in example.values() if _is_number(value)
    )


def _is_number(value: Any) -> bool:
    return not isinstance(value, (str, bytes))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
