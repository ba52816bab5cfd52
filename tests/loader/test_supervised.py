"""`supervised=True`: tuples by the supervised keys that the builder names, in every format."""

import json
import pickle

import numpy as np
import pytest

import loader
from tests.helpers.recorded_dataset import prepare_recorded

pytestmark = pytest.mark.filterwarnings("ignore")  # the frameworks warn


def folder_with(scratch, keys):
    """A folder that TFDS prepared whose `dataset_info.json` has these supervised keys."""
    folder = prepare_recorded(scratch).folder
    path = folder / "dataset_info.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "supervisedKeys": keys}))
    return folder


def key(name):
    return {"featureKey": name}


PAIR = {"tuple": {"items": [key("text"), key("label")]}}
NESTED = {
    "tuple": {
        "items": [
            {"dict": {"dict": {"t": key("text"), "s": key("samples")}}},
            {"tuple": {"items": [key("label"), key("label")]}},
            key("label"),
        ]
    }
}


@pytest.fixture
def folder(tmp_path):
    return folder_with(tmp_path, PAIR)


def test_examples_and_batches_are_tuples(folder):
    info, train = loader.from_directory(folder, "train", supervised=True)
    assert info.supervised_keys == ("text", "label")
    assert train[4] == (b"train 4", 1)
    assert next(iter(train)) == (b"train 0", 0)
    assert train[[3, 1]][1] == (b"train 1", 1)
    texts, labels = next(iter(train.batches(3)))
    assert texts.tolist() == [b"train 0", b"train 1", b"train 2"]
    np.testing.assert_array_equal(labels, np.array([0, 1, 2]), strict=True)
    assert pickle.loads(pickle.dumps(train))[4] == (b"train 4", 1)
    assert repr(train) == "<small/1.0.0 train: 5,300 examples of (text, label)>"


def test_a_list_of_names_gives_dicts(folder):
    torch = pytest.importorskip("torch")
    _, pairs = loader.from_directory(folder, "train", supervised=True, format="torch")
    chosen = pairs[["label"]]
    assert chosen[4] == {"label": torch.tensor(1)} and chosen.pad_collate([chosen[4]])["label"].tolist() == [1]
    assert len(chosen[:10] + chosen[20:30]) == 20


def test_only_their_features_are_decoded(folder):
    _, train = loader.from_directory(folder, "train", supervised=True)
    assert list(train.features) == ["text", "label"]


def test_the_keys_may_be_nested(tmp_path):
    info, train = loader.from_directory(folder_with(tmp_path, NESTED), "train", supervised=True)
    assert info.supervised_keys == ({"s": "samples", "t": "text"}, ("label", "label"), "label")
    inputs, targets, weight = train[3]
    assert (inputs["t"], inputs["s"].tolist(), targets, weight) == (b"train 3", [3, 4, 5], (0, 0), 0)
    inputs, (labels, _), _ = next(iter(train.batches(2)))
    assert (inputs["t"].tolist(), labels.tolist()) == ([b"train 0", b"train 1"], [0, 1])
    assert "({s: samples, t: text}, (label, label), label)" in repr(train)


def test_the_keys_of_earlier_versions_of_tfds_are_read(tmp_path):
    info, train = loader.from_directory(
        folder_with(tmp_path, {"input": "samples", "output": "text"}), "train", supervised=True
    )
    assert info.supervised_keys == ("samples", "text")
    assert train[2][1] == b"train 2"


@pytest.mark.parametrize("keys", [PAIR, NESTED, {"input": "samples", "output": "text"}])
def test_the_keys_are_those_of_tfds(tmp_path, keys):
    tfds = pytest.importorskip("tensorflow_datasets")
    folder = folder_with(tmp_path, keys)
    expected = tfds.builder_from_directory(str(folder)).info.supervised_keys
    assert loader.from_directory(folder)[0].supervised_keys == expected


