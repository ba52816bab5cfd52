"""Building: `scripts build` compared with TFDS's `download_and_prepare`, each in a separate process, in turn.

    make benchmark TABLE=building            (the sources of mnist must be on this machine)

Prints a Markdown table: wall seconds from the start of Python to its end, and the peak memory of all processes together
(their proportional share, so that memory shared by forked processes counts once). Ours also packs the tar with its
record index and writes the manifest. The goal is 0.6 of TFDS's time. It is checked that both write the same records.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Annotated

import psutil
import typer
from data import CACHE, ROOT

DATASETS = {"mnist": "70,000 grey images of 28 x 28", "images": "20,000 generated colour images of 64 x 64"}
FOLDER = CACHE / "building"

PARAMS = """
toolchain: {}
images:
  builder: datasets/standard/images
  version: 1.0.0
  visibility: private
  license: CC0
"""
DVC = """
stages:
  images:
    cmd: python -m scripts build images
    outs:
      - artifacts/images.tar: {remote: private}
    metrics:
      - artifacts/images.json: {cache: false}
"""


def main(rounds: Annotated[int, typer.Option(min=1, help="How often each is run.")] = 5) -> None:
    """Measure and print."""
    lines = [
        "| | TFDS, s | ours, s | ours / TFDS | TFDS, peak MB | ours, peak MB |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, what in DATASETS.items():
        theirs, ours = [], []
        for number in range(rounds):
            print(f"{name}, round {number + 1} of {rounds}", file=sys.stderr, flush=True)
            theirs.append(_measure(_tfds(name)))
            ours.append(_measure(_ours(name)))
        _check_same(name)
        ratios = sorted(b[0] / a[0] for a, b in zip(theirs, ours, strict=True))
        cells = [f"{statistics.median(seconds for seconds, _ in runs):.1f}" for runs in (theirs, ours)]
        cells.append(f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")
        cells += [f"{statistics.median(megabytes for _, megabytes in runs):,.0f}" for runs in (theirs, ours)]
        lines.append(f"| {name}: {what} | {' | '.join(cells)} |")
    print(*lines, sep="\n")


def _tfds(name: str) -> list[str]:
    folder = FOLDER / "tfds"
    shutil.rmtree(folder, ignore_errors=True)
    builder = name if name == "mnist" else str(ROOT / "benchmarks" / name)
    return [sys.executable, str(ROOT / "benchmarks/tfds_build.py"), builder, str(folder), str(_sources(name))]


def _ours(name: str) -> list[str]:
    root = ROOT if name == "mnist" else _repository()
    output = FOLDER / "ours"
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    code = (
        "import sys; from pathlib import Path; from scripts.build import build; "
        "build(sys.argv[1], root=Path(sys.argv[2]), output=Path(sys.argv[3]))"
    )
    return [sys.executable, "-c", code, name, str(root), str(output)]


def _sources(name: str) -> Path:
    mirror = os.environ.get("DATASETS_MIRROR")
    return Path(mirror, name) if mirror else ROOT / "sources" / name


def _repository() -> Path:
    root = FOLDER / "repository"
    (root / "artifacts").mkdir(parents=True, exist_ok=True)
    shutil.copytree(ROOT / "benchmarks/images", root / "datasets/standard/images", dirs_exist_ok=True)
    (root / "params.yaml").write_text(PARAMS)
    (root / "dvc.yaml").write_text(DVC)
    return root


def _measure(command: list[str]) -> tuple[float, float]:
    """Run a command; return its wall time (seconds) and the peak memory (MB) of all its processes."""
    start = time.perf_counter()
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        output: list[bytes] = []
        reading = threading.Thread(target=lambda: output.append(process.stderr.read()))  # type: ignore[union-attr]
        reading.start()
        peak = 0.0
        while process.poll() is None:
            peak = max(peak, _memory(process.pid))
            time.sleep(0.25)
        reading.join()
    if process.returncode:
        raise SystemExit(b"".join(output).decode(errors="replace"))
    return time.perf_counter() - start, peak / 1e6


def _memory(pid: int) -> float:
    total = 0
    try:
        parent = psutil.Process(pid)
        for process in [parent, *parent.children(recursive=True)]:
            total += process.memory_full_info().pss
    except psutil.Error:  # a process has ended meanwhile
        pass
    return total


def _check_same(name: str) -> None:
    """Check that both have the same examples; TFDS's bytes differ only in the order of protobuf's maps."""
    from loader._format.example import Example
    from loader._format.tfrecord import read, scan

    def digest(shard: Path) -> str:
        data = shard.read_bytes()
        records = (read(data, *place) for place in scan(data, 0, len(data)))
        hasher = hashlib.sha256()
        for record in records:
            hasher.update(Example.FromString(bytes(record)).SerializeToString(deterministic=True))
        return hasher.hexdigest()

    extracted = FOLDER / "extracted"
    shutil.rmtree(extracted, ignore_errors=True)
    extracted.mkdir()
    subprocess.run(["tar", "-xf", FOLDER / "ours" / f"{name}.tar", "-C", extracted], check=True)
    found = [
        {shard.name: digest(shard) for shard in (folder / name).rglob("*.tfrecord-*")}
        for folder in (FOLDER / "tfds", extracted)
    ]
    if not found[0] or found[0] != found[1]:
        raise SystemExit(f"{name}: the two builds do not have the same examples")


if __name__ == "__main__":
    typer.run(main)
