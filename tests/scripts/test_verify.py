"""Errors that `verify` finds: one error at a time, with all hashes above it computed again."""

import hashlib
import json
import os
import subprocess
import tarfile

import pytest

import loader
from loader._format.index import HEADER_NAME
from scripts._define.several import for_each
from scripts._process.errors import ScriptError
from scripts.verify import command, verify
from tests.helpers.recorded_dataset import record_artifacts
from tests.helpers.tampering import File, flip, sign, take_apart

FIRST_SHARD = "small-train.tfrecord-00000-of-00002"
TEST_SHARD = "small-test.tfrecord-00000-of-00001"


def tar_of(root):
    return root / "artifacts/small.tar"


def flip_in_tar(root, offset):
    tar_of(root).write_bytes(flip(tar_of(root).read_bytes(), offset))


def infos(root):
    with tarfile.open(tar_of(root)) as tar:
        return {info.name.rpartition("/")[2]: info for info in tar.getmembers()}


def refused(root, error, match):
    with pytest.raises(error, match=match) as raised:
        verify("small", root=root)
    message = str(raised.value)
    assert "small" in message
    return message


def test_a_valid_artifact_passes_every_check_and_each_is_listed(small):
    size = tar_of(small).stat().st_size
    lock, tar, members, records = verify("small", root=small)
    assert lock.startswith(f"dvc.lock and manifest record these {size:,} bytes, md5 ")
    assert tar == "the tar holds the 8 members that its record index lists"
    assert members == "every member and the 2 blocks of the record index match their SHA-256"
    assert records == "all 5,370 records match their digests and TFRecord checksums, and none is missing"


def test_an_artifact_taken_apart_and_signed_is_the_same_artifact(small):
    # otherwise the other tests would find errors of the helper
    before = tar_of(small).read_bytes()
    manifest = json.loads((small / "artifacts/small.json").read_text())
    take_apart(small).sign()
    assert tar_of(small).read_bytes() == before
    assert json.loads((small / "artifacts/small.json").read_text()) == manifest


def test_another_size_is_found(small):
    with tar_of(small).open("ab") as file:
        file.write(bytes(512))
    size = tar_of(small).stat().st_size
    message = refused(small, loader.IntegrityError, r"is not what dvc\.lock records")
    assert f"'size': {size}" in message
    assert f"'size': {size - 512}" in message
    assert "remove it, and it is fetched anew" in message


def test_a_truncated_artifact_is_found(small):
    os.truncate(tar_of(small), tar_of(small).stat().st_size - 1)
    refused(small, loader.IntegrityError, r"is not what dvc\.lock records")


def test_an_empty_artifact_is_found(small):
    os.truncate(tar_of(small), 0)
    refused(small, loader.IntegrityError, r"is not what dvc\.lock records: \{'size': 0,")


@pytest.mark.parametrize("place", [0.0, 0.01, 0.5, 0.9, 1.0])
def test_a_flipped_bit_is_found_by_its_md5(small, place):
    size = tar_of(small).stat().st_size
    flip_in_tar(small, int((size - 1) * place))
    message = refused(small, loader.IntegrityError, r"is not what dvc\.lock records")
    assert "'md5':" in message


def test_a_manifest_of_another_artifact_is_found(small):
    path = small / "artifacts/small.json"
    manifest = json.loads(path.read_text())
    manifest["artifacts"]["small.tar"]["sha256"] = "0" * 64
    path.write_text(json.dumps(manifest))
    record_artifacts(small)
    refused(small, loader.IntegrityError, r"record two different artifacts; .*git checkout -- dvc\.lock")


def test_a_manifest_with_another_size_is_found(small):
    path = small / "artifacts/small.json"
    manifest = json.loads(path.read_text())
    manifest["artifacts"]["small.tar"]["size"] += 512
    path.write_text(json.dumps(manifest))
    record_artifacts(small)
    refused(small, loader.IntegrityError, "record two different artifacts")


def test_an_index_header_that_the_manifest_does_not_record_is_found(small):
    path = small / "artifacts/small.json"
    manifest = json.loads(path.read_text())
    manifest["artifacts"]["small.tar"]["index"]["sha256"] = "0" * 64
    path.write_text(json.dumps(manifest))
    record_artifacts(small)
    refused(small, loader.ManifestError, r"does not belong to the manifest")


def test_an_extra_member_is_found(small):
    forgery = take_apart(small)
    info = tarfile.TarInfo("small/1.0.0/extra.txt")
    info.mode = 0o644
    forgery.extra.append(info)
    forgery.sign()
    refused(small, loader.IntegrityError, "does not hold the members that its record index lists")


