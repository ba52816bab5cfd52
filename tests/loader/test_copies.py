"""Where an artifact is read from: the copies on this machine in one order, for loads, streams and what `info` says."""

import hashlib
import json
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import loader
from loader._fetch import store
from loader._fetch.reference import find_artifact
from loader._fetch.sparse import SparseCopy
from loader._format.names import object_path
from loader._registry.read_from import ReadFrom, read_from
from tests.helpers.dataset_history import History, records_of
from tests.helpers.recorded_dataset import fill_dvc_cache, make_git

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def copies(small):
    """The copies of an artifact in the work tree, in the loader's cache and in DVC's, in the order of their use."""
    make_git(small)
    fill_dvc_cache(small)
    tar = small / "artifacts/small.tar"
    md5 = hashlib.md5(tar.read_bytes(), usedforsecurity=False).hexdigest()
    cached = store.artifact_path(md5, "small.tar")
    cached.parent.mkdir(parents=True)
    shutil.copyfile(tar, cached)
    return {"work tree": tar, "cache": cached, "DVC's cache": small / ".dvc/cache" / object_path(md5)}


def from_where(root, **options):
    return read_from(find_artifact("small", repo=root, **options))


def read_streamed(root, **options):
    """The path of the file that is read with stream=True, offline, and one of its examples."""
    reference = find_artifact("small", repo=root, offline=True, **options)
    _, train = loader.load("small", "train", repo=root, offline=True, stream=True, **options)
    return reference.stream().path, train[3]["text"]


def make_wrong(tar):
    """Replace a tar by one of the same size with another index header."""
    data = tar.read_bytes()
    tar.unlink()  # it may be a link
    tar.write_bytes(data.replace(b'"train": 5000', b'"train": 5001').replace(b'"format": 1', b'"format": 7'))


@pytest.mark.parametrize("how", ["removed", "wrong"])
def test_the_copies_are_used_in_one_order(copies, small, how):
    """Of a whole dataset: by `load`, by `stream=True` without the network, and in what `info` says."""
    left = list(copies.items())
    while left:
        kind, path = left.pop(0)
        with warnings.catch_warnings(action="ignore"):  # of a wrong tar in the work tree
            assert loader.ensure("small", repo=small, offline=True) == path
            assert read_streamed(small) == (path, b"train 3")
        assert from_where(small) == ReadFrom(kind, str(path))
        path.unlink() if how == "removed" else make_wrong(path)
    with pytest.raises(loader.LoaderError, match=r"small\.tar is not on this machine, and streaming needs the network"):
        read_streamed(small)


def test_a_stream_says_that_the_tar_in_the_work_tree_is_wrong_if_a_copy_is_read_instead(copies, small):
    make_wrong(copies["work tree"])
    with pytest.warns(UserWarning, match=f"; meanwhile the recorded one is read from {copies['cache']}"):
        assert read_streamed(small) == (copies["cache"], b"train 3")


def test_a_stream_of_a_commit_reads_the_copy_in_the_work_tree_that_has_it(history):
    assert read_streamed(history.root, rev="small@v1.1.0")[0] == history.tar
    assert from_where(history.root, rev="small@v1.1.0").place == "work tree"


def test_a_build_streams_only_the_tar_that_dvc_records(history):
    with loader.reading_only({"small": ["small.tar"]}, reader="derived", root=history.root):
        with pytest.raises(loader.ManifestError, match="one of the two was changed or is from another revision"):
            loader.load("small", stream=True)  # DVC's cache has it
        shutil.copyfile(history.stored["1.0.0"], history.tar)
        assert len(loader.load("small", "train", stream=True)[1]) == 30


@pytest.fixture
def history(tmp_path):
    """Two released versions, of which the first is checked out without its artifact."""
    history = History(tmp_path / "history")
    history.stored = {}
    for number, version in ((30, "1.0.0"), (25, "1.1.0")):
        history.commit(records_of(train=range(number)), version=version)
        history.git("tag", f"small@v{version}")
        history.stored[version] = tmp_path / f"{version}.tar"
        shutil.copyfile(history.tar, history.stored[version])
    history.git("checkout", "--quiet", "small@v1.0.0")
    return history


