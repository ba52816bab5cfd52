"""Fetching a version of which some examples changed, with the version before it on this machine.

    make benchmark TABLE=versions

Both are generated: 100,000 examples of 10 kB. The changed ones have other bytes and another size, so that all that
follows them lies elsewhere in the tar. The remote is an S3 server on this machine, behind a wire of 30 ms and 100 MB/s.
Each figure is measured in a new process; what it fetched is compared with the recorded MD5.
"""

from __future__ import annotations

import configparser
import hashlib
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import numpy as np
import typer
from generated import NAME, TAR, make_repository, push, write_version

from loader._format.names import object_path
from scripts._dvc.remotes import point_local
from scripts._process import s3_server
from tests.helpers.slow_wire import BYTES_PER_SECOND, LATENCY_SECONDS, SlowWire, running_slow_wire

OLD, NEW = "1.0.0", "1.0.1"
CHANGED = (0, 0.001, 0.01, 0.1, 1)
EXAMPLE_BYTES = 10_000
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Figures:
    """What a process took and moved."""

    seconds: float
    moved: int
    requests: int


@dataclass(frozen=True)
class Bench:
    """A repository whose newest version is behind the wire, and folders in which processes work."""

    root: Path
    cache: Path
    wire: SlowWire
    server: s3_server.Server
    md5: str

    def ensure(self, cache: Path | None = None) -> Figures:
        """Fetch with the loader, into the cache that has the version before."""
        cache = cache or self.cache
        entry = cache / "artifacts" / self.md5
        command = [sys.executable, "-m", "loader", "fetch", NAME]
        return self._measure(command, entry / Path(TAR).name, entry, DATASETS_CACHE=str(cache))

    def fetch(self) -> Figures:
        """Fetch with the loader, into an empty cache."""
        with TemporaryDirectory(dir=self.root.parent) as cache:
            return self.ensure(Path(cache))

    def dvc(self) -> Figures:
        """Pull with DVC."""
        return self._measure([str(BIN / "dvc"), "pull", "--quiet", NAME], self.root / TAR, self.root / ".dvc/cache")

    def s5cmd(self) -> Figures:
        """Copy with s5cmd, which checks nothing."""
        keys = configparser.ConfigParser(interpolation=None)
        keys.read(self.server.credentials)
        environment = {name.upper(): value for name, value in keys[s3_server.S3_PROFILE].items()}
        source, target = f"s3://public/{object_path(self.md5)}", self.root.parent / "copy"
        command = [str(BIN / "s5cmd"), "--endpoint-url", self.wire.url, "cp", source, str(target)]
        return self._measure(command, target, target, **environment)

    def _measure(self, command: list[str], result: Path, removed: Path, **environment: str) -> Figures:
        self.wire.counts()
        start = time.perf_counter()
        subprocess.run(
            command,
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=self.root,
            env={**os.environ, "DATASETS_REPO": str(self.root), **environment},
        )
        seconds, moved = time.perf_counter() - start, self.wire.counts()
        with result.open("rb") as file:
            if hashlib.file_digest(file, "md5").hexdigest() != self.md5:
                raise SystemExit(f"{' '.join(command)}: the fetched file is not the recorded one")
        for path in (result, removed):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        return Figures(seconds, moved.bytes, moved.requests)


OTHERS: dict[str, Callable[[Bench], Figures]] = {
    "`loader.ensure`, no other version here": Bench.fetch,
    "`dvc pull`": Bench.dvc,
    "`s5cmd cp`, which checks nothing": Bench.s5cmd,
}


def main(
    examples: Annotated[int, typer.Option(min=1000, help="How many examples a version has.")] = 100_000,
    rounds: Annotated[int, typer.Option(min=1, help="How often every figure is measured.")] = 3,
) -> None:
    """Generate, measure and print the table."""
    found: dict[str, list[Figures]] = {}
    size = 0
    for changed in CHANGED:
        with TemporaryDirectory() as name:
            folder = Path(name)
            server = s3_server.start(folder / "s3")
            try:
                root, cache = folder / "repository", folder / "cache"
                make_repository(root, server)
                _keep(root, write_version(root, OLD, _examples(examples, 0)), cache)
                md5 = write_version(root, NEW, _examples(examples, changed))
                size = (root / TAR).stat().st_size
                push(root, server, md5)
                with running_slow_wire(server.endpoint) as wire:
                    urls = {bucket: f"s3://{bucket}" for bucket in s3_server.BUCKETS}
                    point_local(root, urls, wire.url, server.credentials)
                    bench = Bench(root, cache, wire, server, md5)
                    ways = {f"`loader.ensure`, {changed * 100:g} % changed": Bench.ensure}
                    if changed == CHANGED[-1]:  # the others fetch all of any version
                        ways |= OTHERS
                    for number in range(rounds):
                        for title, measure in ways.items():
                            print(f"round {number + 1} of {rounds}: {title}", file=sys.stderr, flush=True)
                            found.setdefault(title, []).append(measure(bench))
            finally:
                s3_server.stop(folder / "s3")
    _print(found, examples, size)


def _examples(count: int, changed: float) -> list[tuple[int, int]]:
    """Return the number and size of each example; of those of the first version, some are replaced by others."""
    random = np.random.default_rng(0)
    sizes = random.integers(EXAMPLE_BYTES * 9 // 10, EXAMPLE_BYTES * 11 // 10, 2 * count)
    numbers = np.arange(count)
    numbers[random.permutation(count)[: round(count * changed)]] += count
    return [(int(number), int(sizes[number])) for number in numbers]


def _keep(root: Path, md5: str, cache: Path) -> None:
    """Move the artifact in the work tree into a cache of the loader."""
    entry = cache / "artifacts" / md5
    entry.mkdir(parents=True)
    (root / TAR).rename(entry / Path(TAR).name)


def _print(found: dict[str, list[Figures]], examples: int, size: int) -> None:
    wire = f"{LATENCY_SECONDS * 1000:.0f} ms, {BYTES_PER_SECOND / 1e6:.0f} MB/s"
    print(f"| {examples:,} examples, {size:,} bytes; {wire} | s | ratio | bytes moved | of the artifact | requests |")
    print("|---|---:|---:|---:|---:|---:|")
    plain = statistics.median(each.seconds for each in found[next(iter(OTHERS))])
    for title, figures in found.items():
        seconds, moved, requests = (
            statistics.median(getattr(each, name) for each in figures) for name in ("seconds", "moved", "requests")
        )
        print(
            f"| {title} | {seconds:.2f} | {plain / seconds:.2f} | {moved:,.0f} | {moved / size:.1%} | {requests:.0f} |"
        )


if __name__ == "__main__":
    typer.run(main)
