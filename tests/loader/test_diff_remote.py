"""Differences of versions on a real S3 server, through a proxy that counts the bytes and changes them."""

import re
import shutil

import pytest
import yaml

import loader
from loader._diff import diff
from loader._fetch import s3
from loader._format.index import BLOCK_BYTES, ROW
from loader._format.manifest import read_manifest
from loader._format.standalone import open_tar
from loader._registry.differences import index
from tests.helpers.dataset_history import History, encode, records_of, values_of
from tests.helpers.s3_proxy import running_proxy

RECORDS = 13_000  # four blocks of rows


@pytest.fixture
def proxy(s3_server):
    with running_proxy(s3_server.endpoint) as running:
        yield running


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch):
    monkeypatch.setattr(s3, "FIRST_PAUSE_SECONDS", 0.01)


class Pushed:
    """Two versions, both on the remote; the old one is nowhere else, the new one is in the work tree."""

    def __init__(self, root, remote, proxy):
        self.history, self.proxy = History(root), proxy
        self.old_tar, self.new_tar = root.with_name("old.tar"), root.with_name("new.tar")
        self.history.commit(records_of(train=range(RECORDS), test=range(50)))
        shutil.copyfile(self.history.tar, self.old_tar)
        records = records_of(train=range(100, RECORDS), test=range(50))
        for n in (300, 5000, 12_000):
            records["train"][str(n)] = encode(values_of(n) | {"text": b"changed"})
        self.history.commit(records, version="1.1.0")
        shutil.copyfile(self.history.tar, self.new_tar)
        shutil.rmtree(root / ".dvc/cache")
        remote.point(root)
        local = root / ".dvc/config.local"
        local.write_text(re.sub("endpointurl = .*", f"endpointurl = {proxy.url}", local.read_text()))
        self.keys = [remote.publish(tar) for tar in (self.old_tar, self.new_tar)]

    def compare(self, *revisions, **options):
        return diff("small", *(revisions or ("HEAD~1",)), repo=self.history.root, **options)


@pytest.fixture
def pushed(tmp_path, remote, proxy):
    return Pushed(tmp_path / "history", remote, proxy)


def index_bytes(tar, skipped=()):
    """The bytes of an artifact's index header and of its rows, without some blocks."""
    header = open_tar(tar).header
    blocks = [min(BLOCK_BYTES, header.rows.size - n * BLOCK_BYTES) for n in range(len(header.blocks))]
    return len(header.render()) + sum(size for n, size in enumerate(blocks) if n not in skipped)


def test_only_the_record_index_of_what_is_not_here_is_read_and_its_bytes_are_told(pushed, proxy):
    found = pushed.compare()
    train, test = found.configs[0].splits
    assert (train.removed, train.changed, train.unchanged) == (100, 3, RECORDS - 103)
    assert (test.unchanged, bool(test)) == (50, False)
    assert found.bytes_fetched == proxy.bytes_transferred == index_bytes(pushed.old_tar)
    assert len(proxy.responses) == 2  # the header, and all blocks at once
    assert f"{found.bytes_fetched:,} bytes were read from the remote" in str(found)
    assert loader.cache.entries() == []


def test_both_versions_may_be_on_the_remote(pushed, proxy):
    pushed.history.tar.unlink()
    found = pushed.compare("HEAD~1", "HEAD")
    assert found.configs[0].changed == 3
    assert found.bytes_fetched == proxy.bytes_transferred == index_bytes(pushed.old_tar) + index_bytes(pushed.new_tar)


def test_of_the_examples_only_those_shown_are_read(pushed, proxy):
    pushed.history.tar.unlink()
    indexes = index_bytes(pushed.old_tar) + index_bytes(pushed.new_tar)
    found = pushed.compare("HEAD~1", "HEAD", examples=2)
    assert [[change.feature for change in each.changes] for each in found.configs[0].examples] == [["text"], ["text"]]
    assert found.bytes_fetched == proxy.bytes_transferred
    metadata = 0
    for tar in (pushed.old_tar, pushed.new_tar):
        members = open_tar(tar).header.members  # those before the rows are read together, with the tar's headers
        metadata += sum(member.size + 1024 for member in members if member.name.endswith((".json", ".txt")))
    records = sum(len(encode(values_of(n))) for n in (300, 5000, 12_000))
    assert 0 < found.bytes_fetched - indexes < metadata + 4 * records


