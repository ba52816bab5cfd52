"""A small dataset with the same files that TFDS would write, but written without TFDS, so that tests are fast."""

from __future__ import annotations

import hashlib
import json
import shutil
import struct
import subprocess
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from loader._format.example import Example
from loader._format.names import object_path
from loader._format.tfrecord import masked_crc
from scripts._build.manifest import describe, write_descriptions
from scripts._build.package import Packed, pack
from scripts._build.prepare import Prepared
from scripts._build.statistics.compute import Statistician
from scripts._define.definition import read_definition
from scripts._tfds.shards import ShardWriter

CONFIG = Path(__file__).resolve().parents[2] / ".dvc/config"
NAME, VERSION = "small", "1.0.0"
# the records of each shard: several shards, and more than one block of rows
SPLITS = {"train": (5000, 300), "test": (70,)}
SAMPLES = 8

DVC_YAML = """\
artifacts:
  small: {path: artifacts/small.tar, type: dataset, labels: [standard]}
stages:
  small:
    cmd: python -m scripts build small
    params: [small]
    outs:
      - artifacts/small.tar: {remote: public}
      - artifacts/small.json: {cache: false, persist: true}
      - artifacts/small.croissant.json: {cache: false, persist: true}
    metrics:
      - artifacts/small.stats.json: {cache: false, persist: true}
"""

PARAMS_YAML = """\
toolchain: {}
small:
  builder: datasets/standard/small
  version: 1.0.0
  license: CC0
"""

FEATURES = {
    "pythonClassName": "tensorflow_datasets.core.features.features_dict.FeaturesDict",
    "featuresDict": {
        "features": {
            "label": {
                "pythonClassName": "tensorflow_datasets.core.features.class_label_feature.ClassLabel",
                "classLabel": {"numClasses": "3"},
            },
            "samples": {
                "pythonClassName": "tensorflow_datasets.core.features.tensor_feature.Tensor",
                "tensor": {"dtype": "int16", "encoding": "bytes", "shape": {"dimensions": ["-1"]}},
            },
            "text": {"pythonClassName": "tensorflow_datasets.core.features.text_feature.Text", "text": {}},
        }
    },
}


def example(split: str, number: int) -> dict[str, object]:
    """Return the example at a position, as the loader must return it."""
    salt = ({"train": 0, "test": 500}[split] + number) % 1000
    return {
        "label": np.int64(salt % 3),
        "samples": np.arange(salt, salt + number % SAMPLES, dtype=np.int16),
        "text": f"{split} {number}".encode(),
    }


def record(split: str, number: int) -> bytes:
    """Return the same example as the bytes of a record."""
    values = example(split, number)
    message = Example()
    fields = message.features.feature
    fields["label"].int64_list.value.append(int(values["label"]))  # type: ignore[call-overload]
    fields["samples"].bytes_list.value.append(values["samples"].tobytes())  # type: ignore[attr-defined]
    fields["text"].bytes_list.value.append(values["text"])
    return bytes(message.SerializeToString(deterministic=True))


def write_tfrecord(path: Path, records: list[bytes]) -> None:
    """Write a TFRecord file."""
    with path.open("wb") as file:
        for data in records:
            length = struct.pack("<Q", len(data))
            file.write(length + struct.pack("<I", masked_crc(length)) + data + struct.pack("<I", masked_crc(data)))


def prepare_recorded(scratch: Path) -> Prepared:
    """Write the output of a builder to `scratch`."""
    folder, rows = scratch / "data" / NAME / VERSION, scratch / "rows"
    folder.mkdir(parents=True)
    rows.mkdir()
    splits = []
    for split, lengths in SPLITS.items():
        first = size = 0
        for shard, length in enumerate(lengths):
            records = [record(split, number) for number in range(first, first + length)]
            shard_name = f"{NAME}-{split}.tfrecord-{shard:05d}-of-{len(lengths):05d}"
            ShardWriter(rows, {}).write_records(folder / shard_name, enumerate(records, first))
            first += length
            size += sum(map(len, records))
        splits.append({"name": split, "shardLengths": [str(n) for n in lengths], "numBytes": str(size)})
    info = {"name": NAME, "version": VERSION, "fileFormat": "tfrecord", "description": "Small.", "splits": splits}
    (folder / "dataset_info.json").write_text(json.dumps(info))
    (folder / "features.json").write_text(json.dumps(FEATURES))
    (folder / "label.labels.txt").write_text("zero\none\ntwo\n")
    return Prepared(scratch / "data", folder, rows, None, None, ())


