"""A split is a sequence."""

import multiprocessing
import pickle

import numpy as np
import pytest

import loader
from tests.helpers.recorded_dataset import example


@pytest.fixture
def train(small):
    _, split = loader.load("small", split="train", repo=small)
    return split


def texts(split):
    return [found["text"].decode() for found in split]


def test_it_has_a_length_and_a_name(train):
    assert len(train) == 5300
    assert repr(train) == "<small/1.0.0 train: 5,300 examples of label, samples, text>"


def test_integers_count_from_both_ends(train):
    assert train[0]["text"] == b"train 0"
    assert train[-1]["text"] == b"train 5299"
    assert train[np.int32(7)]["text"] == b"train 7"


@pytest.mark.parametrize("number", [5300, -5301, 10**30])
def test_an_integer_out_of_range_is_an_index_error(train, number):
    with pytest.raises(IndexError, match="has 5,300 examples"):
        train[number]


def test_slices_are_splits_over_the_same_data(train):
    part = train[10:20:3]
    assert isinstance(part, loader.Split)
    assert texts(part) == ["train 10", "train 13", "train 16", "train 19"]
    assert texts(train[::-1][:2]) == ["train 5299", "train 5298"]
    assert len(train[6000:]) == 0


@pytest.mark.parametrize("kind", [list, tuple, np.array])
def test_lists_and_arrays_select_examples(train, kind):
    assert texts(train[kind([3, -1, 2])]) == ["train 3", "train 5299", "train 2"]
    assert texts(train[100:][kind([0, 1])]) == ["train 100", "train 101"]
    assert texts(train[kind([5, 6])][::-1]) == ["train 6", "train 5"]


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint64])
def test_integers_of_any_width_select_examples(train, dtype):
    assert texts(train[np.array([1, 2], dtype)]) == ["train 1", "train 2"]
    assert texts(train[5000:][np.array([1, 2], dtype)][np.array([1], dtype)]) == ["train 5002"]


def test_an_empty_list_selects_no_examples(train):
    assert list(train[[]]) == []


@pytest.mark.parametrize("key", ["train", 1.5, [1.5], [[1]], None, {1}])
def test_other_keys_are_type_errors(train, key):
    with pytest.raises(TypeError):
        train[key]


def test_a_list_with_an_index_out_of_range_is_an_index_error(train):
    with pytest.raises(IndexError, match="index 5,300 is out of range"):
        train[[0, 5300]]


def test_each_iteration_returns_every_example_in_order(train):
    for _ in range(2):
        assert texts(train) == [f"train {number}" for number in range(5300)]


def test_it_can_be_pickled(train):
    copy = pickle.loads(pickle.dumps(train[5:8]))
    assert texts(copy) == ["train 5", "train 6", "train 7"]
    assert len(pickle.dumps(train)) < 20_000


def _read(split, number):
    return split[number]["text"]


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:os.fork.. was called:RuntimeWarning")  # if another test imported JAX
def test_worker_processes_read_it(train, method):
    train[0]  # opened before the fork
    with multiprocessing.get_context(method).Pool(2) as pool:
        found = pool.starmap(_read, [(train, number) for number in (0, 4999, 5000, 5299)])
    assert found == [b"train 0", b"train 4999", b"train 5000", b"train 5299"]


def test_returned_values_can_be_modified(train):
    samples = train[3]["samples"]
    samples += 1
    np.testing.assert_array_equal(train[3]["samples"], example("train", 3)["samples"])
