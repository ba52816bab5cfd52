"""Croissant descriptions: mlcroissant finds them valid and loads what it can, and they say what the manifest says."""

import copy
import hashlib
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from scripts._build.croissant import croissant
from tests.fuzz import zoo
from tests.helpers.parity import document
from tests.loader import test_decode, test_decode_images, test_decode_sequences

mlcroissant = pytest.importorskip("mlcroissant")
ARTIFACTS = Path(__file__).parents[2] / "artifacts"
DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
FEATURES = {**zoo.ZOO, **zoo.LEFT_TO_TFDS}
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # mlcroissant uses rdflib in an old way


def read(name):
    return json.loads((ARTIFACTS / f"{name}.json").read_bytes())


def statistics_of(manifest, **names):
    """Return statistics with class names, by feature, that are the same in all configs and splits."""
    places = [(entry["config"], split) for entry in manifest["artifacts"].values() for split in entry["splits"]]
    return {
        "class_counts": [
            {"config": config, "split": split, "feature": feature, "class": name, "examples": 0}
            for feature, classes in names.items()
            for config, split in places
            for name in classes
        ]
    }


def with_features(features):
    """Return the manifest of mnist with other features."""
    manifest = read("mnist")
    manifest["artifacts"]["mnist.tar"]["features"] = features
    return manifest


def warnings_of(described, caplog):
    """Return all that mlcroissant says against a description: errors, warnings, and what it logs."""
    caplog.clear()
    # TFDS, in another test, may have made absl quieter
    with caplog.at_level(logging.WARNING), caplog.at_level(logging.WARNING, logger="absl"):
        issues = mlcroissant.Dataset(copy.deepcopy(described)).metadata.ctx.issues
    return [*issues.errors, *issues.warnings, *(record.getMessage() for record in caplog.records)]


def all_fields(fields):
    for field in fields:
        yield field
        yield from all_fields(field.get("subField", ()))


def records_fields(described):
    """Return the fields of the examples of mnist, by name, without the field of the split."""
    [found] = (each for each in described["recordSet"] if each["@id"] == "records/mnist")
    return {field["name"]: field for field in found["field"][1:]}


def files(described):
    return {each["@id"]: each for each in described["distribution"]}


@pytest.mark.parametrize("name", ["digit", "digit_speakers", "mnist", "mnist_fgsm"])
@pytest.mark.parametrize("with_statistics", [True, False])
def test_the_datasets_of_this_repository_are_valid(name, with_statistics, caplog):
    manifest = read(name)
    statistics = statistics_of(manifest, label=DIGITS) if with_statistics else None
    before = copy.deepcopy((manifest, statistics))
    described = croissant(manifest, statistics)
    assert warnings_of(described, caplog) == []
    assert (manifest, statistics) == before
    assert json.dumps(croissant(*before)) == json.dumps(described)
    assert described["conformsTo"] == "http://mlcommons.org/croissant/1.1"
    assert described["isLiveDataset"] is False
    for key, of_manifest in {"name": "name", "version": "version", "citeAs": "citation", "url": "homepage"}.items():
        assert described[key] == manifest[of_manifest]
    for filename, entry in manifest["artifacts"].items():
        tar = files(described)[filename]
        assert (tar["contentUrl"], tar["sha256"], tar["contentSize"]) == (
            filename,
            entry["sha256"],
            f"{entry['size']} B",
        )
        title = filename.removesuffix(".tar")
        expected = [f"splits/{title}", f"classes/{title}/label", f"records/{title}", f"files/{title}"]
        found = [each["@id"] for each in described["recordSet"] if each["@id"].split("/")[1] == title]
        assert found == [each for each in expected if with_statistics or "classes" not in each]
    for source in manifest["sources"]:
        found = files(described)[f"sources/{source['filename']}"]
        assert (found["contentUrl"], found["sha256"]) == (source["url"], source["sha256"])


def test_what_mlcroissant_logs_counts_as_a_warning(caplog):
    described = copy.deepcopy(croissant(read("mnist"), None))
    del described["@context"]["path"]  # which it does not use
    assert any("@context" in each for each in warnings_of(described, caplog))


