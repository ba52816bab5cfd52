"""An artifact with any number of records, whose rows share the bytes of a few records."""

from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path

import numpy as np

from loader._format.index import BLOCK_BYTES, HEADER_NAME, ROW, ROWS_NAME, Header, Member, digest
from tests.helpers.recorded_dataset import FEATURES, PARAMS_YAML, record

DISTINCT_RECORDS = 1000
ROW_TYPE = np.dtype([("offset", "<u8"), ("length", "<u4"), ("key", "S16"), ("digest", "S16")])


def make_large(root: Path, count: int) -> Path:
    """Make a repository whose dataset `large` has `count` records, of which 1,000 are distinct."""
    (root / "artifacts").mkdir(parents=True)
    (root / "dvc.yaml").write_text("stages: {}\n")
    (root / "params.yaml").write_text(PARAMS_YAML)
    records = [record("train", number) for number in range(DISTINCT_RECORDS)]
    folder, shard = "large/1.0.0", b"".join(records)
    info = {
        "name": "large",
        "version": "1.0.0",
        "splits": [{"name": "train", "shardLengths": [str(count)], "numBytes": str(len(shard))}],
    }
    files = {
        "dataset_info.json": json.dumps(info).encode(),
        "features.json": json.dumps(FEATURES).encode(),
        ROWS_NAME: bytes(count * ROW.size),
        "large-train.tfrecord-00000-of-00001": shard,
    }
    header_size = len(_header(folder, files, {}, count).render())
    while True:  # the size of the header affects the members' offsets, and these the size of the header
        offsets, position = {}, 512 + _padded(header_size)
        for name, data in files.items():
            offsets[name] = position + 512
            position += 512 + _padded(len(data))
        size = len(_header(folder, files, offsets, count).render())
        if size == header_size:
            break
        header_size = size
    files[ROWS_NAME] = _rows(records, offsets["large-train.tfrecord-00000-of-00001"], count)
    header = _header(folder, files, offsets, count).render()
    with (root / "artifacts/large.tar").open("wb") as tar:
        for name, data in {HEADER_NAME: header, **files}.items():
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size = len(data)
            tar.write(entry.tobuf(tarfile.USTAR_FORMAT) + data + bytes(-len(data) % 512))
        tar_size = tar.tell()
    index = {"offset": 512, "size": len(header), "sha256": hashlib.sha256(header).hexdigest()}
    entry = {"config": None, "size": tar_size, "sha256": "0" * 64, "index": index}
    manifest = {"format": 1, "name": "large", "version": "1.0.0", "artifacts": {"large.tar": entry}}
    (root / "artifacts/large.json").write_text(json.dumps(manifest))
    return root


def _header(folder: str, files: dict[str, bytes], offsets: dict[str, int], count: int) -> Header:
    members = tuple(
        Member(f"{folder}/{name}", offsets.get(name, 0), len(data), hashlib.sha256(data).hexdigest())
        for name, data in files.items()
    )
    rows = memoryview(files[ROWS_NAME])
    blocks = (rows[at : at + BLOCK_BYTES] for at in range(0, len(rows), BLOCK_BYTES))
    return Header(members, {"train": count}, tuple(hashlib.sha256(block).hexdigest() for block in blocks))


def _rows(records: list[bytes], start: int, count: int) -> bytes:
    lengths = [len(data) for data in records]
    rows = np.zeros(len(records), ROW_TYPE)
    rows["offset"] = start + np.concatenate([[0], np.cumsum(lengths)[:-1]])
    rows["length"] = lengths
    rows["digest"] = [digest(data) for data in records]
    return np.resize(rows, count).tobytes()


def _padded(size: int) -> int:
    return size + -size % 512
