"""Measure a reader of data on S3 in this process: `python streamed.py READER EPOCHS PLACE`, the place in JSON.

Prints a line after the imports, after the first batch and after each epoch, in JSON: the seconds since the reader was
opened, and what the epoch had. It waits for a line of its input before each epoch, so that the bytes on the wire can be
counted.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np
from stream_readers import READERS, Place


def main(name: str, epochs: int, place: Place) -> None:
    """Measure and print."""
    reader = READERS[name]()
    reader.prepare()
    _tell({})
    start = time.perf_counter()
    reader.open(place)
    for number in range(epochs):
        examples = total = 0
        for batch in reader.epoch(number):
            first = next(iter(batch.values()))
            examples += len(first)
            total += _sum(batch)
            if number == 0 and examples == len(first):
                print(json.dumps({"seconds": time.perf_counter() - start}), flush=True)
        _tell({"seconds": time.perf_counter() - start, "examples": examples, "sum": total})
        start = time.perf_counter()


def _tell(figures: dict[str, float]) -> None:
    print(json.dumps(figures), flush=True)
    sys.stdin.readline()


def _sum(batch: dict[str, Any]) -> int:
    """Return a sum by which it is seen that an epoch has every example once: of labels, or of examples' numbers."""
    if "label" in batch:
        return int(batch["label"].sum())
    return sum(int.from_bytes(np.asarray(each[:8]).tobytes(), "little") for each in batch["data"])


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Place(**json.loads(sys.argv[3])))
