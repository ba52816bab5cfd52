"""A tar in the work tree of another version than its manifest, as after `git checkout` without `dvc checkout`."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import loader
from tests.helpers.dataset_history import History, records_of

ROOT = Path(__file__).resolve().parents[2]


def shell(command, root):
    done = subprocess.run(command, cwd=root, shell=True, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def remedy(warnings):
    """The command at the end of the only warning."""
    (warning,) = warnings
    return str(warning.message).rpartition("; make them agree with: ")[2]


def load(history, **options):
    info, train = loader.load("small", split="train", repo=history.root, **options)
    return info.version, len(list(train))


@pytest.fixture
def history(tmp_path, monkeypatch):
    """Two released versions, of which the first is checked out, and the artifact of the second."""
    history = History(tmp_path / "history")
    for number, version in ((30, "1.0.0"), (25, "1.1.0")):
        history.commit(records_of(train=range(number)), version=version)
        history.git("tag", f"small@v{version}")
    history.git("checkout", "--quiet", "small@v1.0.0")
    monkeypatch.chdir(history.root)
    return history


@pytest.fixture
def stored(history, remote):
    """The same with the artifact of the first version on the remote only."""
    remote.point(history.root)
    newer = history.tar.read_bytes()
    (older,) = (path for path in (history.root / ".dvc/cache").rglob("*/*/*/*") if path.read_bytes() != newer)
    shutil.copyfile(older, history.tar)
    remote.publish(history.tar)
    history.tar.write_bytes(newer)
    older.unlink()
    return history


def test_the_recorded_artifact_is_read_from_dvcs_cache(history):
    with pytest.warns(
        UserWarning, match=r"small\.tar is the artifact of version 1\.1\.0, and not the one that"
    ) as found:
        assert load(history, offline=True) == ("1.0.0", 30)
    assert load(history, offline=True) == ("1.0.0", 30)  # said once
    assert remedy(found) == "dvc checkout small"
    shell(remedy(found), history.root)
    assert loader.ensure("small", repo=history.root) == history.tar


def test_it_is_fetched_if_it_is_on_its_remote_only(stored):
    with pytest.raises(
        loader.FetchError, match=r"small\.tar is that of version 1\.1\.0, and the recorded one is not on"
    ):
        load(stored, offline=True)
    with pytest.warns(
        UserWarning, match=r"and not the one that its manifest records \(1\.0\.0\), which is read"
    ) as found:
        assert load(stored) == ("1.0.0", 30)
    assert remedy(found) == "dvc pull small"
    assert [entry.name for entry in loader.cache.entries()] == ["small.tar"]
    shell(remedy(found), stored.root)
    assert loader.ensure("small", repo=stored.root) == stored.tar


def test_the_command_line_says_it_in_one_line(history):
    command = [sys.executable, "-m", "loader", "fetch", "small", "--repo", history.root]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr.startswith(f"warning: small: {history.tar} is the artifact of version 1.1.0")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("change", ["cut", "edited", "unrecorded"])
def test_a_damaged_or_unrecorded_tar_is_an_error_and_the_recorded_one_is_not_fetched(stored, change):
    data = stored.tar.read_bytes()
    if change == "unrecorded":
        stored.write(records_of(train=range(7)), version="2.0.0")
        stored.git("checkout", "--quiet", "--", "artifacts/small.json", "dvc.lock", "params.yaml")
    else:
        stored.tar.write_bytes(data[:-1] if change == "cut" else data.replace(b'"train": 25', b'"train": 26'))
    with pytest.raises((loader.IntegrityError, loader.ManifestError), match=r"artifacts/small\.tar "):
        load(stored)
    assert loader.cache.entries() == []


def test_a_manifest_that_was_edited_is_an_error(stored):
    manifest = stored.root / "artifacts/small.json"
    stored.git("checkout", "--quiet", "small@v1.1.0")
    document = json.loads(manifest.read_text())
    document["artifacts"]["small.tar"]["index"]["sha256"] = "1" * 64
    manifest.write_text(json.dumps(document))
    with pytest.raises(loader.ManifestError, match="does not belong to the manifest"):
        load(stored)


def test_without_git_it_is_an_error(history):
    shutil.rmtree(history.root / ".git")
    shutil.rmtree(history.root / ".dvc/cache")
    with pytest.raises(loader.ManifestError, match="one of the two was changed or is from another revision"):
        load(history, offline=True)


def test_a_build_never_reads_another_file_than_dvc_records(history):
    with (
        loader.reading_only({"small": ["small.tar"]}, reader="derived", root=history.root),
        pytest.raises(loader.ManifestError, match="one of the two was changed or is from another revision"),
    ):
        loader.load("small")


def test_another_revision_is_read_from_the_work_tree_that_has_its_artifact(history):
    shutil.rmtree(history.root / ".dvc/cache")
    assert loader.ensure("small", repo=history.root, rev="small@v1.1.0", offline=True) == history.tar