def test_a_dataset_without_them_is_an_error_in_one_sentence(small):
    info, _ = loader.load("small", repo=small)
    assert info.supervised_keys is None
    with pytest.raises(loader.ArgumentError) as raised:
        loader.load("small", repo=small, supervised=True)
    assert str(raised.value) == (
        "small/1.0.0 names no inputs and targets, so supervised=True cannot be used; its features: label, samples, text"
    )


def test_keys_that_name_no_feature_are_an_error(tmp_path):
    folder = folder_with(tmp_path, {"input": "image", "output": "label"})
    assert loader.from_directory(folder)[0].supervised_keys == ("image", "label")
    with pytest.raises(loader.ArgumentError, match="names 'image', which is no feature"):
        loader.from_directory(folder, supervised=True)


@pytest.mark.parametrize(
    "keys", ["text", [1], {"input": 3, "output": "text"}, {"tuple": {"items": [{}]}}, {"tuple": {"items": 3}}]
)
def test_keys_that_tfds_did_not_write_are_an_error(tmp_path, keys):
    with pytest.raises(loader.DecodeError, match="supervised keys that TFDS did not write"):
        loader.from_directory(folder_with(tmp_path, keys))


def test_it_decides_the_features(folder):
    with pytest.raises(loader.ArgumentError, match="leave out features="):
        loader.from_directory(folder, supervised=True, features=["label"])
    with pytest.raises(loader.ArgumentError, match=r"^supervised= takes True or False"):
        loader.from_directory(folder, supervised="yes")
    with pytest.raises(loader.ArgumentError, match="here it is supervised=True"):
        loader.from_directory(folder, as_supervised=True)


def test_load_and_open_take_it_too(built, monkeypatch):
    monkeypatch.chdir(built("digit").root)
    _, by_name = loader.load("digit", "train", supervised=True)
    _, by_path = loader.open("artifacts/digit.tar", "train", supervised=True)
    for train in (by_name, by_path):
        audio, label = train[0]
        assert (audio.shape, int(label)) == ((4008,), 3)


class TestFrameworks:
    @pytest.mark.parametrize(("workers", "method"), [(0, None), (2, "fork"), (2, "spawn")])
    def test_a_data_loader_yields_pairs(self, folder, workers, method):
        torch = pytest.importorskip("torch")
        _, test = loader.from_directory(folder, "test", supervised=True, format="torch")
        data = torch.utils.data.DataLoader(test, batch_size=32, num_workers=workers, multiprocessing_context=method)
        pairs = [(texts, labels) for texts, labels in data]
        assert [text for texts, _ in pairs for text in texts] == [f"test {number}".encode() for number in range(70)]
        assert torch.cat([labels for _, labels in pairs]).tolist() == [(500 + number) % 3 for number in range(70)]

    def test_jax_gets_arrays(self, folder):
        jax = pytest.importorskip("jax")
        _, test = loader.from_directory(folder, "test", supervised=True, format="jax")
        assert isinstance(test[0][1], jax.Array)
        _, labels = next(iter(test.batches(4)))
        assert labels.tolist() == [2, 0, 1, 2]
        assert jax.tree.leaves((test[0][1], 3)) == [2, 3]  # tuples are trees

    def test_tensorflow_gets_the_tuples_of_tfds(self, tmp_path):
        tfds = pytest.importorskip("tensorflow_datasets")
        folder = folder_with(tmp_path, NESTED)
        _, test = loader.from_directory(folder, "test", supervised=True, format="tf")
        _, ours = loader.from_directory(folder, "test", supervised=True)
        for (inputs, targets, weight), expected in zip(ours, tfds.as_numpy(test), strict=True):
            np.testing.assert_array_equal(inputs["s"], expected[0]["s"])
            assert (inputs["t"], targets, weight) == (expected[0]["t"], expected[1], expected[2])

    def test_tensorflow_without_keys_is_the_same_error(self, small):
        pytest.importorskip("tensorflow_datasets")
        with pytest.raises(loader.ArgumentError, match="names no inputs and targets"):
            loader.load("small", repo=small, supervised=True, format="tf")
        assert loader.cache.entries() == []  # nothing was unpacked
