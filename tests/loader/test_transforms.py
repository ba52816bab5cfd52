"""Parts of splits, splits as one, and functions of their examples."""

import functools
import operator
import pickle
import re
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import loader
from loader import _foreign
from loader._subsets import _divide, _exact
from tests.helpers.recorded_dataset import example, make_recorded


@pytest.fixture(scope="module")
def splits(tmp_path_factory):
    root = make_recorded(tmp_path_factory.mktemp("module") / "repository")
    return loader.load("small", repo=root)[1]


@pytest.fixture
def train(splits):
    return splits["train"]


@pytest.fixture
def test(splits):
    return splits["test"]


def texts(split):
    return [each["text"] for each in split]


def length(each):
    return {"length": len(each["samples"]), "label": each["label"]}


def double(batch):
    return {**batch, "label": batch["label"] * 2}


class TestSubsets:
    def test_a_function_filters_and_is_given_the_features_that_it_needs(self, train):
        def is_two(each):
            assert list(each) == ["label"]
            return each["label"] == 2

        expected = [each["text"] for each in train if each["label"] == 2]
        assert texts(train.filter(is_two, features=["label"])) == expected
        assert texts(train.filter(lambda each: each["label"] == 2)) == expected
        assert texts(train.filter(train["label"] == 2)) == expected
        assert texts(train.filter((train["label"] == 2).tolist())) == expected

    @pytest.mark.parametrize("condition", [3, [True], [0, 1], "label", None])
    def test_what_is_no_condition_is_an_argument_error(self, train, condition):
        with pytest.raises(loader.ArgumentError, match="takes a function, or one boolean for each of the 5,300"):
            train.filter(condition)

    def test_a_condition_that_returns_an_array_is_an_argument_error(self, train):
        with pytest.raises(loader.ArgumentError, match=r"function of filter\(\) returned ndarray, not True or False"):
            train[:9].filter(lambda each: each["samples"] > 1)
        with pytest.raises(loader.ArgumentError, match="features= needs a function"):
            train[:2].filter([True, False], features=["label"])
        with pytest.raises(loader.NotFoundError, match="has no feature 'lable'; did you mean 'label'"):
            train.filter(bool, features=["lable"])

    @settings(derandomize=True, deadline=None, max_examples=100)
    @given(
        st.lists(
            st.one_of(
                st.tuples(st.sampled_from(["take", "skip"]), st.integers(0, 30)),
                st.tuples(
                    st.just("slice"), st.tuples(*[st.none() | st.integers(-40, 40)] * 2, st.sampled_from([1, -2]))
                ),
                st.tuples(st.just("shuffle"), st.integers(0, 3)),
                st.tuples(st.just("filter"), st.integers(1, 3)),
                st.tuples(st.just("add"), st.integers(0, 5)),
                st.tuples(st.just("cache"), st.none()),
            ),
            max_size=6,
        )
    )
    def test_parts_of_parts_are_those_of_a_list(self, splits, steps):
        split, numbers = splits["test"].take(40), list(range(40))
        for step, value in steps:
            if step == "take":
                split, numbers = split.take(value), numbers[:value]
            elif step == "skip":
                split, numbers = split.skip(value), numbers[value:]
            elif step == "slice":
                split, numbers = split[slice(*value)], numbers[slice(*value)]
            elif step == "shuffle":
                order = np.argsort(np.random.PCG64(value).random_raw(len(split)), kind="stable")
                split, numbers = split.shuffle(value), [numbers[each] for each in order]
            elif step == "filter":
                mask = [each % value == 0 for each in range(len(numbers))]
                split, numbers = split.filter(mask), numbers[::value]
            elif step == "add":
                split, numbers = split + splits["test"][value : value + 3], numbers + list(range(value, value + 3))
            else:
                split = split.cache()
        expected = [b"test %d" % each for each in numbers]
        assert len(split) == len(numbers) and texts(split) == expected
        assert split["text"].tolist() == expected
        assert [text for batch in split.batches(7) for text in batch["text"]] == expected
        assert [split[number]["text"] for number in range(-len(split), 0)] == expected

    @pytest.mark.parametrize("count", [-1, 1.5, True, None])
    @pytest.mark.parametrize("method", ["take", "skip", "sample"])
    def test_what_is_no_count_is_an_argument_error(self, train, method, count):
        with pytest.raises(loader.ArgumentError, match="count"):
            getattr(train, method)(count)

    def test_a_sample_has_no_example_twice_and_depends_on_the_seed_alone(self, train):
        assert texts(train.sample(5, seed=0)) == texts(train.shuffle(0)[:5])
        assert len(set(texts(train.sample(300)))) == 300
        assert texts(train.sample(50)) != texts(train.sample(50))
        with pytest.raises(loader.ArgumentError, match="has 5,300 examples, of which no 5,301 can be drawn"):
            train.sample(5301)


