"""Mirroring source files: storing them on the right remote, recording them, and fetching them from there."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys

import pytest

from loader._errors import FetchError
from loader._format.names import object_path
from scripts._process.errors import ScriptError
from scripts._tfds.fetch import fetch_sources
from scripts.mirror import mirror
from tests.conftest import ROOT
from tests.helpers.source_files_dataset import make_source_files_dataset, tsv_line, tsv_path
from tests.helpers.web_server import WebFile

FILES = {"a.bin": b"a" * 100_000, "b.bin": b"b" * 70_000}
BOTH = 'return {"train": self._generate_examples(dl_manager.download([f"{BASE}/a.bin", f"{BASE}/b.bin"]))}'

pytestmark = [
    pytest.mark.usefixtures("upstream_only"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning"),
]


@pytest.fixture
def make(tmp_path, server, remote):
    """A function that creates a git and DVC repository with remotes on a real S3 server."""

    def make(visibility="public", folder="repository"):
        root = make_source_files_dataset(tmp_path / folder, server.url, BOTH, visibility=visibility)
        tsv_path(root).write_text(
            "".join(tsv_line(server.serve(f"/{name}", WebFile(data)), data) for name, data in FILES.items())
        )
        for name in (".gitignore", ".dvcignore", ".dvc/config", ".dvc/.gitignore"):
            (root / name).parent.mkdir(exist_ok=True)
            shutil.copy(ROOT / name, root / name)
        git(root, "init")
        remote.point(root)
        return root

    return make


def git(root, *command):
    return subprocess.run(["git", *command], cwd=root, check=True, capture_output=True, text=True).stdout


def dvc(root, *command):
    return subprocess.run([sys.executable, "-m", "dvc", *command], cwd=root, capture_output=True, text=True)


def clear(root):
    """Remove the source files and DVC's cache."""
    for folder in ("sources/downloader", ".dvc/cache"):
        shutil.rmtree(root / folder, ignore_errors=True)


def remove_upstream(server):
    server.files.clear()


def keys(remote, bucket):
    return sorted(key.partition("files/md5/")[2].replace("/", "") for key in remote.keys(bucket))


def md5(data):
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


MD5S = sorted(md5(data) for data in FILES.values())


def test_the_files_are_on_the_remote_and_only_their_record_is_in_git(make, remote):
    root = make()
    stored = mirror("downloader", public=True, root=root)
    assert keys(remote, "public") == MD5S
    assert [(each.url.startswith("s3://public/"), each.proof) for each in stored] == [(True, "its SHA-256")] * 2
    assert remote.keys("private") == []
    text = (root / "sources/downloader.dvc").read_text()
    assert text.count("remote: public") == 2
    git(root, "add", "--all")
    assert [path for path in git(root, "ls-files").splitlines() if path.startswith("sources")] == [
        "sources/downloader.dvc"
    ]
    assert dvc(root, "status", "sources/downloader.dvc").stdout.strip() == "Data and pipelines are up to date."
    before = text
    mirror("downloader", public=True, root=root)
    assert (root / "sources/downloader.dvc").read_text() == before


def test_private_files_go_to_the_private_remote_only(make, remote):
    root = make("private")
    mirror("downloader", public=False, root=root)
    assert keys(remote, "private") == MD5S
    assert (root / "sources/downloader.dvc").read_text().count("remote: private") == 2
    assert remote.keys("public") == []
    dvc(root, "push")
    dvc(root, "push", "-r", "public")
    assert remote.keys("public") == []


@pytest.mark.parametrize(
    ("visibility", "public", "message"),
    [
        (
            "public",
            False,
            r"the license \(CC BY 4\.0\) allows it, and consent with: make mirror DATASET=downloader PUBLIC=1",
        ),
        ("private", True, r"downloader is private and is never pushed to the public remote, nor are its source files"),
    ],
)
def test_consent_is_checked_before_anything_is_fetched(make, remote, server, visibility, public, message):
    root = make(visibility)
    with pytest.raises(ScriptError, match=message):
        mirror("downloader", public=public, root=root)
    assert server.request_headers == []
    assert remote.keys("public") == remote.keys("private") == []