def test_a_link_is_found(small):
    forgery = take_apart(small)
    info = tarfile.TarInfo("small/1.0.0/extra.txt")
    info.type, info.linkname, info.mode = tarfile.SYMTYPE, "dataset_info.json", 0o644
    forgery.extra.append(info)
    forgery.sign()
    refused(small, loader.IntegrityError, r"not plain files of format 1: small/1\.0\.0/extra\.txt")


@pytest.mark.parametrize("name", [HEADER_NAME, "dataset_info.json", "record_index.bin", TEST_SHARD])
@pytest.mark.parametrize("place", [0, 124, 150, 156])  # the name, the size, the checksum, the type
def test_a_flipped_bit_in_a_tar_header_is_found_though_all_hashes_match(small, name, place):
    flip_in_tar(small, infos(small)[name].offset + place)
    sign(small)
    refused(small, loader.IntegrityError, r"is not a valid tar|does not hold the members")


@pytest.mark.parametrize(("attribute", "value"), [("mode", 0o4755), ("mtime", 1), ("uid", 1000), ("gid", 1000)])
def test_another_attribute_in_a_tar_header_is_found_though_its_checksum_matches(small, attribute, value):
    info = infos(small)["features.json"]
    setattr(info, attribute, value)
    data = bytearray(tar_of(small).read_bytes())
    data[info.offset : info.offset + 512] = info.tobuf(tarfile.PAX_FORMAT)
    tar_of(small).write_bytes(data)
    sign(small)
    refused(small, loader.IntegrityError, r"not plain files of format 1: small/1\.0\.0/features\.json")


