"""Someone's plain TFDS definition moves in: two configs, a helper module, a package, an archive downloaded by hand.

It is built and pushed here, pulled, read and rebuilt in another clone, and removed there.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from scripts._process.s3_server import S3_PROFILE
from tests.catalogue.sources import make_scans, make_sources
from tests.conftest import BIN, Clone

DEFINITION = Path(__file__).parent / "definitions/standard/herbarium"


def make(clone, *arguments, check=True):
    done = clone.run("make", "--silent", *arguments, check=check)
    return done.stdout + done.stderr


@pytest.mark.slow
def test_add_lock_register_build_push_pull_load_verify_and_remove_without_a_changed_line(
    clone, remote, tmp_path, monkeypatch
):
    remote.point(clone.root)
    make_sources(tmp_path / "mirror", only=("herbarium",))
    monkeypatch.setenv("DATASETS_MIRROR", str(tmp_path / "mirror"))
    folder = clone.root / "datasets/standard/herbarium"
    shutil.copytree(DEFINITION, folder)

    added = make(clone, "add", "DATASET=herbarium", "CONFIG=genus,family")
    assert "1. fill in license in params.yaml" in added
    assert "2. make lock DATASET=herbarium" in added
    make(clone, "lock", "DATASET=herbarium")
    missing = make(clone, "build", "DATASET=herbarium", "REGISTER=1", check=False)
    assert "Ask the herbarium for scans.tar and put it into the folder." in missing
    assert "sources/herbarium/manual/" in missing

    (clone.root / "sources/herbarium/manual").mkdir(parents=True)
    make_scans(clone.root / "sources/herbarium/manual/scans.tar")
    built = make(clone, "build", "DATASET=herbarium", "REGISTER=1")
    assert "registered manual:scans.tar" in built
    assert "registered https://herbarium.invalid/table.csv" in built
    assert make(clone, "push", "DATASET=herbarium").count("s3://private/") == 2
    make(clone, "mirror", "DATASET=herbarium")
    assert remote.keys("public") == []
    clone.run("git", "add", "--all", "datasets", "artifacts", "sources", "params.yaml", "dvc.yaml", "dvc.lock")
    clone.run("git", "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "--quiet", "-m", "herbarium")
    for file in DEFINITION.iterdir():
        if file.is_file():
            assert (folder / file.name).read_bytes() == file.read_bytes()

    # a colleague, for whom only the remote has the data and the source files
    monkeypatch.delenv("DATASETS_MIRROR")
    other = Clone(tmp_path / "other")
    subprocess.run(["git", "clone", "--quiet", clone.root, other.root], check=True)
    (other.root / ".venv").symlink_to(BIN.parent)
    for lock in other.root.glob("requirements*.lock"):
        os.utime(lock, (0, 0))  # so that make does not set up the environment
    remote.point(other.root)
    make(other, "pull", "DATASET=herbarium")
    load = "import loader; info, ds = loader.load('herbarium/family'); print(info.full_name, len(ds['train']))"
    assert other.python(load).split() == ["herbarium/family/2.1.0", "6"]
    assert other.run("dvc", "status", "herbarium").stdout.strip() == "Data and pipelines are up to date."
    assert "a build from its sources gives the same bytes" in make(other, "verify", "DATASET=herbarium", "REBUILD=1")

    # it is removed
    assert "removed herbarium from" in make(other, "remove", "DATASET=herbarium")
    changed = other.run("git", "status", "--porcelain").stdout
    assert "herbarium" in changed
    assert "mnist" not in changed
    assert S3_PROFILE not in changed