class TestSplitBy:
    def test_the_parts_have_every_example_once_and_the_same_distribution(self, train):
        parts = train.split_by("label", [0.8, 0.15, 0.05], seed=0)
        assert [len(part) for part in parts] == [4240, 795, 265]
        assert sorted(text for part in parts for text in texts(part)) == sorted(texts(train))
        counts = np.bincount(train["label"])
        for part, fraction in zip(parts, (0.8, 0.15, 0.05), strict=True):
            assert np.abs(np.bincount(part["label"]) - fraction * counts).max() <= 1
            order = [int(text.split()[1]) for text in texts(part)]
            assert order == sorted(order)

    def test_the_parts_are_the_same_on_every_machine(self, train):
        # recorded once: they must not depend on the machine or on NumPy's version
        first = train.split_by("label", [0.9, 0.1], seed=0)[1]
        assert [int(text[6:]) for text in texts(first[:8])] == RECORDED
        assert texts(first) != texts(train.split_by("label", [0.9, 0.1], seed=1)[1])

    @settings(derandomize=True, deadline=None, max_examples=200)
    @given(
        st.lists(st.integers(0, 5), max_size=60),
        st.lists(st.integers(1, 9), min_size=1, max_size=4),
    )
    def test_every_class_is_divided_up_to_rounding(self, classes, weights):
        fractions = _exact([weight / sum(weights) for weight in weights])
        classes = np.array(classes, np.intp)
        order = np.lexsort((np.arange(len(classes))[::-1], classes))
        parts = _divide(order, classes, fractions)
        assert sorted(np.concatenate(parts).tolist()) == list(range(len(classes)))
        for part, fraction in zip(parts, fractions, strict=True):
            assert abs(len(part) - fraction * len(classes)) <= 1
            for each in set(classes.tolist()):
                assert abs((classes[part] == each).sum() - fraction * (classes == each).sum()) < len(parts)

    def test_strings_and_parts_can_be_divided(self, train):
        first, second = train[:10].split_by("text", [0.5, 0.5], seed=0)
        assert (len(first), len(second)) == (5, 5)
        assert [len(part) for part in train[:0].split_by("label", [0.5, 0.5], seed=0)] == [0, 0]

    @pytest.mark.parametrize("fractions", [[0.9], [0.9, 0.2], [1.5, -0.5], [1, 0], [], "ab", None, [float("nan"), 1]])
    def test_fractions_without_the_sum_1_are_an_argument_error(self, train, fractions):
        with pytest.raises(loader.ArgumentError, match="are not numbers greater than 0 with the sum 1"):
            train.split_by("label", fractions, seed=0)

    def test_a_feature_with_arrays_is_an_argument_error(self, train):
        with pytest.raises(loader.ArgumentError, match="one value for each example, which 'samples' is not"):
            train.split_by("samples", [0.5, 0.5], seed=0)


RECORDED = [5, 9, 26, 27, 38, 67, 71, 73]