def test_files_with_an_unknown_license_are_not_published(make, remote, server):
    root = make()
    params = root / "params.yaml"
    params.write_text(params.read_text().replace("CC BY 4.0", "unknown, see its homepage"))
    with pytest.raises(ScriptError, match=r"set the license in params\.yaml under which its source files may be"):
        mirror("downloader", public=True, root=root)
    assert server.request_headers == []
    assert remote.keys("public") == []


def test_without_upstream_a_file_comes_from_dvc(make, server, tmp_path):
    root = make()
    mirror("downloader", public=True, root=root)
    clear(root)
    remove_upstream(server)
    server.request_headers.clear()
    found = fetch_sources("downloader", root=root)
    assert [path.read_bytes() for _, path, _ in found] == list(FILES.values())
    assert {location for _, _, location in found} == {"DVC (sources/downloader.dvc)"}
    assert server.request_headers == []
    assert sorted(path.name for path in (root / "sources/downloader").iterdir()) == ["a.bin", "b.bin"]


def test_a_file_in_dvcs_cache_is_not_fetched_from_the_remote(make, server, remote):
    root = make()
    mirror("downloader", public=True, root=root)
    shutil.rmtree(root / "sources/downloader")
    for key in remote.keys("public"):
        remote.remove(key)
    remove_upstream(server)
    assert {location for _, _, location in fetch_sources("downloader", root=root)} == {"DVC (sources/downloader.dvc)"}


def test_with_a_damaged_cache_the_file_comes_from_the_remote(make, server):
    root = make()
    mirror("downloader", public=True, root=root)
    shutil.rmtree(root / "sources/downloader")
    cached = root / ".dvc/cache" / object_path(md5(FILES["a.bin"]))
    cached.chmod(0o644)
    cached.write_bytes(b"x" * len(FILES["a.bin"]))
    remove_upstream(server)
    assert [path.read_bytes() for _, path, _ in fetch_sources("downloader", root=root)] == list(FILES.values())


def test_dvc_can_pull_a_single_file(make):
    root = make()
    mirror("downloader", public=True, root=root)
    clear(root)
    done = dvc(root, "pull", "sources/downloader/a.bin")
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (root / "sources/downloader").iterdir()] == ["a.bin"]


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["missing", "other bytes", "shorter"])
def test_a_damaged_object_is_not_used_and_a_new_mirror_replaces_it(make, server, remote, damage, capsys):
    root = make()
    mirror("downloader", public=True, root=root)
    clear(root)
    (key,) = (key for key in remote.keys("public") if key.replace("/", "").endswith(md5(FILES["a.bin"])))
    if damage == "missing":
        remote.remove(key)
    else:
        remote.write(key, b"x" * (len(FILES["a.bin"]) - (damage == "shorter")))
    found = fetch_sources("downloader", root=root)  # from upstream
    assert [path.read_bytes() for _, path, _ in found] == list(FILES.values())
    printed = [text for text in capsys.readouterr().err.splitlines() if "DVC (sources/downloader.dvc): " in text]
    assert len(printed) == 1
    clear(root)
    remove_upstream(server)
    with pytest.raises(ScriptError, match=r"source file not found: a\.bin") as raised:
        fetch_sources("downloader", root=root)
    assert sum("  DVC (sources/downloader.dvc): " in text for text in str(raised.value).splitlines()) == 1
    server.serve("/a.bin", WebFile(FILES["a.bin"]))
    mirror("downloader", public=True, root=root)
    assert remote.read(key) == FILES["a.bin"]


def test_a_record_of_another_version_of_the_file_is_not_used(make, server):
    root = make()
    mirror("downloader", public=True, root=root)
    clear(root)
    new = b"new" * 1000
    tsv_path(root).write_text(
        tsv_line(server.serve("/a.bin", WebFile(new)), new) + tsv_line(f"{server.url}/b.bin", FILES["b.bin"])
    )
    a, b = fetch_sources("downloader", root=root)
    assert a.path.read_bytes() == new
    assert a.location.startswith("upstream")
    assert b.location.startswith("DVC")


