"""Repositories whose manifests are written by hand, and the catalogs of them."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.helpers.recorded_dataset import make_git, make_recorded

ROOT = Path(__file__).resolve().parents[2]
HOSTILE = "</script><script>alert(1)</script><img src=https://x.example onerror=alert(1)>{{ 7 * 7 }}\"'\x00\u202e"
SECRET = "classified_xylophone"
SECRET_TEXT = "Recorded behind closed doors."
FEATURES = {
    "pythonClassName": "tensorflow_datasets.core.features.features_dict.FeaturesDict",
    "featuresDict": {
        "features": {
            "label": {
                "pythonClassName": "tensorflow_datasets.core.features.class_label_feature.ClassLabel",
                "classLabel": {"numClasses": "2"},
            }
        }
    },
}


def sha256(text: str) -> str:
    """The SHA-256 of a text, which stands for that of an artifact."""
    return hashlib.sha256(text.encode()).hexdigest()


def manifest(name: str, *, parents: Sequence[str] = (), version: str = "1.0.0", **values: Any) -> dict[str, Any]:
    """The manifest of a dataset that nobody can build: its hashes are made up."""
    entry = {
        "config": None,
        "size": 10240,
        "sha256": sha256(f"{name} {version}"),
        "index": {"offset": 512, "size": 9, "sha256": sha256("index")},
        "splits": {"train": {"examples": 1234, "bytes": 9000, "shards": 1}},
        "features": FEATURES,
        "metadata": None,
    }
    return {
        "format": 1,
        "name": name,
        "version": version,
        "license": "CC BY 4.0",
        "description": f"All about {name}.",
        "citation": f"@misc{{{name}}}",
        "homepage": "https://example.org/",
        "arguments": {},
        "default_config": None,
        "sources": [{"url": "https://example.org/a.zip", "filename": "a.zip", "size": 1, "sha256": sha256("a.zip")}],
        "parents": {
            each: {"version": "1.0.0", "artifacts": {f"{each}.tar": sha256(f"{each} 1.0.0")}} for each in parents
        },
        "toolchain": {"numpy": "2.4.6"},
        "artifacts": {f"{name}.tar": entry},
        **values,
    }


def write_records(root: Path, manifests: Mapping[str, dict[str, Any]], *, private: Sequence[str] = ()) -> None:
    """Write the records of datasets; `params.yaml` and `dvc.yaml` as well as their manifests."""
    (root / "artifacts").mkdir(parents=True, exist_ok=True)
    params: dict[str, Any] = {"toolchain": {"numpy": "2.4.6"}}
    stages, lock = {}, {}
    for name, document in manifests.items():
        folder = f"datasets/standard/{name}"
        params[name] = {"builder": folder, "version": document["version"]}
        remote = "private" if name in private else "public"
        deps = [folder, *(f"artifacts/{parent}.tar" for parent in document["parents"])]
        tar = f"artifacts/{name}.tar"
        stages[name] = {"cmd": f"build {name}", "deps": deps, "outs": [{tar: {"remote": remote}}]}
        md5 = hashlib.md5(f"{name} {document['version']}".encode()).hexdigest()
        lock[name] = {"cmd": f"build {name}", "outs": [{"path": tar, "hash": "md5", "md5": md5, "size": 10240}]}
        (root / f"artifacts/{name}.json").write_text(json.dumps(document))
    (root / "params.yaml").write_text(yaml.safe_dump(params))
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    (root / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": lock}))


def git(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run git, which may fail."""
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    return subprocess.run(["git", *identity, *arguments], cwd=root, capture_output=True, text=True)


def commit(root: Path, *tags: str) -> None:
    """Commit everything, and tag the commit."""
    for arguments in (["add", "--all"], ["commit", "--quiet", "-m", "change"], *(["tag", tag] for tag in tags)):
        done = git(root, *arguments)
        assert done.returncode == 0, done.stderr


def family() -> dict[str, dict[str, Any]]:
    """A public dataset, a private one derived from it, and public ones derived from both."""
    return {
        "photos": manifest("photos"),
        SECRET: manifest(
            SECRET, parents=["photos"], description=SECRET_TEXT, sources=[{"url": f"https://example.org/{SECRET}.zip"}]
        ),
        "faces": manifest("faces", parents=[SECRET, "photos"]),
        "Photos": manifest("Photos", parents=["faces"]),
        "Straße": manifest(
            "Straße",
            license=HOSTILE,
            description=HOSTILE,
            citation=HOSTILE,
            homepage="javascript:alert(1)",
            sources=[{"url": "javascript:alert(2)", "filename": HOSTILE, "size": -1, "sha256": HOSTILE}],
            toolchain={HOSTILE: HOSTILE},
        ),
    }


def make_family(root: Path) -> Path:
    """Create a repository with made-up datasets, and a real one with examples; the tags name the private one too."""
    make_recorded(root)
    real = {file: (root / file).read_text() for file in ("params.yaml", "dvc.yaml", "dvc.lock")}
    write_records(root, family(), private=[SECRET])
    for file, text in real.items():
        ours, real_ones = yaml.safe_load((root / file).read_text()), yaml.safe_load(text)
        merged = {**real_ones, **ours}
        if "stages" in ours:
            merged["stages"] = real_ones["stages"] | ours["stages"]
        (root / file).write_text(yaml.safe_dump(merged))
    (root / ".gitignore").write_text("*.tar\n")
    make_git(root)
    commit(root, "photos@v1.0.0", f"for_{SECRET}", f"for-{SECRET}", f"{SECRET}@v1.0.0")
    return root


def secrets(root: Path) -> list[str]:
    """The texts that tell of the private dataset."""
    entry = json.loads((root / f"artifacts/{SECRET}.json").read_text())
    [artifact] = entry["artifacts"].values()
    lock = yaml.safe_load((root / "dvc.lock").read_text())["stages"][SECRET]["outs"][0]["md5"]
    return [SECRET, SECRET_TEXT, artifact["sha256"], artifact["sha256"][:12], lock]


def pages(site: Path) -> list[Path]:
    """The pages of a site, the index first."""
    return [site / "index.html", *sorted((site / "datasets").iterdir())]


def contents(site: Path) -> dict[str, bytes]:
    """The bytes of all files of a site, by name."""
    return {path.relative_to(site).as_posix(): path.read_bytes() for path in sorted(site.rglob("*")) if path.is_file()}


def run_catalog(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    command = [sys.executable, "-m", "loader", "catalog", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
