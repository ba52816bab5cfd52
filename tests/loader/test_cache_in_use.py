"""What a process reads stays in the cache, whoever clears or limits it; a wrong file hides no right one."""

import hashlib
import os
import pickle
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import loader
from loader._fetch import store
from loader._format.names import object_path
from tests.helpers.recorded_dataset import fill_dvc_cache, make_git, make_recorded

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def pushed(tmp_path, remote):
    """A repository whose artifact is only on the remote, and its MD5."""
    root = make_recorded(tmp_path / "repository")
    make_git(root)
    remote.point(root)
    tar = root / "artifacts/small.tar"
    remote.publish(tar)
    md5 = hashlib.md5(tar.read_bytes(), usedforsecurity=False).hexdigest()
    tar.unlink()
    return root, md5


def clear_elsewhere():
    code = "import loader; loader.cache.clear(); loader.cache.limit(0)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    loader.cache.limit(None)


def kinds():
    return [entry.kind for entry in loader.cache.entries()]


@pytest.mark.parametrize("clear", [clear_elsewhere, loader.cache.clear])
def test_an_artifact_stays_while_it_is_open(pushed, clear):
    root, _ = pushed
    _, train = loader.load("small", split="train", repo=root)
    clear()
    assert kinds() == ["artifacts"]
    copy = pickle.loads(pickle.dumps(train))
    del train
    clear()
    assert copy[5299]["text"] == b"train 5299"
    assert kinds() == ["artifacts"]
    del copy
    clear()
    assert kinds() == []


def test_an_artifact_stays_after_ensure(pushed):
    root, _ = pushed
    path = loader.ensure("small", repo=root)
    clear_elsewhere()
    assert path.exists()


def test_a_forked_process_keeps_what_it_inherited(pushed):
    root, _ = pushed
    code = (
        "import os, sys, loader\n"
        "_, train = loader.load('small', split='train', repo=sys.argv[1])\n"
        "if os.fork():\n"
        "    print('forked', flush=True)\n"
        "    os._exit(0)\n"
        "sys.stdin.readline()\n"
        "print(train[5299]['text'])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, root], cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == "forked\n"
    clear_elsewhere()
    assert kinds() == ["artifacts"]
    assert process.communicate("\n")[0] == "b'train 5299'\n"


@pytest.mark.slow
def test_an_extracted_folder_stays_while_a_process_reads_it(small):
    pytest.importorskip("tensorflow_datasets")
    code = (
        "import sys, loader\n"
        "_, test = loader.load('small', split='test', repo=sys.argv[1], format='tf')\n"
        "print('loaded', flush=True)\n"
        "sys.stdin.readline()\n"
        "print(len(list(test.as_numpy_iterator())))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, small], cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == "loaded\n"
    clear_elsewhere()
    loader.cache.clear()
    assert kinds() == ["extracted"]
    assert process.communicate("\n")[0] == "70\n"
    loader.cache.clear()
    assert kinds() == []


def test_what_a_killed_process_was_removing_is_whole_or_gone(monkeypatch):
    folder = loader.cache.folder() / "extracted/hash"
    (folder / "small").mkdir(parents=True)
    (folder / "small/file").touch()
    with monkeypatch.context() as patch:  # killed when it removes the first file
        patch.setattr(shutil, "rmtree", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            loader.cache.clear()
    assert not folder.exists() or (folder / "small/file").exists()
    loader.cache.clear()
    assert not any((loader.cache.folder() / "scratch").iterdir())


def test_clearing_beside_loads_of_a_url_never_fails_them(tmp_path):
    root = make_recorded(tmp_path / "repository")
    make_git(root)
    fill_dvc_cache(root)
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    for command in (("add", "--all"), ("commit", "--quiet", "-m", "all")):
        subprocess.run(["git", *identity, *command], cwd=root, check=True, capture_output=True)
    code = "import loader\nwhile True: loader.cache.clear()"
    clearing = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    os.chdir(root)  # whose DVC cache has the artifact
    try:
        for _ in range(8):
            _, test = loader.load("small", split="test", repo=f"file://{root}")
            assert test[3]["text"] == b"test 3"
    finally:
        os.chdir(ROOT)
        clearing.send_signal(signal.SIGKILL)
        clearing.wait()


def wrong(data):
    """Other bytes of the same size, with another index header."""
    return data.replace(b'"train": 5000', b'"train": 5001').replace(b'"format": 1', b'"format": 7')


def test_a_wrong_file_in_the_work_tree_hides_no_right_one_in_dvcs_cache(small):
    make_git(small)
    fill_dvc_cache(small)
    tar = small / "artifacts/small.tar"
    data = tar.read_bytes()
    tar.unlink()
    tar.write_bytes(wrong(data))
    with pytest.warns(UserWarning, match="; meanwhile the recorded one is read from"):
        assert loader.ensure("small", repo=small, offline=True).is_relative_to(small / ".dvc/cache")
    assert len(list(loader.load("small", split="train", repo=small, offline=True)[1])) == 5300
    shutil.rmtree(small / ".dvc/cache")
    with pytest.raises(loader.ManifestError, match=r"artifacts/small\.tar does not belong to the manifest"):
        loader.load("small", repo=small, offline=True)


def test_a_wrong_file_of_the_right_size_in_the_cache_is_fetched_again(pushed):
    root, md5 = pushed
    path = store.artifact_path(md5, "small.tar")
    right = loader.ensure("small", repo=root).read_bytes()
    path.write_bytes(wrong(right))
    assert loader.ensure("small", repo=root) == path
    assert path.read_bytes() == right


def test_a_wrong_object_in_dvcs_cache_hides_no_right_one_on_the_remote(pushed):
    root, md5 = pushed
    right = loader.ensure("small", repo=root).read_bytes()
    shutil.rmtree(loader.cache.folder())
    cached = root / ".dvc/cache" / object_path(md5)
    cached.parent.mkdir(parents=True)
    cached.write_bytes(wrong(right))
    assert loader.ensure("small", repo=root).read_bytes() == right