def test_a_damaged_end_of_the_tar_is_found_though_all_hashes_match(small):
    last = infos(small)[FIRST_SHARD.replace("00000-of", "00001-of")]
    end = last.offset_data + -(-last.size // 512) * 512
    assert not any(tar_of(small).read_bytes()[end:])
    flip_in_tar(small, end)
    sign(small)
    assert subprocess.run(["tar", "tf", tar_of(small)], capture_output=True).returncode != 0
    refused(small, loader.IntegrityError, "tar")


@pytest.mark.parametrize("name", ["label.labels.txt", "notes.txt", "record_index.bin", TEST_SHARD])
def test_a_member_that_differs_from_the_index_header_is_found(small, name):
    # the tar and the index header agree on the offsets but not on the bytes; only this check reads notes.txt
    forgery = take_apart(small)
    forgery.files.insert(3, File("small/1.0.0/notes.txt", b"notes"))
    forgery.sign()
    verify("small", root=small)
    flip_in_tar(small, infos(small)[name].offset_data)
    sign(small)
    refused(small, loader.IntegrityError, rf"is damaged in its member small/1\.0\.0/{name}")


def test_a_block_that_differs_from_the_index_header_is_found(small):
    forgery = take_apart(small)
    forgery.sign()
    path = small / "artifacts/small.json"
    entry = json.loads(path.read_text())["artifacts"]["small.tar"]["index"]
    data = bytearray(tar_of(small).read_bytes())
    header = bytes(data[entry["offset"] : entry["offset"] + entry["size"]])
    blocks = json.loads(header)["blocks"]
    assert len(blocks) == 2
    header = header.replace(blocks[1].encode(), b"0" * 64)
    data[entry["offset"] : entry["offset"] + entry["size"]] = header
    tar_of(small).write_bytes(data)
    sign(small, index={**entry, "sha256": hashlib.sha256(header).hexdigest()})
    refused(small, loader.IntegrityError, "is damaged in block 1 of its record index")


@pytest.mark.parametrize(
    ("number", "shard", "in_split"),
    [(0, FIRST_SHARD, "0"), (4999, FIRST_SHARD, "4,999"), (5300, TEST_SHARD, "0"), (5369, TEST_SHARD, "69")],
)
def test_a_wrong_digest_in_the_record_index_is_found(small, number, shard, in_split):
    forgery = take_apart(small)
    forgery.rows[number].digest = flip(forgery.rows[number].digest, 3)
    forgery.sign()
    refused(
        small,
        loader.IntegrityError,
        f"holds the shard {shard}, which does not match the record index in record {in_split};",
    )


@pytest.mark.parametrize("change", ["offset", "length"])
def test_a_wrong_offset_or_length_in_the_record_index_is_found(small, change):
    forgery = take_apart(small)
    row = forgery.rows[7]
    setattr(row, change, getattr(row, change) - 1)
    forgery.sign()
    refused(small, loader.IntegrityError, "does not match the record index in record 7;")


def test_two_swapped_rows_are_found(small):
    forgery = take_apart(small)
    forgery.rows[3], forgery.rows[4] = forgery.rows[4], forgery.rows[3]
    forgery.sign()
    refused(small, loader.IntegrityError, "does not match the record index in record 3;")


def test_a_flipped_tfrecord_checksum_of_a_record_is_found(small):
    forgery = take_apart(small)
    row = forgery.rows[5301]
    row.shard.data = flip(row.shard.data, row.offset + row.length)
    forgery.sign()
    refused(small, loader.IntegrityError, rf"holds the shard {TEST_SHARD}, which .*\(the checksum of a record\)")


def test_a_flipped_tfrecord_checksum_of_a_length_is_found(small):
    forgery = take_apart(small)
    row = forgery.rows[5301]
    row.shard.data = flip(row.shard.data, row.offset - 4)
    forgery.sign()
    refused(
        small, loader.IntegrityError, rf"holds the shard {TEST_SHARD}, which .*\(the checksum of a record's length\)"
    )


def test_a_flipped_bit_in_a_record_is_found_though_the_hash_of_its_member_matches(small):
    forgery = take_apart(small)
    row = forgery.rows[5301]
    row.shard.data = flip(row.shard.data, row.offset + 2)
    forgery.sign()
    refused(small, loader.IntegrityError, rf"holds the shard {TEST_SHARD}, which .*\(the checksum of a record\)")


def test_a_shard_that_is_cut_off_is_found(small):
    forgery = take_apart(small)
    shard = forgery.file(TEST_SHARD)
    shard.data = shard.data[:-1]
    forgery.sign()
    refused(small, loader.IntegrityError, rf"holds the shard {TEST_SHARD}, which is cut off inside its last record")


def state_lengths(forgery, split, lengths):
    """Change the numbers of records in dataset_info.json."""
    file = forgery.file("dataset_info.json")
    info = json.loads(file.data)
    next(entry for entry in info["splits"] if entry["name"] == split)["shardLengths"] = lengths
    file.data = json.dumps(info).encode()


@pytest.mark.parametrize("stated", ["69", "71"])
def test_a_number_of_records_that_contradicts_dataset_info_is_found(small, stated):
    forgery = take_apart(small)
    state_lengths(forgery, "test", [stated])
    forgery.sign()
    refused(small, loader.IntegrityError, f"holds 70 records in {TEST_SHARD}, but dataset_info.json says {stated};")


def test_a_missing_shard_that_dataset_info_lists_is_found(small):
    forgery = take_apart(small)
    state_lengths(forgery, "test", ["60", "10"])
    forgery.sign()
    refused(small, loader.IntegrityError, "lacks the shard small-test.tfrecord-00000-of-00002")


def test_a_number_of_records_that_contradicts_the_record_index_is_found(small):
    forgery = take_apart(small)
    forgery.splits = {"train": 5301, "test": 69}
    forgery.sign()
    refused(small, loader.IntegrityError, "holds 5,300 records of split train, but its record index says otherwise")


def test_a_split_that_is_only_in_the_record_index_is_found(small):
    forgery = take_apart(small)
    forgery.splits["ghost"] = 3
    forgery.rows += forgery.rows[:3]
    forgery.sign()
    with pytest.raises(loader.IntegrityError, match="contradicts itself"):
        loader.load("small", repo=small)
    refused(small, loader.IntegrityError, "record index")


def reverse_splits(root):
    """Change the order of the splits in the index header, but not in the rows and dataset_info.json."""
    forgery = take_apart(root)
    forgery.splits = dict(reversed(forgery.splits.items()))
    forgery.sign()


def test_splits_in_another_order_in_the_record_index_are_found(small):
    reverse_splits(small)
    refused(small, loader.IntegrityError, "record index")


def test_the_loader_refuses_splits_in_another_order(small):
    reverse_splits(small)
    with pytest.raises(loader.IntegrityError, match="contradicts itself"):
        loader.load("small", repo=small)[1]["test"][0]


def test_a_missing_artifact_says_how_to_get_it(small):
    tar_of(small).unlink()
    refused(small, ScriptError, r"small\.tar is missing; get it with: make pull DATASET=small, or build it with: ")


def test_a_missing_manifest_says_how_to_restore_it(small):
    (small / "artifacts/small.json").unlink()
    refused(small, loader.ManifestError, r"is missing; restore it with: git checkout -- artifacts/small\.json")


def test_a_dvc_lock_without_the_artifact_is_found(small):
    path = small / "dvc.lock"
    lock = json.loads(path.read_text())
    lock["stages"]["small"]["outs"] = [out for out in lock["stages"]["small"]["outs"] if "tar" not in out["path"]]
    path.write_text(json.dumps(lock))
    refused(small, ScriptError, r"dvc\.lock does not record artifacts/small\.tar; build it with: make build")


@pytest.mark.parametrize("stages", [{}, None, {"other": {}}, {"small": {"cmd": "x"}}])
def test_a_dvc_lock_without_the_stage_is_found(small, stages):
    (small / "dvc.lock").write_text(json.dumps({"schema": "2.0", "stages": stages}))
    refused(small, ScriptError, r"dvc\.lock does not record artifacts/small\.tar")


def test_a_missing_dvc_lock_is_found(small):
    (small / "dvc.lock").unlink()
    with pytest.raises(ScriptError, match=r"dvc\.lock is missing"):
        verify("small", root=small)


def test_an_unknown_dataset_is_an_error(small):
    with pytest.raises(ScriptError, match="did you mean small"):
        verify("smal", root=small)


@pytest.mark.parametrize(
    "change",
    [
        {"license": "CC BY 4.0"},
        {"license": "other"},
        {"sources": [{"url": "x"}]},
        {"description": "Something else."},
    ],
)
def test_a_changed_manifest_is_found(small, change):
    path = small / "artifacts/small.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    refused(small, loader.IntegrityError, r"small\.json is not what dvc\.lock records; restore both with: git checkout")


def test_a_definition_of_another_version_is_found(small):
    path = small / "params.yaml"
    path.write_text(path.read_text().replace("version: 1.0.0", "version: 1.0.1"))
    refused(small, ScriptError, r"params\.yaml says version 1\.0\.1, but .*small\.json has 1\.0\.0; build it")


def test_a_member_of_negative_size_is_an_error_and_not_an_endless_loop(small):
    forgery = take_apart(small)
    forgery.sign()
    tar = small / "artifacts/small.tar"
    data = bytearray(tar.read_bytes())
    with tarfile.open(tar) as opened:
        last = opened.getmembers()[-1].offset
    data[last + 124 : last + 136] = b"\xff" * 10 + (0x10000 - 1024).to_bytes(2, "big")  # its size: -1024, in base 256
    data[last + 148 : last + 156] = b" " * 8
    data[last + 148 : last + 156] = f"{sum(data[last : last + 512]):06o}\0 ".encode()
    tar.write_bytes(data)
    manifest_path = small / "artifacts/small.json"
    manifest = json.loads(manifest_path.read_text())
    manifest["artifacts"]["small.tar"]["sha256"] = hashlib.sha256(data).hexdigest()
    manifest_path.write_text(json.dumps(manifest))
    record_artifacts(small)
    refused(small, loader.IntegrityError, "not a valid tar|does not hold the members")


@pytest.mark.parametrize("content", ["stages: [1]", "stages: {small: [1]}", "stages: {small: {outs: 3}}", "stages: 3"])
def test_a_malformed_dvc_lock_is_an_error(small, content):
    (small / "dvc.lock").write_text(content)
    with pytest.raises(ScriptError, match=r"dvc\.lock"):
        verify("small", root=small)


def test_all_datasets_are_checked_and_reported_though_the_first_one_fails(small, capsys):
    params, stages = small / "params.yaml", small / "dvc.yaml"
    block = params.read_text().partition("small:")[2]
    params.write_text(params.read_text() + f"another:{block}")
    stage = stages.read_text().rpartition("  small:")[2].replace("small", "another")
    stages.write_text(stages.read_text() + f"  another:{stage}")
    (small / "artifacts/another.json").write_text("{}")
    with pytest.raises(ScriptError, match=r"^1 of 2 datasets failed: another; each reason is in the output above$"):
        for_each(["another", "small"], lambda name: print(verify(name, root=small)))
    printed = capsys.readouterr()
    assert printed.err.startswith("another: FAILED: ")
    assert "records match their digests" in printed.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "name datasets, or take all of them: DATASET=mnist or ALL=1"),
        ({"names": ["small"], "everything": True}, "either name datasets or take all of them, not both"),
    ],
)
def test_one_dataset_or_all_must_be_named(arguments, message):
    with pytest.raises(ScriptError, match=message):
        command(**arguments)


def test_a_dataset_that_was_never_built_is_left_out_only_if_all_are_checked(small, capsys):
    (small / "artifacts/small.json").unlink()
    (small / "dvc.lock").unlink()
    for_each(["small"], lambda name: print(verify(name, root=small)), everything=True)
    reason = "it was never built; build it with: make build DATASET=small"
    assert capsys.readouterr().out == f"small: nothing to do: {reason}\n0 of 0 datasets: ok\n"
    for rebuild in (False, True):
        with pytest.raises(ScriptError, match=f"^small: {reason}$"):
            for_each(["small"], lambda name: print(verify(name, rebuild=rebuild, root=small)))  # noqa: B023