class TestJoined:
    def test_two_splits_are_one(self, splits, train, test):
        joined = train + test
        assert repr(joined) == "<small/1.0.0 train+test: 5,370 examples of label, samples, text>"
        assert texts(joined) == texts(train) + texts(test)
        assert joined[5300]["text"] == joined[-70]["text"] == b"test 0"
        assert joined.fingerprint == sum([train, test]).fingerprint == "small/1.0.0 train+test: range(0, 5370)"
        assert joined["label"].tolist() == train["label"].tolist() + test["label"].tolist()

    def test_those_of_two_datasets_are_read_in_any_order(self, train, test, tmp_path):
        _, other = loader.load("small", split="test", repo=make_recorded(tmp_path / "other"))
        other = other.map(dict)
        joined = test.map(dict) + other
        assert "small/1.0.0 test.map(dict)+test.map(dict)" in repr(joined)
        order = joined.shuffle(2)
        assert sorted(texts(order)) == sorted(texts(test) * 2)
        assert [order[number]["text"] for number in range(140)] == texts(order)
        copy = pickle.loads(pickle.dumps(order))
        assert texts(copy) == texts(order) and copy.fingerprint == order.fingerprint
        assert [text for batch in order.batches(9) for text in batch["text"]] == texts(order)

    def test_other_features_and_formats_cannot_be_joined(self, small, test):
        _, labels = loader.load("small", split="test", repo=small, features=["label"])
        with pytest.raises(loader.ArgumentError, match=r"cannot be joined, because they have different features"):
            test + labels
        pytest.importorskip("torch")
        _, tensors = loader.load("small", split="test", repo=small, format="torch")
        with pytest.raises(loader.ArgumentError, match=r"cannot be joined, because they have different formats"):
            test + tensors
        with pytest.raises(TypeError):
            operator.add(test, [1])


