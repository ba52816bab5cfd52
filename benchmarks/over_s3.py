"""Reading from S3 over a slow wire: the loader beside litdata, mosaicml-streaming and webdataset.

    make benchmark TABLE=streaming        (needs artifacts/mnist.tar: make build DATASET=mnist, or dvc pull mnist)

The server is SeaweedFS on this machine. The wire in front of it answers 30 ms late, and all connections share 100 MB/s.
Every reader has the same examples in its own format. Each figure is measured in a new process with an empty cache.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from generated import NAME, filesystem, make_repository, push, write_version
from measure import Column, Figures, rows
from prepare import prepare
from reader import BATCH, WORKERS
from stream_readers import READERS, Place

from scripts._dvc.remotes import point_local
from scripts._process import s3_server
from scripts.push import push as push_mnist
from tests.helpers.slow_wire import BYTES_PER_SECOND, SlowWire, running_slow_wire

ROOT = Path(__file__).resolve().parent.parent
LARGE_BYTES = 100_000
LARGE_BATCH = 32
REMOTE = [name for name in READERS if name != "local"]

EPOCHS = (
    Column("first batch, from a cold process, s", key="first", form="{:.2f}", less=True),
    Column("first epoch, examples/s", key="rate 0"),
    Column("MB moved", key="megabytes 0", form="{:.1f}", is_compared=False),
    Column("second epoch, examples/s", key="rate 1"),
    Column("MB moved", key="megabytes 1", form="{:.1f}", is_compared=False),
)
LARGE = tuple(
    column
    for workers, title in ((0, "one process"), (WORKERS, f"{WORKERS} worker processes"))
    for column in (
        Column(f"{title}, share of the wire", workers, key="share", form="{:.0%}"),
        Column("MB moved", workers, key="megabytes 0", is_compared=False),
    )
)


@dataclass(frozen=True)
class Bench:
    """A dataset on a server behind the wire, and the repository that records its artifact."""

    dataset: str
    folder: Path
    server: s3_server.Server
    wire: SlowWire

    @property
    def repository(self) -> Path:
        """The repository."""
        return self.folder / "repository"

    def upload(self, folder: Path, reader: str) -> None:
        """Put what a reader reads on the server."""
        files = filesystem(self.server)
        for path in folder.iterdir():
            files.put_file(str(path), f"public/{self.dataset}/{reader}/{path.name}")

    def measure(self, reader: str, epochs: int, batch: int, *, workers: int = 0, is_shuffled: bool) -> Figures:
        """Measure a reader in a new process with an empty cache.

        Returns
        -------
        dict
            The seconds from the start of the process to its first batch, `first`; and of each epoch, by number, the
            `rate` in examples per second, the `seconds`, the `megabytes` moved, the `examples`, and their `sum`.
        """
        url, credentials = self.wire.url, str(self.server.credentials)
        shards = [Path(key).name for key in filesystem(self.server).find(f"public/{self.dataset}/shards")]
        repository = str(ROOT if reader == "local" else self.repository)
        with TemporaryDirectory(dir=self.folder) as cache:
            place = Place(self.dataset, repository, url, credentials, shards, cache, batch, workers, is_shuffled)
            script = str(Path(__file__).with_name("streamed.py"))
            self.wire.counts()
            start = time.perf_counter()
            with subprocess.Popen(
                [sys.executable, script, reader, str(epochs), json.dumps(asdict(place))],
                cwd=cache,  # in no repository, whose caches the loader would use
                env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": cache},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            ) as process:
                assert process.stdin and process.stdout
                figures: Figures = {}
                for number, line in enumerate(process.stdout):
                    told = json.loads(line)
                    if number == 1:
                        figures["first"] = time.perf_counter() - start
                        continue
                    if number:
                        told["rate"] = told["examples"] / told["seconds"]
                        told["megabytes"] = self.wire.counts().bytes / 1e6
                        figures |= {f"{name} {number - 2}": value for name, value in told.items()}
                    process.stdin.write("\n")
                    process.stdin.flush()
            if process.returncode:
                raise SystemExit(f"{reader}: failed")
        return figures


@contextmanager
def running(dataset: str) -> Iterator[Bench]:
    """Run a server and a wire for a dataset."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        server = s3_server.start(folder / "s3")
        try:
            with running_slow_wire(server.endpoint) as wire:
                yield Bench(dataset, folder, server, wire)
        finally:
            s3_server.stop(folder / "s3")


