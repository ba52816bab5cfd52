"""Split strings select the examples that TFDS selects, in record order."""

import pickle

import pytest

import loader
from tests.helpers.recorded_dataset import prepare_recorded

SPECS = [
    "train",
    "all",
    "train+test",
    "test + train",
    "train[:10%]",
    "train[10%:]",
    "train[-5%:]",
    "train[:-99.5%]",
    "train[33.3%:66.6%]",
    "train[:1%]",
    "test[50%:]",
    "test[:0.7%]",
    "test[:2.2%]",
    "train[100:200]",
    "train[:100]",
    "train[-10:]",
    "train[:-5290]",
    "train[1_000:1_003]",
    "train[4998:5003]",
    "train[5:5]",
    "train[:50%]+test",
    "test[-5:]+train[:3]+test[:2]",
    "train[0shard]",
    "train[1shard]",
    "train[-1shard]",
    "train[1shard:]",
    "train[:1shard]",
    "train[:-1shard]",
    "test[10:50%]",
    "train[:5300]",
    "train[-5300:]",
]

ONE_PERCENT = {"unit": "%", "rounding": "pct1_dropremainder"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return prepare_recorded(tmp_path_factory.mktemp("prepared")).folder


@pytest.fixture(scope="module")
def tfds_texts(folder):
    """A function that returns the texts of a split's examples as TFDS reads them, in record order."""
    tfds = pytest.importorskip("tensorflow_datasets")
    builder = tfds.builder_from_directory(str(folder))
    in_record_order = tfds.ReadConfig(interleave_cycle_length=1)

    def texts(split):
        only_text = tfds.decode.PartialDecoding(["text"])
        try:
            found = builder.as_dataset(split=split, read_config=in_record_order, decoders=only_text)
        except ValueError as error:
            assert "corresponds to no data" in str(error)  # the loader returns an empty split
            return []
        return [example["text"] for example in tfds.as_numpy(found)]

    return texts


def loader_texts(split):
    return [example["text"] for example in split]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("spec", SPECS)
def test_a_split_string_selects_what_tfds_selects(folder, small, tfds_texts, spec):
    expected = tfds_texts(spec)
    assert loader_texts(loader.load("small", split=spec, repo=small, features=["text"])[1]) == expected
    assert loader_texts(loader.from_directory(folder, split=spec, features=["text"])[1]) == expected


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("drop_remainder", [False, True])
@pytest.mark.parametrize(("split", "n"), [("train", 3), ("test", 4), ("train[:10%]+test", 7), ("test[:3]", 5)])
def test_even_splits_are_the_same_as_in_tfds(small, tfds_texts, split, n, drop_remainder):
    import tensorflow_datasets as tfds

    expected = tfds.even_splits(split, n, drop_remainder=drop_remainder)
    specs = loader.even_splits(split, n, drop_remainder=drop_remainder)
    _, parts = loader.load("small", split=specs, repo=small, features=["text"])
    assert [loader_texts(part) for part in parts] == [tfds_texts(part) for part in expected]


def test_even_splits_can_be_divided_again(small):
    (first, _) = loader.even_splits("test", 2)
    _, parts = loader.load("small", split=loader.even_splits(first, 5), repo=small)
    assert [len(part) for part in parts] == [7, 7, 7, 7, 7]
    assert parts[1][0]["text"] == b"test 7"


def test_a_list_of_splits_returns_a_list(small):
    _, (most, rest) = loader.load("small", split=["train[:90%]", "train[90%:]"], repo=small)
    assert (len(most), len(rest)) == (4770, 530)
    assert rest[0]["text"] == b"train 4770"


def test_the_positions_of_consecutive_splits_are_one_range(small):
    _, everything = loader.load("small", split="all", repo=small)
    assert isinstance(everything._positions, range)


@pytest.mark.parametrize(
    "spec",
    [
        "",
        "train[",
        "train[]",
        "train[:]",
        "train[5]",
        "train[5%]",
        "train[1:2:3]",
        "train[a:b]",
        "train[:5x]",
        "+",
        "train+",
        "train[:101%]",
        "train[1.5:3]",
        "train[20:10]",
        "train[1shard:50%]",
        "train[:--5]",
        "train[1__0:20]",
        "train[:5.0]",
        "train[:.]",
        "train[1.5shard:]",
        "train[:1.2.3%]",
        f"train[:{'9' * 5000}]",
        "train\0",
        "train[\ud800]",
    ],
)
def test_an_invalid_split_string_is_an_argument_error(small, spec):
    with pytest.raises(loader.ArgumentError) as raised:
        loader.load("small", split=spec, repo=small)
    assert "\n" not in str(raised.value)
    assert "int()" not in str(raised.value)
    assert "split" in str(raised.value)
    assert repr(spec).encode("ascii", "backslashreplace").decode()[:20] in str(raised.value)
    with pytest.raises(ValueError):
        loader.load("small", split=spec, repo=small)


@pytest.mark.parametrize("spec", ["validation", "train+validation", "train[:5301]", "train[-5301:]", "test[:71]"])
def test_a_missing_split_or_example_is_a_not_found_error(small, spec):
    with pytest.raises(loader.NotFoundError, match=r"its splits: train, test|out of range: the split has [\d,]+ exam"):
        loader.load("small", split=spec, repo=small)


def test_even_splits_need_at_least_one_part():
    with pytest.raises(loader.ArgumentError, match="n must be an integer of at least 1, not 0"):
        loader.even_splits("train", 0)


@pytest.mark.parametrize(("spec", "fewer"), [("test[-{}%:]", "0.7"), ("test[:-{}%]", "0.7"), ("test[-{}%:-0.1%]", "5")])
def test_a_percentage_from_the_end_that_rounds_to_no_example_is_refused(small, spec, fewer):
    # TFDS takes it for the beginning: all of the split for "[-0.7%:]", and nothing for "[:-0.7%]"
    with pytest.raises(
        loader.ArgumentError, match=r"split 'test\[.*\]' of small.* is ambiguous: .* of 70 examples rounds to none"
    ):
        loader.load("small", split=spec.format(fewer), repo=small)


@pytest.mark.parametrize(
    ("spec", "count"), [("test[-0.8%:]", 1), ("test[:-0.8%]", 69), ("test[-0%:]", 70), ("test[:0.1%]", 0)]
)
def test_other_percentages_are_those_of_tfds(small, spec, count):
    assert len(loader.load("small", split=spec, repo=small)[1]) == count


@pytest.mark.parametrize(
    ("spec", "same"),
    [
        ("all[:50%]", "train[:2685]"),
        ("all[-100:]", "train[5270:]+test"),
        ("all[5290:5310]+test[:1]", "train[5290:]+test[:10]+test[:1]"),
        ("all[1shard:]", "train[1shard:]+test"),
        ("all[2shard]", "test"),
        ("all[7:7]", "train[:0]"),
    ],
)
def test_a_part_of_all_is_a_part_of_the_splits_joined(small, spec, same):
    parts = loader.load("small", split=[spec, same], repo=small, features=["text"])[1]
    assert loader_texts(parts[0]) == loader_texts(parts[1])


@pytest.mark.filterwarnings("ignore")
def test_objects_of_tfds_select_what_tfds_selects(small, tfds_texts):
    import tensorflow_datasets as tfds

    ri = tfds.core.ReadInstruction
    specs = [
        ri("train"),
        ri("test", to=10, unit="%"),
        ri("test", from_=-33.3, unit="%"),
        ri("train", from_=5, to=-5290, unit="abs"),
        ri("train", from_=1, unit="shard"),
        ri("train", to=3, **ONE_PERCENT),
        ri("train", from_=-7, to=100, **ONE_PERCENT),
        ri("test") + ri("train", to=3),
        ri("train", to=2, **ONE_PERCENT) + "test[:2]",
        ri.from_spec("test[:5]+train[10:20]"),
        ri.from_spec("all"),
        *tfds.even_splits("train[:10%]+test", n=3),
        tfds.even_splits(ri("test", to=10), n=2)[0],
        tfds.Split.TEST,
    ]
    _, parts = loader.load("small", split=specs, repo=small, features=["text"])
    for spec, part in zip(specs, parts, strict=True):
        assert loader_texts(part) == tfds_texts(spec), spec
        assert loader_texts(pickle.loads(pickle.dumps(part))) == loader_texts(part)
    assert len(loader.load("small", ri("test", to=10), repo=small, format="tf")[1]) == 10
    [even, _] = loader.even_splits(ri("test", to=10), 2)
    assert len(loader.load("small", even, repo=small)[1]) == 5


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"split_name": "other"}, loader.NotFoundError, "has no split 'other'"),
        ({"split_name": "test", "to": 71}, loader.NotFoundError, "out of range"),
        ({"split_name": "test", "to": 1.5}, loader.ArgumentError, "selects nothing of small"),
        ({"split_name": "test", "from_": -0.5, "unit": "%"}, loader.ArgumentError, "is ambiguous"),
        ({"split_name": "test", "to": 5, **ONE_PERCENT}, loader.ArgumentError, "100"),
        (
            {"split_name": "train", "to": 1.5, **ONE_PERCENT},
            loader.ArgumentError,
            "1.5",
        ),
    ],
)
def test_objects_of_tfds_that_select_nothing_are_refused(small, arguments, error, message):
    instruction = pytest.importorskip("tensorflow_datasets").core.ReadInstruction(**arguments)
    with pytest.raises(error, match=message):
        loader.load("small", instruction, repo=small)


def test_a_class_of_tfds_is_no_split(small):
    with pytest.raises(loader.ArgumentError, match="takes a split string"):
        loader.load("small", pytest.importorskip("tensorflow_datasets").core.ReadInstruction, repo=small)
