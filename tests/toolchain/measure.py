"""Build a dataset with every encoder, and compute a digest of each feature's bytes and values, and of decoded files.

The digests are recorded in `digests.json`. If another version of a package changes one, every dataset with such a
feature will have other bytes, and it is better to know that before building 100 GB again. `python -m tests.toolchain`
builds the dataset and records its digests.
"""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import sys
import zlib
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from scripts._process.files import read_yaml
from tests.conftest import Clone
from tests.helpers.buildable_dataset import PARAMS, STAGE
from tests.toolchain.decoded import DECODERS, measure_decoders

NAME = "canonical"
BUILDER = Path(__file__).with_name("canonical.py")
RECORD = Path(__file__).with_name("digests.json")
# The encoder of a feature, by the beginning of its name.
ENCODERS = {
    "png": "tensorflow's tf.io.encode_png",
    "jpeg": "tensorflow's tf.io.encode_jpeg",
    "video": "tensorflow's tf.io.encode_png, frame by frame",
    "labeled_image": "tensorflow's tf.io.encode_png",
    "audio_wav": "pydub, and tensorflow-datasets",
    "tensor_zlib": "the zlib that Python is linked with",
    "sequence_dict": "tensorflow-datasets, and tensorflow's tf.io.encode_png",
    "numpy_random": "numpy's random numbers, for builders that draw some",
    "python_random": "Python's random numbers, for builders that draw some",
}
DEFAULT_ENCODER = "tensorflow-datasets, through numpy and protobuf"
FILES = {
    "dataset_info.json": "tensorflow-datasets and protobuf's JSON",
    "features.json": "tensorflow-datasets and protobuf's JSON",
    "keys": "tensorflow-datasets' hash of the keys, which orders the records",
    "records": "protobuf's serialization, if no feature is named besides",
    "shards": "tensorflow's TFRecord writer, if no record is named besides",
}


def build(clone: Clone) -> dict[str, Any]:
    """Build the dataset in a clone with the real commands and the installed packages, and return its digests."""
    folder = clone.root / "datasets/standard" / NAME
    folder.mkdir(parents=True)
    shutil.copyfile(BUILDER, folder / f"{NAME}.py")
    (folder / "checksums.tsv").write_text("")
    for file, text in (("params.yaml", PARAMS), ("dvc.yaml", STAGE)):
        with (clone.root / file).open("a") as out:
            out.write(text.replace("VISIBILITY", "public").replace("tiny", NAME))
    params = clone.root / "params.yaml"
    text = params.read_text()
    for package, version in read_yaml(params)["toolchain"].items():  # accept the installed versions
        text = text.replace(f"  {package}: {version}\n", f"  {package}: {metadata.version(package)}\n")
    params.write_text(text)
    clone.scripts("build", NAME)
    return measure(clone.root)


def measure(root: Path) -> dict[str, Any]:
    """Return the digests of the dataset built in a repository; features that only TFDS decodes have no values."""
    from loader._features.connectors import FeaturesDict, TfdsFeature
    from loader._features.decode import make_decoder
    from loader._format.artifact import LocalArtifact
    from loader._format.example import Example
    from loader._format.index import ROW
    from loader._format.manifest import read_manifest
    from loader._info import read_info

    manifest = read_manifest(root / "artifacts" / f"{NAME}.json")
    artifact = LocalArtifact(root / "artifacts" / f"{NAME}.tar", manifest, manifest.artifact())
    info = read_info(artifact.read_file)
    decodable = {name: feature for name, feature in info.features.items() if not isinstance(feature, TfdsFeature)}
    decode, read = make_decoder(FeaturesDict(decodable)), artifact.records().reader()
    records = [read(row) for row in artifact.rows("train")]
    fields = [Example.FromString(record).features.feature for record in records]
    values = [decode(record) for record in records]
    features = {
        name: {
            "bytes": _digest(
                [
                    f"{field} {example[field].SerializeToString(deterministic=True).hex()}"
                    for field in sorted(example)
                    if field == name or field.startswith(f"{name}/")
                ]
                for example in fields
            ),
            "values": _digest(_plain(example[name]) for example in values) if name in decodable else None,
        }
        for name in info.features
    }
    rows = artifact.header.rows
    keys = [row[2].hex() for row in ROW.iter_unpack(artifact.read(rows.offset, rows.size))]
    shards = [member.sha256 for member in artifact.header.members if ".tfrecord" in member.path]
    return {
        "made with": versions(),
        "features": features,
        "files": {
            **{name: _digest([artifact.read_file(name).decode()]) for name in FILES if name.endswith(".json")},
            "keys": _digest(keys),
            "records": _digest(record.hex() for record in records),
            "shards": _digest(shards),
        },
        "decoders": measure_decoders(),
    }


