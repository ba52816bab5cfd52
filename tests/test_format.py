"""docs/format.md is enough to read an artifact: a short reader, written from it alone, agrees with the loader."""

import ast
import hashlib
import itertools
import json
import random
import shutil
import sys
from pathlib import Path

import pytest

from loader._format.artifact import LocalArtifact
from loader._format.manifest import read_manifest
from tests import format_reader
from tests.format_reader import Artifact, check

ROW, BLOCK = 44, 4096 * 44


@pytest.fixture
def copy(small, tmp_path):
    """The paths of an artifact and its manifest that a test may damage."""
    return [Path(shutil.copy(small / "artifacts" / name, tmp_path)) for name in ("small.tar", "small.json")]


def members(tar, manifest):
    """Every member as the index header describes it, the index header first."""
    index = json.loads(manifest.read_text())["artifacts"][tar.name]["index"]
    header = tar.read_bytes()[index["offset"] : index["offset"] + index["size"]]
    return [{"path": "record_index.json", **index}, *json.loads(header)["members"]]


def state_hash_of(tar, manifest):
    document = json.loads(manifest.read_text())
    document["artifacts"][tar.name]["sha256"] = hashlib.sha256(tar.read_bytes()).hexdigest()
    manifest.write_text(json.dumps(document))


def forge(tar, manifest, change):
    """Change the bytes of the rows and of a shard, and state the hashes of what results: all hashes are right."""
    data, document = bytearray(tar.read_bytes()), json.loads(manifest.read_text())
    index = document["artifacts"][tar.name]["index"]
    span = slice(index["offset"], index["offset"] + index["size"])
    header = json.loads(data[span])
    spans = {place["path"]: slice(place["offset"], place["offset"] + place["size"]) for place in header["members"]}
    rows = next(span for path, span in spans.items() if path.endswith("/record_index.bin"))
    change(data, rows.start, list(spans.values())[-1].start)
    for place in header["members"]:
        place["sha256"] = hashlib.sha256(data[spans[place["path"]]]).hexdigest()
    starts = range(rows.start, rows.stop, BLOCK)
    header["blocks"] = [hashlib.sha256(data[at : min(at + BLOCK, rows.stop)]).hexdigest() for at in starts]
    data[span] = (json.dumps(header, indent=0) + "\n").encode()
    index["sha256"] = hashlib.sha256(data[span]).hexdigest()
    tar.write_bytes(data)
    manifest.write_text(json.dumps(document))
    state_hash_of(tar, manifest)


def flip_checksum(data, rows, shard):
    data[shard + 8] ^= 1


def flip_record(data, rows, shard):
    data[shard + 12] ^= 1


def swap_rows(data, rows, shard):
    data[rows : rows + 2 * ROW] = data[rows + ROW : rows + 2 * ROW] + data[rows : rows + ROW]


def repeat_row(data, rows, shard):
    data[rows + ROW : rows + 2 * ROW] = data[rows : rows + ROW]


def shorten_record(data, rows, shard):
    data[rows + 8] -= 1


def change_nothing(data, rows, shard):
    pass


def assert_same_records(root, name):
    tar, manifest = root / "artifacts" / f"{name}.tar", root / "artifacts" / f"{name}.json"
    counts = check(tar, manifest)
    stated = read_manifest(manifest)
    read = LocalArtifact(tar, stated, stated.artifact()).records().reader()
    artifact = Artifact(tar, manifest)
    records = itertools.chain.from_iterable(artifact.records(split) for split in artifact.rows)
    total = 0
    for row, record in enumerate(records):
        assert record == bytes(read(row))
        total += 1
    assert total == sum(counts.values())
    return counts


def test_the_reader_is_short_and_needs_only_the_standard_library():
    source = Path(format_reader.__file__).read_text()
    assert len(source.splitlines()) < 100
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            assert {alias.name.partition(".")[0] for alias in node.names} <= sys.stdlib_module_names
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            assert node.module.partition(".")[0] in sys.stdlib_module_names


def test_the_masked_crc_is_that_of_the_page():
    assert format_reader.masked_crc(b"123456789") == 0xC78AB0E5.to_bytes(4, "little")


def test_the_reader_and_the_loader_read_the_same_records(small):
    counts = assert_same_records(small, "small")
    assert counts == {"train": 5300, "test": 70}


def test_records_are_read_by_number(small):
    artifact = Artifact(small / "artifacts" / "small.tar", small / "artifacts" / "small.json")
    records = list(artifact.records("train"))
    numbers = [5299, 0, 4096, 4095, 0]
    assert list(artifact.records("train", numbers)) == [records[number] for number in numbers]
    for number in (-1, 5300):
        with pytest.raises(KeyError):
            next(artifact.records("train", [number]))


def test_every_flipped_bit_is_found(copy):
    tar, manifest = copy
    original, statement = tar.read_bytes(), manifest.read_text()
    chosen = random.Random(0)
    ends = {place["offset"] + end for place in members(tar, manifest) for end in (0, place["size"] - 1)}
    for position in [*chosen.sample(range(len(original)), 40), *sorted(ends)]:
        damaged = bytearray(original)
        damaged[position] ^= 1 << chosen.randrange(8)
        tar.write_bytes(damaged)
        with pytest.raises(ValueError, match="SHA-256"):
            check(tar, manifest)
        if position in ends:  # the hashes of the members find it too
            state_hash_of(tar, manifest)
            with pytest.raises(ValueError, match="SHA-256"):
                check(tar, manifest)
            manifest.write_text(statement)
    tar.write_bytes(original)
    check(tar, manifest)


@pytest.mark.parametrize("kept", [0, 1, 512, -10240, -1])
def test_a_truncated_tar_is_found(copy, kept):
    tar, manifest = copy
    tar.write_bytes(tar.read_bytes()[:kept])
    with pytest.raises(ValueError, match="size"):
        check(tar, manifest)


def test_a_longer_tar_is_found(copy):
    tar, manifest = copy
    tar.write_bytes(tar.read_bytes() + bytes(10240))
    with pytest.raises(ValueError, match="size"):
        check(tar, manifest)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (flip_checksum, "does not have its frame"),
        (flip_record, "does not have its digest"),
        (swap_rows, "rows are unsorted"),
        (repeat_row, "occurs twice"),
        (shorten_record, "more than its records"),
    ],
)
def test_what_hashes_cannot_tell_is_found(copy, change, sentence):
    forge(*copy, change_nothing)
    check(*copy)
    forge(*copy, change)
    with pytest.raises(ValueError, match=sentence):
        check(*copy)


@pytest.mark.slow
def test_the_reader_and_the_loader_read_the_same_records_of_a_real_artifact(built):
    assert assert_same_records(built("digit").root, "digit")
