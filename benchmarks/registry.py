"""Finding datasets: `list`, `info` and `versions` of a repository with 300 datasets, one of them with 1,000 versions.

    make benchmark TABLE=registry

The registry is made up, with all its records in git and without data. Each figure is the median of whole processes.
DVC's own commands on the same repository run in between, for scale; none of them tells as much.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.helpers.made_up_registry import dataset_name, make_registry  # noqa: E402

ROUNDS = 3
DATASETS, VERSIONS = 300, 1_000
LOADER = [sys.executable, "-m", "loader"]
DVC = [sys.executable, "-m", "dvc"]
COMMANDS = {
    "python -m loader --help": [*LOADER, "--help"],
    "list": [*LOADER, "list"],
    "list --rev HEAD": [*LOADER, "list", "--rev", "HEAD"],
    "list TEXT, which reads all statistics": [*LOADER, "list", "three"],
    "info": [*LOADER, "info", dataset_name(0)],
    "versions": [*LOADER, "versions", dataset_name(0)],
    "dvc list . artifacts": [*DVC, "list", ".", "artifacts"],
    "dvc status": [*DVC, "status"],
}


def main() -> None:
    """Make the registry, measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        root = make_registry(Path(folder, "registry"), datasets=DATASETS, versions=VERSIONS)
        rounds = [{title: _run(command, root) for title, command in COMMANDS.items()} for _ in range(ROUNDS)]
    print(f"{DATASETS} datasets, {VERSIONS:,} versions of one of them\n")
    print("| command | whole process (s) | its processor time (s) | times as long as list |")
    print("|---|---:|---:|---:|")
    for title in COMMANDS:
        seconds, processor = (statistics.median(figures[title][at] for figures in rounds) for at in (0, 1))
        ratio = statistics.median(figures[title][0] / figures["list"][0] for figures in rounds)
        print(f"| `{title}` | {seconds:.2f} | {processor:.2f} | {ratio:.1f} |")


def _run(command: list[str], root: Path) -> tuple[float, float]:
    """Return the seconds that a command took, and the seconds of a processor."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    start, used = time.perf_counter(), _processor_seconds()
    subprocess.run(command, cwd=root, check=True, stdout=subprocess.DEVNULL, env=environment)
    return time.perf_counter() - start, _processor_seconds() - used


def _processor_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
