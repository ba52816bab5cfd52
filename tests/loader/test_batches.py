"""Batches, shuffling, iterators that resume, and selected features."""

import json
import subprocess
import sys
import threading

import numpy as np
import pytest

import loader
from tests.helpers.recorded_dataset import example, prepare_recorded, record, write_tfrecord


@pytest.fixture
def train(small):
    _, split = loader.load("small", split="train", repo=small)
    return split


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_batches_are_the_examples_in_order(train, workers):
    batches = train.batches(64, workers=workers)
    assert len(batches) == 83
    number = 0
    for batch in batches:
        expected = [example("train", n) for n in range(number, min(number + 64, 5300))]
        assert batch["label"].dtype == np.int64
        assert batch["label"].tolist() == [e["label"] for e in expected]
        assert batch["text"].dtype == object
        assert batch["text"].tolist() == [e["text"] for e in expected]
        assert isinstance(batch["samples"], list)  # its length varies
        for samples, e in zip(batch["samples"], expected, strict=True):
            np.testing.assert_array_equal(samples, e["samples"], strict=True)
        number += len(expected)
    assert number == 5300


@pytest.mark.parametrize("workers", [1, 3])
def test_the_last_batch_can_be_left_out(train, workers):
    batches = train[:100].batches(30, drop_remainder=True, workers=workers)
    assert len(batches) == 3
    assert [len(batch["label"]) for batch in batches] == [30, 30, 30]
    assert len(train[:90].batches(30)) == len(train[:90].batches(30, drop_remainder=True)) == 3
    assert list(train[:0].batches(30)) == []


def test_shuffled_batches_contain_every_example_once_in_an_order_that_the_seed_determines(train):
    def texts(**options):
        return [text for batch in train.batches(100, shuffle=True, **options) for text in batch["text"]]

    one = texts(seed=1)
    assert sorted(one) == sorted(e["text"] for e in train)
    assert one == texts(seed=1, workers=3) == texts(seed=1)
    assert one != texts(seed=2)
    assert texts() != texts()  # without a seed the order is random


class TestEpochs:
    def texts(self, batches):
        return [text for batch in batches for text in batch["text"]]

    @pytest.mark.parametrize("seed", [None, 5])
    def test_each_iteration_has_another_order_of_the_same_examples(self, train, seed):
        batches = train[:500].batches(64, shuffle=True, seed=seed)
        orders = [self.texts(batches) for _ in range(4)]
        assert len(set(map(tuple, orders))) == 4
        assert all(sorted(order) == sorted(orders[0]) for order in orders)

    def test_the_seed_and_the_epoch_decide_the_order(self, train):
        part = train[:500]
        batches, same = (part.batches(64, shuffle=True, seed=5, workers=workers) for workers in (1, 3))
        orders = [self.texts(batches) for _ in range(3)]
        assert [self.texts(same) for _ in range(3)] == orders
        for epoch, order in enumerate(orders):
            assert self.texts(batches.epoch(epoch)) == self.texts(same.epoch(epoch)) == order
            assert [example["text"] for example in part.shuffle(5, epoch=epoch)] == order
        assert [example["text"] for example in part.shuffle(5)] == orders[0]
        assert part.shuffle(6)[0]["text"] != orders[1][0]  # seeds do not continue in each other's orders

    def test_an_epoch_that_is_named_is_the_same_each_time_and_changes_nothing_else(self, train):
        batches = train[:500].batches(64, shuffle=True, seed=5)
        third = batches.epoch(3)
        assert len(third) == len(batches)
        assert self.texts(third) == self.texts(third)
        assert self.texts(batches) == self.texts(batches.epoch(0))
        assert self.texts(batches) == self.texts(batches.epoch(1))

    def test_without_shuffling_every_epoch_is_the_recorded_order(self, train):
        batches = train[:100].batches(64)
        assert self.texts(batches) == self.texts(batches) == self.texts(batches.epoch(7))

    @pytest.mark.parametrize("number", [-1, 1.5, None, "1", True])
    def test_other_numbers_are_no_epoch(self, train, number):
        with pytest.raises(loader.ArgumentError, match=r"^epoch"):
            train.batches(3, shuffle=True).epoch(number)
        with pytest.raises(loader.ArgumentError, match=r"^epoch"):
            train.shuffle(0, epoch=number)

    def test_the_order_of_an_epoch_is_the_same_everywhere(self, train):
        # recorded once: it must not depend on the machine or on NumPy's version
        assert [int(e["text"][6:]) for e in train.shuffle(0, epoch=1)[:8]] == [
            788,
            2488,
            2143,
            1241,
            5026,
            116,
            3987,
            4771,
        ]
        assert [int(e["text"][6:]) for e in train.shuffle(2**70, epoch=2**40)[:8]] == [
            1710,
            4202,
            614,
            599,
            4546,
            415,
            162,
            2066,
        ]

    def test_repr_names_the_order(self, train):
        batches = train[:100].batches(30, shuffle=True, seed=5)
        next(iter(batches))
        rest = "of small/1.0.0 train[:100]: 100 examples of label, samples, text>"
        assert repr(batches) == f"<4 batches of 30, shuffled by seed 5, next epoch 1, {rest}"
        assert repr(batches.epoch(3)) == f"<4 batches of 30, shuffled by seed 5, epoch 3, {rest}"
        assert repr(train[:100].batches(30)) == f"<4 batches of 30, {rest}"


