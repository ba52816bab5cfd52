"""Any damage, in any part of an artifact, leads to a clear error or to the right example, never to a wrong one."""

import errno
import json
import os
import shutil
import subprocess

import numpy as np
import pytest

import loader
from loader._fetch.reference import find_artifact
from loader._format import index
from loader._format.index import HEADER_NAME, ROWS_NAME
from tests.helpers.recorded_dataset import SPLITS, example


def load(root):
    return loader.load("small", repo=root)


def read_all(root):
    """Read every example and compare it with the expected one."""
    info, ds = load(root)
    for split in SPLITS:
        for number, found in enumerate(ds[split]):
            assert_equal(found, example(split, number))
    return info


def assert_equal(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert type(found[name]) is type(value)
        np.testing.assert_array_equal(found[name], value, strict=True)


def members(root):
    artifact = json.loads((root / "artifacts/small.json").read_text())["artifacts"]["small.tar"]
    with (root / "artifacts/small.tar").open("rb") as file:
        file.seek(artifact["index"]["offset"])
        header = index.parse(file.read(artifact["index"]["size"]), tar_size=artifact["size"])
    index_header = {HEADER_NAME: (artifact["index"]["offset"], artifact["index"]["size"])}
    return index_header | {member.name: (member.offset, member.size) for member in header.members}


def flip(root, offset):
    with (root / "artifacts/small.tar").open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 0x10]))


def test_an_undamaged_artifact_returns_every_example(small):
    info = read_all(small)
    assert info.full_name == "small/1.0.0"
    assert info.license == "CC0"
    assert info.features["label"].int2str(1) == "one"
    assert {name: split.num_examples for name, split in info.splits.items()} == {"train": 5300, "test": 70}


@pytest.mark.parametrize(
    ("region", "error"),
    [
        (HEADER_NAME, loader.ManifestError),
        (ROWS_NAME, loader.IntegrityError),
        ("dataset_info.json", loader.IntegrityError),
        ("features.json", loader.IntegrityError),
        ("label.labels.txt", loader.IntegrityError),
        ("small-train.tfrecord-00000-of-00002", loader.IntegrityError),
        ("small-train.tfrecord-00001-of-00002", loader.IntegrityError),
        ("small-test.tfrecord-00000-of-00001", loader.IntegrityError),
    ],
)
@pytest.mark.parametrize("part", [0.2, 0.5, 0.8])
def test_a_flipped_bit_is_an_error_that_names_the_file_and_a_fix(small, region, error, part):
    offset, size = members(small)[region]
    position = offset + int(size * part)
    if region.startswith("small-"):
        position = inside_a_record(small, position)
    flip(small, position)
    with pytest.raises(error) as raised:
        read_all(small)
    message = str(raised.value)
    assert "small" in message
    assert "artifacts/small.tar" in message
    assert "rm -f /" in message or "git checkout" in message


def inside_a_record(root, position):
    """Return the next byte from `position` that belongs to a record, not to TFRecord's framing."""
    artifact = find_artifact("small", repo=root).open()
    rows = artifact.header.rows
    for start in range(rows.offset, rows.offset + rows.size, index.ROW.size):
        offset, length, _, _ = index.ROW.unpack(artifact.read(start, index.ROW.size))
        if length and offset <= position + 64 and position < offset + length:
            return max(position, offset)
    raise AssertionError("there is no record")


def test_a_bit_flipped_between_members_changes_no_example(small):
    # the loader does not read tar headers; `make verify` does
    offset, _ = members(small)["features.json"]
    flip(small, offset - 512 + 100)
    read_all(small)


def test_only_the_damaged_record_fails(small):
    offset, _ = members(small)["small-test.tfrecord-00000-of-00001"]
    flip(small, offset + 12 + 3)
    _, ds = load(small)
    with pytest.raises(loader.IntegrityError, match="record 0 of split 'test'"):
        ds["test"][0]
    assert_equal(ds["test"][1], example("test", 1))


