"""Decoded examples that are kept, in memory and in files: what they return, take, refuse, survive."""

import hashlib
import multiprocessing
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import loader
from loader import _cached
from tests.helpers.killing import kill_at_step
from tests.helpers.recorded_dataset import example

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def train(small):
    _, split = loader.load("small", split="train", repo=small)
    return split


@pytest.fixture(params=[False, True], ids=["memory", "disk"])
def cached(train, request):
    return train.cache(disk=request.param)


def equal(one, other):
    """Whether two examples of `small` are the same."""
    return (
        list(one) == list(other)
        and (one["label"], one["text"]) == (other["label"], other["text"])
        and type(one["label"]) is type(other["label"])
        and one["samples"].dtype == other["samples"].dtype
        and np.array_equal(one["samples"], other["samples"])
    )


def equal_batches(one, other):
    return (
        list(one) == list(other)
        and one["label"].dtype == other["label"].dtype
        and one["text"].dtype == other["text"].dtype
        and (one["label"] == other["label"]).all()
        and (one["text"] == other["text"]).all()
        and type(one["samples"]) is type(other["samples"]) is list
        and all(map(np.array_equal, one["samples"], other["samples"]))
    )


def test_a_cached_split_returns_the_same_examples(train, cached):
    assert len(cached) == len(train)
    assert all(map(equal, cached, train))
    assert equal(cached[-1], example("train", 5299)) and equal(cached[[7, 3]][0], example("train", 7))
    assert cached["label"].tolist() == train["label"].tolist()
    for number in (5300, -5301):
        with pytest.raises(IndexError):
            cached[number]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("options", [{}, {"shuffle": True, "seed": 5}, {"drop_remainder": True}])
def test_a_cached_split_returns_the_same_batches(train, cached, workers, options):
    for part in (slice(None), slice(100, 700, 3), slice(None, None, -1)):
        expected = train[part].batches(64, **options)
        batches = cached[part].batches(64, workers=workers, **options)
        assert len(expected) == len(batches)
        assert all(equal_batches(*each) for each in zip(batches, expected, strict=True))


def test_states_are_those_of_the_split_without_a_cache(train):
    for split in (train, train[10:900:3], train.shuffle(1), train[::-2]):
        cached = split.cache()
        assert cached.fingerprint == split.fingerprint
        for part in (slice(3, 200, 2), slice(None, None, -1), [5, 2, 7]):
            assert cached[part].fingerprint == split[part].fingerprint
        iterator = iter(split.batches(32, shuffle=True))
        next(iterator)
        assert equal_batches(next(cached.batches(32, shuffle=True).iterator(state=iterator.state())), next(iterator))


def test_what_a_cached_split_returns_can_be_modified(cached):
    cached[3]["samples"][:] = 9
    for batch in cached[:8].batches(8):
        batch["label"] += 1
        batch["samples"][3] += 1
    assert equal(cached[3], example("train", 3))


def test_a_cached_split_reads_no_record_again(small, train, cached):
    path = small / "artifacts/small.tar"
    path.write_bytes(bytes(path.stat().st_size))
    assert equal(cached[17], example("train", 17))
    with pytest.raises(loader.IntegrityError):
        train.cache()


def test_a_cached_split_can_be_cached_again_and_joined(train):
    twice = train[:50].cache().cache() + train[50:60].cache(disk=True)
    assert all(map(equal, twice, train[:60]))
    assert all(map(equal, twice.cache(disk=True).shuffle(3), train[:60].shuffle(3)))


@pytest.mark.slow
@pytest.mark.parametrize("disk", [False, True])
@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_a_cached_split_works_in_a_data_loader(small, context, disk):
    torch = pytest.importorskip("torch")
    _, labels = loader.load("small", split="train[:300]", repo=small, format="torch", features=["label"])
    cached = labels.cache(disk=disk)
    loaded = torch.utils.data.DataLoader(cached, batch_size=50, num_workers=2, multiprocessing_context=context)
    assert torch.cat([batch["label"] for batch in loaded]).tolist() == labels["label"].tolist()


