"""Opening a large artifact: the first and the last of ten million records, compared with a small artifact.

    make benchmark TABLE=scale

The artifact is generated: its index header and rows are those of ten million records, but all rows point into one shard
of a thousand records, so that it takes 440 MB and not a terabyte. Each figure is measured in a new process.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from measure import TIMED

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.helpers.large_artifact import make_large  # noqa: E402

ROUNDS = 5
RECORDS = (1_000, 10_000_000)

FIRST_AND_LAST = """
import json, resource, sys, time
import loader
start = time.perf_counter()
_, train = loader.load("large", split="train", repo=sys.argv[1])
opened = time.perf_counter() - start
start = time.perf_counter()
first, last = train[0], train[-1]
print(json.dumps({
    "records": len(train), "open": opened, "first and last": time.perf_counter() - start,
    "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
}))
"""


def main() -> None:
    """Generate, measure and print."""
    print("| records | whole process (s) | opening (ms) | first and last example (ms) | peak memory (MB) |")
    print("|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        for records in RECORDS:
            root = make_large(Path(folder, str(records)), records)
            rounds = [_run(root) for _ in range(ROUNDS)]
            seconds, opening, reading, megabytes = (
                statistics.median(figures[key] for figures in rounds)
                for key in ("seconds", "open", "first and last", "megabytes")
            )
            print(f"| {records:,} | {seconds:.2f} | {opening * 1e3:.1f} | {reading * 1e3:.1f} | {megabytes:.0f} |")


def _run(root: Path) -> dict[str, float]:
    command = [sys.executable, "-c", FIRST_AND_LAST, str(root)]
    done = subprocess.run([sys.executable, "-c", TIMED, *command], check=True, stdout=subprocess.PIPE)
    return dict(json.loads(done.stdout))


if __name__ == "__main__":
    main()
