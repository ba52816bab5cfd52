"""Comparing two versions of a million records each: on this machine, and over S3 with a latency of 30 ms.

    make benchmark TABLE=differences

The versions are made up: 10,000 records are gone, 10,000 are new and 10,000 have other bytes. Each record takes 150
bytes, which are zeros. Keys are in order, as TFDS writes them, and in no order, which is the worst case. Each figure is
measured in a new process, and compared with a process that reads and hashes both artifacts, or fetches both.
"""

from __future__ import annotations

import configparser
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from measure import TIMED
from s3fs import S3FileSystem

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from loader._format.index import BLOCK_BYTES, ROW_TYPE, ROWS_NAME  # noqa: E402
from loader._format.names import object_path  # noqa: E402
from loader._format.standalone import open_tar  # noqa: E402
from scripts._dvc.remotes import point_local  # noqa: E402
from scripts._process import s3_server  # noqa: E402
from tests.helpers.large_artifact import make_large  # noqa: E402
from tests.helpers.recorded_dataset import make_git  # noqa: E402
from tests.helpers.s3_proxy import running_proxy  # noqa: E402

RECORDS = 1_000_000
CHANGED = 10_000  # gone, new, and with other bytes: this many of each
RECORD_BYTES = 150
LATENCY_SECONDS = 0.03
ROUNDS = 5

COMPARE = """
import json, resource, sys
from loader._diff import diff
found = diff("large", "HEAD~1", "HEAD", repo=sys.argv[1])
(train,) = found.configs[0].splits
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({
    "moved": found.bytes_fetched, "cpu": used.ru_utime + used.ru_stime, "megabytes": used.ru_maxrss / 1024,
    "counts": [train.added, train.removed, train.changed],
}))
"""
READ = """
import hashlib, json, resource, sys
from pathlib import Path
for path in Path(sys.argv[1]).glob(".dvc/cache/files/md5/*/*"):
    with path.open("rb") as file:
        hashlib.file_digest(file, "sha256")
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({
    "moved": 0, "cpu": used.ru_utime + used.ru_stime, "megabytes": used.ru_maxrss / 1024,
}))
"""
FETCH = """
import json, resource, sys
import loader
sizes = [loader.ensure("large", rev=rev, repo=sys.argv[1]).stat().st_size for rev in ("HEAD~1", "HEAD")]
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({
    "moved": sum(sizes), "cpu": used.ru_utime + used.ru_stime, "megabytes": used.ru_maxrss / 1024,
}))
"""


def main() -> None:
    """Generate, measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        server = s3_server.start(Path(folder, "s3"))
        try:
            print("| a million records | seconds | ratio | of these CPU | bytes moved | peak memory (MB) |")
            print("|---|---:|---:|---:|---:|---:|")
            for order in ("in order", "in no order"):
                root = _make(Path(folder, order.replace(" ", "-")), is_sorted=order == "in order")
                _print(root, f"on this machine, keys {order}", COMPARE, "reading both artifacts", READ)
                if order == "in order":
                    with running_proxy(server.endpoint) as proxy:
                        _push(root, server, proxy.url)
                        proxy.change = _late
                        _print(root, "over S3, 30 ms", COMPARE, "fetching both artifacts, 30 ms", FETCH)
        finally:
            s3_server.stop(Path(folder, "s3"))


def _late(offset: int, data: bytes) -> bytes:
    time.sleep(LATENCY_SECONDS)
    return data


def _print(root: Path, title: str, code: str, other_title: str, other_code: str) -> None:
    """Measure two programs in turn, and print a row for each."""
    rounds = [(_run(root, code), _run(root, other_code)) for _ in range(ROUNDS)]
    ratio = statistics.median(other["seconds"] / ours["seconds"] for ours, other in rounds)
    for place, name in enumerate((title, other_title)):
        seconds, cpu, moved, megabytes = (
            statistics.median(each[place][key] for each in rounds) for key in ("seconds", "cpu", "moved", "megabytes")
        )
        shown = f"{ratio:.1f}" if place else ""
        print(f"| {name} | {seconds:.2f} | {shown} | {cpu:.2f} | {moved:,.0f} | {megabytes:.0f} |", flush=True)


def _run(root: Path, code: str) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as cache:
        done = subprocess.run(
            [sys.executable, "-c", TIMED, sys.executable, "-c", code, str(root)],
            check=True,
            stdout=subprocess.PIPE,
            env={**os.environ, "DATASETS_CACHE": cache, "DATASETS_REPO": str(root), "PYTHONPATH": str(ROOT)},
        )
    found = dict(json.loads(done.stdout))
    assert found.get("counts", [CHANGED] * 3) == [CHANGED] * 3
    return found


def _make(root: Path, *, is_sorted: bool) -> Path:
    """Make a repository whose last two commits record the two versions, both in DVC's cache."""
    make_large(root, RECORDS)
    make_git(root)
    (root / "dvc.yaml").write_text(
        "stages:\n  large:\n    cmd: x\n    outs:\n      - artifacts/large.tar: {remote: public}\n"
    )
    random = np.random.default_rng(0)
    rows = np.memmap(root / "artifacts/large.tar", np.uint8, "r")
    header = open_tar(root / "artifacts/large.tar").header
    old = np.frombuffer(bytes(rows[header.rows.offset :][: header.rows.size]), ROW_TYPE).copy()
    keys = random.integers(0, 256, (RECORDS + CHANGED, 16), np.uint8).view("V16").ravel()
    new = old.copy()
    old["key"], new["key"] = keys[:RECORDS].view("S16"), keys[CHANGED:].view("S16")
    digests = random.integers(0, 256, (RECORDS + 2 * CHANGED, 16), np.uint8).view("S16").ravel()
    old["digest"], new["digest"] = digests[:RECORDS], digests[CHANGED : RECORDS + CHANGED]
    new["digest"][:CHANGED] = digests[RECORDS + CHANGED :]
    for version in (old, new):
        order = np.lexsort(version["key"].view((np.uint8, 16)).T[::-1]) if is_sorted else random.permutation(RECORDS)
        _record(root, version[order])
    (root / "artifacts/large.tar").unlink()
    return root


