"""A wrong argument of any public function is an ArgumentError that names it."""

import re

import numpy as np
import pytest

import loader
from tests.helpers.recorded_dataset import prepare_recorded

SURROGATE = "a\ud800b"
NOT_TEXT = [3, b"digit", ["digit"], 1.5, object()]
LOAD = [
    *(("name", value) for value in (None, "", "../x", "a/b/c", "a\0b", SURROGATE, "1a", "a b", ".", *NOT_TEXT)),
    *((option, value) for option in ("version", "config", "rev") for value in ("a\0b", SURROGATE, *NOT_TEXT)),
    *((option, value) for option in ("repo", "data_dir") for value in ("a\0b", SURROGATE, 3, 1.5, b"x", ["x"], True)),
    *((option, value) for option in ("stream", "offline") for value in (1, "yes", [])),
    *(("features", value) for value in ([1], "label", 3, {"label": 1}, [None], [b"label"])),
    *(("split", value) for value in (3, b"train", {"train"}, [3], ["train", None], SURROGATE, "a\0b", 1.5, True)),
    *(("format", value) for value in (None, 3, "pandas", ["numpy"])),
]


@pytest.mark.parametrize(("option", "value"), LOAD)
def test_load(small, option, value):
    options = {"name": "small", "repo": small, option: value}
    if option == "data_dir":
        del options["repo"]
    name = options.pop("name")
    with pytest.raises(loader.ArgumentError) as raised:
        loader.load(name, **options)
    assert "\n" not in str(raised.value)
    known = repr(value).encode("ascii", "backslashreplace").decode()
    assert option in str(raised.value) or known in str(raised.value)


@pytest.mark.parametrize(
    ("option", "value"), [(o, v) for o, v in LOAD if o in ("name", "version", "config", "rev", "repo")]
)
def test_ensure(small, option, value):
    options = {"name": "small", "repo": small, option: value}
    with pytest.raises(loader.ArgumentError, match=f"^{option}="):
        loader.ensure(options.pop("name"), **options)


@pytest.mark.parametrize("function", [loader.open, loader.from_directory])
@pytest.mark.parametrize("path", [None, 3, b"x", "a\0b", SURROGATE, ["x"]])
def test_paths(function, path):
    with pytest.raises(loader.ArgumentError, match=r"^path="):
        function(path)


@pytest.mark.parametrize(
    "options", [{"split": 3}, {"features": [1]}, {"format": 3}, {"batch_size": 3}, {"split": "train[:5.0]"}]
)
def test_open_and_from_directory(small, tmp_path, options):
    for function, path in (
        (loader.open, small / "artifacts/small.tar"),
        (loader.from_directory, prepare_recorded(tmp_path).folder),
    ):
        with pytest.raises(loader.ArgumentError):
            function(path, **options)


@pytest.mark.parametrize("hash", [3, b"0" * 32, "a\0b", SURROGATE])
def test_the_hash_of_open(small, hash):
    with pytest.raises(loader.ArgumentError):
        loader.open(small / "artifacts/small.tar", hash=hash)


@pytest.mark.parametrize("config", ["../x", "/etc", "a/../b"])
def test_a_config_that_leads_out_of_the_data_folder(tmp_path, config):
    with pytest.raises(loader.ArgumentError, match=r"^config=.* is not the name of a config"):
        loader.load("small", data_dir=tmp_path, config=config)


@pytest.mark.parametrize(
    ("arguments", "options", "named"),
    [
        (("3",), {}, "batch_size"),
        ((2.5,), {}, "batch_size"),
        ((True,), {}, "batch_size"),
        ((None,), {}, "batch_size"),
        ((4,), {"workers": 2.5}, "workers"),
        ((4,), {"workers": "2"}, "workers"),
        ((4,), {"seed": "a", "shuffle": True}, "seed"),
        ((4,), {"seed": -1, "shuffle": True}, "seed"),
        ((4,), {"seed": 1.5, "shuffle": True}, "seed"),
        ((4,), {"shuffle": "yes"}, "shuffle"),
        ((4,), {"drop_remainder": 1}, "drop_remainder"),
    ],
)
def test_batches(small, arguments, options, named):
    _, train = loader.load("small", split="train", repo=small)
    with pytest.raises(loader.ArgumentError, match=f"^{named}"):
        train.batches(*arguments, **options)


def test_batches_accept_integers_of_numpy(small):
    _, train = loader.load("small", split="train", repo=small)
    assert len(next(iter(train.batches(np.int32(4), shuffle=True, seed=np.int64(3))))["label"]) == 4


@pytest.mark.parametrize("seed", ["a", 1.5, -1, True])
def test_shuffle(small, seed):
    _, train = loader.load("small", split="train", repo=small)
    with pytest.raises(loader.ArgumentError, match=r"^seed"):
        train.shuffle(seed)


@pytest.mark.parametrize("state", ["a", 3, ["next"], {"next": 1}])
def test_states(small, state):
    _, train = loader.load("small", split="train", repo=small)
    for source in (train, train.batches(3), train.batches(3, shuffle=True)):
        with pytest.raises(loader.ArgumentError, match="state"):
            source.iterator(state=state)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("train", "2"), "n="),
        (("train", 2.5), "n="),
        (("train", 0), "n "),
        (("train", None), "n="),
        ((None, 2), "split="),
        ((["train"], 2), "split="),
        (("train[", 2), re.escape("'train['")),
    ],
)
def test_even_splits(arguments, named):
    with pytest.raises(loader.ArgumentError, match=f"^{named}"):
        loader.even_splits(*arguments)


@pytest.mark.parametrize(
    "arguments",
    [("train", "a", 2), ("train", 2, 2), ("train", -1, 2), ("train", 0, 0), (3, 0, 1), ("train", 0, 1, "no")],
)
def test_parts_of_splits(arguments):
    with pytest.raises(loader.ArgumentError):
        loader.EvenSplit(*arguments)


@pytest.mark.parametrize("size", [-1, "5GB", True, [], float("nan"), float("inf"), b"5"])
def test_the_limit_of_the_cache(size):
    with pytest.raises(loader.ArgumentError, match="cannot be limited to"):
        loader.cache.limit(size)


@pytest.mark.parametrize(
    "options",
    [
        {"parents": ["digit"]},
        {"parents": {"digit": "digit.tar"}},
        {"parents": {"digit": 3}},
        {"parents": {b"digit": [b"digit.tar"]}},
        {"reader": b"x"},
        {"root": 3},
        {"folders": "folder"},
        {"folders": [3]},
    ],
)
def test_reading_only(options):
    with (
        pytest.raises(loader.ArgumentError, match="reading_only"),
        loader.reading_only(**{"parents": {}, "reader": "x", "root": ".", **options}),
    ):
        pass


def test_keywords_that_as_dataset_does_not_have(small):
    pytest.importorskip("tensorflow_datasets")
    with pytest.raises(loader.ArgumentError, match="'batchsize'"):
        loader.load("small", repo=small, format="tf", batchsize=3)


@pytest.mark.parametrize("option", ["rev", "version", "config", "repo"])
def test_an_empty_option_is_not_taken_for_none(small, option):
    """An unset variable of a shell must not drop a pinned revision."""
    with pytest.raises(loader.ArgumentError, match=f"{option}= is empty"):
        loader.load("small", **{"repo": small, option: ""})


@pytest.mark.parametrize("read", [loader.from_directory, loader.open])
def test_a_path_that_no_file_system_has_is_refused(read):
    with pytest.raises(loader.ArgumentError, match="is not a path"):
        read("x" * 10_000)