def test_a_fetched_artifact_says_which_one_it_is(history, remote):
    """Of a commit, that commit; of a work tree, HEAD if that records it."""
    remote.point(history.root)
    for tar in history.stored.values():
        remote.publish(tar)
    shutil.rmtree(history.root / ".dvc/cache")
    history.tar.unlink()
    loader.ensure("small", repo=history.root, rev="small@v1.1.0")
    loader.ensure("small", repo=history.root)
    found = [(entry.name, entry.dataset, entry.version, entry.revision) for entry in loader.cache.entries()]
    assert found == [
        ("small.tar", "small", "1.1.0", history.commits[1]),
        ("small.tar", "small", "1.0.0", history.commits[0]),
    ]


def test_a_streamed_artifact_says_which_one_it_is_and_how_much_has_arrived(history, remote):
    remote.point(history.root)
    remote.publish(history.stored["1.0.0"])
    shutil.rmtree(history.root / ".dvc/cache")
    history.tar.unlink()
    _, train = loader.load("small", "train", repo=history.root, stream=True)
    assert train[3]["text"].startswith(b"text ")
    (entry,) = loader.cache.entries()
    assert (entry.name, entry.version, entry.revision) == ("small.tar", "1.0.0", history.commits[0])
    assert 0 < entry.arrived < 1
    assert 0 < entry.size <= history.stored["1.0.0"].stat().st_size + 100
    assert str(from_where(history.root)).startswith(f"{int(entry.arrived * 100)} % in the cache, the rest from remote")


class TestWhatInfoSays:
    def test_without_a_copy_it_is_the_remote(self, copies, small):
        for path in copies.values():
            path.unlink()
        md5 = copies["cache"].parent.name
        url = f"s3://datasets-public/{object_path(md5)}"
        assert str(from_where(small)) == f"remote public at {url}"  # nobody is asked
        assert str(from_where(small, offline=True)).startswith("nowhere: ")

    def test_what_has_arrived_is_not_read_from_the_remote(self, copies, small):
        size = copies["work tree"].stat().st_size
        for path in copies.values():
            path.unlink()
        folder = copies["cache"].parent
        sparse = SparseCopy(folder, "small.tar", size=size)
        sparse.write(0, b"x" * (size // 2))
        found = from_where(small)
        assert str(found).startswith(f"{int(found.arrived * 100)} % in the cache, the rest from remote public at s3://")
        assert 0.5 <= found.arrived < 0.6
        del sparse

    def test_a_wrong_tar_that_a_load_refuses_is_named(self, copies, small):
        make_wrong(copies["work tree"])
        copies["cache"].unlink()
        copies["DVC's cache"].unlink()
        with pytest.raises(loader.ManifestError) as refused:
            loader.load("small", repo=small)
        assert from_where(small) == ReadFrom(arrived=0.0, problem=str(refused.value))

    def test_a_tar_of_another_recorded_version_is_fetched(self, history):
        shutil.rmtree(history.root / ".dvc/cache")
        assert from_where(history.root).place == "remote"

    def test_a_remote_that_is_not_configured_is_named(self, copies, small):
        for path in copies.values():
            path.unlink()
        (small / ".dvc/config").write_text("")
        assert str(from_where(small)).startswith("nowhere: remote 'public' is not configured; set it with: make remote")

    def test_it_is_one_line_for_what_is_loaded_and_json_for_all(self, copies, small):
        command = [sys.executable, "-m", "loader", "info", "small", "--repo", small, "--offline"]
        text, as_json = (
            subprocess.run([*command, *more], cwd=ROOT, capture_output=True, text=True, check=True).stdout
            for more in ((), ("--json",))
        )
        assert f"\nread from   work tree, {copies['work tree']}\n" in text
        assert json.loads(as_json)["read_from"]["small.tar"]["path"] == str(copies["work tree"])


def test_a_configuration_that_cannot_be_read_hides_no_copy(copies, small):
    (small / ".dvc/config").write_text("[")
    copies["work tree"].unlink()
    copies["cache"].unlink()
    assert from_where(small).place == "DVC's cache"
    assert loader.ensure("small", repo=small, offline=True) == copies["DVC's cache"]
