"""Source files in DVC: on the right remote, recorded when they are there, and found there when upstream is gone."""

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
from tests.helpers.source_files_dataset import checksums, line, make_asking
from tests.helpers.web_server import WebFile

FILES = {"a.bin": b"a" * 100_000, "b.bin": b"b" * 70_000}
BOTH = 'return {"train": self._generate_examples(dl_manager.download([f"{BASE}/a.bin", f"{BASE}/b.bin"]))}'

pytestmark = [
    pytest.mark.usefixtures("upstream_only"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning"),
]


@pytest.fixture
def make(tmp_path, server, remote):
    """Return a function that makes a repository of git and DVC, with the remotes of a real S3 server."""

    def make(visibility="public", folder="repository"):
        root = make_asking(tmp_path / folder, server.url, BOTH, visibility=visibility)
        checksums(root).write_text(
            "".join(line(server.serve(f"/{name}", WebFile(data)), data) for name, data in FILES.items())
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
    """Leave nothing of the source files on this machine."""
    for folder in ("sources/asker", ".dvc/cache"):
        shutil.rmtree(root / folder, ignore_errors=True)


def go_away(server):
    server.files.clear()


def keys(remote, bucket):
    return sorted(key.partition("files/md5/")[2].replace("/", "") for key in remote.keys(bucket))


def md5(data):
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


MD5S = sorted(md5(data) for data in FILES.values())


def test_the_files_are_on_the_remote_and_recorded_and_only_the_record_is_for_git(make, remote):
    root = make()
    urls = mirror("asker", public=True, root=root)
    assert keys(remote, "public") == MD5S
    assert [url.startswith("s3://public/") for url in urls] == [True, True]
    assert remote.keys("private") == []
    text = (root / "sources/asker.dvc").read_text()
    assert text.count("remote: public") == 2
    git(root, "add", "--all")
    assert [path for path in git(root, "ls-files").splitlines() if path.startswith("sources")] == ["sources/asker.dvc"]
    assert dvc(root, "status", "sources/asker.dvc").stdout.strip() == "Data and pipelines are up to date."
    before = text
    mirror("asker", public=True, root=root)
    assert (root / "sources/asker.dvc").read_text() == before


def test_private_files_go_to_the_private_remote_only(make, remote):
    root = make("private")
    mirror("asker", public=False, root=root)
    assert keys(remote, "private") == MD5S
    assert (root / "sources/asker.dvc").read_text().count("remote: private") == 2
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
            r"the license \(CC BY 4\.0\) allows it, and say so with: make mirror DATASET=asker PUBLIC=1",
        ),
        ("private", True, r"asker is private and is never pushed to the public remote, nor are its source files"),
    ],
)
def test_consent_is_asked_for_before_anything_is_fetched(make, remote, server, visibility, public, message):
    root = make(visibility)
    with pytest.raises(ScriptError, match=message):
        mirror("asker", public=public, root=root)
    assert server.asked == []
    assert remote.keys("public") == remote.keys("private") == []


def test_files_whose_license_nobody_has_looked_up_are_not_published(make, remote, server):
    root = make()
    params = root / "params.yaml"
    params.write_text(params.read_text().replace("CC BY 4.0", "unknown, see its homepage"))
    with pytest.raises(ScriptError, match=r"write in params\.yaml under which its source files may be published"):
        mirror("asker", public=True, root=root)
    assert server.asked == []
    assert remote.keys("public") == []


def test_where_upstream_is_gone_a_file_comes_from_dvc(make, server, tmp_path):
    root = make()
    mirror("asker", public=True, root=root)
    clear(root)
    go_away(server)
    server.asked.clear()
    found = fetch_sources("asker", root=root)
    assert [path.read_bytes() for _, path, _ in found] == list(FILES.values())
    assert {location for _, _, location in found} == {"DVC (sources/asker.dvc)"}
    assert server.asked == []
    assert sorted(path.name for path in (root / "sources/asker").iterdir()) == ["a.bin", "b.bin"]


def test_what_dvcs_cache_has_is_not_transferred(make, server, remote):
    root = make()
    mirror("asker", public=True, root=root)
    shutil.rmtree(root / "sources/asker")
    for key in remote.keys("public"):
        remote.remove(key)
    go_away(server)
    assert {location for _, _, location in fetch_sources("asker", root=root)} == {"DVC (sources/asker.dvc)"}


def test_a_rotten_cache_is_passed_over_for_the_remote(make, server):
    root = make()
    mirror("asker", public=True, root=root)
    shutil.rmtree(root / "sources/asker")
    cached = root / ".dvc/cache" / object_path(md5(FILES["a.bin"]))
    cached.chmod(0o644)
    cached.write_bytes(b"x" * len(FILES["a.bin"]))
    go_away(server)
    assert [path.read_bytes() for _, path, _ in fetch_sources("asker", root=root)] == list(FILES.values())


def test_dvc_itself_pulls_one_of_the_files(make):
    root = make()
    mirror("asker", public=True, root=root)
    clear(root)
    done = dvc(root, "pull", "sources/asker/a.bin")
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (root / "sources/asker").iterdir()] == ["a.bin"]


