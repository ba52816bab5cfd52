"""Folders that TFDS prepared, with the names, templates and field names that occur in them."""

import dataclasses
import json

import pytest

import loader
from loader._format.description import read_description
from tests.helpers.recorded_dataset import prepare_recorded


@pytest.fixture
def folder(tmp_path):
    return prepare_recorded(tmp_path).folder


def change(folder, edit):
    path = folder / "dataset_info.json"
    document = json.loads(path.read_text())
    edit(document)
    path.write_text(json.dumps(document))


def lengths(ds):
    return {name: len(split) for name, split in ds.items()}


def test_the_field_names_of_protobuf_are_read_as_those_of_json(folder):
    def spell(info):
        info["file_format"] = info.pop("fileFormat")
        info["config_name"] = "big"
        info["redistribution_info"] = {"license": "CC0"}
        info["supervised_keys"] = {"tuple": {"items": [{"feature_key": "text"}, {"feature_key": "label"}]}}
        for split in info["splits"]:
            split["shard_lengths"], split["num_bytes"] = split.pop("shardLengths"), split.pop("numBytes")
            split["filepath_template"] = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"

    _, before = loader.from_directory(folder)
    change(folder, spell)
    info, ds = loader.from_directory(folder)
    assert lengths(ds) == lengths(before) == {"train": 5300, "test": 70}
    assert (info.config_name, info.license, info.supervised_keys) == ("big", "CC0", ("text", "label"))
    assert info.splits["train"].num_bytes > 0
    change(folder, lambda info: info.update(file_format="riegeli"))
    with pytest.raises(loader.UnsupportedError, match="riegeli"):
        loader.from_directory(folder)


@pytest.mark.parametrize("given", [{}, {"shardLengths": []}, {"numShards": "2", "statistics": {"numExamples": "5300"}}])
def test_a_split_without_lengths_is_refused(folder, given):
    def forget(info):
        split = info["splits"][0]
        del split["shardLengths"]
        split.update(given)

    change(folder, forget)
    with pytest.raises(loader.DecodeError, match="split 'train' has no shardLengths, so its number of examples is unk"):
        loader.from_directory(folder, "test")


def test_shards_may_lie_in_folders_but_not_outside(folder):
    for shard in [*folder.glob("small-*")]:
        target = folder / shard.name.split("-")[1].split(".")[0] / f"data.tfrecord-{shard.name.split('-')[2]}"
        target.parent.mkdir(exist_ok=True)
        shard.rename(target)
    template = "{SPLIT}/data.{FILEFORMAT}-{SHARD_INDEX}"
    change(folder, lambda info: [split.update(filepathTemplate=template) for split in info["splits"]])
    _, ds = loader.from_directory(folder)
    assert (ds["train"][5299]["text"], ds["test"][0]["text"]) == (b"train 5299", b"test 0")
    info = read_description(lambda name: (folder / name).read_bytes())
    with pytest.raises(loader.UnsupportedError, match=r"shard names .* are not supported"):
        info.splits["test"].shard_names("small")  # of an artifact, which has no folders
    for outside in ("../{SPLIT}-{SHARD_INDEX}", "/tmp/{SPLIT}-{SHARD_INDEX}", "a/../../{SHARD_INDEX}", "{OTHER}"):
        change(folder, lambda info, given=outside: [split.update(filepathTemplate=given) for split in info["splits"]])
        with pytest.raises(loader.UnsupportedError, match=r"shard names .* are not supported"):
            loader.from_directory(folder, "test")


@pytest.mark.parametrize("count", [1, 99_999, 100_000, 1_234_567])
def test_the_names_of_shards_are_those_of_tfds(folder, count):
    naming = pytest.importorskip("tensorflow_datasets").core.naming
    [_, test] = read_description(lambda name: (folder / name).read_bytes()).splits.values()
    names = dataclasses.replace(test, shard_lengths=(1,) * count).shard_names("small")
    template = naming.ShardedFileTemplate(folder, dataset_name="small", split="test", filetype_suffix="tfrecord")
    for shard in {0, count // 2, count - 1}:
        assert names[shard] == template.relative_filepath(shard_index=shard, num_shards=count)


@pytest.mark.parametrize("name", ["dev clean", "train.v2", "größe", "1", "_all"])
def test_a_split_opens_by_its_name_and_in_parts(folder, name):
    change(folder, lambda info: info["splits"][1].update(name=name))
    for shard in [*folder.glob("small-test*")]:
        shard.rename(shard.with_name(shard.name.replace("test", name)))
    assert lengths(loader.from_directory(folder)[1]) == {"train": 5300, name: 70}
    for spec, count in ((name, 70), (f"{name}[:50%]", 35), (f"train[:5] + {name}[-3:]", 8), ([name], 70)):
        opened = loader.from_directory(folder, spec)[1]
        assert len(opened[0] if isinstance(spec, list) else opened) == count
    pytest.importorskip("tensorflow_datasets")
    assert len(loader.from_directory(folder, format="tf")[1][name]) == 70
    assert len(loader.from_directory(folder, f"{name}[:10]", format="tf")[1]) == 10


@pytest.mark.parametrize("name", ["train[x", "a+b", "[1]"])
def test_a_name_that_is_no_split_string_opens_with_all_splits(folder, name):
    change(folder, lambda info: info["splits"][1].update(name=name))
    for shard in [*folder.glob("small-test*")]:
        shard.rename(shard.with_name(shard.name.replace("test", name)))
    assert loader.from_directory(folder)[1][name][0]["text"] == b"test 0"


@pytest.mark.parametrize("spec", ["dev clean", "tra in[:3]", "test.v2+train"])
def test_a_name_that_is_neither_a_split_nor_a_split_string_is_an_argument_error(folder, spec):
    with pytest.raises(loader.ArgumentError, match=r"is not a split string .* is no split of small/1\.0\.0: train, te"):
        loader.from_directory(folder, spec)


def test_metadata_is_what_the_builder_recorded(folder):
    assert loader.from_directory(folder)[0].metadata is None
    (folder / "metadata.json").write_text('{"rates": [8000, 16000], "größe": null}')
    assert loader.from_directory(folder)[0].metadata == {"rates": [8000, 16000], "größe": None}
    (folder / "metadata.json").write_text("{")
    with pytest.raises(loader.DecodeError, match=r"metadata\.json is not valid JSON"):
        loader.from_directory(folder)
