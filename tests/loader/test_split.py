"""A split is a sequence."""

import multiprocessing
import pickle
import re

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


@pytest.mark.parametrize("number", [5300, -5301, 2**63, -(2**63) - 1, 10**30, pytest.param(10**5000, id="5001 digits")])
def test_an_integer_out_of_range_is_an_index_error(train, number):
    for split in (train, train.shuffle(1)):
        for key in (number, [number], (0, number, -1), np.array([number])):
            with pytest.raises(IndexError, match="has 5,300 examples"):
                split[key]


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


NO_KEYS = [1.5, np.float64(1), 1j, None, ..., True, np.bool_(True), {1}, {1: 2}, b"1", object(), iter([1])]
NO_KEYS += [["1", 1]]
NO_KEYS += [[1.5], [2**70, 1.5], [None], [[1]], [[1], [1, 2]], (1, slice(2)), [slice(2)], [True], (True, False)]
NO_KEYS += [np.array(kind) for kind in ([1.0], [[1]], "1", ["1"], [True] * 5299, [[True] * 5300], [1j], [None], True)]
NO_KEYS += [np.array([1], kind) for kind in ("M8[s]", "m8[s]", "S1", "f2")]
NO_KEYS += [np.zeros(0, bool), np.zeros((0, 2)), slice("a", None), slice(1.5), slice(0, 5, 0), slice(None, [1])]


@pytest.mark.parametrize("key", NO_KEYS, ids=lambda key: re.sub(" at 0x.*", "", repr(key))[:60])
def test_other_keys_are_argument_errors(train, key):
    for split in (train, train.shuffle(1)):
        with pytest.raises(
            loader.ArgumentError, match=r"^small/1.0.0 train (takes an integer, a slice, |has no part )"
        ):
            split[key]


def test_a_mask_selects_the_examples_for_which_it_is_true(train):
    mask = np.zeros(5300, bool)
    mask[[7, 5299]] = True
    assert texts(train[mask]) == texts(train[mask.tolist()]) == ["train 7", "train 5299"]
    assert texts(train[::-1][mask]) == ["train 5292", "train 0"]
    assert texts(train[10:10][[]]) == []


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int64, np.uint64])
def test_an_array_without_dimensions_is_an_integer(train, dtype):
    assert train[np.array(7, dtype)]["text"] == b"train 7"


@pytest.mark.parametrize("is_shuffled", [False, True])
def test_boundaries_of_slices_may_have_any_size(train, is_shuffled):
    part = train.shuffle(1) if is_shuffled else train
    assert len(part[-(2**70) : 2**70]) == len(part[::-1]) == 5300
    assert texts(part[:: 2**70]) == texts(part[:1])
    assert texts(part[:: -(2**70)]) == texts(part[-1:])
    assert len(part[2**70 :]) == len(part[5:2]) == 0
    assert texts(part[np.int8(3) : np.uint64(9) : np.int64(3)]) == [texts(part[3:4])[0], texts(part[6:7])[0]]


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
