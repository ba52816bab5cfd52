"""A repository whose commits record versions of one small dataset, made of given examples."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from loader._format.example import Example
from loader._format.names import object_path
from scripts._build.manifest import describe, write_manifest
from scripts._build.package import pack
from scripts._build.prepare import Prepared
from scripts._define.definition import read_definition
from scripts._tfds.shards import ShardWriter
from tests.helpers.recorded_dataset import (
    DVC_YAML,
    FEATURES,
    NAME,
    PARAMS_YAML,
    make_git,
)

Records = Mapping[str, Mapping[str, bytes]]
"""The bytes of each record, by split and by the builder's key."""


def encode(values: Mapping[str, Any], *, reverse: bool = False) -> bytes:
    """Return an example as a record; with `reverse`, in other bytes that mean the same."""
    if reverse:  # concatenated messages are one message with the fields of all
        return b"".join(encode({name: values[name]}) for name in sorted(values, reverse=True))
    message = Example()
    for name, value in values.items():
        feature = message.features.feature[name]
        if isinstance(value, bytes):
            feature.bytes_list.value.append(value)
        elif isinstance(value, np.ndarray):
            feature.bytes_list.value.append(value.tobytes())
        else:
            feature.int64_list.value.append(int(value))
    return bytes(message.SerializeToString(deterministic=True))


def values_of(number: int) -> dict[str, Any]:
    """Return an example; no two are the same."""
    return {"label": number % 3, "samples": np.arange(number % 7, dtype=np.int16), "text": f"text {number}".encode()}


def records_of(**numbers: range) -> dict[str, dict[str, bytes]]:
    """Return the records of splits; the example of a number has that number as its key."""
    return {split: {str(n): encode(values_of(n)) for n in each} for split, each in numbers.items()}


@dataclass
class History:
    """The repository, which has the configuration of a real one."""

    root: Path
    commits: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for folder in ("artifacts", "datasets/standard/small"):
            (self.root / folder).mkdir(parents=True)
        (self.root / "dvc.yaml").write_text(DVC_YAML)
        (self.root / "params.yaml").write_text(PARAMS_YAML)
        make_git(self.root)

    @property
    def tar(self) -> Path:
        """The artifact in the work tree."""
        return self.root / "artifacts/small.tar"

    def write(
        self,
        records: Records,
        *,
        version: str = "1.0.0",
        features: Mapping[str, Any] = FEATURES,
        order: Mapping[str, list[str]] | None = None,
        files: Mapping[str, str] | None = None,
        toolchain: Mapping[str, str] | None = None,
        **block: Any,
    ) -> Path:
        """Build a version into the work tree and DVC's cache, and return its object in the cache.

        Records have the keys and the order that TFDS gives them, or the `order` of the builder's keys.
        """
        params = {"builder": "datasets/standard/small", "version": version, "license": "CC0", **block}
        (self.root / "params.yaml").write_text(yaml.safe_dump({"toolchain": dict(toolchain or {}), NAME: params}))
        scratch = self.root / ".scratch-small"
        shutil.rmtree(scratch, ignore_errors=True)
        folder = scratch / "data" / NAME / version
        folder.mkdir(parents=True)
        (scratch / "rows").mkdir()
        splits = []
        for split, by_key in records.items():
            hashes = {key: hashlib.md5(f"{split}{key}".encode()).digest() for key in by_key}
            keys = (order or {}).get(split) or sorted(by_key, key=hashes.__getitem__)
            shard = f"{NAME}-{split}.tfrecord-00000-of-00001"
            records = [(int.from_bytes(hashes[key], "big"), by_key[key]) for key in keys]
            ShardWriter(scratch / "rows", {}).write_records(folder / shard, records)
            size = sum(map(len, by_key.values()))
            splits.append({"name": split, "shardLengths": [str(len(keys))], "numBytes": str(size)})
        info = {"name": NAME, "version": version, "fileFormat": "tfrecord", "description": "Small.", "splits": splits}
        (folder / "dataset_info.json").write_text(json.dumps(info))
        (folder / "features.json").write_text(json.dumps(features))
        for name, content in {"label.labels.txt": "zero\none\ntwo\n", **(files or {})}.items():
            (folder / name).write_text(content)
        prepared = Prepared(scratch / "data", folder, scratch / "rows", None, None, ())
        packed = pack(prepared, self.tar, scratch=scratch)
        manifest = describe(read_definition(NAME, root=self.root), [(prepared, packed)])
        write_manifest(self.root / "artifacts/small.json", manifest)
        shutil.rmtree(scratch)
        data = self.tar.read_bytes()
        md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
        out = {"path": "artifacts/small.tar", "hash": "md5", "md5": md5, "size": len(data)}
        lock = {"schema": "2.0", "stages": {NAME: {"cmd": "python -m scripts build small", "outs": [out]}}}
        (self.root / "dvc.lock").write_text(yaml.safe_dump(lock))
        cached = self.root / ".dvc/cache" / object_path(md5)
        cached.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.tar, cached)
        return cached

    def commit(self, *arguments: Any, **options: Any) -> str:
        """Build a version as `write` does, commit it, and return the commit."""
        self.write(*arguments, **options)
        return self.commit_all()

    def commit_all(self) -> str:
        """Commit the work tree."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", "change")
        self.commits.append(self.git("rev-parse", "HEAD"))
        return self.commits[-1]

    def git(self, *arguments: str) -> str:
        """Run git and return its output."""
        identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
        command = ["git", *identity, *arguments]
        return subprocess.run(command, cwd=self.root, check=True, capture_output=True, text=True).stdout.strip()
