"""What is shown of a dataset and of its splits, and names that are nearly right."""

import importlib.metadata
import json
import pickle
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import loader
from tests.helpers.recorded_dataset import prepare_recorded

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def ds(small):
    return loader.load("small", repo=small)[1]


class TestSplitsByName:
    def test_they_are_a_dict(self, ds):
        assert isinstance(ds, dict)
        assert list(ds) == ["train", "test"]
        assert repr(ds) == repr(dict(ds))
        assert ds.get("validation") is None
        assert "validation" not in ds

    def test_a_name_that_is_nearly_right_is_named(self, ds):
        with pytest.raises(KeyError) as raised:
            ds["trian"]
        assert isinstance(raised.value, loader.NotFoundError)
        assert str(raised.value) == "small/1.0.0 has no split 'trian'; did you mean 'train'?"

    @pytest.mark.parametrize("name", ["validation", 3, None, ("train",)])
    def test_for_other_names_the_splits_are_named(self, ds, name):
        with pytest.raises(loader.NotFoundError, match=r"^small/1\.0\.0 has no split .*; its splits: train, test$"):
            ds[name]

    def test_a_part_is_chosen_when_the_dataset_is_loaded(self, ds):
        with pytest.raises(KeyError, match=r"when the dataset is loaded, with split='train\[:10%\]'"):
            ds["train[:10%]"]

    def test_they_and_their_error_can_be_pickled(self, ds):
        copy = pickle.loads(pickle.dumps(ds))
        assert copy["test"][3]["text"] == b"test 3"
        with pytest.raises(KeyError) as raised:
            copy["tset"]
        assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)

    def test_splits_of_a_dataset_without_any_are_named_too(self, tmp_path):
        folder = prepare_recorded(tmp_path).folder
        path = folder / "dataset_info.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "splits": []}))
        info, ds = loader.from_directory(folder)
        with pytest.raises(KeyError, match="has no split 'train'"):
            ds["train"]
        assert "splits" in str(info)


@pytest.mark.parametrize(
    ("select", "shown"),
    [
        (lambda train: train[10:20], "train[10:20]: 10 examples"),
        (lambda train: train[:-1], "train[:-1]: 5,299 examples"),
        (lambda train: train[::-2], "train[::-2]: 2,650 examples"),
        (lambda train: train[-(2**70) : 2**70], "train[...:...]: 5,300 examples"),
        (lambda train: train[[3, -1, 2]], "train[[3, -1, 2]]: 3 examples"),
        (lambda train: train[list(range(100))], "train[[0, 1, 2, 3, 4, 5, ...]]: 100 examples"),
        (lambda train: train.shuffle(7), "train.shuffle(7): 5,300 examples"),
        (lambda train: train.shuffle(7, epoch=2)[:3], "train.shuffle(7, epoch=2)[:3]: 3 examples"),
        (lambda train: train.shard(1, 4), "train[1325:2650]: 1,325 examples"),
    ],
)
def test_repr_shows_what_was_selected(ds, select, shown):
    assert repr(select(ds["train"])) == f"<small/1.0.0 {shown} of label, samples, text>"


def test_repr_shows_the_features_and_stays_short(small):
    _, train = loader.load("small", "train[:50%]", repo=small, features=["text"])
    assert repr(train) == "<small/1.0.0 train[:50%]: 2,650 examples of text>"
    for _ in range(200):
        train = train[1:]
    assert len(repr(train)) < 200
    assert repr(train).endswith("[1:]: 2,450 examples of text>")


def test_the_steps_are_in_copies_but_not_in_messages_or_states(ds):
    part = pickle.loads(pickle.dumps(ds["train"][10:20]))
    assert "train[10:20]" in repr(part)
    with pytest.raises(IndexError, match=r"^small/1\.0\.0 train has 10 examples"):
        part[10]


def test_the_split_may_be_the_second_argument(small, tmp_path):
    _, test = loader.load("small", "test", repo=small)
    _, (train, rest) = loader.load("small", ["train[:10]", "train[10:]"], repo=small)
    _, opened = loader.open(small / "artifacts/small.tar", "test")
    _, prepared = loader.from_directory(prepare_recorded(tmp_path / "prepared").folder, "test")
    assert [len(split) for split in (test, train, rest, opened, prepared)] == [70, 10, 5290, 70, 70]
    with pytest.raises(loader.NotFoundError, match="has no split 'trian'"):
        loader.load("small", "trian", repo=small)
    with pytest.raises(TypeError):
        loader.load("small", "test", "1.0.0", repo=small)


PAGE = """\
small 1.0.0

Small.

license  CC0

splits
  train  5,300 examples
  test   70 examples

features
  label    ClassLabel(shape=(), dtype=int64, num_classes=3)
  samples  Tensor(shape=(None,), dtype=int16, encoding='bytes')
  text     Text(shape=(), dtype=string)

after info, ds = loader.load(...)
  ds['train'][0]                          the first example
  ds['train'].batches(256, shuffle=True)  batches, in another order each time they are iterated"""


def test_a_printed_description_is_a_page_that_a_person_reads(small):
    info, ds = loader.load("small", repo=small)
    assert str(info) == PAGE
    page = PAGE.splitlines()
    for line in page[-2:]:  # what it shows works
        eval(line.split("  ")[1], {"ds": ds})


def test_a_page_has_every_fact_and_nothing_that_a_terminal_obeys(tmp_path):
    folder = prepare_recorded(tmp_path).folder
    path = folder / "dataset_info.json"
    more = {
        "configName": "big",
        "citation": "@article{small}",
        "description": "Words \x1b[31mred\x07\n\n  and  " + "more " * 50,
        "location": {"urls": ["https://example.org"]},
        "supervisedKeys": {"input": "text", "output": "label"},
    }
    path.write_text(json.dumps({**json.loads(path.read_text()), **more}))
    page = str(loader.from_directory(folder)[0])
    assert page.startswith("small big 1.0.0\n\nWords \\x1b[31mred\\x07 and more more ")
    assert max(map(len, page.splitlines())) <= 120
    for fact in ("homepage    https://example.org", "supervised  (text, label)", "info.citation "):
        assert fact in page


def test_the_version_is_that_of_the_package():
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert loader.__version__ == importlib.metadata.version("versioned-datasets") == declared
    code = "import sys, loader; print('importlib.metadata' in sys.modules); print(loader.__version__)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["False", declared]
    with pytest.raises(AttributeError, match="no attribute 'verison'"):
        loader.verison  # noqa: B018
