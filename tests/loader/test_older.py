"""Of a version that resembles one on this machine, only what differs is fetched, and the whole is proved."""

import hashlib
import os
import random
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

import loader
from loader._fetch import s3
from loader._fetch.sparse import SparseCopy
from loader._format.names import object_path
from tests.conftest import Remote
from tests.helpers.s3_proxy import Proxy, running_proxy
from tests.helpers.versions import make_record, make_repository, write_version

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.filterwarnings(
    "ignore:small. .* meanwhile the recorded one", "ignore:.* is the artifact of version"
)
TRAIN, TEST = range(240), range(240, 300)


def shards(numbers, changed=(), *, count=2, salt=""):
    """Shards of records, sorted by their keys as TFDS does; changed ones have other bytes."""
    keyed = sorted(
        (int(md5(f"{salt}{number}".encode()), 16), make_record(number, edition=int(number in changed)))
        for number in numbers
    )
    each = -(-len(keyed) // count)
    return [keyed[start : start + each] for start in range(0, len(keyed), each)]


def splits(changed=(), **arguments):
    return {"train": shards(TRAIN, changed, **arguments), "test": shards(TEST, changed, **arguments)}


@dataclass
class Machine:
    """A clone whose tar is that of the first version of `small`, while later ones are only on the remote."""

    root: Path
    remote: Remote
    proxy: Proxy
    old: bytes
    new: bytes = b""
    key: str = ""

    @property
    def tar(self):
        return self.root / "artifacts/small.tar"

    def publish(self, new_splits, **arguments):
        """Record and publish a new version, and check out the old tar."""
        self.new = write_version(self.root, new_splits, **{"version": "1.0.1", **arguments})
        self.key = self.remote.publish(self.tar)
        self.tar.write_bytes(self.old)

    def fetch(self):
        """Fetch the new version, and return which part of its bytes was moved."""
        self.proxy.responses.clear()
        path = loader.ensure("small", repo=self.root)
        assert path.read_bytes() == self.new
        assert [each.name for each in path.parent.glob("small*")] == ["small.tar"]
        return self.proxy.bytes_transferred / len(self.new)

    def copy(self):
        """The path of the sparse copy."""
        return loader.cache.folder() / "artifacts" / md5(self.new) / "small.tar.part"


def md5(data):
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    root = make_repository(tmp_path_factory.mktemp("first") / "repository")
    write_version(root, splits())
    return root


@pytest.fixture(scope="module")
def one_proxy(s3_server):
    with running_proxy(s3_server.endpoint) as proxy:
        yield proxy


@pytest.fixture
def machine(first, tmp_path, remote, one_proxy):
    root = shutil.copytree(first, tmp_path / "repository")
    remote.point(root)
    local = root / ".dvc/config.local"
    local.write_text(re.sub("endpointurl = .*", f"endpointurl = {one_proxy.url}", local.read_text()))
    one_proxy.folder = f"/{remote.folder}/"
    yield Machine(root, remote, one_proxy, (root / "artifacts/small.tar").read_bytes())
    for name, value in vars(Proxy(one_proxy.url)).items():  # without a log and faults again
        setattr(one_proxy, name, value)


@pytest.mark.parametrize(("percent", "moved"), [(0, 0.01), (1, 0.03), (10, 0.13), (100, 1)])
def test_only_what_changed_is_moved(machine, percent, moved):
    machine.publish(splits(random.Random(0).sample(range(300), 3 * percent)))
    assert machine.fetch() <= moved
    _, ds = loader.load("small", repo=machine.root)
    assert len(list(ds["train"])) == 240


def test_in_other_shards_under_other_keys_the_same_records_are_found(machine):
    machine.publish(splits([7], count=5, salt="x"))
    assert machine.fetch() <= 0.04


def test_records_that_are_in_another_split_now_or_several_times_are_found(machine):
    [shard] = shards(range(300), count=1)
    machine.publish({"all": [shard, shard], "none": [[]]})
    assert machine.fetch() <= 0.03


def test_a_record_that_needs_several_requests_is_fetched(machine):
    large = (0, make_record(0, size=9_000_000))
    machine.publish({"train": [[large, *shards(TRAIN)[0]], shards(TRAIN)[1]]})
    assert machine.fetch() < 9_100_000 / len(machine.new)


def test_a_damaged_record_of_the_old_artifact_is_fetched(machine):
    machine.publish(splits())
    offset = machine.old.index(make_record(50)) + 500
    machine.tar.write_bytes(machine.old[:offset] + b"?" + machine.old[offset + 1 :])
    assert 0.003 < machine.fetch() <= 0.013


def test_a_damaged_frame_of_the_old_artifact_is_fetched(machine):
    machine.publish(splits())
    offset = machine.old.index(make_record(50)) - 1
    machine.tar.write_bytes(machine.old[:offset] + b"?" + machine.old[offset + 1 :])
    assert 0.003 < machine.fetch() <= 0.013


def test_an_old_artifact_that_is_cut_off_while_it_is_read_helps_up_to_there(machine, monkeypatch):
    machine.publish(splits())
    mark = SparseCopy.mark

    def mark_and_cut(self, first, count=1):
        mark(self, first, count)
        os.truncate(machine.tar, len(machine.old) // 2)

    monkeypatch.setattr(SparseCopy, "mark", mark_and_cut)
    assert 0.3 < machine.fetch() < 0.85


@pytest.mark.parametrize("where", ["a record that changed", "the record index"])
def test_what_the_remote_has_instead_is_an_error(machine, where):
    machine.publish(splits([7]))
    offset = machine.new.index(make_record(7, edition=1) if where.startswith("a record") else b'"members"') + 12
    machine.remote.write(machine.key, machine.new[:offset] + b"?" + machine.new[offset + 1 :])
    with pytest.raises(
        loader.IntegrityError, match=r"is not the one that dvc\.lock records: .* make push DATASET=small"
    ):
        loader.ensure("small", repo=machine.root)
    machine.remote.write(machine.key, machine.new)
    assert machine.fetch() <= 1


def test_bytes_that_are_damaged_on_their_way_are_fetched_again(machine):
    machine.publish(splits([7]))
    damaged = []

    def change(offset, data):
        if not damaged and make_record(7, edition=1)[:500] in data:
            damaged.append(offset)
            return data[:-100] + b"?" + data[-99:]
        return data

    machine.proxy.change = change
    assert machine.fetch() <= 0.03
    assert damaged


@pytest.fixture(params=["an old artifact", "a continued copy"])
def helped(machine, request, monkeypatch):
    """A machine that fetches a new version with the help of an old one, or of what has arrived of the new one."""
    monkeypatch.setattr(s3, "FIRST_PAUSE_SECONDS", 0.01)
    machine.publish(splits(range(30)))
    if request.param == "a continued copy":
        machine.tar.unlink()
        copy = SparseCopy(machine.copy().parent, "small.tar", size=len(machine.new))
        third = len(machine.new) // 3
        copy.write(third, machine.new[third : 2 * third])
        copy.mark(0, 300)  # a hint that is wrong for most of them
    return machine


def test_failed_requests_are_repeated(helped):
    faults = {1: "drop", 2: "500", 3: "503", 4: "drop"}  # so few that no request fails five times
    helped.proxy.fault = faults.get
    assert helped.fetch() < 0.8


def test_what_a_remote_does_instead_is_an_error_and_costs_nothing(helped):
    proxy, remote, usual = helped.proxy, helped.remote, vars(helped.proxy).copy()
    for change, reason in [
        (lambda: setattr(proxy, "fault", lambda number: "drop"), "cannot be reached .*tried 5 times"),
        (lambda: setattr(proxy, "fault", lambda number: "500"), "answers with an error .*500.*tried 5 times"),
        (lambda: setattr(proxy, "change", lambda offset, data: data[:-1]), "tried 5 times"),
        (lambda: setattr(proxy, "change", lambda offset, data: data + b"x"), "sends more than the"),
        (lambda: remote.write(helped.key, helped.new[: len(helped.new) // 4]), "ends before byte"),
        (lambda: remote.remove(helped.key), "does not have it .*make push DATASET=small"),
    ]:
        change()
        with pytest.raises(loader.FetchError, match=f"^small: .* is not on this machine and cannot be .*{reason}"):
            loader.ensure("small", repo=helped.root)
        vars(proxy).update(fault=usual["fault"], change=usual["change"])
    remote.write(helped.key, helped.new)
    assert helped.fetch() < 0.8


def test_refused_credentials_are_an_error(machine, monkeypatch):
    machine.publish(splits([7]))
    machine.remote.write(machine.key.replace("public", "private", 1), machine.new)
    local = machine.root / ".dvc/config.local"
    lines = local.read_text().replace("s3://public", "s3://private").splitlines(keepends=True)
    local.write_text("".join(line for line in lines if "credentialpath" not in line and "profile" not in line))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "WRONG")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(loader.FetchError, match=r"^small: .* refuses access, because the AWS .*set AWS_PROFILE"):
        loader.ensure("small", repo=machine.root)


def test_a_cache_that_cannot_be_written_is_an_error(machine, monkeypatch):
    machine.publish(splits([7]))
    monkeypatch.setenv("DATASETS_CACHE", str(machine.tar / "cache"))
    with pytest.raises(loader.FetchError, match="cannot be written to: Not a directory"):
        loader.ensure("small", repo=machine.root)


def test_a_file_of_another_size_in_the_cache_is_no_obstacle(machine):
    machine.publish(splits([7]))
    machine.copy().parent.mkdir(parents=True)
    machine.copy().write_bytes(machine.new + b"more")
    assert machine.fetch() <= 0.03
    os.truncate(machine.copy().with_suffix(""), 8192)
    assert machine.fetch() <= 0.03


def test_after_a_kill_no_byte_is_moved_twice(machine):
    machine.publish(splits(TRAIN))
    machine.proxy.fault = lambda number: "hang" if number > 2 else None
    process = subprocess.Popen(
        [sys.executable, "-c", "import sys, loader; loader.ensure('small', repo=sys.argv[1])", machine.root], cwd=ROOT
    )
    while len(machine.proxy.responses) < 3 and process.poll() is None:
        pass
    time.sleep(0.2)
    process.kill()
    process.wait()
    before = machine.proxy.bytes_transferred
    assert machine.copy().exists()
    machine.proxy.fault = lambda number: None
    after = machine.fetch() * len(machine.new)
    assert before > 1_000_000
    assert before + after < 0.82 * len(machine.new)


def test_two_processes_at_once_fetch_it_once(machine):
    machine.publish(splits(range(30)))
    code = "import sys, loader; print(len(list(loader.load('small', 'train', repo=sys.argv[1])[1])))"
    started = [
        subprocess.Popen([sys.executable, "-c", code, machine.root], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    assert [process.communicate()[0] for process in started] == ["240\n", "240\n"]
    assert machine.proxy.bytes_transferred <= 0.12 * len(machine.new)


def test_on_a_full_disk_what_has_arrived_stays(machine, monkeypatch):
    machine.publish(splits(range(30)))
    usage = shutil.disk_usage(machine.root)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
        with pytest.raises(loader.FetchError, match=r"[0-9,]{9} bytes are needed.*; make room, or set DATASETS_CACHE"):
            loader.ensure("small", repo=machine.root)
    write, left = SparseCopy.write, [1_000_000]

    def write_until_full(self, offset, data):
        left[0] -= len(data)
        if left[0] < 0:
            raise OSError(28, "No space left on device")
        write(self, offset, data)

    with monkeypatch.context() as patch:
        patch.setattr(SparseCopy, "write", write_until_full)
        with pytest.raises(loader.FetchError, match=r"No space left on device; make room, or set DATASETS_CACHE"):
            loader.ensure("small", repo=machine.root)
    assert machine.fetch() <= 0.11


def test_offline_nothing_is_fetched(machine):
    machine.publish(splits([7]))
    with pytest.raises(loader.FetchError, match="nothing is fetched offline"):
        loader.ensure("small", repo=machine.root, offline=True)
    assert machine.proxy.requests == 0


def test_a_download_that_was_interrupted_is_continued_with_an_old_artifact(machine):
    machine.publish(splits(TRAIN))
    copy = machine.copy()
    copy.parent.mkdir(parents=True)
    copy.write_bytes(machine.new[: len(machine.new) // 2])
    assert machine.fetch() < 0.53


def test_a_sparse_copy_is_completed_without_an_old_artifact(machine):
    machine.publish(splits())
    machine.tar.unlink()
    copy = SparseCopy(machine.copy().parent, "small.tar", size=len(machine.new))
    third = len(machine.new) // 3
    copy.write(third, machine.new[third : 2 * third])
    copy.mark(0, 300)  # a hint that is wrong for most of them
    assert 0.6 < machine.fetch() < 0.8


def test_an_old_version_in_dvcs_cache_or_the_loaders_helps(machine):
    cached = machine.root / ".dvc/cache" / object_path(md5(machine.old))
    cached.parent.mkdir(parents=True)
    cached.write_bytes(machine.old)
    machine.publish(splits([7]))
    machine.tar.unlink()
    assert machine.fetch() <= 0.03
    shutil.rmtree(machine.root / ".dvc/cache")
    machine.publish(splits([7, 8]), version="1.0.2")
    machine.tar.unlink()
    assert machine.fetch() <= 0.03


def test_the_artifact_that_a_dataset_was_made_from_helps(machine):
    derived = {"train": shards(range(0, 240, 2), salt="derived")}
    parents = {"small": {"version": "1.0.0", "artifacts": {"small.tar": "0" * 64, "../small.tar": 0}}}
    new = write_version(machine.root, derived, name="half", parents=parents)
    tar = machine.root / "artifacts/half.tar"
    machine.remote.publish(tar)
    tar.unlink()
    assert loader.ensure("half", repo=machine.root).read_bytes() == new
    assert machine.proxy.bytes_transferred <= 0.03 * len(new)