def main(
    gigabytes: Annotated[float, typer.Option(min=0.01, help="The size of the large examples together.")] = 2,
    rounds: Annotated[int, typer.Option(min=1, help="How often the figures of mnist are measured.")] = 3,
) -> None:
    """Measure and print the tables."""
    for title, found in measure_mnist(rounds).items():
        print(f"mnist, {title}:\n", *_table(EPOCHS, found), "", sep="\n", flush=True)
    count = round(gigabytes * 1e9 / LARGE_BYTES)
    print(f"{gigabytes:g} GB of records of {LARGE_BYTES // 1000} kB, shuffled:\n")
    print(*_table(LARGE, measure_large(count)), sep="\n")


def measure_mnist(rounds: int) -> dict[str, dict[tuple[str, int], list[Figures]]]:
    """Return the figures of mnist, in order and shuffled, by reader."""
    data = prepare("mnist")
    found: dict[str, dict[tuple[str, int], list[Figures]]] = {"in order": {}, "shuffled": {}}
    with running("mnist") as bench:
        _clone_mnist(bench)
        for folder in (data.litdata, data.mds, data.shards):
            bench.upload(folder, folder.name)
        for number in range(rounds):
            for order, figures in found.items():
                for reader in READERS:
                    print(f"round {number + 1} of {rounds}: mnist, {order}, {reader}", file=sys.stderr, flush=True)
                    measured = bench.measure(reader, 2, BATCH, is_shuffled=order == "shuffled")
                    figures.setdefault((reader, 0), []).append(measured)
    _check([figures for each in found.values() for figures in each.values()], 2)
    return found


def measure_large(count: int) -> dict[tuple[str, int], list[Figures]]:
    """Return the figures of large examples, by reader and number of worker processes."""
    examples = [(number, LARGE_BYTES) for number in range(count)]
    found: dict[tuple[str, int], list[Figures]] = {}
    for reader in REMOTE:  # one after the other, because each format is a copy of all
        with running(NAME) as bench:
            print(f"writing {count:,} examples for {reader}", file=sys.stderr, flush=True)
            if reader == "loader":
                make_repository(bench.repository, bench.server)
                push(bench.repository, bench.server, write_version(bench.repository, "1.0.0", examples))
                _point(bench)
            else:
                READERS[reader].write(examples, bench.folder / reader)
                bench.upload(bench.folder / reader, reader)
                shutil.rmtree(bench.folder / reader)
            for workers in (0, WORKERS):
                print(f"{reader}, {workers} worker processes", file=sys.stderr, flush=True)
                figures = bench.measure(reader, 1, LARGE_BATCH, workers=workers, is_shuffled=True)
                figures["share"] = count * LARGE_BYTES / figures["seconds 0"] / BYTES_PER_SECOND
                found[reader, workers] = [figures]
    _check(list(found.values()), 1)
    return found


def _clone_mnist(bench: Bench) -> None:
    """Make a clone of this repository whose remotes have the artifact."""
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(bench.repository)], check=True)
    for name in ("mnist.tar", "mnist.json"):
        shutil.copy(ROOT / "artifacts" / name, bench.repository / "artifacts")
    _point(bench, bench.server.endpoint)
    push_mnist("mnist", public=True, root=bench.repository)
    (bench.repository / "artifacts/mnist.tar").unlink()
    _point(bench)


def _point(bench: Bench, endpoint: str | None = None) -> None:
    """Point the repository's remotes at the wire."""
    urls = {bucket: f"s3://{bucket}" for bucket in s3_server.BUCKETS}
    point_local(bench.repository, urls, endpoint or bench.wire.url, bench.server.credentials)


def _check(measured: list[list[Figures]], epochs: int) -> None:
    """Check that every epoch of every reader had every example once."""
    found = {(each[f"examples {n}"], each[f"sum {n}"]) for rounds in measured for each in rounds for n in range(epochs)}
    if len(found) > 1:
        raise SystemExit(f"the readers do not read the same examples: (number, sum) are {sorted(found)}")


def _table(columns: tuple[Column, ...], found: dict[tuple[str, int], list[Figures]]) -> list[str]:
    titles = {name: READERS[name].title for name, _ in found}
    return rows(titles, columns, found)


if __name__ == "__main__":
    typer.run(main)
