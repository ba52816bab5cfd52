"""A file that is truncated, changed or replaced while it is open, and what is not a file: one error, never a crash."""

import gc
import os
import pickle
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import loader
from loader._fetch.reference import find_artifact
from loader._format import files, rows
from loader._format.artifact import LocalArtifact
from loader._format.index import ROWS_NAME
from tests.helpers.large_artifact import make_large
from tests.helpers.recorded_dataset import example, prepare_recorded

ROOT = Path(__file__).resolve().parents[2]
READ_TRUNCATED = """
import os, sys, loader
from loader._format import files
if sys.argv[3] == "large":
    files.IN_MEMORY_BYTES = 0
path, kept = sys.argv[1], int(sys.argv[2])
ds = loader.open(path)[1] if path.endswith(".tar") else loader.from_directory(path)[1]
train = ds["train"]
read = {
    "index": lambda: [train[n] for n in range(len(train))],
    "iterate": lambda: list(train),
    "shuffled": lambda: list(train.batches(64, shuffle=True, seed=1)),
    "workers": lambda: list(train.batches(64, workers=3)),
}[sys.argv[4]]
os.truncate(sys.argv[5], kept)
try:
    read()
except loader.IntegrityError as error:
    print(error)
"""


@pytest.mark.parametrize("how", ["index", "iterate", "shuffled", "workers"])
@pytest.mark.parametrize("size", ["small", "large"])
@pytest.mark.parametrize("kind", ["tar", "folder"])
def test_a_file_truncated_while_it_is_open_is_an_integrity_error(small, tmp_path, kind, size, how):
    if kind == "tar":
        opened = cut = small / "artifacts/small.tar"
    else:
        opened = prepare_recorded(tmp_path).folder
        cut = opened / "small-train.tfrecord-00000-of-00002"
    kept = cut.stat().st_size // 2
    done = subprocess.run(
        [sys.executable, "-c", READ_TRUNCATED, opened, str(kept), size, how, cut],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr  # a memory map would end the process with SIGBUS
    assert str(cut) in done.stdout
    assert "truncated" in done.stdout or "cut off" in done.stdout or "was changed" in done.stdout


@pytest.mark.parametrize("limit", [files.IN_MEMORY_BYTES, 0])
def test_rows_that_are_changed_after_they_were_verified_are_not_used(small, monkeypatch, limit):
    monkeypatch.setattr(files, "IN_MEMORY_BYTES", limit)
    path = small / "artifacts/small.tar"
    _, train = loader.load("small", split="train", repo=small)
    assert train[0]["text"] == b"train 0"
    row = find_artifact("small", repo=small).open().header.member(ROWS_NAME).offset
    with path.open("r+b") as file:  # row 1 becomes a copy of row 0, with the right digest
        file.seek(row)
        first = file.read(44)
        file.write(first)
    assert train[1]["text"] == b"train 1"
    with pytest.raises(loader.IntegrityError, match="is damaged in block 0"):
        loader.load("small", split="train", repo=small)[1][1]


def test_rows_of_an_artifact_with_many_blocks_are_verified_again_by_group(tmp_path, monkeypatch):
    monkeypatch.setattr(rows, "BLOCKS_KEPT", 1)
    root = make_large(tmp_path / "repository", 10_000)
    _, train = loader.load("large", split="train", repo=root)
    blocks, read_block = [], LocalArtifact.block
    monkeypatch.setattr(LocalArtifact, "block", lambda self, number: blocks.append(number) or read_block(self, number))
    train = pickle.loads(pickle.dumps(train))  # with the logging method
    order = [number * 7919 % 10_000 for number in range(10_000)]
    for number in order:
        assert train[number]["text"] == example("train", number % 1000)["text"]
    assert sorted(blocks) == [0, 1, 2]  # each once, although only 256 groups of 625 are kept
    assert [e["text"] for e in train] == [example("train", number % 1000)["text"] for number in range(10_000)]


def test_a_group_that_was_changed_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setattr(rows, "BLOCKS_KEPT", 1)
    root = make_large(tmp_path / "repository", 10_000)
    _, train = loader.load("large", split="train", repo=root)
    assert train[0]["text"] == b"train 0"
    start = find_artifact("large", repo=root).open().header.member(ROWS_NAME).offset
    with (root / "artifacts/large.tar").open("r+b") as file:
        file.seek(start)
        first = file.read(44)
        file.seek(start + 17 * 44)
        file.write(first)
    with pytest.raises(loader.IntegrityError, match="is damaged in block 0"):
        train[17]


def test_a_replaced_file_stays_readable_and_a_worker_opens_the_new_one(small, tmp_path):
    path = small / "artifacts/small.tar"
    _, train = loader.load("small", split="train", repo=small)
    data = path.read_bytes()
    new = tmp_path / "new.tar"
    new.write_bytes(data.replace(b"train 5000", b"train 5OOO"))
    new.rename(path)
    assert train[5000]["text"] == b"train 5000"
    with pytest.raises(loader.IntegrityError, match="record 5,000"):
        pickle.loads(pickle.dumps(train))[5000]


def test_the_message_about_a_replaced_file_does_not_ask_to_remove_the_new_one(small, tmp_path):
    path = small / "artifacts/small.tar"
    data = path.read_bytes()
    path.write_bytes(data.replace(b"train 5000", b"train 5OOO"))
    _, train = loader.load("small", split="train", repo=small)
    (tmp_path / "right.tar").write_bytes(data)
    (tmp_path / "right.tar").rename(path)
    with pytest.raises(loader.IntegrityError, match=r"was replaced .*load it again$"):
        train[5000]


def test_a_shard_that_is_replaced_is_an_error_that_says_so(tmp_path, monkeypatch):
    folder = prepare_recorded(tmp_path).folder
    _, ds = loader.from_directory(folder)
    shard = folder / "small-test.tfrecord-00000-of-00001"
    os.utime(shard, (1, 1))
    with pytest.raises(loader.IntegrityError, match=r"00000-of-00001 was changed or replaced after it was opened"):
        ds["test"][0]


def open_descriptors():
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts the descriptors in /proc")
def test_files_are_closed_when_nothing_refers_to_them(small, tmp_path):
    folder = prepare_recorded(tmp_path).folder
    loader.load("small", repo=small)
    before = open_descriptors()
    _, ds = loader.load("small", repo=small)
    _, also = loader.from_directory(folder)
    assert ds["train"][3]["text"] == also["train"][3]["text"] == b"train 3"
    assert open_descriptors() > before
    del ds, also
    assert open_descriptors() == before


def test_a_folder_may_have_more_shards_than_a_process_may_open_files(tmp_path):
    folder = prepare_recorded(tmp_path).folder
    count = 300
    shard = folder / "small-test.tfrecord-00000-of-00001"
    for number in range(count):
        shutil.copy(shard, folder / f"small-many.tfrecord-{number:05d}-of-{count:05d}")
    info = (folder / "dataset_info.json").read_text()
    many = f'{{"name": "many", "shardLengths": {[str(70)] * count}, "numBytes": "1"}}'.replace("'", '"')
    (folder / "dataset_info.json").write_text(info.replace('"splits": [', f'"splits": [{many}, '))
    code = (
        "import resource, sys, loader\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (150, 150))\n"
        "_, ds = loader.from_directory(sys.argv[1], split='many')\n"
        "print(len(list(ds.shuffle(0))))"
    )
    done = subprocess.run([sys.executable, "-c", code, folder], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == str(70 * count), done.stderr


def make_pipe(path):
    os.mkfifo(path)


def make_socket(path):
    with socket.socket(socket.AF_UNIX) as bound:
        os.chdir(path.parent)  # the path of a socket must be short
        bound.bind(path.name)


def make_device(path):
    path.symlink_to("/dev/zero")


ODD = {"a named pipe": make_pipe, "a socket": make_socket, "a device": make_device, "a folder": Path.mkdir}


@pytest.fixture(params=ODD)
def odd(request, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # and back again
    return request.param, ODD[request.param]


def test_an_artifact_that_is_not_a_file_is_an_error_at_once(small, tmp_path, odd):
    kind, make = odd
    path = small / "artifacts/small.tar"
    path.unlink()
    make(path)
    with pytest.raises(loader.IntegrityError, match=f"small: .*cannot be read .it is {kind}, not a file"):
        loader.load("small", repo=small)
    with pytest.raises(loader.IntegrityError, match=f"it is {kind}, not a file"):
        loader.open(path)
    with pytest.raises(loader.IntegrityError, match=f"it is {kind}, not a file"):
        loader.open(path, hash="0" * 32)


def test_a_manifest_that_is_not_a_file_is_an_error_at_once(tmp_path, odd):
    from loader._format.manifest import read_manifest

    kind, make = odd
    make(tmp_path / "small.json")
    with pytest.raises(loader.ManifestError, match=f"it is {kind}, not a file"):
        read_manifest(tmp_path / "small.json")


@pytest.mark.parametrize("name", ["small-test.tfrecord-00000-of-00001", "features.json"])
def test_a_prepared_file_that_is_not_a_file_is_an_error_at_once(tmp_path, odd, name):
    kind, make = odd
    folder = prepare_recorded(tmp_path).folder
    (folder / name).unlink()
    make(folder / name)
    with pytest.raises(loader.IntegrityError, match=f"{name} cannot be read .it is {kind}, not a file"):
        loader.from_directory(folder)


@pytest.mark.parametrize("size", [100, files.IN_MEMORY_BYTES + 1], ids=["small", "large"])
@pytest.mark.parametrize("function", ["pread", "pread_exactly", "pread_ahead"])
def test_a_function_that_reads_a_file_keeps_it_open(tmp_path, size, function):
    path = tmp_path / "file"
    path.write_bytes(b"x" * size)
    file = files.RandomAccessFile(
        path
    )  # several threads may open a file at once, and forget all but one of the objects
    read = getattr(file, function)() if function == "pread_ahead" else getattr(file, function)
    del file
    assert read(5, 10) == b"xxxxx"
