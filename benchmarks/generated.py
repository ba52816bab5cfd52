"""A repository of one dataset whose records are generated: a gigabyte is written in about ten seconds, without TFDS."""

from __future__ import annotations

import configparser
import json
import struct
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from data import ROOT
from s3fs import S3FileSystem

sys.path.insert(0, str(ROOT))

from loader._format.example import Example
from loader._format.names import object_path
from scripts._build.manifest import describe
from scripts._build.package import Packed, pack
from scripts._build.prepare import Prepared
from scripts._define.definition import read_definition
from scripts._dvc.remotes import point_local
from scripts._process import s3_server
from scripts._tfds.shards import HEAD_BYTES, TAIL_BYTES, ShardWriter
from tests.helpers.recorded_dataset import make_git

NAME = "generated"
TAR = f"artifacts/{NAME}.tar"
SHARDS = 8
POOL_BYTES = 64 << 20
NUMBER = struct.Struct("<Q")

PARAMS_YAML = """\
toolchain: {{}}
generated:
  builder: datasets/standard/generated
  version: {version}
  license: CC0
"""
DVC_YAML = """\
stages:
  generated:
    cmd: x
    outs:
      - artifacts/generated.tar: {remote: public}
"""
FEATURES = {
    "pythonClassName": "tensorflow_datasets.core.features.features_dict.FeaturesDict",
    "featuresDict": {
        "features": {
            "data": {
                "pythonClassName": "tensorflow_datasets.core.features.tensor_feature.Tensor",
                "tensor": {"dtype": "uint8", "encoding": "bytes", "shape": {"dimensions": ["-1"]}},
            }
        }
    },
}


@cache
def _pool() -> bytes:
    return np.random.default_rng(0).bytes(POOL_BYTES)


def example(number: int, size: int) -> bytes:
    """Return the `size` bytes of an example, which no compression makes less: its number, and then noise."""
    start = number * 7919 % (POOL_BYTES - size)
    return NUMBER.pack(number) + _pool()[start + NUMBER.size : start + size]


def make_repository(root: Path, server: s3_server.Server) -> None:
    """Make a git and DVC repository whose remotes are on the server, and which records nothing yet."""
    for folder in ("artifacts", f"datasets/standard/{NAME}"):
        (root / folder).mkdir(parents=True)
    (root / "dvc.yaml").write_text(DVC_YAML)
    make_git(root)
    point_local(root, {name: f"s3://{name}" for name in s3_server.BUCKETS}, server.endpoint, server.credentials)


def write_version(root: Path, version: str, examples: Sequence[tuple[int, int]]) -> str:
    """Write an artifact into the work tree, commit its records, and return its md5.

    Parameters
    ----------
    root
        The repository.
    version
        The dataset's version, and with a "v" before it the name of the commit's tag.
    examples
        The number and the size of each example (see `example`).
    """
    (root / "params.yaml").write_text(PARAMS_YAML.format(version=version))
    with TemporaryDirectory(dir=root) as scratch:
        prepared, packed = _pack(root / TAR, Path(scratch), version, examples)
        manifest = describe(read_definition(NAME, root=root), [(prepared, packed)])
    (root / f"artifacts/{NAME}.json").write_text(json.dumps(manifest))
    out = {"path": TAR, "hash": "md5", "md5": packed.md5, "size": packed.entry.size}
    (root / "dvc.lock").write_text(json.dumps({"schema": "2.0", "stages": {NAME: {"cmd": "x", "outs": [out]}}}))
    identity = ("-c", "user.name=benchmark", "-c", "user.email=benchmark@example.org")
    for command in (["add", "--all"], ["commit", "--quiet", "-m", version], ["tag", f"v{version}"]):
        subprocess.run(["git", *identity, *command], cwd=root, check=True)
    return packed.md5


def _pack(target: Path, scratch: Path, version: str, examples: Sequence[tuple[int, int]]) -> tuple[Prepared, Packed]:
    """Write the output of a builder, and its artifact."""
    folder, rows = scratch / "data" / NAME / version, scratch / "rows"
    folder.mkdir(parents=True)
    rows.mkdir()
    lengths = [len(part) for part in np.array_split(np.empty(len(examples)), SHARDS)]
    writer, records, size = ShardWriter(rows, {}), enumerate(map(_record, examples)), 0
    for shard, length in enumerate(lengths):
        name = f"{NAME}-train.tfrecord-{shard:05d}-of-{SHARDS:05d}"
        writer.write_records(folder / name, islice(records, length))
        size += (folder / name).stat().st_size - length * (HEAD_BYTES + TAIL_BYTES)
    split = {"name": "train", "shardLengths": [str(length) for length in lengths], "numBytes": str(size)}
    info = {"name": NAME, "version": version, "fileFormat": "tfrecord", "description": "Noise.", "splits": [split]}
    (folder / "dataset_info.json").write_text(json.dumps(info))
    (folder / "features.json").write_text(json.dumps(FEATURES))
    prepared = Prepared(scratch / "data", folder, rows, None, None, ())
    return prepared, pack(prepared, target, scratch=scratch)


def _record(numbered: tuple[int, int]) -> bytes:
    message = Example()
    message.features.feature["data"].bytes_list.value.append(example(*numbered))
    return bytes(message.SerializeToString(deterministic=True))


def filesystem(server: s3_server.Server) -> S3FileSystem:
    """Return the server's buckets, which can be written to."""
    keys = configparser.ConfigParser(interpolation=None)
    keys.read(server.credentials)
    profile = keys[s3_server.S3_PROFILE]
    return S3FileSystem(
        key=profile["aws_access_key_id"], secret=profile["aws_secret_access_key"], endpoint_url=server.endpoint
    )


def push(root: Path, server: s3_server.Server, md5: str) -> None:
    """Move the artifact to the server, where DVC would store it."""
    filesystem(server).put_file(str(root / TAR), f"public/{object_path(md5)}")
    (root / TAR).unlink()