def test_a_derived_dataset_names_its_parents(caplog):
    manifest = read("mnist_fgsm")
    [parent] = croissant(manifest, None)["isBasedOn"]
    assert (parent["name"], parent["version"]) == ("mnist", "3.0.1")
    assert {tar["name"]: tar["sha256"] for tar in parent["encoding"]} == manifest["parents"]["mnist"]["artifacts"]


@pytest.mark.parametrize(
    ("license", "identifier"),
    [
        ("CC BY-SA 4.0", "CC-BY-SA-4.0"),
        ("cc-by-4.0", "CC-BY-4.0"),
        ("CC0", "CC0-1.0"),
        ("CC0 1.0", "CC0-1.0"),
        ("MIT License", "MIT"),
        ("Apache License, Version 2.0", "Apache-2.0"),
        ("The Unlicense", "Unlicense"),
        ("CC BY", None),
        ("GPL", None),
        ("MIT OR Apache-2.0", None),
        ("LicenseRef-ours", None),
        ("unknown", None),
        ("unknown (see https://example.org)", None),
    ],
)
def test_a_license_is_the_address_at_spdx_or_what_is_stated(license, identifier, caplog):
    described = croissant(read("mnist") | {"license": license}, None)
    stated = {"@type": "sc:CreativeWork", "name": license}
    assert described["license"] == (f"https://spdx.org/licenses/{identifier}" if identifier else stated)
    assert warnings_of(described, caplog) == []


def test_the_address_of_a_license_is_kept():
    address = "https://creativecommons.org/licenses/by/4.0/"
    assert croissant(read("mnist") | {"license": address}, None)["license"] == address


@pytest.mark.parametrize(
    ("citation", "year"),
    [
        ("@misc{a, year = {2016}}", "2016"),
        ('@misc{a, year="1999", url = {https://example.org/2020}}', "1999"),
        ("@online{a, urldate = {2024-01-01}, date = {{2020-05-01}}}", "2020"),
        ("@misc{a, Year = 2001}\n@misc{b,\n  year={2004}\n}", "2004"),
    ],
)
def test_the_date_is_the_latest_year_of_the_citation(citation, year, caplog):
    described = croissant(read("mnist") | {"citation": citation}, None)
    assert described["datePublished"] == year
    assert warnings_of(described, caplog) == []


def test_a_dataset_without_citation_description_and_homepage_lacks_only_a_date(caplog):
    described = croissant(read("mnist") | {"citation": "", "description": "", "homepage": ""}, None)
    assert described["citeAs"] == "@misc{mnist,\n  title = {mnist},\n  note = {Version 3.0.1}\n}"
    assert (described["description"], "url" in described) == ("mnist", False)
    warnings = warnings_of(described, caplog)
    assert warnings
    assert all("datePublished" in warning and warning.count("Property") == 1 for warning in warnings)


def test_two_addresses_of_one_source_file_are_one_source(caplog):
    [source, *_] = read("mnist")["sources"]
    mirror = source | {"url": "https://mirror.example.org/a?token=***"}
    described = croissant(read("mnist") | {"sources": [source, mirror]}, None)
    found = files(described)[f"sources/{source['filename']}"]
    assert (found["contentUrl"], found["sameAs"]) == (source["url"], [mirror["url"]])
    assert warnings_of(described, caplog) == []


@pytest.mark.parametrize(
    ("filename", "media_type"),
    [
        ("a b.tar.gz", "application/gzip"),
        ("DATA.ZIP", "application/zip"),
        ("ü.csv", "text/csv"),
        ("README", "application/octet-stream"),
        ("x.idx#1?", "application/octet-stream"),
    ],
)
def test_the_media_type_of_a_source_file_is_told_by_its_name(filename, media_type, caplog):
    source = read("mnist")["sources"][0] | {"filename": filename}
    described = croissant(read("mnist") | {"sources": [source]}, None)
    [found] = (each for each in described["distribution"] if each["@id"].startswith("sources/"))
    assert (found["name"], found["encodingFormat"]) == (filename, media_type)
    assert warnings_of(described, caplog) == []


