"""Packing: deterministic, as the format specifies, and refused if the shards are wrong."""

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from loader._format import index
from loader._format.index import HEADER_NAME, ROW, ROWS_NAME
from scripts._build import package
from scripts._build.package import pack
from scripts._process.errors import ScriptError
from scripts._tfds.shards import ShardWriter
from tests.helpers.recorded_dataset import SPLITS, pack_recorded, prepare_recorded, record

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def packed(tmp_path):
    target = tmp_path / "small.tar"
    prepared, done = pack_recorded(target, tmp_path / "scratch")
    return target, prepared, done


def test_the_tar_holds_metadata_then_rows_then_shards(packed, tmp_path):
    target = packed[0]
    again = prepare_recorded(tmp_path)  # packing removes the shards
    with tarfile.open(target) as tar:
        infos = tar.getmembers()
    assert [info.name for info in infos] == [
        f"small/1.0.0/{name}"
        for name in (
            HEADER_NAME,
            "dataset_info.json",
            "features.json",
            "label.labels.txt",
            ROWS_NAME,
            "small-test.tfrecord-00000-of-00001",
            "small-train.tfrecord-00000-of-00002",
            "small-train.tfrecord-00001-of-00002",
        )
    ]
    for info in infos:
        assert (info.mode, info.mtime, info.uid, info.gid, info.uname, info.gname) == (0o644, 0, 0, 0, "", "")
        assert not info.pax_headers
        if info.name.rpartition("/")[2] not in (HEADER_NAME, ROWS_NAME):
            with tarfile.open(target) as tar:
                assert tar.extractfile(info).read() == (again.data_dir / info.name).read_bytes()


def test_the_manifest_entry_leads_to_every_record(packed):
    target, _, done = packed
    data = target.read_bytes()
    entry = done.entry
    assert (len(data), hashlib.sha256(data).hexdigest()) == (entry.size, entry.sha256)
    assert entry.index_offset < 4096
    header_bytes = data[entry.index_offset : entry.index_offset + entry.index_size]
    assert hashlib.sha256(header_bytes).hexdigest() == entry.index_sha256
    header = index.parse(header_bytes, tar_size=len(data))
    assert header.splits == {name: sum(lengths) for name, lengths in SPLITS.items()}
    rows = data[header.rows.offset : header.rows.offset + header.rows.size]
    expected = [record(split, number) for split, count in header.splits.items() for number in range(count)]
    assert len(rows) == len(expected) * ROW.size
    for (offset, length, _, digest), wanted in zip(ROW.iter_unpack(rows), expected, strict=True):
        assert data[offset : offset + length] == wanted
        assert digest == hashlib.sha256(wanted).digest()[:16]
    keys = [key for _, _, key, _ in ROW.iter_unpack(rows)]
    assert keys[:3] == [number.to_bytes(16, "big") for number in range(3)]


def test_the_tar_is_hashed_and_its_shards_are_removed_as_it_is_written(packed):
    target, prepared, done = packed
    assert done.md5 == hashlib.md5(target.read_bytes()).hexdigest()
    assert not list(prepared.folder.glob("*.tfrecord-*"))


def test_packing_again_in_another_folder_gives_the_same_bytes(packed, tmp_path):
    other = tmp_path / "a much longer name for a folder" / "other.tar"
    other.parent.mkdir()
    umask = os.umask(0o077)
    try:
        pack_recorded(other, tmp_path / "scratch-2")
    finally:
        os.umask(umask)
    assert other.read_bytes() == packed[0].read_bytes()


def test_a_path_that_needs_pax_records_is_packed_and_found(tmp_path):
    (tmp_path / "scratch").mkdir()
    prepared = prepare_recorded(tmp_path / "scratch")
    long_name = "ü" * 90 + ".txt"
    (prepared.folder / long_name).write_bytes(b"found")
    done = pack(prepared, tmp_path / "small.tar", scratch=tmp_path / "scratch")
    data = (tmp_path / "small.tar").read_bytes()
    header = index.parse(data[done.entry.index_offset :][: done.entry.index_size], tar_size=len(data))
    member = header.member(long_name)
    assert data[member.offset : member.offset + member.size] == b"found"
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert tar.extractfile(f"small/1.0.0/{long_name}").read() == b"found"


