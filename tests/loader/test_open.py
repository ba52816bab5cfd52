"""`loader.open` reads an artifact file without a repository."""

import hashlib
import io
import multiprocessing
import os
import pickle
import tarfile

import numpy as np
import pytest

import loader
from tests.helpers.recorded_dataset import SPLITS, example
from tests.helpers.tampering import flip, take_apart

INDEX = "small/1.0.0/record_index.json"


@pytest.fixture
def tar(small, tmp_path):
    """The artifact of `small`, outside the repository."""
    return (small / "artifacts/small.tar").rename(tmp_path / "copy.tar")


def hex_hash(path, algorithm):
    return hashlib.new(algorithm, path.read_bytes(), usedforsecurity=False).hexdigest()


def assert_equal(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, strict=True)


def write_tar(path, name, data, **attributes):
    """Write a tar of one member."""
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for attribute, value in attributes.items():
        setattr(info, attribute, value)
    with tarfile.open(path, "w") as tar:
        tar.addfile(info, io.BytesIO(data))


def test_it_returns_the_same_examples_as_load(small):
    recorded_info, recorded = loader.load("small", repo=small)
    info, ds = loader.open(small / "artifacts/small.tar")
    assert (info.full_name, info.splits) == (recorded_info.full_name, recorded_info.splits)
    assert list(ds) == list(recorded) == list(SPLITS)
    for split in SPLITS:
        assert len(ds[split]) == len(recorded[split])
        for number, (found, expected) in enumerate(zip(ds[split], recorded[split], strict=True)):
            assert_equal(found, expected)
            assert_equal(found, example(split, number))


def test_it_needs_no_repository(tar, tmp_path, monkeypatch):
    monkeypatch.delenv("DATASETS_REPO", raising=False)
    monkeypatch.chdir(tmp_path)
    _, ds = loader.open("copy.tar")
    assert_equal(ds["test"][3], example("test", 3))


def test_it_opens_some_splits(tar):
    _, test = loader.open(tar, split="test[10:]")
    assert len(test) == 60
    assert_equal(test[0], example("test", 10))
    _, (first, rest) = loader.open(tar, split=["train[:10%]", "train[10%:]"])
    assert (len(first), len(rest)) == (530, 4770)
    with pytest.raises(loader.NotFoundError, match="its splits: train, test"):
        loader.open(tar, split="validation")


def test_it_decodes_some_features(tar):
    info, train = loader.open(tar, split="train", features=["label"])
    assert train[5] == {"label": example("train", 5)["label"]}
    assert list(info.features) == ["label", "samples", "text"]
    with pytest.raises(loader.NotFoundError, match="has no feature 'image'"):
        loader.open(tar, features=["image"])


def test_it_returns_tensors(tar):
    torch = pytest.importorskip("torch")
    _, train = loader.open(tar, split="train", format="torch")
    assert isinstance(train[5]["label"], torch.Tensor)
    assert train[5]["samples"].tolist() == example("train", 5)["samples"].tolist()


def test_it_returns_a_tf_dataset(tar):
    pytest.importorskip("tensorflow_datasets")
    _, test = loader.open(tar, split="test", format="tf")
    assert [found["text"] for found in test.as_numpy_iterator()][:2] == [b"test 0", b"test 1"]


def test_keywords_of_as_dataset_need_its_format(tar):
    with pytest.raises(loader.ArgumentError, match="batch_size="):
        loader.open(tar, batch_size=3)


@pytest.mark.parametrize("change", [str, str.upper])
@pytest.mark.parametrize("algorithm", ["md5", "sha256"])
def test_the_right_hash_is_accepted(tar, algorithm, change):
    _, test = loader.open(tar, hash=change(hex_hash(tar, algorithm)), split="test")
    assert_equal(test[0], example("test", 0))


@pytest.mark.parametrize("digits", [32, 64])
def test_a_wrong_hash_is_an_error(tar, digits):
    with pytest.raises(loader.IntegrityError, match=rf"copy\.tar has the hash [0-9a-f]{{{digits}}}, not 0{{{digits}}}"):
        loader.open(tar, hash="0" * digits)


def test_a_hash_covers_the_whole_file(tar):
    wanted = hex_hash(tar, "md5")
    tar.write_bytes(tar.read_bytes() + bytes(1))
    loader.open(tar)
    with pytest.raises(loader.IntegrityError, match="has the hash"):
        loader.open(tar, hash=wanted)


@pytest.mark.parametrize("hash", ["0" * 31, "0" * 40, "0" * 65, "x" * 32, "md5:" + "0" * 28])
def test_a_hash_of_another_kind_is_an_argument_error(tar, hash):
    with pytest.raises(loader.ArgumentError, match=r"is neither an MD5 \(32 hex digits\) nor a SHA-256"):
        loader.open(tar, hash=hash)


@pytest.mark.parametrize("hash", [None, "0" * 32])
def test_a_missing_file_is_an_error(tmp_path, hash):
    with pytest.raises(loader.NotFoundError, match=r"there is no file .*nothing\.tar"):
        loader.open(tmp_path / "nothing.tar", hash=hash)