class TestOnDisk:
    def test_there_is_one_entry_for_the_same_examples_which_is_listed_and_cleared(self, train):
        cached = train.cache(disk=True)
        train.cache(disk=True)
        (entry,) = loader.cache.entries()
        assert (entry.name, entry.kind) == ("small", "decoded")
        assert entry.size == sum(path.stat().st_size for path in entry.path.rglob("*") if path.is_file())
        loader.cache.clear()
        assert loader.cache.entries() == [entry]  # in use
        del cached
        loader.cache.clear()
        assert loader.cache.entries() == []

    def test_other_examples_orders_and_features_have_other_entries(self, small, train):
        _, labels = loader.load("small", split="train", repo=small, features=["label"])
        for number, split in enumerate((train, train[:100], train.shuffle(0), labels)):
            split.cache(disk=True)
            assert len(loader.cache.entries()) == number + 1

    def test_the_least_recently_used_entries_are_removed_at_a_limit(self, train):
        first, second = train[:100], train[100:200]
        first.cache(disk=True)
        loader.cache.limit(100)
        assert loader.cache.entries() == []
        kept = second.cache(disk=True)
        assert len(loader.cache.entries()) == 1 and equal(kept[3], example("train", 103))

    def test_a_later_process_decodes_nothing(self, small, train):
        train.cache(disk=True)
        code = (
            "import sys, loader\n"
            "from loader._source import RecordSource\n"
            "_, train = loader.load('small', split='train', repo=sys.argv[1])\n"
            "RecordSource.read = RecordSource.in_order = None\n"
            "cached = train.cache(disk=True)\n"
            "print(len(cached), cached[5299]['text'], sum(len(b['text']) for b in cached.batches(64, shuffle=True)))"
        )
        done = subprocess.run([sys.executable, "-c", code, small], check=True, capture_output=True, text=True, cwd=ROOT)
        assert done.stdout == "5300 b'train 5299' 5300\n"

    def test_pickling_copies_no_values(self, train):
        cached = train.cache(disk=True)
        data = pickle.dumps(cached.shuffle(1)[:10])
        assert len(data) < 20_000
        assert all(map(equal, pickle.loads(data), train.shuffle(1)[:10]))
        label = pickle.loads(pickle.dumps(cached))
        assert label["label"].tolist() == train["label"].tolist()

    def test_unpickling_after_the_entry_was_removed_makes_it_again(self, train):
        data = pickle.dumps(train[:50].cache(disk=True))
        loader.cache.clear()
        assert loader.cache.entries() == []
        assert all(map(equal, pickle.loads(data), train[:50]))

    @pytest.mark.parametrize("change", ["bit", "shorter", "longer", "removed", "swapped", "hash"])
    def test_a_damaged_entry_is_made_again(self, train, change):
        train.cache(disk=True)
        (entry,) = loader.cache.entries()
        files = sorted((entry.path / "small").glob("[0-9]*"))
        path = entry.path / "small/hashes" if change == "hash" else files[0]
        data = path.read_bytes()
        path.chmod(0o644)
        if change == "removed":
            path.unlink()
        elif change == "swapped":
            path.write_bytes(files[1].read_bytes())
        else:
            middle = len(data) // 2
            path.write_bytes(
                {
                    "bit": data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :],
                    "shorter": data[:-8],
                    "longer": data + bytes(8),
                    "hash": data[:-3],
                }[change]
            )
        assert all(map(equal, train.cache(disk=True), train))
        assert len(loader.cache.entries()) == 1
        assert hashlib.sha256(files[0].read_bytes()).hexdigest() in (entry.path / "small/hashes").read_text()

    def test_two_processes_at_once_write_one_entry(self, small):
        code = (
            "import sys, loader\n"
            "_, train = loader.load('small', split='train', repo=sys.argv[1])\n"
            "cached = train.cache(disk=True)\n"
            "print(len(set(cached['text'])))"
        )
        command = [sys.executable, "-c", code, small]
        processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) for _ in range(3)]
        assert [process.communicate()[0] for process in processes] == ["5300\n"] * 3
        assert len(loader.cache.entries()) == 1

    def test_threads_may_make_it_at_once(self, train):
        with ThreadPoolExecutor(4) as pool:
            splits = list(pool.map(lambda _: train[:500].cache(disk=True), range(4)))
        assert all(equal(split[499], example("train", 499)) for split in splits)

    def test_a_killed_writer_leaves_nothing_that_looks_finished(self, train):
        part, folder, step = train[:600], loader.cache.folder(), 0
        while not kill_at_step(lambda: part.cache(disk=True), step, root=folder):
            assert all(entry.kind == "decoded" for entry in loader.cache.entries())
            if loader.cache.entries():  # it is complete
                found = _cached._open(
                    loader.cache.entries()[0].path,
                    loader.cache.entries()[0].path / "small",
                    part._source,
                    len(part),
                )
                assert found is not None
            step += 1
        assert step >= 8
        assert all(map(equal, part.cache(disk=True), part))
        assert len(loader.cache.entries()) == 1
        loader.cache.clear()
        assert not any((folder / "scratch").iterdir())

    def test_a_full_disk_is_one_sentence_and_leaves_nothing(self, small):
        code = (
            "import sys, loader\n"
            "_, train = loader.load('small', split='train', repo=sys.argv[1])\n"
            "try: train.cache(disk=True)\n"
            "except loader.FetchError as error: print(error)\n"
            "print(loader.cache.entries(), len(train.cache()))"
        )
        limited = ["bash", "-c", 'ulimit -f 16; exec "$@"', "bash", sys.executable, "-c", code, small]
        done = subprocess.run(limited, capture_output=True, text=True, cwd=ROOT)
        first, second = done.stdout.splitlines()
        assert first.startswith(f"small/1.0.0 train: {loader.cache.folder()}/decoded/")
        assert first.endswith("cannot be written: File too large; make room, or set DATASETS_CACHE to another folder")
        assert second == "[] 5300"

    @pytest.mark.skipif(os.geteuid() != 0, reason="mounting a file system needs root")
    def test_a_disk_that_fills_up_is_one_sentence(self, train, tmp_path, monkeypatch):
        disk = tmp_path / "disk"
        disk.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk]
        if subprocess.run(command, capture_output=True).returncode:
            pytest.skip("mounting a file system is not allowed")
        try:
            monkeypatch.setenv("DATASETS_CACHE", str(disk))
            with pytest.raises(loader.FetchError, match=r"takes about [\d.]+ kB decoded, but only [\d.]+ kB are free"):
                train.cache(disk=True)
            monkeypatch.setattr("loader._room.check_disk", lambda *_: None)  # the estimate was wrong
            with pytest.raises(loader.FetchError, match="cannot be written: No space left on device; make room"):
                train.cache(disk=True)
            assert loader.cache.entries() == []
        finally:
            subprocess.run(["umount", "--lazy", disk], check=True)

    def test_what_no_hash_proves_is_refused(self, small, train, tmp_path):
        from tests.helpers.recorded_dataset import prepare_recorded

        _, test = loader.from_directory(prepare_recorded(tmp_path / "scratch").folder, split="test")
        for split in (test, train.map(dict)):
            with pytest.raises(loader.UnsupportedError, match=r"use cache\(\) without disk=True"):
                split.cache(disk=True)
            assert len(split.cache()) == len(split)

    def test_a_feature_that_fits_into_no_file_is_refused(self, small, monkeypatch):
        from loader._features.connectors import Dataset, FeaturesDict, Scalar

        nested = FeaturesDict({"x": Dataset(FeaturesDict({"y": Scalar(dtype=np.dtype(np.int64))}))})
        with pytest.raises(loader.UnsupportedError, match="feature 'x' is a nested dataset, which no file of arrays"):
            _cached.Columns(nested, _cached.Memory, in_memory=False)

    def test_a_forked_process_reads_the_same_files(self, train):
        cached = train.cache(disk=True)
        context = multiprocessing.get_context("fork")
        with context.Pool(2) as pool:
            assert pool.map(cached.__getitem__, [5, 5299])[1]["text"] == b"train 5299"