def test_a_full_disk_is_reported_before_anything_is_written(tmp_path, monkeypatch):
    (tmp_path / "scratch").mkdir()
    prepared = prepare_recorded(tmp_path / "scratch")
    monkeypatch.setattr(package.shutil, "disk_usage", lambda _: _Usage(free=1000))
    with pytest.raises(ScriptError, match=r"needs [\d,]+ bytes, .* has 1,000 left"):
        pack(prepared, tmp_path / "small.tar", scratch=tmp_path / "scratch")
    assert not list(tmp_path.glob("*small.tar*"))


class _Usage:
    def __init__(self, free):
        self.free = free


def test_a_write_that_fails_keeps_the_earlier_artifact(tmp_path, monkeypatch):
    (tmp_path / "scratch").mkdir()
    prepared = prepare_recorded(tmp_path / "scratch")
    target = tmp_path / "small.tar"
    target.write_bytes(b"before")

    def fail(out, *_):
        out.write(b"the first bytes of a tar")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(package, "_write_tar", fail)
    with pytest.raises(ScriptError, match=r"small\.tar cannot be written: No space left"):
        pack(prepared, target, scratch=tmp_path / "scratch")
    assert target.read_bytes() == b"before"
    assert [path.name for path in tmp_path.glob("*small.tar*")] == ["small.tar"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda shard, rows: shard.write_bytes(shard.read_bytes()[:-40]), r"has [\d,]+ bytes, and [\d,]+ were written"),
        (lambda shard, rows: shard.write_bytes(b""), r"has 0 bytes, and [\d,]+ were written"),
        (lambda shard, rows: rows.write_bytes(rows.read_bytes()[ROW.size :]), "announces 70 .*, which has 69"),
    ],
)
def test_shards_that_contradict_dataset_info_are_refused(tmp_path, damage, message):
    (tmp_path / "scratch").mkdir()
    prepared = prepare_recorded(tmp_path / "scratch")
    name = "small-test.tfrecord-00000-of-00001"
    damage(prepared.folder / name, prepared.rows / name)
    with pytest.raises(ScriptError, match=message) as raised:
        pack(prepared, tmp_path / "small.tar", scratch=tmp_path / "scratch")
    assert "split test" in str(raised.value)
    assert not list(tmp_path.glob("*small.tar*"))


MEASURE = """
import resource, sys
from pathlib import Path
from scripts._build.prepare import Prepared
from scripts._build.package import pack
folder = Path(sys.argv[1])
soft = resource.getrlimit(resource.RLIMIT_DATA)
resource.setrlimit(resource.RLIMIT_DATA, (200 << 20, soft[1]))
prepared = Prepared(folder / "data", folder / "data/small/1.0.0", folder / "rows", None, None, ())
pack(prepared, folder / "x.tar", scratch=folder)
"""


def test_the_memory_and_the_disk_needed_are_bounded(tmp_path):
    """A process that may allocate 200 MB packs a shard of 400 MB, which shrinks while the tar grows."""
    import json

    from tests.helpers.recorded_dataset import FEATURES

    folder = tmp_path / "data/small/1.0.0"
    folder.mkdir(parents=True)
    (tmp_path / "rows").mkdir()
    name = "small-train.tfrecord-00000-of-00001"
    ShardWriter(tmp_path / "rows", {}).write_records(folder / name, ((key, bytes(4 << 20)) for key in range(100)))
    split = {"name": "train", "shardLengths": ["100"], "numBytes": "1"}
    (folder / "dataset_info.json").write_text(json.dumps({"name": "small", "version": "1.0.0", "splits": [split]}))
    (folder / "features.json").write_text(json.dumps(FEATURES))
    (folder / "label.labels.txt").write_text("a\nb\nc\n")
    peak = 0
    with subprocess.Popen([sys.executable, "-c", MEASURE, tmp_path], cwd=ROOT) as process:
        while process.poll() is None:
            peak = max(peak, sum(map(room, tmp_path.rglob("*"))))
            time.sleep(0.01)
    assert process.returncode == 0
    assert (tmp_path / "x.tar").stat().st_size > 400 << 20
    assert peak < 1.2 * (400 << 20)


def room(path):
    """The bytes that a file takes on the disk."""
    try:
        return path.stat().st_blocks * 512
    except FileNotFoundError:
        return 0