def test_the_order_of_a_seed_is_the_same_everywhere(train):
    # recorded once: it must not depend on the machine or on NumPy's version
    assert [int(e["text"][6:]) for e in train.shuffle(0)[:8]] == [855, 921, 3697, 269, 2693, 4139, 2318, 3742]
    assert [int(e["text"][6:]) for e in train[:5].shuffle(2**40)] == [3, 0, 1, 4, 2]


def test_a_shuffled_split_is_a_split(train):
    shuffled = train[1000:].shuffle(7)
    assert len(shuffled) == 4300
    assert shuffled[5]["text"] == next(iter(shuffled[5:6]))["text"]


def test_an_integer_gives_a_batch(train):
    batches = train.batches(1000)
    assert batches[5]["text"].tolist() == batches[-1]["text"].tolist() == train[5000:]["text"].tolist()
    shuffled = train.batches(1000, shuffle=True, seed=3)
    for epoch in (0, 2):
        chosen = shuffled.epoch(epoch)
        assert [chosen[n]["text"].tolist() for n in range(len(chosen))] == [each["text"].tolist() for each in chosen]
        assert chosen.epoch(1)[0]["text"].tolist() == next(iter(shuffled.epoch(1)))["text"].tolist()
    with pytest.raises(IndexError, match="there are 6 batches, index 6 is out of range"):
        batches[6]
    with pytest.raises(loader.ArgumentError, match=r"choose one: batches.epoch\(0\)"):
        shuffled[0]


@pytest.mark.parametrize(
    "options", [{"batch_size": 0}, {"batch_size": -1}, {"workers": 0}, {"shuffle": True, "seed": -1}]
)
def test_invalid_options_are_argument_errors(train, options):
    with pytest.raises(loader.ArgumentError):
        iter(train.batches(**{"batch_size": 4, **options}))