@pytest.mark.parametrize("content", [b"", b"text\n", b"text\n" * 10_000, bytes(100_000), b"\x1f\x8b" + bytes(1000)])
def test_a_file_that_is_not_a_tar_is_an_error(tmp_path, content):
    (tmp_path / "x.tar").write_bytes(content)
    with pytest.raises(loader.IntegrityError, match=r"x\.tar is not an artifact of format 1"):
        loader.open(tmp_path / "x.tar")


def test_a_folder_is_an_error(tmp_path):
    with pytest.raises(loader.IntegrityError, match="is not an artifact of format 1"):
        loader.open(tmp_path)


@pytest.mark.parametrize(
    ("name", "attributes"),
    [
        ("small/1.0.0/features.json", {}),
        ("record_index.json", {}),
        ("./record_index.json", {}),
        ("/record_index.json", {}),
        ("1.0.0/record_index.json", {}),
        ("a/b/c/d/record_index.json", {}),
        ("../1.0.0/record_index.json", {}),
        (INDEX, {}),
        (INDEX, {"type": tarfile.SYMTYPE, "linkname": "elsewhere"}),
        (INDEX, {"type": tarfile.DIRTYPE}),
        (INDEX, {"pax_headers": {"size": str(1 << 62)}}),
        (INDEX, {"pax_headers": {"size": "-1024"}}),
        (INDEX, {"pax_headers": {"GNU.sparse.map": "no,number"}}),
        (INDEX, {"type": tarfile.XHDTYPE, "linkname": "x"}),
    ],
)
def test_a_tar_of_something_else_is_an_error(tmp_path, name, attributes):
    write_tar(tmp_path / "x.tar", name, b"{}", **attributes)
    with pytest.raises(loader.IntegrityError, match=r"x\.tar"):
        loader.open(tmp_path / "x.tar")


@pytest.mark.parametrize("kept", [1, 100, 511, 512, 600, 4000, 0.5, 0.9])
def test_a_truncated_artifact_is_an_error(tar, kept):
    size = tar.stat().st_size
    os.truncate(tar, kept if isinstance(kept, int) else int(size * kept))
    with pytest.raises(loader.IntegrityError, match=r"copy\.tar"):
        loader.open(tar)


@pytest.mark.parametrize("name", ["record_index.json", "dataset_info.json", "features.json", "label.labels.txt"])
def test_a_flipped_bit_in_the_index_or_the_metadata_is_an_error(tar, name):
    with tarfile.open(tar) as opened:
        member = opened.getmember(f"small/1.0.0/{name}")
    tar.write_bytes(flip(tar.read_bytes(), member.offset_data + 3))
    with pytest.raises(loader.IntegrityError, match=r"copy\.tar"):
        loader.open(tar)


def test_a_flipped_bit_in_a_record_is_an_error_when_it_is_read(tar):
    data = tar.read_bytes()
    tar.write_bytes(flip(data, data.index(b"train 4000")))
    _, ds = loader.open(tar)
    assert_equal(ds["train"][3999], example("train", 3999))
    with pytest.raises(loader.IntegrityError, match=r"copy\.tar is damaged in record 4,000 of split 'train'") as raised:
        ds["train"][4000]
    assert "fetched" not in str(raised.value)  # no repository records it


def test_splits_that_contradict_dataset_info_are_an_error(small):
    forgery = take_apart(small)
    forgery.splits["ghost"] = 0
    forgery.sign()
    with pytest.raises(loader.IntegrityError, match="contradicts itself"):
        loader.open(small / "artifacts/small.tar")


def test_an_absolute_path_in_the_tar_is_an_error(small):
    forgery = take_apart(small)
    for file in forgery.files:
        file.path = file.path.replace("small/1.0.0", "/small")
    forgery.header_path = "/small/record_index.json"
    forgery.sign()
    with pytest.raises(loader.IntegrityError, match="/small is not a version folder"):
        loader.open(small / "artifacts/small.tar", format="tf")


def _read(split, number):
    return split[number]["text"]


def test_a_split_can_be_pickled(tar):
    _, train = loader.open(tar, split="train", hash=hex_hash(tar, "md5"))
    data = pickle.dumps(train)
    assert len(data) < 20_000
    assert_equal(pickle.loads(data)[4096], example("train", 4096))


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:os.fork.. was called:RuntimeWarning")  # if another test imported JAX
def test_worker_processes_read_it(tar, method):
    _, train = loader.open(tar, split="train")
    train[0]  # opened before the fork
    with multiprocessing.get_context(method).Pool(2) as pool:
        found = pool.starmap(_read, [(train, number) for number in (0, 4999, 5299)])
    assert found == [b"train 0", b"train 4999", b"train 5299"]


def test_a_build_reads_only_the_files_that_it_may(tar, small, tmp_path):
    with (
        loader.reading_only({}, reader="derived", root=small, folders=[tmp_path / "allowed"]),
        pytest.raises(loader.AccessError, match=r"its builder reads .*copy\.tar"),
    ):
        loader.open(tar)
    with loader.reading_only({}, reader="derived", root=small, folders=[tmp_path]):
        assert len(loader.open(tar, split="test")[1]) == 70
