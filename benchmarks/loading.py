"""Reading mnist: this loader beside TFDS, in one run.

    make benchmark            (needs artifacts/mnist.tar: make build DATASET=mnist, or dvc pull mnist)

Every figure is taken in a process of its own; the two readers take turns. "First example" is measured from the start of
the process to the first decoded example; memory is the process's peak. Both read the same records: the loader out of
the artifact, TFDS from the folder that `make extract` writes. The loader decodes on the one thread that asks; TFDS
decodes ahead on every core it finds, so the rates are taken on all cores and, both sides confined, on one.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from scripts.extract import extract

RUNS = 3
ONE_CORE = "import os\nos.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"

PRELUDE = """
import json, resource, sys, time
def report(rate=None):
    print(json.dumps({"megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "rate": rate}))
"""

LOADER = """
import loader
info, train = loader.load("mnist", split="train")
"""

TFDS = """
import os
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import tensorflow_datasets as tfds
builder = tfds.builder_from_directory(sys.argv[1])
train = tfds.as_numpy(builder.as_dataset(split="train", shuffle_files=False))
"""

SHUFFLED = """
import random
order = list(range(len(train)))
random.Random(0).shuffle(order)
"""

TIMED = """
start = time.perf_counter()
count = 0
for {loop}:
    {read}count += 1
report(count / (time.perf_counter() - start))
"""


def main() -> None:
    """Measure and print the table."""
    with tempfile.TemporaryDirectory() as folder:
        prepared = extract("mnist", to=Path(folder))
        first = _pairs(prepared, LOADER + "train[0]\nreport()", TFDS + "next(iter(train))\nreport()")
        each = TIMED.format(loop="example in train", read="")
        by_index = TIMED.format(loop="i in range(len(train))", read="train[i]; ")
        at_random = SHUFFLED + TIMED.format(loop="i in order", read="train[i]; ")
        rates = {
            f"examples/s, {what}, {cores}": _pairs(prepared, confined + LOADER + ours, confined + TFDS + each)
            for cores, confined in (("all cores", ""), ("one core", ONE_CORE))
            for what, ours in (("`[i]` in order", by_index), ("`[i]` at random", at_random), ("iterating", each))
        }
    print("| mnist | loader | TFDS `as_numpy` | ratio (median of pairs) |\n|---|---|---|---|")
    _row("first example, cold process (s)", first, "seconds", "{:.2f}", inverse=True)
    _row("peak memory to the first example (MB)", first, "megabytes", "{:.0f}", inverse=True)
    for name, pairs in rates.items():
        _row(name, pairs, "rate", "{:,.0f}")


def _pairs(prepared: Path, ours: str, theirs: str) -> list[tuple[dict[str, float], dict[str, float]]]:
    return [(_run(ours, prepared), _run(theirs, prepared)) for _ in range(RUNS)]


def _run(code: str, prepared: Path) -> dict[str, float]:
    # through a small process in between, because a process starts with the peak memory of the one it was forked from
    timed = (
        "import subprocess, sys, time, json\nstart = time.perf_counter()\n"
        "done = subprocess.run(sys.argv[1:], check=True, capture_output=True)\n"
        "print(json.dumps({'seconds': time.perf_counter() - start, **json.loads(done.stdout.splitlines()[-1])}))"
    )
    command = [sys.executable, "-c", PRELUDE + code, str(prepared)]
    done = subprocess.run([sys.executable, "-c", timed, *command], check=True, stdout=subprocess.PIPE)
    return dict(json.loads(done.stdout))


def _row(
    name: str,
    pairs: list[tuple[dict[str, float], dict[str, float]]],
    figure: str,
    form: str,
    *,
    inverse: bool = False,
) -> None:
    ours, theirs = ([pair[side][figure] for pair in pairs] for side in (0, 1))
    ratios = [b / a if inverse else a / b for a, b in zip(ours, theirs, strict=True)]
    print(
        f"| {name} | {form.format(statistics.median(ours))} | {form.format(statistics.median(theirs))} "
        f"| {statistics.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f}) |"
    )


if __name__ == "__main__":
    main()