def test_a_block_that_both_versions_have_is_read_once(tmp_path, remote, proxy):
    """The second version changes the last record, so that the rows before it stay the same."""
    records = records_of(train=range(RECORDS))
    keys = [*records["train"]]
    order = {"train": keys}
    history = History(tmp_path / "history")
    history.commit(records, order=order)
    old = shutil.copyfile(history.tar, tmp_path / "old.tar")
    records["train"][keys[-1]] = encode(values_of(RECORDS - 1) | {"label": 7})
    history.commit(records, order=order)
    new = shutil.copyfile(history.tar, tmp_path / "new.tar")
    shutil.rmtree(history.root / ".dvc/cache")
    history.tar.unlink()
    remote.point(history.root)
    for tar in (old, new):
        remote.publish(tar)
    local = history.root / ".dvc/config.local"
    local.write_text(re.sub("endpointurl = .*", f"endpointurl = {proxy.url}", local.read_text()))
    found = diff("small", "HEAD~1", "HEAD", repo=history.root, examples=1)
    assert found.configs[0].changed_features == {"label": 1}
    shared = range(RECORDS // 4096)
    indexes = index_bytes(old) + index_bytes(new, skipped=shared)
    assert indexes < found.bytes_fetched < indexes + 10_000
    assert found.bytes_fetched == proxy.bytes_transferred


def test_many_blocks_are_read_in_few_requests(pushed, proxy, monkeypatch):
    monkeypatch.setattr(index, "BLOCKS_AT_ONCE", 2)
    assert pushed.compare().configs[0].changed == 3
    assert [size for _, size in sorted(proxy.responses[1:], key=lambda response: -response[1])] == [
        2 * BLOCK_BYTES,
        (RECORDS + 50) * ROW.size % (2 * BLOCK_BYTES),
    ]


def test_a_tampered_block_on_the_remote_is_an_integrity_error(pushed, proxy):
    rows = open_tar(pushed.old_tar).header.rows.offset
    proxy.change = lambda offset, data: data[:100] + bytes([data[100] ^ 1]) + data[101:] if offset >= rows else data
    with pytest.raises(
        loader.IntegrityError, match="is damaged in block 0 of its record index; replace it from a clone"
    ):
        pushed.compare()


def test_a_tampered_index_header_on_the_remote_is_refused(pushed, proxy):
    proxy.change = lambda offset, data: data.replace(b'"train": 13000', b'"train": 12999')
    with pytest.raises(loader.ManifestError, match="does not belong to the manifest"):
        pushed.compare()


def test_a_tampered_record_on_the_remote_is_an_integrity_error(pushed, proxy):
    end = open_tar(pushed.old_tar).header.rows
    # the last byte of the last record, before its checksum
    proxy.change = lambda offset, data: data[:-5] + b"!" + data[-4:] if offset > end.offset + end.size else data
    with pytest.raises(loader.IntegrityError, match="is damaged in record"):
        pushed.compare(examples=3)


def test_a_dropped_connection_is_tried_again(pushed, proxy):
    proxy.fault = lambda number: "drop" if number == 1 else None
    assert pushed.compare().configs[0].changed == 3


def test_what_is_not_on_the_remote_either_is_a_sentence(pushed, remote):
    remote.remove(pushed.keys[0])
    found = pushed.compare(examples=3)
    commit = pushed.history.commits[0][:12]
    assert found.note.startswith("examples were not compared: small: remote 'public' does not have it (s3://")
    assert found.note.endswith(
        f"push it from a clone that has it: git switch --detach {commit} && dvc checkout small && "
        f"make push DATASET=small PUBLIC=1 && git switch - && dvc checkout small"
    )
    assert ("version", "1.0.0", "1.1.0") in [tuple(change) for change in found.metadata]
    assert (found.status, found.configs[0].splits) == ("changed", ())


def test_nobody_is_told_to_push_what_was_withdrawn(pushed, remote):
    remote.remove(pushed.keys[0])
    commit = pushed.history.commits[0]
    params = pushed.history.root / "params.yaml"
    block = yaml.safe_load(params.read_text())
    block["small"]["withdrawn"] = [commit[:12]]
    params.write_text(yaml.safe_dump(block))
    note = pushed.compare().note
    assert note == f"examples were not compared: small: what {pushed.history.root}@{commit[:12]} records was withdrawn"


def test_nothing_is_asked_of_the_remote_offline_or_if_both_sides_are_here(pushed, proxy):
    assert "nothing is fetched offline; leave out --offline" in pushed.compare(offline=True).note
    manifest = read_manifest(pushed.history.root / "artifacts/small.json")
    assert manifest.version == "1.1.0"
    assert pushed.compare("HEAD", offline=True).status == "same"
    assert proxy.requests == 0