def test_a_record_with_the_public_remote_for_private_files_is_refused(make):
    root = make()
    mirror("downloader", public=True, root=root)
    (root / "dvc.yaml").write_text((root / "dvc.yaml").read_text().replace("public", "private"))
    with pytest.raises(
        ScriptError,
        match=r"downloader\.dvc names remote 'public' for a\.bin, but in dvc\.yaml downloader is private",
    ):
        mirror("downloader", public=False, root=root)


@pytest.mark.parametrize("content", ["", "outs:", "outs:\n- md5: x", "outs: [", "[]"])
def test_a_record_truncated_by_a_kill_is_replaced(make, content, server):
    root = make()
    (root / "sources").mkdir()
    (root / "sources/downloader.dvc").write_text(content)
    assert fetch_sources("downloader", root=root)
    mirror("downloader", public=True, root=root)
    clear(root)
    remove_upstream(server)
    assert fetch_sources("downloader", root=root)


@pytest.mark.slow
def test_without_a_reachable_remote_no_record_is_written(make, remote):
    root = make()
    config = root / ".dvc/config.local"
    config.write_text(config.read_text().replace(remote.server.endpoint, "http://127.0.0.1:9"))
    with pytest.raises(FetchError, match=r"remote 'public' at http://127\.0\.0\.1:9 cannot be reached"):
        mirror("downloader", public=True, root=root)
    assert not (root / "sources/downloader.dvc").exists()


def test_one_bucket_for_both_remotes_is_refused(make, server):
    root = make()
    config = root / ".dvc/config.local"
    config.write_text(config.read_text().replace("s3://private", "s3://public"))
    with pytest.raises(ScriptError, match="are in one bucket"):
        mirror("downloader", public=True, root=root)
    assert server.request_headers == []


def test_files_of_a_mirror_folder_are_copied(make, tmp_path, monkeypatch, server):
    root = make()
    folder = tmp_path / "mirror/downloader"
    folder.mkdir(parents=True)
    for name, data in FILES.items():
        (folder / name).write_bytes(data)
    monkeypatch.setenv("DATASETS_MIRROR", os.fspath(tmp_path / "mirror"))
    remove_upstream(server)
    mirror("downloader", public=True, root=root)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == FILES
    assert {path.name: path.read_bytes() for path in (root / "sources/downloader").iterdir()} == FILES


def test_a_dataset_without_source_files_has_nothing_to_mirror(make):
    root = make()
    builder = root / "datasets/standard/downloader/downloader.py"
    builder.write_text(builder.read_text().replace(BOTH, 'return {"train": iter(())}'))
    with pytest.raises(ScriptError, match="there is nothing to mirror"):
        mirror("downloader", public=True, root=root)


KILL = """
import os, pathlib, signal
from unittest import mock
import scripts._dvc.track, scripts.mirror
from scripts._dvc.remote_object import RemoteObject

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

with mock.patch.object({where}, {what!r}, die):
    scripts.mirror.mirror("downloader", public=True, root=pathlib.Path({root!r}))
"""
POINTS = (
    ("scripts.mirror", "replacing"),  # copying
    ("RemoteObject", "put"),  # storing
    ("scripts._dvc.track", "dvc_track"),  # recording
    ("__import__('dvc.stage').stage.Stage", "dump"),  # writing
)


@pytest.mark.slow
def test_a_killed_mirror_is_completed_by_running_it_again(make, remote, server, tmp_path, monkeypatch):
    root = make()
    (tmp_path / "mirror/downloader").mkdir(parents=True)
    (tmp_path / "mirror/downloader/a.bin").write_bytes(FILES["a.bin"])
    monkeypatch.setenv("DATASETS_MIRROR", os.fspath(tmp_path / "mirror"))
    for where, what in POINTS:  # each kill happens on the files that the one before left
        code = KILL.format(where=where, what=what, root=os.fspath(root))
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert not (root / "sources/downloader.dvc").exists()
    mirror("downloader", public=True, root=root)
    assert keys(remote, "public") == MD5S
    assert dvc(root, "status", "sources/downloader.dvc").stdout.strip() == "Data and pipelines are up to date."
    clear(root)
    remove_upstream(server)
    monkeypatch.delenv("DATASETS_MIRROR")
    assert fetch_sources("downloader", root=root)
