"""What push, pull and load say of a damaged, missing or doubtful artifact is right, and what they tell to run works."""

import json
import re
import subprocess
import threading
import time
from pathlib import Path

import pytest
from filelock import FileLock

import loader
from scripts._define.artifacts import open_artifact
from scripts._define.definition import read_definition
from scripts._process.errors import ScriptError
from scripts._process.files import read_yaml
from scripts.pull import pull
from scripts.push import push
from tests.helpers.recorded_dataset import make_dvc, make_recorded

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def repository(tmp_path, remote):
    """A repository at a path with a space, whose artifact is pushed, and a hard link into DVC's cache."""
    root = make_recorded(tmp_path / "the repository")
    make_dvc(root, ROOT / ".dvc/config")
    remote.point(root)
    push("small", public=True, root=root)
    remove(root / "artifacts/small.tar", root / ".dvc/cache")
    pull("small", root=root)
    assert (root / "artifacts/small.tar").stat().st_nlink == 2
    return root


def remove(*paths):
    subprocess.run(["rm", "-rf", *paths], check=True)


def run_remedy(message, root):
    """Run the command that a message names, with `pull` in place of `make`, which this repository has not."""
    rest = r"(?: && make pull DATASET=small)?(?:, or build .*|; if it was never pushed, .*)?$"
    (command,) = re.findall(f"with: (rm .*?){rest}", message)
    subprocess.run(command, shell=True, check=True)
    pull("small", root=root)


def damage(tar, size=None):
    """Change a byte of a file, or its size, through all its hard links."""
    tar.chmod(0o644)
    with tar.open("r+b") as file:
        if size is not None:
            file.truncate(size)
        else:
            file.seek(9000)
            byte = file.read(1)
            file.seek(9000)
            file.write(bytes([byte[0] ^ 1]))


def test_what_push_says_of_a_damaged_artifact_restores_it(repository):
    tar = repository / "artifacts/small.tar"
    whole = tar.read_bytes()
    damage(tar)
    with pytest.raises(ScriptError, match=r"is not what dvc\.lock records") as raised:
        push("small", public=True, root=repository)
    run_remedy(str(raised.value), repository)
    assert tar.read_bytes() == whole
    push("small", public=True, root=repository)


def test_what_a_load_says_of_a_truncated_artifact_restores_it(repository):
    tar = repository / "artifacts/small.tar"
    whole = tar.read_bytes()
    damage(tar, size=5000)
    with pytest.raises(loader.IntegrityError, match="has 5,000 bytes, its manifest says ") as raised:
        loader.load("small", repo=repository)
    run_remedy(str(raised.value), repository)
    assert tar.read_bytes() == whole
    loader.load("small", repo=repository)


def test_restoring_an_artifact_keeps_the_one_of_another_revision(repository):
    tar = repository / "artifacts/small.tar"
    other = repository / ".dvc/cache/files/md5/90/0150983cd24fb0d6963f7d28e17f72"  # the md5 of "abc"
    other.parent.mkdir(exist_ok=True)
    other.write_bytes(b"abc")
    tar.unlink()
    tar.hardlink_to(other)
    with pytest.raises(loader.IntegrityError, match="or from another revision; ") as raised:
        open_artifact(read_definition("small", root=repository)).header  # noqa: B018
    run_remedy(str(raised.value), repository)
    assert other.read_bytes() == b"abc"
    loader.load("small", repo=repository)


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_what_pull_says_is_in_the_way_can_be_removed_as_it_says(repository, kind):
    tar = repository / "artifacts/small.tar"
    whole = tar.read_bytes()
    tar.unlink()
    if kind == "file":
        tar.write_bytes(b"mine")
    elif kind == "folder":
        tar.mkdir()
        (tar / "mine").touch()
    else:
        (repository / "mine").write_bytes(b"mine")
        tar.symlink_to(repository / "mine")
    with pytest.raises(loader.FetchError, match="is in the way") as raised:
        pull("small", root=repository)
    run_remedy(str(raised.value), repository)
    assert tar.read_bytes() == whole


def test_a_path_that_dvc_does_not_find_again_is_named(tmp_path):
    root = make_recorded(tmp_path / "a\\b")
    make_dvc(root, ROOT / ".dvc/config")
    with pytest.raises(loader.FetchError, match=r"DVC cannot pull into .*a\\b, whose path has a backslash; move"):
        pull("small", root=root)


def test_a_push_waits_for_a_build_which_removes_the_artifact(repository, capsys):
    tar, away = repository / "artifacts/small.tar", repository / "away.tar"
    (repository / ".scratch").mkdir(exist_ok=True)
    started = threading.Event()

    def build():
        with FileLock(repository / ".scratch/repro-small.lock"):
            tar.rename(away)
            started.set()
            time.sleep(2)
            away.rename(tar)

    thread = threading.Thread(target=build)
    thread.start()
    started.wait()
    push("small", public=True, root=repository)
    thread.join()
    assert "small: another command is building it; waiting until it has finished\n" in capsys.readouterr().err


def test_artifacts_that_were_built_from_what_may_be_private_are_not_pushed(repository):
    path = repository / "dvc.lock"
    lock = read_yaml(path)
    lock["stages"]["small"]["deps"] = [{"path": "artifacts/private.tar", "md5": "0" * 32, "size": 1}]
    path.write_text(json.dumps(lock))
    with pytest.raises(ScriptError, match=r"built from what dvc\.lock lists: .* build DATASET=small$"):
        push("small", public=True, root=repository)


def test_an_output_of_two_stages_is_one_sentence(repository):
    (repository / "inner").mkdir()
    (repository / "inner/dvc.yaml").write_text("stages: {twice: {cmd: x, outs: [../artifacts/small.tar]}}")
    stages = r"\(small in dvc\.yaml and twice in inner/dvc\.yaml\)"
    message = rf"small\.tar is an output of more than one stage {stages}; remove it from all but one"
    with pytest.raises(loader.FetchError, match=message):
        pull("small", root=repository)
    with pytest.raises(loader.FetchError, match=message):
        push("small", public=True, root=repository)
