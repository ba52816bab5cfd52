"""`text="str"`: text features as `str`, wherever they are in an example or a batch; other strings stay bytes."""

import copy
import pickle

import numpy as np
import pytest

import loader
from tests.helpers.nested_dataset import COUNT, nested_example, write_nested
from tests.helpers.tampering import replace_record, take_apart

pytestmark = pytest.mark.filterwarnings("ignore")  # the frameworks warn
FORMATS = ["numpy", "torch", "jax"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    pytest.importorskip("tensorflow_datasets")
    return write_nested(tmp_path_factory.mktemp("nested"))


@pytest.fixture(params=FORMATS)
def train(request, folder):
    if request.param != "numpy":
        pytest.importorskip(request.param)
    return loader.from_directory(folder, "train", text="str", format=request.param)[1]


def texts(example):
    """The strings of an example, as lists."""
    return {
        "boxes": list(example["boxes"]["name"]),
        "inner": example["inner"]["text"],
        "languages": dict(example["languages"]),
        "moves": [move["text"] for move in example["moves"]],
        "raw": example["raw"],
        "rows": [list(row) for row in example["rows"]],
        "words": list(example["words"]),
    }


def expected(number):
    example = nested_example(number)
    return texts({**example, "boxes": {"name": [box["name"] for box in example["boxes"]]}})


def test_every_text_of_an_example_is_a_str(train):
    for number, example in enumerate(train):
        assert texts(example) == texts(train[number]) == expected(number)
        assert type(example["inner"]["text"]) is str
        assert {type(word) for word in example["words"]} == {str}
        assert example["raw"] == b"\xff\xfe"  # no Text


def test_every_text_of_a_batch_is_a_str(train):
    for batch in (next(iter(train.batches(COUNT))), next(iter(train.batches(COUNT, workers=2)))):
        for number in range(COUNT):
            wanted = expected(number)
            assert batch["inner"]["text"][number] == wanted["inner"]
            assert {name: column[number] for name, column in batch["languages"].items()} == wanted["languages"]
            assert list(batch["words"][number]) == wanted["words"]
            assert list(batch["boxes"][number]["name"]) == wanted["boxes"]
            assert [list(row) for row in batch["rows"][number]] == wanted["rows"]
            assert [move["text"] for move in batch["moves"][number]] == wanted["moves"]
            assert batch["raw"][number] == wanted["raw"]


def test_nested_datasets_are_sequences_that_can_be_copied(train):
    moves = train[2]["moves"]
    assert (len(moves), moves[-1]["text"], [move["text"] for move in moves[1:]]) == (3, "né 2", ["né 1", "né 2"])
    assert repr(moves) == "<3 examples>"
    for one in (pickle.loads(pickle.dumps(moves)), copy.copy(moves)):
        assert [move["text"] for move in one] == ["né 0", "né 1", "né 2"]
    with pytest.raises(IndexError):
        moves[3]


def test_nested_datasets_have_values_of_the_format(folder):
    torch = pytest.importorskip("torch")
    _, train = loader.from_directory(folder, "train", format="torch")
    move = train[0]["moves"][0]
    assert isinstance(move["image"], torch.Tensor)
    assert move["text"] == "né 0".encode()


def test_a_pickled_split_still_decodes_text(train):
    assert texts(pickle.loads(pickle.dumps(train))[1]) == expected(1)


def test_batches_without_text_are_empty_arrays_of_the_same_kind(folder):
    _, train = loader.from_directory(folder, "train", text="str", features=["languages"])
    assert list(train[:0].batches(3)) == []
    batch = next(iter(train.batches(3)))["languages"]["de"]
    assert (batch.shape, batch.dtype) == ((3,), np.dtype(object))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_of_a_data_loader_decode_text(small, method):
    torch = pytest.importorskip("torch")
    _, test = loader.load("small", "test", repo=small, text="str", format="torch", features=["text"])
    data = torch.utils.data.DataLoader(test, batch_size=32, num_workers=2, multiprocessing_context=method)
    assert [text for batch in data for text in batch["text"]] == [f"test {number}" for number in range(70)]


def test_bytes_are_the_default(small):
    assert loader.load("small", "train", repo=small, text="bytes")[1][0]["text"] == b"train 0"
    assert loader.load("small", "train", repo=small)[1][0]["text"] == b"train 0"


def test_text_that_is_not_in_utf_8_is_an_error_that_names_the_feature(small):
    forgery = take_apart(small)
    row = forgery.rows[0]
    record = row.shard.data[row.offset : row.offset + row.length]
    replace_record(row, record.replace(b"\x0a\x07train 0", b"\x0a\x07\xff\xfe\xfdin 0"))
    forgery.sign()
    _, train = loader.load("small", "train", repo=small, text="str")
    for read in (lambda: train[0], lambda: next(iter(train)), lambda: next(iter(train.batches(4)))):
        with pytest.raises(loader.DecodeError, match=r"^small/1\.0\.0: feature 'text' is not text in UTF-8 .*bytes"):
            read()
    assert train[1]["text"] == "train 1"


@pytest.mark.parametrize("text", ["unicode", str, None, True])
def test_other_values_are_an_error(small, text):
    with pytest.raises(loader.ArgumentError, match=r'^text= takes "bytes" or "str"'):
        loader.load("small", repo=small, text=text)


def test_tensorflow_has_only_bytes(small):
    with pytest.raises(loader.ArgumentError, match='text="str" does not work with format="tf"'):
        loader.load("small", repo=small, text="str", format="tf")
