"""A maintainer's workflow: create a dataset, edit, build and push it, load it in another clone, and remove it."""

import io
import os
import shutil
import subprocess
import zipfile

import pytest

from scripts._process.s3_server import S3_PROFILE
from tests.conftest import BIN, Clone
from tests.helpers.web_server import WebFile, WebServer


@pytest.fixture
def web():
    server = WebServer()
    yield server
    server.close()


def make(clone, *arguments, check=True):
    done = clone.run("make", "--silent", *arguments, check=check)
    return done.stdout + done.stderr


def commit(clone, message):
    clone.run("git", "add", "--all", "artifacts", "datasets", "dvc.yaml", "dvc.lock", "params.yaml", "README.md")
    clone.run("git", "-c", "user.name=test", "-c", "user.email=test@example.org", "commit", "--quiet", "-m", message)


def archive(folder):
    """Return a zip archive of the scaffold's images, to be served as upstream."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as packed:
        for file in sorted(folder.rglob("*.png")):
            packed.write(file, file.relative_to(folder))
    return data.getvalue()


@pytest.mark.slow
def test_new_edit_register_build_verify_push_clone_pull_load_remove(clone, remote, web, tmp_path):
    remote.point(clone.root)

    # a new dataset builds without changes
    assert "next:" in make(clone, "new", "NAME=stripes", "KIND=standard")
    make(clone, "build", "DATASET=stripes")
    assert clone.python("import loader; print(len(loader.load('stripes')[1]['train']))").strip() == "6"

    # its data is moved to upstream
    folder = clone.root / "datasets/standard/stripes"
    url = web.serve("/stripes-1.0.zip", WebFile(archive(folder / "data")))
    shutil.rmtree(folder / "data")
    builder = folder / "stripes.py"
    text = builder.read_text()
    assert text.count('data = Path(__file__).parent / "data"') == 1
    text = text.replace('data = Path(__file__).parent / "data"', f'data = dl_manager.download_and_extract("{url}")')
    builder.write_text(text.replace("from pathlib import Path\n\n", ""))
    refused = make(clone, "build", "DATASET=stripes", check=False)
    assert f"has no line for {url}" in refused
    assert "REGISTER=1" in refused
    registered = make(clone, "build", "DATASET=stripes", "REGISTER=1")
    assert f"registered {url}" in registered
    assert url in (folder / "checksums.tsv").read_text()
    assert "a build from its sources gives the same bytes" in make(clone, "verify", "DATASET=stripes", "REBUILD=1")
    assert "is private and is never pushed" in make(clone, "push", "DATASET=stripes", "PUBLIC=1", check=False)
    assert "s3://private/" in make(clone, "push", "DATASET=stripes")
    make(clone, "mirror", "DATASET=stripes")
    assert remote.keys("public") == []
    clone.run("git", "add", "sources")
    commit(clone, "stripes")

    # another clone, without upstream
    web.close()
    other = Clone(tmp_path / "other")
    subprocess.run(["git", "clone", "--quiet", clone.root, other.root], check=True)
    (other.root / ".venv").symlink_to(BIN.parent)
    os.utime(other.root / "requirements.lock", (0, 0))  # so that make does not set up the environment
    remote.point(other.root)
    make(other, "pull", "DATASET=stripes")
    load = "import loader; info, ds = loader.load('stripes'); print(info.full_name, len(ds['train']))"
    assert other.python(load).split() == ["stripes/1.0.0", "6"]
    assert other.run("dvc", "status", "stripes").stdout.strip() == "Data and pipelines are up to date."
    assert "a build from its sources gives the same bytes" in make(other, "verify", "DATASET=stripes", "REBUILD=1")

    # the dataset is removed
    assert "removed stripes from" in make(other, "remove", "DATASET=stripes")
    assert "there is no dataset 'stripes'" in make(other, "build", "DATASET=stripes", check=False)
    changed = other.run("git", "status", "--porcelain").stdout
    assert "stripes" in changed
    assert "mnist" not in changed
    assert S3_PROFILE not in changed