def versions() -> dict[str, str]:
    """Return the versions of Python, zlib and the packages that may affect the bytes."""
    packages = (
        *("etils", "kornia-rs", "numpy", "protobuf", "pydub", "simplejpeg", "tensorflow", "tensorflow-datasets"),
    )
    return {
        "python": platform.python_version(),
        "zlib": zlib.ZLIB_RUNTIME_VERSION,
        **{package: metadata.version(package) for package in packages},
    }


def changes(recorded: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """Return a line for each feature, file and decoded file that changed; an empty list if nothing did."""
    lines = []
    for name in sorted({*recorded["features"], *found["features"]}):
        before, after = recorded["features"].get(name), found["features"].get(name)
        if before != after:
            encoder = next((maker for start, maker in ENCODERS.items() if name.startswith(start)), DEFAULT_ENCODER)
            lines.append(f"feature {name}, encoded by {encoder}: {_how(before, after)}")
    for name, maker in FILES.items():
        if recorded["files"].get(name) != found["files"].get(name):
            lines.append(f"{name}, made by {maker}")
    for name in sorted({*recorded["decoders"], *found["decoders"]}):
        if recorded["decoders"].get(name) != found["decoders"].get(name):
            decoder = DECODERS[Path(name.partition(" ")[0]).suffix]
            lines.append(f"{name}, decoded by {decoder}: other values, which derived datasets read")
    return lines


def explain(recorded: dict[str, Any], found: dict[str, Any]) -> str:
    """Return a message that says what changed, why, and what to do about it."""
    before, after = recorded["made with"], found["made with"]
    versions = [f"{name} {before.get(name)} -> {new}" for name, new in after.items() if before.get(name) != new]
    cause = ", ".join(versions) or "no version changed, so it is this machine or our own code"
    lines = "\n".join(f"  {line}" for line in changes(recorded, found))
    return f"""datasets built in this environment have, or read, other bytes or values than those recorded.
{lines}
since they were recorded: {cause}
to keep the recorded bytes, keep the old versions: set a bound in pyproject.toml, then run: make lock
to accept the new bytes: put the new versions into params.yaml under toolchain, so that DVC builds every dataset again;
give each dataset whose bytes change a new version; and record the new digests with: python -m tests.toolchain"""


def _how(before: dict[str, str | None] | None, after: dict[str, str | None] | None) -> str:
    if before is None or after is None:
        return "only recorded or only found; tests/toolchain/canonical.py was changed"
    if before["bytes"] == after["bytes"]:
        return "the same bytes, which the loader decodes to other values"
    return "the same values in other bytes" if before["values"] == after["values"] else "other values"


def _plain(value: Any) -> Any:
    """Convert a decoded value to JSON, exactly and in the same way on every machine."""
    if isinstance(value, dict):
        return {key: _plain(value[key]) for key in sorted(value)}
    if isinstance(value, np.ndarray) and value.dtype != object:
        return [value.dtype.str, list(value.shape), value.tobytes().hex()]
    if isinstance(value, np.generic):
        return [value.dtype.str, value.tobytes().hex()]
    if isinstance(value, bytes):
        return value.hex()
    if hasattr(value, "__iter__") and not isinstance(value, str):
        return [_plain(each) for each in value]
    return repr(value)


def _digest(parts: Any) -> str:
    return hashlib.sha256(json.dumps(list(parts)).encode()).hexdigest()


def write_record(found: dict[str, Any]) -> None:
    """Record the digests that were found."""
    RECORD.write_text(json.dumps(found, indent=1) + "\n")
    print(f"recorded in {RECORD}", file=sys.stderr)