def test_damage_is_an_error_with_any_number_of_threads(small):
    path = small / "artifacts/small.tar"
    data = path.read_bytes()
    path.write_bytes(data.replace(b"train 4000", b"train 4OOO"))
    _, train = loader.load("small", split="train", repo=small)
    for workers in (1, 2):
        with pytest.raises(loader.IntegrityError, match="record 4,000 of split 'train'"):
            list(train.batches(64, workers=workers))


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("shuffle", [False, True])
def test_a_record_of_a_batch_that_cannot_be_decoded_is_named(small, workers, shuffle):
    prepared = prepare_recorded(small / "scratch")
    records = [record("test", number) for number in range(70)]
    records[63] = records[63].replace(b"label", b"lable")
    write_tfrecord(next(prepared.folder.glob("*test*")), records)
    _, test = loader.from_directory(prepared.folder, split="test", features=["label"])
    with pytest.raises(loader.DecodeError, match=r"small/1\.0\.0 test: record 63 .*: feature 'label'"):
        list(test.batches(64, shuffle=shuffle, workers=workers))


def test_threads_end_with_the_iteration(train):
    before = threading.active_count()
    for _ in train.batches(8, workers=4):
        break
    list(train[:64].batches(8, workers=4))
    for thread in threading.enumerate():
        if thread.name.startswith("loader"):
            thread.join(5)
    assert threading.active_count() == before


class TestState:
    def test_an_iterator_resumes_at_a_state(self, train):
        iterator = iter(train)
        for _ in range(10):
            next(iterator)
        state = json.loads(json.dumps(iterator.state()))
        rest = [e["text"] for e in train.iterator(state=state)]
        assert rest == [e["text"] for e in iterator]
        assert len(rest) == 5290
        assert list(train.iterator(state=iterator.state())) == []

    @pytest.mark.parametrize("seed", [None, 5])
    @pytest.mark.parametrize("workers", [1, 3])
    def test_shuffled_batches_resume_in_another_process(self, small, train, seed, workers):
        iterator = iter(train.batches(50, shuffle=True, seed=seed, workers=workers))
        for _ in range(100):
            next(iterator)
        code = (
            "import sys, json, loader\n"
            "state = json.loads(sys.argv[2])\n"
            "_, train = loader.load('small', split='train', repo=sys.argv[1])\n"
            "for batch in train.batches(50, shuffle=True).iterator(state=state): print(batch['text'].tolist())"
        )
        command = [sys.executable, "-c", code, small, json.dumps(iterator.state())]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        assert done.stdout.splitlines() == [str(batch["text"].tolist()) for batch in iterator]

    @pytest.mark.parametrize("seed", [None, 5])
    @pytest.mark.parametrize("stop", [0, 3, 10])  # before the first batch, in the middle, after the last one
    def test_resuming_goes_on_with_the_following_epochs(self, train, seed, stop):
        def texts(batches):
            return [batch["text"].tolist() for batch in batches]

        part = train[:500]
        batches = part.batches(50, shuffle=True, seed=seed)
        for _ in range(2):
            list(batches)
        iterator = iter(batches)
        for _ in range(stop):
            next(iterator)
        state = json.loads(json.dumps(iterator.state()))
        assert (state["epoch"], state["next"]) == (2, stop)
        resumed = part.batches(50, shuffle=True, seed=seed)
        assert texts(resumed.iterator(state=state)) == texts(iterator)
        for _ in range(2):
            assert texts(resumed) == texts(batches)
        assert texts(part.batches(50, shuffle=True, seed=seed).epoch(2).iterator(state=state)) == texts(
            batches.epoch(2).iterator(state=state)
        )

    def test_a_state_of_another_epoch_or_seed_is_an_error(self, train):
        state = iter(train.batches(10, shuffle=True, seed=1).epoch(4)).state()
        with pytest.raises(loader.ArgumentError, match="the state belongs to epoch 4, not to epoch 5"):
            train.batches(10, shuffle=True, seed=1).epoch(5).iterator(state=state)
        with pytest.raises(loader.ArgumentError, match="the state belongs to the order of seed 1, not of seed 2"):
            train.batches(10, shuffle=True, seed=2).iterator(state=state)

    @pytest.mark.parametrize(
        "old",
        [
            {"of": "small/1.0.0 train: range(0, 5300)", "next": 5},
            {"of": "small/1.0.0 train: range(0, 5300) by 10", "next": 5, "seed": None},
            {"of": "small/1.0.0 train: 0f5e8a5c9d3b2a17 by 10", "next": 5, "seed": 1},
            {"version": 3, "of": "small/1.0.0 train: range(0, 5300)", "next": 5},
        ],
    )
    def test_states_of_other_versions_of_the_loader_are_refused(self, train, old):
        for source in (train, train.batches(10), train.batches(10, shuffle=True, seed=1)):
            with pytest.raises(loader.ArgumentError, match="the state was not made by this version of the loader"):
                source.iterator(state=old)

    @pytest.mark.parametrize("value", [-1, "3", 1.5, None, True])
    @pytest.mark.parametrize("key", ["seed", "epoch"])
    def test_a_state_with_an_invalid_order_is_an_error(self, train, key, value):
        batches = train.batches(10, shuffle=True)
        with pytest.raises(loader.ArgumentError, match=f"the state has {key}: .*, which is not an integer"):
            batches.iterator(state={**iter(batches).state(), key: value})

    @pytest.mark.parametrize(
        "other", [lambda t: t[:100], lambda t: t[::-1], lambda t: t.shuffle(1), lambda t: t[[3, 4]]]
    )
    def test_a_state_of_other_examples_is_an_error(self, train, other):
        state = iter(train).state()
        with pytest.raises(loader.ArgumentError, match=r"the state belongs to 'small/1\.0\.0 train: range"):
            other(train).iterator(state=state)

    def test_a_state_of_other_batches_is_an_error(self, train):
        state = iter(train.batches(10, shuffle=True, seed=1)).state()
        for batches in (
            train.batches(11, shuffle=True, seed=1),
            train.batches(10, shuffle=True, seed=2),
            train.batches(10),
        ):
            with pytest.raises(loader.ArgumentError, match="the state belongs to"):
                batches.iterator(state=state)

    @pytest.mark.parametrize("state", [{}, {"next": 3}, "text", None, [], {"of": 3, "next": 0}])
    def test_any_other_value_for_state_is_an_error(self, train, state):
        if state is None:
            assert next(train.iterator(state=state))["text"] == b"train 0"
            return
        with pytest.raises(loader.ArgumentError):
            train.iterator(state=state)

    @pytest.mark.parametrize("position", [-1, 5301, "3", 1.5, None, True])
    def test_a_state_with_an_invalid_position_is_an_error(self, train, position):
        with pytest.raises(loader.ArgumentError):
            train.iterator(state={**iter(train).state(), "next": position})


