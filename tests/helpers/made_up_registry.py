"""A made-up registry: many datasets with all their records but without data, one of them with many versions in git."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

TOOLCHAIN = {"numpy": "2.4.6", "protobuf": "7.36.2", "tensorflow": "2.21.0", "tensorflow-datasets": "4.9.10"}
LICENSES = ("CC BY 4.0", "CC BY-SA 4.0", "MIT")
CLASSES = ("zero", "one", "two", "three")
CONFIG = Path(__file__).resolve().parents[2] / ".dvc/config"


def dataset_name(number: int) -> str:
    """Return the name of a dataset; every fifth is adversarial."""
    return f"{'attack' if number % 5 == 4 else 'dataset'}_{number:03}"


def make_registry(root: Path, *, datasets: int, versions: int) -> Path:
    """Create a git repository with this many datasets, the first of which has this many versions, each with a tag."""
    root.mkdir()
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main"], cwd=root, check=True)
    # the last version is that of the other records
    older = [_commit(_manifest_file(version), version) for version in range(versions - 1)]
    stream = [*older, _commit(_files(datasets, f"1.0.{versions - 1}"), versions - 1)]
    subprocess.run(["git", "fast-import", "--quiet"], cwd=root, check=True, input=b"".join(stream))
    subprocess.run(["git", "checkout", "--quiet", "--force", "main"], cwd=root, check=True)
    return root


def _files(datasets: int, version: str) -> dict[str, bytes]:
    """Return all files; `version` is that of the first dataset."""
    params: dict[str, Any] = {"toolchain": TOOLCHAIN}
    stages, lock, files = {}, {}, {".dvc/config": CONFIG.read_bytes(), ".dvcignore": b"__pycache__\n*.pyc\n"}
    for number in range(datasets):
        name, folder = dataset_name(number), _folder(number)
        number_version = "1.0.0" if number else version
        params[name] = {"builder": folder, "version": number_version, "license": LICENSES[number % 3]}
        files |= (code := _code(folder))
        manifest = _manifest(number, number_version)
        files[f"artifacts/{name}.json"] = manifest
        files[f"artifacts/{name}.stats.json"] = _statistics()
        tar = {f"artifacts/{name}.tar": {"remote": "public" if number % 2 else "private"}}
        stages[name] = {
            "cmd": f"python -m scripts build {name}",
            "deps": [folder],
            "params": [name, "toolchain"],
            "outs": [tar, {f"artifacts/{name}.json": {"cache": False, "persist": True}}],
        }
        lock[name] = {
            "cmd": f"python -m scripts build {name}",
            "deps": [{"path": folder, "hash": "md5", "md5": _folder_md5(folder, code), "size": 60, "nfiles": 3}],
            "params": {"params.yaml": {name: params[name], "toolchain": TOOLCHAIN}},
            "outs": [
                {"path": f"artifacts/{name}.json", "hash": "md5", "md5": _md5(manifest), "size": len(manifest)},
                {"path": f"artifacts/{name}.tar", "hash": "md5", "md5": _md5(name.encode()), "size": 10240},
            ],
        }
    files |= {"params.yaml": _yaml(params), "dvc.yaml": _yaml({"stages": stages})}
    return files | {"dvc.lock": _yaml({"schema": "2.0", "stages": lock})}


def _folder(number: int) -> str:
    return f"datasets/{'adversarial' if number % 5 == 4 else 'standard'}/{dataset_name(number)}"


def _code(folder: str) -> dict[str, bytes]:
    return {f"{folder}/{file}": f"{folder} {file}\n".encode() for file in ("README.md", "builder.py", "checksums.tsv")}


def _manifest(number: int, version: str) -> bytes:
    name = dataset_name(number)
    sha256 = hashlib.sha256(f"{name} {version}".encode()).hexdigest()
    features = {
        "pythonClassName": "tensorflow_datasets.core.features.features_dict.FeaturesDict",
        "featuresDict": {
            "features": {
                "image": {
                    "pythonClassName": "tensorflow_datasets.core.features.image_feature.Image",
                    "image": {"dtype": "uint8", "encodingFormat": "png", "shape": {"dimensions": ["28", "28", "1"]}},
                },
                "label": {
                    "pythonClassName": "tensorflow_datasets.core.features.class_label_feature.ClassLabel",
                    "classLabel": {"numClasses": "4"},
                },
            }
        },
    }
    splits = {"train": {"examples": 1000, "bytes": 8000, "shards": 1}, "test": {"examples": 100, "bytes": 800}}
    entry = {
        "config": None,
        "size": 10240,
        "sha256": sha256,
        "index": {"offset": 512, "size": 954, "sha256": sha256},
        "splits": splits,
        "features": features,
        "metadata": None,
    }
    manifest = {
        "format": 1,
        "name": name,
        "version": version,
        "license": LICENSES[number % 3],
        "description": f"Made-up images, number {number}.",
        "citation": "",
        "homepage": "https://example.org",
        "arguments": {},
        "default_config": None,
        "sources": [{"url": "https://example.org/a.zip", "filename": "a.zip", "size": 1, "sha256": sha256}],
        "parents": {},
        "toolchain": TOOLCHAIN,
        "artifacts": {f"{name}.tar": entry},
    }
    return json.dumps(manifest, indent=2).encode() + b"\n"


def _statistics() -> bytes:
    rows = [["config", "split", "examples", "bytes", "duplicates"], [None, "train", 1000, 8000, 0]]
    counts = [
        {"config": None, "split": "train", "feature": "label", "class": each, "examples": 250} for each in CLASSES
    ]
    values = (
        "config split feature type dtype examples count missing empty nan infinite min max mean shape length characters"
    )
    image = [None, "train", "image", "Image", "uint8", 1000, 784000, 0, 0, 0, 0, 0, 255, 33.5, [[28, 28]] * 2, None]
    return json.dumps(
        {
            "version": "1.0.0",
            "examples": 1000,
            "bytes": 8000,
            "features": 2,
            "classes": 4,
            "missing": 0,
            "empty": 0,
            "duplicates": 0,
            "leaked": 0,
            "splits": rows,
            "values": [values.split(), [*image, None]],
            "class_counts": counts,
            "duplicates_found": [["config", "by", "splits", "examples", "sample"]],
        }
    ).encode()


def _manifest_file(version: int) -> dict[str, bytes]:
    return {f"artifacts/{dataset_name(0)}.json": _manifest(0, f"1.0.{version}")}


def _commit(files: dict[str, bytes], number: int) -> bytes:
    """Return the commands of `git fast-import` that make a commit with changed files, and its release tag."""
    lines = [f"commit refs/heads/main\ncommitter test <test@example.org> {1_700_000_000 + 3600 * number} +0000\n"]
    lines.append(f"data 1\n{number % 10}\n")
    data = "".join(lines).encode()
    for path, content in files.items():
        data += f"M 100644 inline {path}\ndata {len(content)}\n".encode() + content + b"\n"
    return data + f"reset refs/tags/{dataset_name(0)}@v1.0.{number}\nfrom refs/heads/main\n\n".encode()


def _folder_md5(folder: str, files: dict[str, bytes]) -> str:
    listing = [{"md5": _md5(data), "relpath": path.removeprefix(f"{folder}/")} for path, data in sorted(files.items())]
    return f"{_md5(json.dumps(listing).encode())}.dir"


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _yaml(value: Any) -> bytes:
    """Return a value as DVC writes it."""
    yaml, text = YAML(), io.StringIO()
    yaml.default_flow_style = False
    yaml.representer.ignore_aliases = lambda *_: True
    yaml.dump(value, text)
    return text.getvalue().encode()