def pack_recorded(target: Path, scratch: Path) -> tuple[Prepared, Packed]:
    """Write the output of a builder and its artifact."""
    scratch.mkdir()
    prepared = prepare_recorded(scratch)
    return prepared, pack(prepared, target, scratch=scratch)


def make_recorded(root: Path) -> Path:
    """Create a repository with one dataset that is built and recorded."""
    made = _recorded(VERSION, tuple(SPLITS.items()))  # which tests change
    shutil.copytree(f"{made.name}/repository", root, dirs_exist_ok=True)
    return root


@cache
def _recorded(*_: object) -> TemporaryDirectory[str]:
    """Create the repository that the others are copied from, once in a process for a version and splits."""
    folder = TemporaryDirectory()
    root = Path(folder.name) / "repository"
    for name in ("artifacts", "datasets/standard/small"):
        (root / name).mkdir(parents=True)
    (root / "dvc.yaml").write_text(DVC_YAML)
    (root / "params.yaml").write_text(PARAMS_YAML.replace("1.0.0", VERSION))
    tar = root / "artifacts" / "small.tar"
    prepared, packed = pack_recorded(tar, root / ".scratch-small")
    definition = read_definition("small", root=root)
    manifest = describe(definition, [(prepared, packed)])
    with Statistician(workers=1) as statistician, TemporaryDirectory() as scratch:
        statistics = statistician.statistics(manifest, tar.parent, scratch=Path(scratch))
    write_descriptions(definition, tar.parent, manifest, statistics)
    record_artifacts(root)
    return folder


def record_artifacts(root: Path) -> None:
    """Write the `dvc.lock` that DVC would write for the current artifacts."""
    outs = []
    for name in ("small.croissant.json", "small.json", "small.stats.json", "small.tar"):
        data = (root / "artifacts" / name).read_bytes()
        md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
        outs.append({"path": f"artifacts/{name}", "hash": "md5", "md5": md5, "size": len(data)})
    stage = {
        "cmd": "python -m scripts build small",
        "params": {
            "params.yaml": {
                "small": {
                    "builder": "datasets/standard/small",
                    "version": "1.0.0",
                    "license": "CC0",
                }
            }
        },
        "outs": outs,
    }
    (root / "dvc.lock").write_text(json.dumps({"schema": "2.0", "stages": {"small": stage}}))


def make_git(root: Path) -> None:
    """Turn the repository into a git repository with this project's configuration of DVC."""
    subprocess.run(["git", "init", "--quiet"], cwd=root, check=True, capture_output=True)
    (root / ".dvc").mkdir()
    (root / ".dvc/config").write_bytes(CONFIG.read_bytes())
    (root / ".gitignore").write_text("/artifacts/*.tar\n/.dvc/config.local\n/.dvc/tmp\n/.dvc/cache\n")


def fill_dvc_cache(root: Path) -> None:
    """Put the artifact into DVC's cache, as `dvc commit` does."""
    tar = root / "artifacts/small.tar"
    cached = root / ".dvc/cache" / object_path(hashlib.md5(tar.read_bytes(), usedforsecurity=False).hexdigest())
    cached.parent.mkdir(parents=True)
    cached.hardlink_to(tar)
    cached.chmod(0o444)


def make_dvc(root: Path, config: Path) -> None:
    """Turn the repository into a git and DVC repository with this configuration, and fill DVC's cache.

    DVC commits in this process, because starting its command takes much longer than what it does.
    """
    from dvc.repo import Repo

    shutil.copytree(f"{_initialized().name}/repository", root, dirs_exist_ok=True)
    (root / ".dvc" / "config").write_bytes(config.read_bytes())
    with Repo(str(root)) as repo:
        repo.commit(force=True)


@cache
def _initialized() -> TemporaryDirectory[str]:
    """Create an empty git and DVC repository, once in a process."""
    folder = TemporaryDirectory()
    root = Path(folder.name) / "repository"
    root.mkdir()
    for command in (["git", "init", "--quiet"], ["dvc", "init", "--quiet"]):
        subprocess.run(command, cwd=root, check=True, capture_output=True)
    return folder
