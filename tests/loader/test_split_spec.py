"""Split strings choose the examples that TFDS chooses, in record order."""

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


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return prepare_recorded(tmp_path_factory.mktemp("prepared")).folder


@pytest.fixture(scope="module")
def tfds_texts(folder):
    """What TFDS gives for a split: the texts of its examples, in record order."""
    tfds = pytest.importorskip("tensorflow_datasets")
    builder = tfds.builder_from_directory(str(folder))
    in_record_order = tfds.ReadConfig(interleave_cycle_length=1)

    def texts(split):
        only_text = tfds.decode.PartialDecoding(["text"])
        try:
            found = builder.as_dataset(split=split, read_config=in_record_order, decoders=only_text)
        except ValueError as error:
            assert "corresponds to no data" in str(error)  # where we give a split without examples
            return []
        return [example["text"] for example in tfds.as_numpy(found)]

    return texts


def our_texts(split):
    return [example["text"] for example in split]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("spec", SPECS)
def test_a_split_string_chooses_what_tfds_chooses(folder, small, tfds_texts, spec):
    expected = tfds_texts(spec)
    assert our_texts(loader.load("small", split=spec, repo=small, features=["text"])[1]) == expected
    assert our_texts(loader.from_directory(folder, split=spec, features=["text"])[1]) == expected


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("drop_remainder", [False, True])
@pytest.mark.parametrize(("split", "n"), [("train", 3), ("test", 4), ("train[:10%]+test", 7), ("test[:3]", 5)])
def test_even_splits_are_those_of_tfds(small, tfds_texts, split, n, drop_remainder):
    import tensorflow_datasets as tfds

    theirs = tfds.even_splits(split, n, drop_remainder=drop_remainder)
    ours = loader.even_splits(split, n, drop_remainder=drop_remainder)
    _, parts = loader.load("small", split=ours, repo=small, features=["text"])
    assert [our_texts(part) for part in parts] == [tfds_texts(part) for part in theirs]


def test_even_splits_can_be_divided_again(small):
    (first, _) = loader.even_splits("test", 2)
    _, parts = loader.load("small", split=loader.even_splits(first, 5), repo=small)
    assert [len(part) for part in parts] == [7, 7, 7, 7, 7]
    assert parts[1][0]["text"] == b"test 7"


def test_a_list_of_splits_gives_a_list(small):
    _, (most, rest) = loader.load("small", split=["train[:90%]", "train[90%:]"], repo=small)
    assert (len(most), len(rest)) == (4770, 530)
    assert rest[0]["text"] == b"train 4770"


def test_splits_that_follow_each_other_take_no_memory_for_their_positions(small):
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
    ],
)
def test_a_string_that_is_none_is_one_sentence(small, spec):
    with pytest.raises(loader.ArgumentError) as raised:
        loader.load("small", split=spec, repo=small)
    assert "\n" not in str(raised.value)
    with pytest.raises(ValueError):
        loader.load("small", split=spec, repo=small)


@pytest.mark.parametrize("spec", ["validation", "train+validation", "train[:5301]", "train[-5301:]", "test[:71]"])
def test_what_is_not_there_is_one_sentence(small, spec):
    with pytest.raises(loader.NotFoundError, match=r"its splits: train, test|has [\d,]+ examples|the split has"):
        loader.load("small", split=spec, repo=small)


def test_parts_cannot_be_fewer_than_one():
    with pytest.raises(loader.ArgumentError, match="into 0 parts"):
        loader.even_splits("train", 0)