def test_features_of_every_kind_are_valid(caplog):
    features = document(**{name: feature for name, (feature, _) in FEATURES.items()})
    manifest = with_features(features)
    described = croissant(manifest, statistics_of(manifest, **{"label": ["a", "b", "c"], "dicts/a": ["x", "y", "z"]}))
    assert warnings_of(described, caplog) == []
    assert records_fields(described).keys() == FEATURES.keys()


def test_features_as_tfds_writes_them_are_valid(tmp_path, caplog):
    tfds = pytest.importorskip("tensorflow_datasets")
    cases = {**test_decode.CASES, **test_decode_images.CASES, **test_decode_sequences.CASES}
    features = tfds.features.FeaturesDict({name: make(tfds.features) for name, (make, _) in cases.items()})
    features.save_config(tmp_path)
    described = croissant(with_features(json.loads((tmp_path / "features.json").read_bytes())), None)
    assert warnings_of(described, caplog) == []
    assert records_fields(described).keys() == cases.keys()
    for name, field in records_fields(described).items():
        if (
            type(features[name]) in (tfds.features.Tensor, tfds.features.Scalar)
            and np.dtype(features[name].np_dtype).kind != "c"
        ):
            shape = ",".join(str(-1 if size is None else size) for size in features[name].shape)
            assert field.get("arrayShape", "") == shape


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("text", {"dataType": "sc:Text"}),
        ("bool", {"dataType": "sc:Boolean"}),
        ("uint16", {"dataType": ["sc:Integer", "cr:UInt16"]}),
        ("float32", {"dataType": ["sc:Float", "cr:Float32"]}),
        ("int32 rows", {"dataType": ["sc:Integer", "cr:Int32"], "isArray": True, "arrayShape": "-1,2"}),
        ("bytes of a shape", {"dataType": "sc:Float", "isArray": True, "arrayShape": "2,2"}),
        ("strings", {"dataType": "sc:Text", "isArray": True, "arrayShape": "-1"}),
        ("box", {"dataType": "cr:BoundingBox"}),
        ("audio", {"dataType": "sc:AudioObject"}),
        ("FLAC", {"dataType": "sc:AudioObject"}),
        ("image", {"dataType": "sc:ImageObject"}),
        ("GIF", {"dataType": "sc:ImageObject"}),
        ("video", {"dataType": "sc:VideoObject"}),
        ("images", {"dataType": "sc:ImageObject", "isArray": True, "arrayShape": "-1"}),
        ("two labels", {"dataType": ["sc:Integer", "cr:Label"], "isArray": True, "arrayShape": "2"}),
        ("nested", {"dataType": ["sc:Integer", "cr:Int32"], "isArray": True, "arrayShape": "-1,-1"}),
        ("nested texts", {"dataType": "sc:Text", "isArray": True, "arrayShape": "-1,-1,2"}),
        (
            "dict",
            {
                "subField": {
                    "a": {"dataType": ["sc:Integer", "cr:Label"]},
                    "b": {"subField": {"c": {"dataType": "sc:Text"}}},
                }
            },
        ),
        (
            "dicts",
            {
                "isArray": True,
                "arrayShape": "-1",
                "subField": {"a": {"dataType": ["sc:Integer", "cr:Label"]}, "b": {"dataType": "sc:Text"}},
            },
        ),
        ("translation", {"subField": {"en": {"dataType": "sc:Text"}, "fr": {"dataType": "sc:Text"}}}),
    ],
)
def test_a_feature_has_the_types_and_the_nesting_of_its_values(name, expected):
    def essential(field):
        found = {key: field[key] for key in ("dataType", "isArray", "arrayShape") if key in field}
        return found | (
            {"subField": {each["name"]: essential(each) for each in field["subField"]}} if "subField" in field else {}
        )

    described = croissant(with_features(document(x=FEATURES[name][0])), None)
    assert essential(records_fields(described)["x"]) == expected