def _record(root: Path, rows: np.ndarray) -> None:
    """Give the artifact these rows, record it, and commit."""
    tar = root / "artifacts/large.tar"
    artifact = open_tar(tar)
    data, member = rows.tobytes(), artifact.header.rows
    blocks = tuple(hashlib.sha256(data[at : at + BLOCK_BYTES]).hexdigest() for at in range(0, len(data), BLOCK_BYTES))
    members = tuple(
        each._replace(sha256=hashlib.sha256(data).hexdigest()) if each.name == ROWS_NAME else each
        for each in artifact.header.members
    )
    header = artifact.header._replace(members=members, blocks=blocks).render()
    with tar.open("r+b") as file:
        file.seek(artifact.entry.index_offset)
        file.write(header)
        file.seek(member.offset)
        file.write(data)
        file.truncate(member.offset + len(data) + RECORDS * RECORD_BYTES)
    with tar.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        md5 = hashlib.file_digest(file, "md5").hexdigest()
    size = tar.stat().st_size
    manifest = json.loads((root / "artifacts/large.json").read_text())
    manifest["artifacts"]["large.tar"] |= {"size": size, "sha256": sha256}
    manifest["artifacts"]["large.tar"]["index"]["sha256"] = hashlib.sha256(header).hexdigest()
    (root / "artifacts/large.json").write_text(json.dumps(manifest))
    out = {"path": "artifacts/large.tar", "hash": "md5", "md5": md5, "size": size}
    (root / "dvc.lock").write_text(json.dumps({"schema": "2.0", "stages": {"large": {"cmd": "x", "outs": [out]}}}))
    cached = root / ".dvc/cache" / object_path(md5)
    cached.parent.mkdir(parents=True)
    shutil.copyfile(tar, cached)
    identity = ("-c", "user.name=benchmark", "-c", "user.email=benchmark@example.org")
    for command in (["add", "--all"], ["commit", "--quiet", "-m", "version"]):
        subprocess.run(["git", *identity, *command], cwd=root, check=True)


def _push(root: Path, server: s3_server.Server, endpoint: str) -> None:
    """Move DVC's cache to the server, and point the repository at the proxy in front of it."""
    urls = {bucket: f"s3://{bucket}" for bucket in s3_server.BUCKETS}
    point_local(root, urls, server.endpoint, server.credentials)
    keys = configparser.ConfigParser(interpolation=None)
    keys.read(server.credentials)
    profile = keys[s3_server.S3_PROFILE]
    filesystem = S3FileSystem(
        key=profile["aws_access_key_id"], secret=profile["aws_secret_access_key"], endpoint_url=server.endpoint
    )
    cache = root / ".dvc/cache"
    for path in cache.glob("files/md5/*/*"):
        filesystem.put_file(str(path), f"public/{path.relative_to(cache)}")
    shutil.rmtree(cache)
    local = root / ".dvc/config.local"
    local.write_text(local.read_text().replace(server.endpoint, endpoint))


if __name__ == "__main__":
    main()
