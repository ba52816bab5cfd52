"""How fast mnist could be read from Python on one thread: inflating its PNG images and hashing its records, no more.

    make benchmark TABLE=limit        (needs the artifact of mnist)

The compressed streams and the records are in memory before the time starts, and each is one call. Each figure is
measured in a new process. The limit is the fastest inflater and SHA-256, one after the other; the filters of PNG, the
parsing of records and the copying into batches come on top.
"""

from __future__ import annotations

import hashlib
import json
import struct
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import typer
from data import locate
from measure import timed
from prepare import prepare
from reader import BATCH

PIXELS = 28 * 29  # the bytes of an inflated image: each row begins with its filter
MIN_SECONDS = 2.0
LOADER, SHA256 = "loader, batches of 256", "SHA-256 of the records"
INFLATERS = {
    "inflate, zlib": "zlib",
    "inflate, zlib-ng": "zlib_ng",
    "inflate, ISA-L": "isal",
    "inflate, libdeflate": "deflate",
}


def main(rounds: Annotated[int, typer.Option(min=1, help="How often every figure is measured.")] = 3) -> None:
    """Measure and print the table."""
    prepare("mnist")
    names = (LOADER, SHA256, *INFLATERS)
    found: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            figures = timed([sys.executable, str(Path(__file__).resolve()), "--measure", name])
            found[name].append(1e6 / figures["processor rate"])
    fastest = [min(each) for each in zip(*(found[name] for name in INFLATERS), strict=True)]
    limits = [sum(each) for each in zip(found[SHA256], fastest, strict=True)]
    times = {**found, "the limit: SHA-256 and the fastest inflater": limits}
    print("| mnist | processor time per example, us | part of the loader's |", "|---|---:|---:|", sep="\n")
    for name, microseconds in times.items():
        part = median(each / ours for each, ours in zip(microseconds, found[LOADER], strict=True))
        print(f"| {name} | {median(microseconds):.2f} | {part:.2f} |")


def _measure(name: str) -> dict[str, float]:
    """Return the examples per second of processor time."""
    import loader

    data = locate("mnist")
    _, train = loader.load(data.name, split="train", repo=data.repository)
    if name == LOADER:
        batches = train.batches(BATCH, workers=1)
        return _rate(lambda: [None for _ in batches], len(train))
    records = _records(data.tfds)
    if name == SHA256:
        return _rate(lambda: [hashlib.sha256(record).digest() for record in records], len(records))
    inflate = _inflater(INFLATERS[name])
    streams = [_stream(record[record.index(b"\x89PNG") :]) for record in records]
    return _rate(lambda: [inflate(stream) for stream in streams], len(streams))


def _rate(work: Callable[[], Any], examples: int) -> dict[str, float]:
    work()
    epochs, start = 0, time.process_time()
    while time.process_time() < start + MIN_SECONDS:
        work()
        epochs += 1
    return {"processor rate": epochs * examples / (time.process_time() - start)}


def _records(folder: Path) -> list[bytes]:
    from loader._format.tfrecord import read, scan

    (shard,) = folder.glob("*-train.tfrecord-*")
    data = shard.read_bytes()
    return [bytes(read(data, *place)) for place in scan(data, 0, len(data))]


def _stream(png: bytes) -> bytes:
    """Return the compressed pixels of a PNG."""
    offset, kind, parts = 8, b"", list[bytes]()
    while kind != b"IEND":
        size, kind = struct.unpack_from(">I4s", png, offset)
        if kind == b"IDAT":
            parts.append(png[offset + 8 :][:size])
        offset += size + 12
    return b"".join(parts)


def _inflater(library: str) -> Callable[[bytes], Any]:
    if library == "deflate":
        import deflate

        return lambda stream: deflate.zlib_decompress(stream, PIXELS)
    if library == "isal":
        from isal import isal_zlib

        return lambda stream: isal_zlib.decompress(stream, bufsize=PIXELS)
    if library == "zlib_ng":
        from zlib_ng import zlib_ng

        return lambda stream: zlib_ng.decompress(stream, bufsize=PIXELS)
    return lambda stream: zlib.decompress(stream, bufsize=PIXELS)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(_measure(sys.argv[2])))
    else:
        typer.run(main)