@pytest.mark.parametrize(
    "name", ["a b", "a/b", "a%2Fb", 'say "hi"', "größe", "图像", "..", ".", "#", "?", "a:b", "split", "x\ty"]
)
def test_a_feature_with_an_odd_name_is_valid(name, caplog):
    features = document(**{name: zoo.LABEL, "plain": document(**{name: zoo.TEXT, "z": zoo.TEXT})})
    manifest = with_features(features)
    described = croissant(manifest, statistics_of(manifest, **{name: ["a", "b", "c"]}))
    assert warnings_of(described, caplog) == []
    assert records_fields(described)[name]["source"]["extract"] == {"column": name}
    identifiers = [field["@id"] for each in described["recordSet"] for field in all_fields(each["field"])]
    assert len(identifiers) == len(set(identifiers))
    [enumeration] = (each for each in described["recordSet"] if each["@id"].startswith("classes/"))
    loaded = list(mlcroissant.Dataset(described).records(enumeration["@id"]))
    assert [sorted(map(str, row.values())) for row in loaded] == [["0", "a"], ["1", "b"], ["2", "c"]]


def test_a_feature_of_another_class_is_what_it_stores_and_text_if_that_is_not_known(caplog):
    image = {"pythonClassName": "somewhere.Scan", "image": {}, "description": "A scan."}
    other = {"pythonClassName": "somewhere.Graph", "jsonFeature": {"json": "{}"}}
    described = croissant(with_features(document(image=image, other=other)), None)
    fields = records_fields(described)
    assert (fields["image"]["dataType"], fields["image"]["description"]) == ("sc:ImageObject", "A scan.")
    assert fields["other"]["dataType"] == "sc:Text"
    assert fields["other"]["description"] == "A somewhere.Graph, which only this class can decode."
    assert warnings_of(described, caplog) == []


def test_a_field_says_how_to_read_boxes_and_audio():
    formats = {name: {"pythonClassName": "x", "boundingBox": {"bboxFormat": name}} for name in ("REL_YXYX", "XYWH")}
    audio = {"pythonClassName": "x", "audio": {"dtype": "int64", "sampleRate": "8000"}}
    fields = records_fields(croissant(with_features(document(audio=audio, **formats)), None))
    assert fields["audio"]["source"]["samplingRate"] == 8000
    assert {name: fields[name]["source"].get("format") for name in formats} == {"REL_YXYX": "REL_YXYX", "XYWH": None}


def test_a_dataset_and_configs_with_odd_names_are_valid(caplog):
    manifest = read("digit_speakers") | {"name": "größe"}
    entries = manifest["artifacts"].values()
    manifest["artifacts"] = {
        f"größe-{config}.tar": {**entry, "config": config}
        for config, entry in zip(["a.tar", "ü", "records"], entries, strict=True)
    }
    described = croissant(manifest, statistics_of(manifest, label=DIGITS))
    assert warnings_of(described, caplog) == []
    assert [each["name"] for each in described["recordSet"] if each["@id"].startswith("records/")] == [
        "größe-a.tar",
        "größe-ü",
        "größe-records",
    ]
    assert "größe/ü/1.0.0/*.tfrecord-*" in [each.get("includes") for each in described["distribution"]]


def test_a_feature_without_values_is_left_out(caplog):
    nested = zoo.node("Sequence", sequence={"feature": document(c=document()), "length": "-1"})
    described = croissant(with_features(document(a=document(), b=nested, d=zoo.TEXT)), None)
    assert list(records_fields(described)) == ["d"]
    assert warnings_of(described, caplog) == []


def test_the_field_of_the_split_gives_way_to_a_feature(caplog):
    described = croissant(with_features(document(split=zoo.TEXT, split_=zoo.TEXT)), None)
    [records] = (each for each in described["recordSet"] if each["@id"] == "records/mnist")
    assert [field["name"] for field in records["field"]] == ["split__", "split", "split_"]
    assert warnings_of(described, caplog) == []


