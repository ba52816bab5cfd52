"""Finding repositories, datasets and folders, and the imports of the loader."""

import doctest
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import loader
from tests.helpers.recorded_dataset import prepare_recorded

ROOT = Path(__file__).resolve().parents[2]


def test_the_public_names_are_those_in_all():
    assert loader.__all__ == sorted(loader.__all__)
    public = {name for name in dir(loader) if not name.startswith("_")}
    assert public == set(loader.__all__)
    assert {getattr(loader, name).__module__ for name in loader.__all__ if name != "cache"} == {"loader"}
    assert set(loader.cache.__all__) == {"Entry", "clear", "entries", "folder", "has_records_of", "limit"}


def test_importing_and_reading_do_not_import_tensorflow_tfds_or_dvc(small):
    code = (
        "import sys, loader\n"
        f"info, ds = loader.load('small', repo={os.fspath(small)!r})\n"
        "ds['train'][0]\n"
        "print([name for name in ('tensorflow', 'tensorflow_datasets', 'dvc', 'botocore') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_loader_never_imports_scripts():
    for path in (ROOT / "loader").rglob("*.py"):
        assert "scripts" not in [
            word for line in path.read_text().splitlines() if "import" in line for word in line.split()
        ]


def test_the_repository_is_found_from_a_subfolder(small, monkeypatch):
    monkeypatch.delenv("DATASETS_REPO", raising=False)
    monkeypatch.chdir(small / "datasets" / "standard")
    assert loader.ensure("small") == small / "artifacts/small.tar"


def test_the_repository_is_found_by_the_variable(small, monkeypatch, tmp_path):
    monkeypatch.setenv("DATASETS_REPO", os.fspath(small))
    monkeypatch.chdir(tmp_path)
    assert loader.ensure("small") == small / "artifacts/small.tar"


def test_a_folder_that_is_not_a_repository_is_an_error(tmp_path):
    with pytest.raises(loader.NotFoundError, match="is not a datasets repository"):
        loader.load("small", repo=tmp_path)


def test_an_unknown_dataset_is_an_error_with_similar_names(small):
    with pytest.raises(loader.NotFoundError, match="did you mean small"):
        loader.load("smal", repo=small)
    with pytest.raises(loader.NotFoundError, match="it has: small"):
        loader.load("zzz", repo=small)


def test_an_unknown_split_is_an_error_that_lists_the_splits(small):
    with pytest.raises(loader.NotFoundError, match="its splits: train, test"):
        loader.load("small", split="validation", repo=small)


def test_an_unknown_config_is_an_error(small):
    with pytest.raises(loader.NotFoundError, match="has no config 'big'"):
        loader.load("small", config="big", repo=small)


def test_the_examples_in_the_docstrings_are_true(built, monkeypatch):
    monkeypatch.chdir(built("digit").root)
    finder, runner = doctest.DocTestFinder(), doctest.DocTestRunner(verbose=False)
    attempted = 0
    for name in loader.__all__:
        for example in finder.find(getattr(loader, name), name, module=False, globs={}):
            outcome = runner.run(example)
            assert outcome.failed == 0
            attempted += outcome.attempted
    assert attempted >= 13


def test_every_error_is_a_loader_error():
    for name in loader.__all__:
        found = getattr(loader, name)
        if isinstance(found, type) and issubclass(found, Exception):
            assert issubclass(found, loader.LoaderError)


class TestFromDirectory:
    @pytest.fixture
    def folder(self, tmp_path):
        return prepare_recorded(tmp_path).folder

    def test_it_reads_a_tfds_folder(self, folder):
        info, ds = loader.from_directory(folder)
        assert info.full_name == "small/1.0.0"
        assert ds["train"][5001]["text"] == b"train 5001"
        _, test = loader.from_directory(folder, split="test")
        assert len(test) == 70

    def test_a_missing_folder_is_an_error(self, tmp_path):
        with pytest.raises(loader.NotFoundError, match=r"dataset_info\.json"):
            loader.from_directory(tmp_path / "nowhere")

    def test_a_flipped_bit_in_a_record_is_an_error(self, folder):
        shard = folder / "small-test.tfrecord-00000-of-00001"
        data = bytearray(shard.read_bytes())
        data[14] ^= 1
        shard.write_bytes(data)
        _, ds = loader.from_directory(folder)
        with pytest.raises(loader.IntegrityError, match="the checksum of a record"):
            ds["test"][0]
        assert ds["test"][1]["text"] == b"test 1"

    def test_a_flipped_bit_in_the_framing_is_an_error(self, folder):
        shard = folder / "small-test.tfrecord-00000-of-00001"
        data = bytearray(shard.read_bytes())
        data[1] ^= 1
        shard.write_bytes(data)
        with pytest.raises(loader.IntegrityError, match="the checksum of a record's length"):
            loader.from_directory(folder)

    @pytest.mark.parametrize("cut", [1, 20, 1000])
    def test_a_truncated_shard_is_an_error(self, folder, cut):
        shard = folder / "small-test.tfrecord-00000-of-00001"
        os.truncate(shard, shard.stat().st_size - cut)
        with pytest.raises(loader.IntegrityError, match="cut off"):
            loader.from_directory(folder)

    def test_a_missing_shard_is_an_error(self, folder):
        (folder / "small-test.tfrecord-00000-of-00001").unlink()
        with pytest.raises(loader.IntegrityError, match="cannot be read"):
            loader.from_directory(folder)

    def test_missing_records_are_an_error(self, folder):
        shutil.copy(folder / "small-test.tfrecord-00000-of-00001", folder / "small-train.tfrecord-00001-of-00002")
        with pytest.raises(loader.IntegrityError, match=r"holds 70 records, its dataset_info\.json says 300"):
            loader.from_directory(folder)

    @pytest.mark.parametrize("name", ["dataset_info.json", "features.json"])
    @pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"[" * 100_000, b"\xff"])
    def test_broken_metadata_is_an_error(self, folder, name, content):
        (folder / name).write_bytes(content)
        with pytest.raises(loader.LoaderError):
            loader.from_directory(folder)

    @pytest.mark.parametrize("count", ["-1", 1 << 63, "9" * 4300])
    @pytest.mark.parametrize("key", ["shardLengths", "numBytes"])
    def test_an_impossible_number_of_records_or_bytes_is_an_error(self, folder, key, count):
        path = folder / "dataset_info.json"
        info = json.loads(path.read_text())
        info["splits"][0][key] = [count, count] if key == "shardLengths" else count
        path.write_text(json.dumps(info))
        with pytest.raises(loader.DecodeError, match="is not a number of records or bytes"):
            loader.from_directory(folder)

    def test_another_file_format_is_an_error_that_names_it(self, folder):
        path = folder / "dataset_info.json"
        info = json.loads(path.read_text())
        path.write_text(json.dumps({**info, "fileFormat": "array_record"}))
        with pytest.raises(loader.UnsupportedError, match="array_record"):
            loader.from_directory(folder)
