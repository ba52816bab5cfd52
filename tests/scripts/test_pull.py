"""`make pull` moves only what no artifact on this machine has, and needs none of them."""

import hashlib
import re
import shutil

import pytest

import loader
from loader._format.names import object_path
from scripts._dvc.pull import dvc_pull
from tests.helpers.s3_proxy import running_proxy
from tests.helpers.versions import make_record, make_repository, write_version

pytestmark = pytest.mark.filterwarnings("ignore:.* is the artifact of version")


def splits(changed):
    records = [(number, make_record(number, edition=int(number == changed))) for number in range(200)]
    return {"train": [records[:100], records[100:]]}


@pytest.fixture
def clone(tmp_path, remote, s3_server):
    """A clone whose tar is that of the first version of `small`, while the second one is only on the remote."""
    root = make_repository(tmp_path / "repository")
    old = write_version(root, splits(None))
    new = write_version(root, splits(7), version="1.0.1")
    remote.point(root)
    tar = root / "artifacts/small.tar"
    remote.publish(tar)
    tar.write_bytes(old)
    cached = root / ".dvc/cache" / object_path(hashlib.md5(old).hexdigest())
    cached.parent.mkdir(parents=True)
    cached.write_bytes(old)  # or DVC does not replace the tar
    with running_proxy(s3_server.endpoint) as proxy:
        local = root / ".dvc/config.local"
        local.write_text(re.sub("endpointurl = .*", f"endpointurl = {proxy.url}", local.read_text()))
        yield tar, new, proxy


def pull(tar, new):
    """Pull it, and check where it is then."""
    root = tar.parents[1]
    dvc_pull(root, tar, name="small")
    cached = root / ".dvc/cache" / object_path(hashlib.md5(new).hexdigest())
    assert tar.read_bytes() == cached.read_bytes() == new
    assert not cached.stat().st_mode & 0o222
    assert not [*(root / ".dvc/cache").rglob("*.part")]


def test_a_pull_moves_only_what_changed(clone):
    tar, new, proxy = clone
    pull(tar, new)
    assert proxy.bytes_transferred <= 0.03 * len(new)


def test_an_older_version_that_only_dvcs_cache_has_helps(clone):
    tar, new, proxy = clone
    tar.unlink()  # as `dvc checkout` does, if its cache lacks the recorded version
    pull(tar, new)
    assert proxy.bytes_transferred <= 0.03 * len(new)


def test_the_artifact_that_a_dataset_was_made_from_helps(clone, remote):
    parent, _, proxy = clone
    root = parent.parents[1]
    parents = {"small": {"version": "1.0.0", "artifacts": {"small.tar": "0" * 64}}}
    derived = {"train": [[(number, make_record(number)) for number in range(0, 200, 2)]]}
    new = write_version(root, derived, name="half", parents=parents)
    tar = root / "artifacts/half.tar"
    remote.publish(tar)
    tar.unlink()
    dvc_pull(root, tar, name="half")
    assert tar.read_bytes() == new
    assert proxy.bytes_transferred <= 0.03 * len(new)


@pytest.mark.parametrize("problem", ["none is here", "the loader cannot be asked"])
def test_without_an_older_version_all_is_downloaded(clone, monkeypatch, problem):
    tar, new, proxy = clone
    if problem == "none is here":
        tar.unlink()
        shutil.rmtree(tar.parents[1] / ".dvc/cache")
    else:
        monkeypatch.setenv("DATASETS_OFFLINE", "1")
    pull(tar, new)
    assert proxy.bytes_transferred >= len(new)
    assert not loader.cache.entries()


def test_an_artifact_in_the_loaders_cache_is_taken_from_there(clone):
    tar, new, proxy = clone
    fetched = loader.ensure("small", repo=tar.parents[1])
    moved = proxy.bytes_transferred
    tar.unlink()
    pull(tar, new)
    assert proxy.bytes_transferred == moved
    assert fetched.samefile(tar.parents[1] / ".dvc/cache" / object_path(hashlib.md5(new).hexdigest()))


def test_a_damaged_artifact_in_the_loaders_cache_is_downloaded(clone):
    tar, new, proxy = clone
    fetched = loader.ensure("small", repo=tar.parents[1])
    fetched.write_bytes(new[:-20_000] + b"?" + new[-19_999:])
    tar.unlink()
    pull(tar, new)
    assert proxy.bytes_transferred > len(new)