def test_classes_are_enumerated_only_if_all_their_names_are_known(caplog):
    for names, known in ((DIGITS, True), (DIGITS[:9], False), ([], False)):
        described = croissant(read("mnist"), statistics_of(read("mnist"), label=names))
        assert any(each["@id"] == "classes/mnist/label" for each in described["recordSet"]) == known
        assert ("references" in records_fields(described)["label"]) == known
        assert warnings_of(described, caplog) == []
    many = [str(number) for number in range(1001)]  # the statistics name only some of them
    label = {"pythonClassName": "ClassLabel", "classLabel": {"numClasses": "1001"}}
    manifest = with_features(document(label=label))
    assert "references" not in records_fields(croissant(manifest, statistics_of(manifest, label=many)))["label"]


def test_mlcroissant_loads_the_classes_and_the_splits():
    names = ["a, b", 'say "c"', "größe", "NA", "d\\e", *DIGITS[5:]]
    described = mlcroissant.Dataset(croissant(read("mnist"), statistics_of(read("mnist"), label=names)))
    classes, splits = (list(described.records(name)) for name in ("classes/mnist/label", "splits/mnist"))
    assert {row["classes/mnist/label/number"]: row["classes/mnist/label/name"] for row in classes} == dict(
        enumerate(names)
    )
    assert {row["splits/mnist/name"]: (row["splits/mnist/url"], row["splits/mnist/examples"]) for row in splits} == {
        "train": ("cr:TrainingSplit", 60000),
        "test": ("cr:TestSplit", 10000),
    }


LOAD = """
import json, sys
import mlcroissant
try:
    records = list(mlcroissant.Dataset(sys.argv[1]).records(sys.argv[2]))
except mlcroissant.GenerationError as error:
    sys.exit(str(error.__cause__))
print(json.dumps(records, default=bytes.decode))
"""


def load(path, record_set, cache):
    """Let mlcroissant load a record set of a file, with a cache of its own; it reads the variable when imported."""
    command = [sys.executable, "-W", "ignore", "-c", LOAD, path, record_set]
    return subprocess.run(command, env={**os.environ, "CROISSANT_CACHE": str(cache)}, capture_output=True, text=True)


@pytest.fixture
def described_small(small):
    manifest = json.loads((small / "artifacts/small.json").read_bytes())
    path = small / "artifacts/small.croissant.json"
    path.write_text(json.dumps(croissant(manifest, statistics_of(manifest, label=["zero", "one", "two"]))))
    return path


def test_mlcroissant_loads_the_list_of_files_from_the_tar(described_small, tmp_path):
    loaded = load(described_small, "files/small", tmp_path / "cache")
    assert loaded.returncode == 0, loaded.stderr
    tar = (described_small.parent / "small.tar").read_bytes()
    rows = [{name.rpartition("/")[2]: value for name, value in row.items()} for row in json.loads(loaded.stdout)]
    assert [row["path"].rpartition("/")[2] for row in rows if "tfrecord" in row["path"]] == [
        "small-test.tfrecord-00000-of-00001",
        "small-train.tfrecord-00000-of-00002",
        "small-train.tfrecord-00001-of-00002",
    ]
    for row in rows:
        data = tar[row["offset"] :][: row["size"]]
        assert hashlib.sha256(data).hexdigest() == row["sha256"]


def test_mlcroissant_refuses_a_tar_that_is_not_the_one_described(described_small, tmp_path):
    tar = described_small.parent / "small.tar"
    tar.chmod(0o644)
    data = bytearray(tar.read_bytes())
    data[-20000] ^= 1
    tar.write_bytes(data)
    loaded = load(described_small, "files/small", tmp_path / "cache")
    assert loaded.returncode != 0
    assert "Hash of downloaded file" in loaded.stderr


def test_mlcroissant_finds_the_shards_but_reads_no_tfrecord(described_small, tmp_path):
    loaded = load(described_small, "records/small", tmp_path / "cache")
    assert loaded.returncode != 0
    assert "does not exist" in loaded.stderr  # the column, in its table of the shards' names
    described = json.loads(described_small.read_text())
    [records] = (each for each in described["recordSet"] if each["@id"] == "records/small")
    records["field"] = records["field"][:1]
    described_small.write_text(json.dumps(described))
    loaded = load(described_small, "records/small", tmp_path / "cache")
    assert [row["records/small/split"] for row in json.loads(loaded.stdout)] == ["test", "train", "train"]
