"""A large dataset: the steps of a build compared with TFDS, `tar` and DVC, in separate processes, in turn.

    make benchmark TABLE=size         (needs free disk of four times the size; GIGABYTES=1 makes it smaller)

Prints a Markdown table of seconds, wall and of all processors:

- generating: until the builder's shards are written, beside `download_and_prepare`; wanted: 0.6 of its time;
- packing and recording: the rest of `dvc repro`, until `dvc.lock` records an artifact that is on disk, beside `tar cf`
  and `dvc add`, which do not wait for the disk; wanted: 1.1 of their time;
- statistics: for which every image is decoded, and which the others do not have.

And the most memory and disk that the whole build took, the artifact included.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
from data import CACHE, ROOT

FOLDER = CACHE / "size"
REPOSITORY = FOLDER / "repository"
PARAMS = """
toolchain: {}
large:
  builder: datasets/standard/large
  version: 1.0.0
  visibility: private
  license: CC0
"""
STAGES = """
stages:
  large:
    cmd: "%s %s large steps.json"
    outs:
      - artifacts/large.tar
      - artifacts/large.json: {cache: false}
"""
Measured = tuple[float, float, float, float]
"""Wall seconds, processor seconds, most memory and most disk (bytes)."""


def main() -> None:
    """Measure and print."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    try:
        folders = (ROOT / "benchmarks/large", FOLDER / "tfds", ".")
        tfds = _measure([sys.executable, ROOT / "benchmarks/tfds_build.py", *folders])
        other = _repository(FOLDER / "other")
        tar = _measure(["tar", "cf", other / "large.tar", "-C", FOLDER / "tfds", "large"])
        shutil.rmtree(FOLDER / "tfds")
        added = _measure([sys.executable, "-m", "dvc", "add", "--quiet", "large.tar"], cwd=other)
        size = (other / "large.tar").stat().st_size
        shutil.rmtree(other)
        _repository(REPOSITORY)
        ours = _measure([sys.executable, "-m", "dvc", "repro", "--quiet", "large"], cwd=REPOSITORY)
        steps = json.loads((REPOSITORY / "steps.json").read_text())
        cached = next((REPOSITORY / ".dvc/cache/files/md5").rglob("??*/*"))
        assert cached.samefile(REPOSITORY / "artifacts/large.tar")
    finally:
        shutil.rmtree(FOLDER, ignore_errors=True)
    packing = ours[0] - steps["generating"] - steps["statistics"]
    print(
        f"A tar of {size / 1e9:.2f} GB.\n",
        "| | others | s | ours, s | ours / others |",
        "|---|---|---:|---:|---:|",
        _row("generating", "`download_and_prepare`", tfds[0], steps["generating"]),
        _row("packing and recording", "`tar cf` and `dvc add`", tar[0] + added[0], packing),
        _row("statistics", "", None, steps["statistics"]),
        _row("whole", "all of these", tfds[0] + tar[0] + added[0], ours[0]),
        _row("processor time", "all of these", tfds[1] + tar[1] + added[1], ours[1]),
        f"\nThe most memory: {ours[2] / 1e6:,.0f} MB (TFDS {tfds[2] / 1e6:,.0f}). The most disk: {ours[3] / size:.2f} "
        f"times the tar, which the build leaves once.",
        sep="\n",
    )


def _row(step: str, what: str, theirs: float | None, ours: float) -> str:
    ratio = "" if theirs is None else f"{ours / theirs:.2f}"
    return f"| {step} | {what} | {'' if theirs is None else f'{theirs:.1f}'} | {ours:.1f} | {ratio} |"


def _repository(root: Path) -> Path:
    """Create a DVC repository that defines the dataset and links as this one does."""
    (root / "artifacts").mkdir(parents=True)
    shutil.copytree(ROOT / "benchmarks/large", root / "datasets/standard/large")
    (root / "params.yaml").write_text(PARAMS)
    for command in (["init", "--no-scm", "--quiet"], ["config", "cache.type", "reflink,hardlink,copy"]):
        subprocess.run([sys.executable, "-m", "dvc", *command], cwd=root, check=True)
    (root / "dvc.yaml").write_text(STAGES % (sys.executable, ROOT / "benchmarks/size_build.py"))
    return root


def _measure(command: list[str | Path], cwd: Path = ROOT) -> Measured:
    """Run a command and return what it took."""
    print("measuring:", *command[:4], file=sys.stderr, flush=True)
    start, before = time.perf_counter(), _processor_seconds()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, cwd=cwd, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        memory = disk = 0.0
        while True:
            try:
                _, errors = process.communicate(timeout=0.3)
                break
            except subprocess.TimeoutExpired:
                memory, disk = max(memory, _memory(process.pid)), max(disk, _disk(REPOSITORY))
    seconds = time.perf_counter() - start
    if process.returncode:
        raise SystemExit(errors.decode(errors="replace"))
    return seconds, _processor_seconds() - before, memory, disk


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _memory(pid: int) -> float:
    """Return the memory of a process and its children, with what they share counted once."""
    total = 0
    try:
        for process in [parent := psutil.Process(pid), *parent.children(recursive=True)]:
            total += process.memory_full_info().pss
    except psutil.Error:  # a process has ended meanwhile
        pass
    return total


def _disk(folder: Path) -> float:
    """Return the bytes that the files of a folder take, with what is linked counted once."""
    blocks = {}
    for path in folder.rglob("*"):
        try:
            status = path.lstat()
        except FileNotFoundError:
            continue
        blocks[status.st_ino] = status.st_blocks * 512
    return sum(blocks.values())


if __name__ == "__main__":
    main()