class TestMap:
    def test_a_function_is_called_for_each_example(self, train):
        mapped = train.map(length)
        assert len(mapped) == 5300
        assert mapped[3] == {"length": 3, "label": example("train", 3)["label"]}
        assert list(mapped[:20]) == [length(each) for each in train[:20]]
        (batch,) = mapped[:20].batches(20)
        assert batch["length"].tolist() == [number % 8 for number in range(20)]
        assert batch["label"].dtype == np.int64
        assert mapped["length"].tolist() == [len(samples) for samples in train["samples"]]
        assert mapped.arrays()["label"].tolist() == train["label"].tolist()

    def test_nothing_is_called_before_an_example_is_read(self, train):
        calls = []
        mapped = train.map(lambda each: calls.append(1) or each).shuffle(0).take(50)
        assert len(mapped) == 50 and calls == []
        mapped[0]
        assert len(calls) == 1
        next(iter(mapped.batches(8)))
        assert len(calls) == 9

    @pytest.mark.parametrize("workers", [1, 3])
    def test_a_function_is_called_for_each_batch(self, train, workers):
        sizes = []

        def count(batch):
            sizes.append(len(batch["label"]))
            return double(batch)

        mapped = train.map(count, batched=True)
        expected = [double(batch) for batch in train.batches(64, shuffle=True, seed=3)]
        for one, other in zip(mapped.batches(64, shuffle=True, seed=3, workers=workers), expected, strict=True):
            assert one["label"].tolist() == other["label"].tolist() and (one["text"] == other["text"]).all()
        assert sorted(sizes)[1:] == [64] * 82
        assert mapped[5]["label"] == 2 * example("train", 5)["label"]
        assert [each["label"] for each in mapped[:300]] == (2 * train["label"][:300]).tolist()

    def test_a_function_of_batches_that_returns_another_number_is_an_argument_error(self, train):
        mapped = train.map(lambda batch: batch["label"][1:], batched=True)
        with pytest.raises(loader.ArgumentError, match=r"returned 9 values for 10 examples: .*<lambda>"):
            next(iter(mapped.batches(10)))
        for nothing in ({}, 3, np.int64(3)):
            with pytest.raises(loader.ArgumentError, match=r"returned [01] values for 10 examples"):
                next(iter(train.map(lambda batch, nothing=nothing: nothing, batched=True).batches(10)))
        with pytest.raises(loader.ArgumentError, match="returned 0 values for 1 examples"):
            train.map(lambda batch: {}, batched=True)[0]

    def test_values_of_any_kind_are_joined(self, train):
        mapped = train[:6].map(
            lambda each: (int(each["label"]), each["text"].decode(), each["samples"], {"x": np.ones(2)}, None)
        )
        numbers, strings, ragged, nested, nothing = next(iter(mapped.batches(6)))
        assert numbers.dtype == np.int64 and strings.tolist() == [f"train {number}" for number in range(6)]
        assert [len(each) for each in ragged] == [0, 1, 2, 3, 4, 5]
        assert nested["x"].shape == (6, 2) and nothing == [None] * 6
        kept = mapped.cache()
        assert kept.arrays()[0].tolist() == numbers.tolist()
        assert kept[3][2].tolist() == mapped[3][2].tolist() and kept[-1][1] == "train 5"
        assert next(iter(kept[::-1].batches(2)))[1].tolist() == ["train 5", "train 4"]
        kept[3][2][:] = 0
        assert kept[3][2].tolist() == mapped[3][2].tolist()

    def test_examples_of_different_kinds_are_an_argument_error(self, train):
        mapped = train[:2].map(lambda each: {str(each["text"]): 1})
        with pytest.raises(loader.ArgumentError, match="other names or numbers of values for other examples"):
            next(iter(mapped.batches(2)))

    def test_maps_filters_and_caches_can_follow_each_other(self, train):
        mapped = train.map(length).map(lambda each: each["length"]).filter(lambda each: each > 5)
        assert set(mapped.arrays().tolist()) == {6, 7}
        twice = train.map(double, batched=True).map(double, batched=True).cache()
        assert twice["label"].tolist() == (4 * train["label"]).tolist()
        assert texts(train.map(double).filter(lambda each: each["label"] == 4, features=["label"])) == [
            each["text"] for each in train if each["label"] == 2
        ]

    def test_states_belong_to_the_function(self, train):
        mapped = train.map(length)
        assert mapped.fingerprint == f"small/1.0.0 train: range(0, 5300), mapped by {__name__}.length"
        assert "mapped in batches by builtins.dict" in train.map(dict, batched=True).fingerprint
        assert f"{__name__}.double" in train.map(functools.partial(double)).fingerprint
        iterator = iter(mapped.batches(32, shuffle=True, seed=0))
        next(iterator)
        resumed = mapped.batches(32, shuffle=True, seed=0).iterator(state=iterator.state())
        assert next(resumed)["length"].tolist() == next(iterator)["length"].tolist()
        for other in (train, train.map(double), train.map(length, batched=True)):
            with pytest.raises(loader.ArgumentError, match="the state belongs to"):
                other.batches(32, shuffle=True, seed=0).iterator(state=iterator.state())

    def test_a_mapped_split_can_be_pickled_if_its_function_can(self, train):
        mapped = pickle.loads(pickle.dumps(train.map(length)[:30]))
        assert [each["length"] for each in mapped] == [number % 8 for number in range(30)]

    def test_what_is_no_function_is_an_argument_error(self, train):
        with pytest.raises(loader.ArgumentError, match=r"map\(\) takes a function, not 3"):
            train.map(3)
        with pytest.raises(loader.NotFoundError, match="returned no 'x'; what it returned: length, label"):
            train.map(length)["x"]

    def test_the_errors_of_the_function_are_its_own(self, train):
        with pytest.raises(ZeroDivisionError):
            list(train.map(lambda each: 1 // int(each["label"])).batches(64, workers=2))

    @pytest.mark.parametrize("format", ["torch", "jax"])
    def test_a_function_is_given_the_format_of_the_split(self, small, format):
        framework = pytest.importorskip(format)
        kind = framework.Tensor if format == "torch" else framework.Array
        _, train = loader.load("small", split="train[:10]", repo=small, format=format, features=["label"])

        def half(each):
            assert isinstance(each["label"], kind)
            return {"label": each["label"] / 2}

        for batched in (False, True):
            mapped = train.map(half, batched=batched)
            expected = (np.asarray(train["label"]) / 2).tolist()
            assert isinstance(mapped[3]["label"], kind)
            batch = next(iter(mapped.batches(10)))
            assert isinstance(batch["label"], kind) and batch["label"].tolist() == expected
            assert mapped.cache()["label"].tolist() == mapped["label"].tolist() == expected

    @pytest.mark.slow
    @pytest.mark.parametrize("context", ["fork", "spawn"])
    def test_a_function_runs_in_the_workers_of_a_data_loader(self, small, context):
        pytest.importorskip("torch")
        code = (
            "import os, sys, torch, loader\n"
            "def tag(each): return {'label': each['label'], 'process': os.getpid()}\n"
            "if __name__ == '__main__':\n"
            "    _, train = loader.load('small', split='train[:400]', repo=sys.argv[1], format='torch')\n"
            "    data = torch.utils.data.DataLoader(\n"
            "        train.map(tag), batch_size=50, num_workers=2, multiprocessing_context=sys.argv[2])\n"
            "    batches = list(data)\n"
            "    assert torch.cat([each['label'] for each in batches]).tolist() == train['label'].tolist()\n"
            "    print(len({int(number) for each in batches for number in each['process']} - {os.getpid()}))"
        )
        script = small / "workers.py"
        script.write_text(code)
        done = subprocess.run([sys.executable, script, small, context], capture_output=True, text=True)
        assert done.stdout == "2\n", done.stderr


class TestFunctionsOfOtherLibraries:
    def test_a_function_of_several_arguments_is_given_the_values_of_a_tuple(self, train):
        pairs = train.map(lambda each: (each["label"], each["text"]))
        assert pairs.map(lambda label, text: (label + 1, text))[3] == (1, b"train 3")
        assert pairs.map(lambda pair, more=2: pair[0] + more)[4] == 3
        assert next(iter(pairs.map(lambda label, text: label * 2, batched=True).batches(3))).tolist() == [0, 2, 4]
        assert len(pairs.filter(lambda label, text: label == 3)) == len(train.filter(train["label"] == 3))

    def test_a_function_that_returns_nothing_is_an_error(self, train):
        with pytest.raises(loader.ArgumentError, match=r"returned None; it must return the example: .*<lambda>"):
            train.map(lambda each: each.update(more=1))[0]

    def test_tuples_become_rows_of_tables(self, train):
        frame = train[:5].map(lambda each: (each["label"], each["text"])).to_pandas()
        assert frame.shape == (5, 2) and list(frame.columns) == ["0", "1"]
        assert train[:5].map(lambda each: (each["label"], each["text"])).to_arrow().num_rows == 5

    def test_a_method_of_another_library_is_named_with_the_one_here(self, small, train):
        with pytest.raises(AttributeError, match=r"a split has no 'train_test_split'; use split.shuffle\(0\)"):
            train.train_test_split(0.1)
        with pytest.raises(AttributeError, match=r"a split has no 'x'$"):
            train.x()
        _, ds = loader.load("small", repo=small)
        with pytest.raises(AttributeError, match=r"of splits, .* 'map'; each of its splits has: ds\['train'\].map"):
            ds.map(dict)
        with pytest.raises(TypeError, match=r"load\(\) returns it first: info, ds = loader.load"):
            _, ds = loader.load("small", "train", repo=small)[0]
        with pytest.raises(loader.ArgumentError, match="unknown keyword revision=; here it is rev="):
            loader.load("small", "train", repo=small, revision="v1")

    def test_every_name_of_another_library_is_answered_with_one_that_exists(self, train):
        for name, hint in _foreign._METHODS.items():
            with pytest.raises(AttributeError, match=f"has no '{name}'; use "):
                getattr(train, name)
            for method in re.findall(r"split\.(\w+)", hint):
                assert hasattr(train, method), hint

    def test_a_shuffle_without_a_seed_draws_one(self, train):
        orders = [repr(train.shuffle()) for _ in range(3)]
        assert len(set(orders)) == 3
        assert train.batches(10, shuffle=False, seed=0).epoch(0)