@pytest.mark.parametrize("kept", [0, 100, 511, 4000, 0.5, 0.999])
def test_a_truncated_artifact_is_an_error(small, kept):
    tar = small / "artifacts/small.tar"
    size = tar.stat().st_size
    os.truncate(tar, kept if isinstance(kept, int) else int(size * kept))
    with pytest.raises(
        loader.IntegrityError, match=r"its manifest says .*: rm -f .*/small\.tar; if it was never pushed"
    ):
        load(small)


def test_a_manifest_of_another_artifact_is_an_error(small):
    path = small / "artifacts/small.json"
    manifest = json.loads(path.read_text())
    manifest["artifacts"]["small.tar"]["index"]["sha256"] = "0" * 64
    path.write_text(json.dumps(manifest))
    with pytest.raises(loader.ManifestError, match=r"does not belong to the manifest .*git checkout"):
        load(small)


def test_a_missing_manifest_is_an_error(small):
    (small / "artifacts/small.json").unlink()
    with pytest.raises(loader.ManifestError, match=r"is missing; restore it with: git checkout"):
        load(small)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"format": 1}',
        b'{"format": 2, "name": "small"}',
        b'{"format": 1, "name": "other", "version": "1", "artifacts": {}}',
        b'{"format": 1, "name": "small", "version": "1", "artifacts": {}}',
        b'{"format": 1, "name": "small", "version": "1", "artifacts": {"../x": {}}}',
        b'{"format": 1, "name": "small", "version": "1", "artifacts": {"small.tar": {"config": null}}}',
        b"[" * 100_000,
        b"\xff\xfe",
    ],
)
def test_a_broken_manifest_is_an_error(small, content):
    (small / "artifacts/small.json").write_bytes(content)
    with pytest.raises(loader.ManifestError, match="not a usable manifest"):
        load(small)


@pytest.mark.parametrize(
    ("code", "denied", "advice"),
    [
        (errno.EACCES, "artifacts/small.tar", r"make it readable, with: chmod u\+r \S+/small\.tar$"),
        (errno.EACCES, "artifacts", r"make it readable, with: chmod u\+rx \S+/artifacts$"),
        (errno.EMFILE, "artifacts/small.tar", "may be undamaged: try again"),
        (errno.EIO, "artifacts/small.tar", r": rm -f .*; if it was never pushed, build it again then, with: make "),
    ],
)
def test_a_file_that_may_be_undamaged_is_not_to_be_removed(small, monkeypatch, code, denied, advice):
    """The faults are injected, because root can read every file."""
    for module, name in ((os, "open"), (os, "stat")) if denied == "artifacts" else ((os, "open"),):
        monkeypatch.setattr(module, name, failing(getattr(module, name), small / "artifacts/small.tar", code))
    with pytest.raises(loader.IntegrityError, match=rf"small\.tar cannot be read \({os.strerror(code)}\); .*{advice}"):
        load(small)


def failing(function, path, code):
    """Return a function of `os` that fails for one path."""

    def call(given, *arguments, **options):
        if given == path:
            raise OSError(code, os.strerror(code))
        return function(given, *arguments, **options)

    return call


def test_opening_does_not_depend_on_the_size_of_the_tar(small):
    """A sparse file of 1 TiB can be opened, because only a few pages of it are read."""
    tar = small / "artifacts/small.tar"
    size = 1 << 40
    os.truncate(tar, size)
    path = small / "artifacts/small.json"
    manifest = json.loads(path.read_text())
    manifest["artifacts"]["small.tar"]["size"] = size
    path.write_text(json.dumps(manifest))
    _, ds = load(small)
    assert_equal(ds["train"][5299], example("train", 5299))


def test_the_tar_command_extracts_an_artifact(small, tmp_path):
    subprocess.run(["tar", "xf", small / "artifacts/small.tar", "-C", tmp_path], check=True)
    _, ds = loader.from_directory(tmp_path / "small/1.0.0")
    for split in SPLITS:
        for number, found in enumerate(ds[split]):
            assert_equal(found, example(split, number))
    shutil.rmtree(tmp_path / "small")