class TestFeatures:
    def test_only_the_named_features_are_decoded(self, small):
        info, train = loader.load("small", split="train", features=["label"], repo=small)
        assert train[3] == {"label": 0}
        assert list(info.features) == ["label", "samples", "text"]
        assert set(next(iter(train.batches(4)))) == {"label"}

    def test_features_are_in_the_order_of_the_names(self, small):
        _, train = loader.load("small", split="train", features=["text", "label"], repo=small)
        assert list(train[0]) == ["text", "label"]

    def test_other_features_may_be_impossible_to_decode(self, small):
        from tests.helpers.tampering import replace_record, take_apart

        forgery = take_apart(small)
        row = forgery.rows[0]
        record = row.shard.data[row.offset : row.offset + row.length]
        replace_record(row, record.replace(b"\x0a\x07train 0", b"\x0a\x07\xff\xfe\xfdin 0"))
        forgery.sign()
        _, train = loader.load("small", split="train", features=["label"], repo=small)
        assert train[0] == {"label": 0}

    def test_unknown_feature_names_are_an_error(self, small):
        with pytest.raises(loader.NotFoundError, match="has no feature 'labels'; its features: label, samples, text"):
            loader.load("small", features=["labels"], repo=small)
        with pytest.raises(loader.ArgumentError, match=r"features=\['label'\]"):
            loader.load("small", features="label", repo=small)
