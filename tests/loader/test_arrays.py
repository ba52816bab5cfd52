"""A whole split as arrays, columns, Arrow tables and data frames."""

import contextlib
import json
import pickle
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

import loader
from loader import _room
from loader._collate import make_collator
from loader._column import Memory
from loader._columns import Columns
from loader._features.connectors import FeaturesDict, Image, Scalar, Sequence, Tensor, Text
from tests.helpers.recorded_dataset import example


@pytest.fixture
def train(small):
    _, split = loader.load("small", split="train", repo=small)
    return split


def same(one, other):
    """Whether two values have the same types, dtypes, shapes and elements."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list):
        return type(other) is list and len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, np.ndarray | np.generic):
        if type(one) is not type(other) or one.dtype != other.dtype or one.shape != other.shape:
            return False
        return one.tobytes() == other.tobytes() if one.dtype != object else one.tolist() == other.tolist()
    return type(one) is type(other) and one == other


def test_arrays_are_one_batch_of_the_whole_split(train):
    for split in (train, train[10:20], train.shuffle(3)[::7], train[:0]):
        arrays = split.arrays()
        assert arrays["label"].dtype == np.int64 and arrays["text"].dtype == object
        assert len(arrays["label"]) == len(arrays["text"]) == len(arrays["samples"]) == len(split)
        assert list(arrays) == ["label", "samples", "text"]
        for batch in split.batches(max(len(split), 1)):
            assert same(arrays, batch)


def test_arrays_are_those_of_tfds(small):
    tfds = pytest.importorskip("tensorflow_datasets")
    _, dataset = loader.load("small", split="train", repo=small, format="tf")
    expected = list(tfds.as_numpy(dataset))
    arrays = loader.load("small", split="train", repo=small)[1].arrays()
    assert arrays["label"].tolist() == [each["label"] for each in expected]
    assert arrays["text"].tolist() == [each["text"] for each in expected]
    for samples, each in zip(arrays["samples"], expected, strict=True):
        np.testing.assert_array_equal(samples, each["samples"], strict=True)


def test_arrays_can_be_modified(train):
    for split in (train, train.cache(), train.cache(disk=True)):
        arrays = split.arrays()
        arrays["label"] += 1
        arrays["samples"][3] += 1
        assert same(split[3], example("train", 3))


def test_arrays_of_a_fixed_shape_take_the_memory_of_their_values(train):
    labels = train[["label"]][np.tile(np.arange(len(train)), 20)]
    labels.arrays()  # what is imported and kept for it takes memory too
    tracemalloc.start()
    try:
        arrays = labels.arrays()
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert arrays["label"].nbytes == labels.decoded_size() <= held < 1.05 * labels.decoded_size()


def test_a_column_is_the_values_of_one_feature(train):
    labels = [example("train", number)["label"] for number in range(5300)]
    assert train["label"].dtype == np.int64
    assert train["label"].tolist() == labels
    assert train[10:20]["label"].tolist() == labels[10:20]
    assert train[[5, -1]]["text"].tolist() == [b"train 5", b"train 5299"]
    assert [len(samples) for samples in train["samples"][:10]] == [0, 1, 2, 3, 4, 5, 6, 7, 0, 1]


def test_a_column_decodes_no_other_feature(small):
    # the feature `samples` of one record cannot be decoded; its records are verified by their CRC only
    from tests.helpers.recorded_dataset import prepare_recorded, record, write_tfrecord

    prepared = prepare_recorded(small / "scratch")
    shard = next(prepared.folder.glob("*test*"))
    records = [record("test", number) for number in range(70)]
    damaged = [each.replace(b"samples", b"sanples") for each in records]
    write_tfrecord(shard, damaged)
    _, test = loader.from_directory(prepared.folder, split="test")
    with pytest.raises(loader.DecodeError):
        test.arrays()
    assert test["label"].tolist() == [example("test", number)["label"] for number in range(70)]


def test_a_list_of_names_is_the_split_with_only_these_features(small, train):
    chosen = train[10:20][["text", "label"]]
    assert chosen[0] == {"text": b"train 10", "label": example("train", 10)["label"]}
    assert repr(chosen) == "<small/1.0.0 train[10:20]: 10 examples of text, label>"
    for split in (chosen, chosen.cache(), train[10:20].cache()[["text", "label"]], pickle.loads(pickle.dumps(chosen))):
        assert list(split.arrays()) == ["text", "label"]
        assert split.shuffle(0)["text"].tolist() == train[10:20].shuffle(0)["text"].tolist()
    assert list(chosen.to_pandas().columns) == ["text", "label"]
    assert train.map(lambda each: {**each, "more": 1})[["more", "label"]][4] == {"more": 1, "label": 1}
    text = loader.load("small", "train", repo=small, text="str")[1][["text"]]
    assert text[3] == {"text": "train 3"} and text["text"][4] == "train 4"
    for names in (["label", "lable"], ["label", 3], []):
        with pytest.raises(loader.LoaderError) if names else contextlib.nullcontext():
            assert len(train[names]) == 0


@pytest.mark.parametrize("name", ["lable", "x"])
def test_a_feature_that_is_not_there_is_named_with_those_that_are(train, name):
    advice = r"did you mean 'label'\?" if name == "lable" else "its features: label, samples, text"
    with pytest.raises(loader.NotFoundError, match=rf"small/1\.0\.0 train has no feature '{name}'; {advice}"):
        train[name]


def test_arrays_and_columns_are_in_the_format_of_the_split(small):
    torch = pytest.importorskip("torch")
    _, train = loader.load("small", split="train", repo=small, format="torch")
    assert train["label"].dtype == torch.int64
    assert isinstance(train.arrays()["samples"][3], torch.Tensor)
    assert train["text"][:2] == [b"train 0", b"train 1"]


def test_damage_is_an_error(small):
    path = small / "artifacts/small.tar"
    path.write_bytes(path.read_bytes().replace(b"train 4000", b"train 4OOO"))
    _, train = loader.load("small", split="train", repo=small)
    for read in (train.arrays, train.cache, train.to_pandas, lambda: train["label"], lambda: train.cache(disk=True)):
        with pytest.raises(loader.IntegrityError, match="record 4,000 of split 'train'"):
            read()
    assert loader.cache.entries() == []


class TestRoom:
    def test_the_size_is_exact_for_fixed_shapes_and_estimated_for_others(self, small, train):
        _, labels = loader.load("small", split="train", repo=small, features=["label"])
        assert labels.decoded_size() == labels["label"].nbytes == 8 * 5300
        samples, texts = train["samples"], train["text"]
        size = 8 * 5300 + sum(each.nbytes for each in samples) + sum(map(len, texts))
        assert abs(train.decoded_size() - size) < 0.1 * size
        assert train[:0].decoded_size() == 0

    def test_what_does_not_fit_in_memory_is_refused_with_both_sizes(self, train, monkeypatch):
        monkeypatch.setattr(_room, "free_memory", lambda: 1000)
        for read in (train.arrays, train.cache, lambda: train["label"], train.to_arrow):
            with pytest.raises(loader.ArgumentError, match=r"takes about [\d.]+ kB decoded, but only 1.0 kB of memory"):
                read()
        assert len(train[:2].arrays()["label"]) == 2

    def test_what_does_not_fit_on_the_disk_is_refused_with_both_sizes(self, train, monkeypatch):
        monkeypatch.setattr(_room.shutil, "disk_usage", lambda _: _room.shutil._ntuple_diskusage(10, 9, 1))
        with pytest.raises(loader.FetchError, match=r"takes about [\d.]+ kB decoded, but only 1 bytes are free for"):
            train.cache(disk=True)

    def test_a_control_group_limits_the_memory(self, tmp_path, monkeypatch):
        monkeypatch.setattr(_room, "_CGROUPS", tmp_path)
        for name, content in (("max", "10000"), ("current", "7000"), ("stat", "anon 5000\ninactive_file 500\n")):
            (tmp_path / f"memory.{name}").write_text(content)
        assert _room.free_memory() == 3500
        (tmp_path / "memory.max").write_text("max\n")
        assert _room.free_memory() > 100_000


VALUES = {
    "fixed": (Tensor(shape=(2, 3), dtype=np.dtype(np.float32)), npst.arrays(np.float32, (2, 3))),
    "empty": (Tensor(shape=(0,), dtype=np.dtype(np.int8)), npst.arrays(np.int8, (0,))),
    "scalar": (Scalar(dtype=np.dtype(np.uint64)), npst.from_dtype(np.dtype(np.uint64))),
    "flag": (Scalar(dtype=np.dtype(bool)), st.booleans().map(np.bool_)),
    "optional": (
        Tensor(shape=(), dtype=np.dtype(np.int32), optional=True),
        npst.from_dtype(np.dtype(np.int32)),
    ),
    "varying": (
        Tensor(shape=(None,), dtype=np.dtype(np.int16)),
        st.integers(0, 4).flatmap(lambda n: npst.arrays(np.int16, (n,))),
    ),
    "image": (
        Image(shape=(None, None, 3), dtype=np.dtype(np.uint8)),
        st.tuples(st.integers(1, 3), st.integers(1, 3)).flatmap(lambda size: npst.arrays(np.uint8, (*size, 3))),
    ),
    "text": (Text(), st.text(max_size=5).map(str.encode)),
    "texts": (
        Sequence(Text()),
        st.lists(st.text(max_size=3).map(str.encode), max_size=3).map(lambda each: np.array([*each, None])[:-1]),
    ),
    "pairs": (
        Sequence(Tensor(shape=(2,), dtype=np.dtype(np.int64))),
        st.integers(0, 3).flatmap(lambda n: npst.arrays(np.int64, (n, 2))),
    ),
    "rows": (
        Sequence(Sequence(Scalar(dtype=np.dtype(np.int64)))),
        st.lists(st.integers(0, 3).flatmap(lambda n: npst.arrays(np.int64, (n,))), max_size=3),
    ),
    "deeper": (
        Sequence(Sequence(Sequence(Text()))),
        st.lists(st.lists(st.just(np.array([b"a", b""], object)), max_size=2), max_size=2),
    ),
    "dict": (
        FeaturesDict({"x": Text(), "y": Scalar(dtype=np.dtype(np.float64))}),
        st.fixed_dictionaries({"x": st.text(max_size=3).map(str.encode), "y": npst.from_dtype(np.dtype(np.float64))}),
    ),
    "dicts": (
        Sequence(FeaturesDict({"z": Scalar(dtype=np.dtype(np.int64))})),
        st.fixed_dictionaries({"z": st.integers(0, 3).flatmap(lambda n: npst.arrays(np.int64, (n,)))}),
    ),
}
FEATURES = FeaturesDict({name: feature for name, (feature, _) in VALUES.items()})
EXAMPLES = st.lists(
    st.tuples(*(values for _, values in VALUES.values())).map(lambda values: dict(zip(VALUES, values, strict=True))),
    max_size=5,
)


def columns_of(examples, features=FEATURES):
    columns = Columns(features, Memory)
    columns.append(examples[:2])
    columns.append(examples[2:])
    columns.attach()
    return columns


@settings(derandomize=True, deadline=None, max_examples=30)
@given(EXAMPLES, st.data())
def test_columns_return_what_was_appended_as_examples_and_as_batches(examples, data):
    columns = columns_of(examples)
    assert all(map(same, map(columns.one, range(len(examples))), examples))
    collate = make_collator(FEATURES)
    assert same(columns.batch(None, make_collator), collate(examples))
    if examples:
        rows = data.draw(st.lists(st.integers(0, len(examples) - 1), max_size=6))
        batch = columns.batch(np.array(rows, np.intp), make_collator)
        assert same(batch, collate([examples[row] for row in rows]))
        start, stop, step = (data.draw(st.integers(*bounds)) for bounds in ((0, 5), (0, 5), (1, 3)))
        part = range(len(examples))[start:stop:step]
        for rows in (part, part[::-1]):
            assert same(columns.batch(rows, make_collator), collate([examples[row] for row in rows]))


def test_columns_hold_bfloat16():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    features = FeaturesDict({"x": Tensor(shape=(2,), dtype=np.dtype(ml_dtypes.bfloat16))})
    examples = [{"x": np.array([number, 1], ml_dtypes.bfloat16)} for number in range(3)]
    columns = columns_of(examples, features)
    assert columns.batch(None, make_collator)["x"].tolist() == [[0, 1], [1, 1], [2, 1]]
    assert columns.one(2)["x"].dtype == ml_dtypes.bfloat16


class TestTables:
    @settings(derandomize=True, deadline=None, max_examples=30)
    @given(EXAMPLES)
    def test_a_table_has_the_values_as_lists(self, examples):
        pa = pytest.importorskip("pyarrow")
        from loader._arrow import to_table

        features = FeaturesDict({name: FEATURES[name] for name in FEATURES if name != "dicts"})
        table = to_table(make_collator(features)(examples), features, "x")
        table.validate(full=True)
        assert table.schema.field("optional").type == pa.int32()
        for row, each in zip(table.to_pylist(), examples, strict=True):
            for name in features:
                assert same_plain(row[name], plain(each[name], name)), name
        assert table.schema.field("text").type == pa.large_string()
        assert table.schema.field("image").type == pa.large_list(pa.large_list(pa.list_(pa.uint8(), 3)))

    def test_a_split_becomes_a_table(self, train):
        pytest.importorskip("pyarrow")
        table = train[3:6].to_arrow()
        assert table.to_pylist() == [
            {name: plain(value, name) for name, value in example("train", number).items()} for number in (3, 4, 5)
        ]
        assert train[:0].to_arrow().schema == table.schema

    def test_a_split_becomes_a_data_frame(self, train):
        pd = pytest.importorskip("pandas")
        frame = train.to_pandas()
        assert isinstance(frame, pd.DataFrame) and list(frame.columns) == ["label", "samples", "text"]
        assert frame["label"].dtype == np.int64
        assert frame["text"][4] == "train 4"
        np.testing.assert_array_equal(frame["samples"][5], example("train", 5)["samples"], strict=True)
        assert frame.groupby("label").size().sum() == len(frame) == 5300

    def test_text_that_is_not_utf_8_is_a_decode_error(self):
        pytest.importorskip("pyarrow")
        from loader._arrow import to_frame, to_table

        values, features = {"text": np.array([b"\xff"], object)}, FeaturesDict({"text": Text()})
        for convert in (to_table, to_frame):
            with pytest.raises(loader.DecodeError, match="feature 'text' is not text in UTF-8"):
                convert(values, features, "x")

    @pytest.mark.parametrize(("package", "method"), [("pyarrow", "to_arrow"), ("pandas", "to_pandas")])
    def test_a_package_that_is_not_installed_is_told_before_anything_is_read(self, small, package, method):
        code = (
            "import importlib.util, json, sys, loader\n"
            "find = importlib.util.find_spec\n"
            f"importlib.util.find_spec = lambda name, *rest: None if name == {package!r} else find(name, *rest)\n"
            "_, train = loader.load('small', split='train', repo=sys.argv[1])\n"
            "train.decode_range = None\n"
            f"try: train.{method}()\n"
            "except loader.UnsupportedError as error: print(json.dumps(str(error)))"
        )
        done = subprocess.run([sys.executable, "-c", code, small], check=True, capture_output=True, text=True)
        assert json.loads(done.stdout) == (
            f"{method}() needs {package}, which is not installed; install it with: pip install {package}"
        )


def same_plain(one, other):
    """Whether two values are equal, NaN being equal to NaN."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same_plain(one[name], other[name]) for name in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same_plain, one, other))
    return repr(one) == repr(other)


def plain(value, name):
    """Return a value as `to_pylist` does."""
    if isinstance(value, dict):
        return {inner: plain(each, name) for inner, each in value.items()}
    if isinstance(value, list):
        return [plain(each, name) for each in value]
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist(), name)
    return value.decode() if isinstance(value, bytes) and name in ("text", "texts", "deeper", "dict") else value
