"""Versions of small datasets whose records are given, written without TFDS, in a repository with their history."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from loader._format.example import Example
from scripts._build.package import pack
from scripts._build.prepare import Prepared
from scripts._tfds.shards import ShardWriter
from tests.helpers.recorded_dataset import FEATURES, PARAMS_YAML, make_git
from tests.helpers.written_records import commit

Shards = Sequence[Sequence[tuple[int, bytes]]]
"""The keys and records of each shard of a split."""


def make_record(number: int, *, edition: int = 0, size: int = 10_000) -> bytes:
    """Return a record of about `size` bytes; in another edition nearly all of them are others."""
    message = Example()
    fields = message.features.feature
    fields["label"].int64_list.value.append(number % 3)  # type: ignore[call-overload]
    fields["samples"].bytes_list.value.append(b"")  # type: ignore[attr-defined]
    fields["text"].bytes_list.value.append(random.Random(f"{number} {edition}").randbytes(size))
    return bytes(message.SerializeToString(deterministic=True))


def make_repository(root: Path) -> Path:
    """Create a repository without datasets."""
    (root / "artifacts").mkdir(parents=True)
    (root / "params.yaml").write_text(PARAMS_YAML)
    (root / "dvc.yaml").write_text("stages: {}\n")
    (root / "dvc.lock").write_text("stages: {}\n")
    make_git(root)
    return root


def write_version(
    root: Path,
    splits: Mapping[str, Shards],
    *,
    name: str = "small",
    version: str = "1.0.0",
    parents: Mapping[str, Any] | None = None,
) -> bytes:
    """Write and commit a version of a dataset, and return the bytes of its tar.

    Parameters
    ----------
    root
        The repository.
    splits
        The shards of each split.
    name, version
        The dataset.
    parents
        What the manifest says of the datasets that it was made from.
    """
    tar = root / f"artifacts/{name}.tar"
    with TemporaryDirectory() as temporary:
        scratch = Path(temporary)
        folder, rows = scratch / "data" / name / version, scratch / "rows"
        folder.mkdir(parents=True)
        rows.mkdir()
        infos = []
        for split, shards in splits.items():
            for number, shard in enumerate(shards):
                filename = f"{name}-{split}.tfrecord-{number:05d}-of-{len(shards):05d}"
                ShardWriter(rows, {}).write_records(folder / filename, iter(shard))
            size = sum(len(record) for shard in shards for _, record in shard)
            infos.append({"name": split, "shardLengths": [str(len(each)) for each in shards], "numBytes": str(size)})
        info = {"name": name, "version": version, "fileFormat": "tfrecord", "splits": infos}
        (folder / "dataset_info.json").write_text(json.dumps(info))
        (folder / "features.json").write_text(json.dumps(FEATURES))
        (folder / "label.labels.txt").write_text("zero\none\ntwo\n")
        packed = pack(Prepared(scratch / "data", folder, rows, None, None, ()), tar, scratch=scratch)
    entry = packed.entry
    index = {"offset": entry.index_offset, "size": entry.index_size, "sha256": entry.index_sha256}
    document = {
        "format": 1,
        "name": name,
        "version": version,
        "default_config": None,
        "parents": parents or {},
        "artifacts": {tar.name: {"config": None, "size": entry.size, "sha256": entry.sha256, "index": index}},
    }
    tar.with_suffix(".json").write_text(json.dumps(document))
    stages = yaml.safe_load((root / "dvc.lock").read_text())["stages"]
    out = {"path": f"artifacts/{tar.name}", "hash": "md5", "md5": packed.md5, "size": entry.size}
    stages[name] = {"cmd": f"build {name}", "outs": [out]}
    (root / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}, sort_keys=False))
    outs = {each: [{f"artifacts/{each}.tar": {"remote": "public"}}] for each in stages}
    recorded = {each: {"cmd": stages[each]["cmd"], "outs": outs[each]} for each in stages}
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": recorded}))
    commit(root, f"{name}@v{version}")
    return tar.read_bytes()
