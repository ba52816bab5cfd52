"""The catalog of 300 datasets, one of which has 1,000 versions: the whole command in a new process.

    make benchmark TABLE=catalog

The registry is made up: it has all records, and no data, so the pages have no examples. Half of its datasets are
private; they are shown too.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.helpers.made_up_registry import make_registry  # noqa: E402

ROUNDS = 5
DATASETS, VERSIONS = 300, 1_000


def main() -> None:
    """Generate, measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        registry, site = (
            make_registry(Path(folder, "registry"), datasets=DATASETS, versions=VERSIONS),
            Path(folder, "site"),
        )
        seconds = [_run(registry, site) for _ in range(ROUNDS)]
        pages = list(site.rglob("*.html"))
        megabytes = sum(page.stat().st_size for page in pages) / 1e6
    print("| datasets | versions of one | pages | size (MB) | whole process (s) |")
    print("|---:|---:|---:|---:|---:|")
    print(f"| {DATASETS} | {VERSIONS:,} | {len(pages)} | {megabytes:.1f} | {statistics.median(seconds):.1f} |")


def _run(registry: Path, site: Path) -> float:
    command = [sys.executable, "-m", "loader", "catalog", "--private", "--repo", str(registry), "--output", str(site)]
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
