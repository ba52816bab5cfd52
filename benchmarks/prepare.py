"""Writing the same examples in the format of every reader, once, to `.scratch/benchmarks/`."""

from __future__ import annotations

import io
import json
import shutil
import wave
from pathlib import Path
from typing import Any

import numpy as np
from chunk_readers import import_mds
from data import ROOT, Data, image_format, locate

JPEG = ROOT / "benchmarks" / "jpeg"
SHARDS = 8
RATE = 8000  # of digit's recordings, in hertz

PARAMS = """
jpeg:
  builder: datasets/standard/jpeg
  version: 1.0.0
  visibility: private
  license: CC0
"""
DVC = """
stages:
  jpeg:
    cmd: python -m scripts build jpeg
    outs:
      - artifacts/jpeg.tar: {remote: private}
    metrics:
      - artifacts/jpeg.json: {cache: false}
"""


def prepare(name: str) -> Data:
    """Write the dataset in every format, unless this was done before."""
    data = locate(name)
    if name == "jpeg":
        _build_jpeg(data.repository)
    done = data.folder / "done.json"
    manifest = (data.repository / "artifacts" / f"{name}.json").read_text()
    version = manifest + Path(__file__).read_text()  # this module decides what the files are, too
    if not done.exists() or done.read_text() != version:
        print(f"preparing {name} in {data.folder}")
        shutil.rmtree(data.folder, ignore_errors=True)
        _write_tfds(data)
        features, records = _read(data)
        _write_array_record(data, records)
        examples = [_encoded(record) for record in records]
        _write_arrow(data, features, examples)
        _write_shards(data, features, examples)
        _write_files(data, examples)
        if "image" in features:
            _write_litdata(data, examples)
            _write_lance(data, examples)
            _write_mds(data, examples)
        done.write_text(version)
    return data


def _build_jpeg(repository: Path) -> None:
    """Build the artifact of the generated images in a separate repository."""
    from scripts.build import build

    builder = repository / "datasets/standard/jpeg"
    manifest = repository / "artifacts" / "jpeg.json"
    if manifest.exists() and (builder / "jpeg.py").read_bytes() == (JPEG / "jpeg.py").read_bytes():
        return
    shutil.rmtree(repository, ignore_errors=True)
    manifest.parent.mkdir(parents=True)
    shutil.copytree(JPEG, builder)
    toolchain = (ROOT / "params.yaml").read_text().split("\n\n")[1]
    (repository / "params.yaml").write_text(f"{toolchain}\n{PARAMS}")
    (repository / "dvc.yaml").write_text(DVC)
    build("jpeg", root=repository)


def _write_tfds(data: Data) -> None:
    from scripts.extract import extract

    extract(data.name, to=data.folder / "extracted", root=data.repository).rename(data.tfds)


def _read(data: Data) -> tuple[Any, list[bytes]]:
    """Return the features and the records of the train split, in order."""
    import tensorflow as tf
    import tensorflow_datasets as tfds

    shards = sorted(map(str, data.tfds.glob("*-train.tfrecord-*")))
    records = [record.numpy() for record in tf.data.TFRecordDataset(shards)]
    return tfds.builder_from_directory(data.tfds).info.features, records


def _encoded(record: bytes) -> dict[str, Any]:
    """Return the values of a record: encoded images, recordings as samples, numbers, and text."""
    import tensorflow as tf

    example: dict[str, Any] = {}
    for name, value in sorted(tf.train.Example.FromString(record).features.feature.items()):
        if value.int64_list.value:
            example[name] = value.int64_list.value[0]
        else:
            example[name] = value.bytes_list.value[0]
            if name == "audio":
                example[name] = np.frombuffer(example[name], np.int16)
            elif name != "image":
                example[name] = example[name].decode()
    return example


def _write_array_record(data: Data, records: list[bytes]) -> None:
    from array_record.python.array_record_module import ArrayRecordWriter

    data.array_record.mkdir()
    for file in data.tfds.glob("*.json"):
        shutil.copy(file, data.array_record)
    for file in data.tfds.glob("*.txt"):
        shutil.copy(file, data.array_record)
    info = json.loads((data.tfds / "dataset_info.json").read_text())
    info["fileFormat"] = "array_record"
    info["splits"] = [split | {"shardLengths": [len(records)]} for split in info["splits"] if split["name"] == "train"]
    (data.array_record / "dataset_info.json").write_text(json.dumps(info))
    # one record per group, as TFDS writes it: the best for random access
    writer = ArrayRecordWriter(
        str(data.array_record / f"{data.name}-train.array_record-00000-of-00001"), "group_size:1"
    )
    for record in records:
        writer.write(record)
    writer.close()


def _write_arrow(data: Data, features: Any, examples: list[dict[str, Any]]) -> None:
    import datasets

    kinds = {
        "image": datasets.Image(),
        "audio": datasets.List(datasets.Value("int16")),
        "label": datasets.Value("int64"),
    }
    columns = {name: [example[name] for example in examples] for name in features}
    if "image" in columns:
        columns["image"] = [{"bytes": image, "path": None} for image in columns["image"]]
    types = datasets.Features({name: kinds.get(name, datasets.Value("string")) for name in features})
    datasets.Dataset.from_dict(columns, features=types).save_to_disk(data.arrow)


def _write_shards(data: Data, features: Any, examples: list[dict[str, Any]]) -> None:
    import webdataset

    endings = {"image": f"image.{image_format(data)}", "audio": "audio.npy", "label": "label.cls"}
    data.shards.mkdir()
    count = -(-len(examples) // SHARDS)
    with webdataset.ShardWriter(str(data.shards / "train-%05d.tar"), maxcount=count, verbose=0) as writer:
        for number, example in enumerate(examples):
            sample = {endings.get(name, f"{name}.txt"): example[name] for name in features}
            writer.write({"__key__": f"{number:08d}", **sample})


def _write_files(data: Data, examples: list[dict[str, Any]]) -> None:
    for number, example in enumerate(examples):
        folder = data.files / str(example["label"])
        folder.mkdir(parents=True, exist_ok=True)
        if "image" in example:
            (folder / f"{number:08d}.{image_format(data)}").write_bytes(example["image"])
        else:
            (folder / f"{number:08d}_{example['filename']}").write_bytes(_wav(example["audio"]))


def _write_litdata(data: Data, examples: list[dict[str, Any]]) -> None:
    import litdata

    # one worker keeps the order; the size of a chunk is the one that litdata's guide shows
    litdata.optimize(dict, examples, str(data.litdata), chunk_bytes="64MB", num_workers=1, verbose=False)


def _write_lance(data: Data, examples: list[dict[str, Any]]) -> None:
    import lance
    import pyarrow as pa

    kinds = {"image": pa.binary(), "label": pa.int64()}
    columns = {name: pa.array([example[name] for example in examples], kind) for name, kind in kinds.items()}
    lance.write_dataset(pa.table(columns), data.lance)


def _write_mds(data: Data, examples: list[dict[str, Any]]) -> None:
    with import_mds().MDSWriter(out=str(data.mds), columns={"image": "bytes", "label": "int"}) as writer:
        for example in examples:
            writer.write(example)


def _wav(samples: np.ndarray[Any, np.dtype[np.int16]]) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(samples.tobytes())
    return buffer.getvalue()