@pytest.mark.parametrize("damage", ["missing", "other bytes", "shorter"])
def test_what_the_remote_has_is_believed_by_its_hash_only(make, server, remote, damage, capsys):
    root = make()
    mirror("asker", public=True, root=root)
    clear(root)
    (key,) = (key for key in remote.keys("public") if key.replace("/", "").endswith(md5(FILES["a.bin"])))
    if damage == "missing":
        remote.remove(key)
    else:
        remote.write(key, b"x" * (len(FILES["a.bin"]) - (damage == "shorter")))
    found = fetch_sources("asker", root=root)  # from upstream
    assert [path.read_bytes() for _, path, _ in found] == list(FILES.values())
    told = [text for text in capsys.readouterr().err.splitlines() if "DVC (sources/asker.dvc): " in text]
    assert len(told) == 1
    clear(root)
    go_away(server)
    with pytest.raises(ScriptError, match=r"source file not found: a\.bin") as raised:
        fetch_sources("asker", root=root)
    assert sum("  DVC (sources/asker.dvc): " in text for text in str(raised.value).splitlines()) == 1
    server.serve("/a.bin", WebFile(FILES["a.bin"]))
    mirror("asker", public=True, root=root)  # mends it
    assert remote.read(key) == FILES["a.bin"]


def test_a_record_of_another_version_of_the_file_is_no_location(make, server):
    root = make()
    mirror("asker", public=True, root=root)
    clear(root)
    new = b"new" * 1000
    checksums(root).write_text(
        line(server.serve("/a.bin", WebFile(new)), new) + line(f"{server.url}/b.bin", FILES["b.bin"])
    )
    a, b = fetch_sources("asker", root=root)
    assert a.path.read_bytes() == new
    assert a.location.startswith("upstream")
    assert b.location.startswith("DVC")


def test_a_record_that_sends_private_files_to_the_public_is_refused(make):
    root = make()
    mirror("asker", public=True, root=root)
    for name in ("params.yaml", "dvc.yaml"):
        (root / name).write_text((root / name).read_text().replace("public", "private"))
    with pytest.raises(
        ScriptError, match=r"asker\.dvc sends a\.bin to remote 'public', but params\.yaml calls asker private"
    ):
        mirror("asker", public=False, root=root)


@pytest.mark.parametrize("content", ["", "outs:", "outs:\n- md5: x", "outs: [", "[]"])
def test_a_record_cut_off_by_a_kill_is_written_anew(make, content, server):
    root = make()
    (root / "sources").mkdir()
    (root / "sources/asker.dvc").write_text(content)
    assert fetch_sources("asker", root=root)
    mirror("asker", public=True, root=root)
    clear(root)
    go_away(server)
    assert fetch_sources("asker", root=root)


def test_a_remote_that_does_not_answer_leaves_no_record(make, remote):
    root = make()
    config = root / ".dvc/config.local"
    config.write_text(config.read_text().replace(remote.server.endpoint, "http://127.0.0.1:9"))
    with pytest.raises(FetchError, match=r"remote 'public' at http://127\.0\.0\.1:9 cannot be reached"):
        mirror("asker", public=True, root=root)
    assert not (root / "sources/asker.dvc").exists()


def test_one_bucket_for_both_remotes_is_refused(make, server):
    root = make()
    config = root / ".dvc/config.local"
    config.write_text(config.read_text().replace("s3://private", "s3://public"))
    with pytest.raises(ScriptError, match="are in one bucket"):
        mirror("asker", public=True, root=root)
    assert server.asked == []


def test_files_in_a_mirrors_folder_are_copied_and_stay(make, tmp_path, monkeypatch, server):
    root = make()
    folder = tmp_path / "mirror/asker"
    folder.mkdir(parents=True)
    for name, data in FILES.items():
        (folder / name).write_bytes(data)
    monkeypatch.setenv("DATASETS_MIRROR", os.fspath(tmp_path / "mirror"))
    go_away(server)
    mirror("asker", public=True, root=root)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == FILES
    assert {path.name: path.read_bytes() for path in (root / "sources/asker").iterdir()} == FILES


def test_a_dataset_without_sources_has_nothing_to_mirror(make):
    root = make()
    builder = root / "datasets/standard/asker/asker.py"
    builder.write_text(builder.read_text().replace(BOTH, 'return {"train": iter(())}'))
    with pytest.raises(ScriptError, match="there is nothing to mirror"):
        mirror("asker", public=True, root=root)


KILL = """
import os, pathlib, signal
from unittest import mock
import scripts._dvc.track, scripts.mirror
from scripts._dvc.objects import RemoteObject

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

with mock.patch.object({where}, {what!r}, die):
    scripts.mirror.mirror("asker", public=True, root=pathlib.Path({root!r}))
"""
POINTS = (
    ("scripts.mirror", "replacing"),  # copying
    ("RemoteObject", "put"),  # storing
    ("scripts._dvc.track", "dvc_track"),  # recording
    ("__import__('dvc.stage').stage.Stage", "dump"),  # writing
)


@pytest.mark.slow
def test_a_mirror_that_is_killed_works_when_it_runs_again(make, remote, server, tmp_path, monkeypatch):
    root = make()
    (tmp_path / "mirror/asker").mkdir(parents=True)
    (tmp_path / "mirror/asker/a.bin").write_bytes(FILES["a.bin"])
    monkeypatch.setenv("DATASETS_MIRROR", os.fspath(tmp_path / "mirror"))
    for where, what in POINTS:  # one after the other, each over what the one before it left
        code = KILL.format(where=where, what=what, root=os.fspath(root))
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert not (root / "sources/asker.dvc").exists()
    mirror("asker", public=True, root=root)
    assert keys(remote, "public") == MD5S
    assert dvc(root, "status", "sources/asker.dvc").stdout.strip() == "Data and pipelines are up to date."
    clear(root)
    go_away(server)
    monkeypatch.delenv("DATASETS_MIRROR")
    assert fetch_sources("asker", root=root)
