"""Checks in seconds whether another version of a package would change the bytes of datasets."""

import copy
import json

import pytest

from tests.toolchain.measure import ENCODERS, RECORD, build, changes, explain


@pytest.fixture(scope="module")
def recorded():
    return json.loads(RECORD.read_text())


def test_this_environment_produces_the_recorded_bytes(clone, recorded):
    found = build(clone)
    assert not changes(recorded, found), explain(recorded, found)


def test_another_encoder_is_found_and_named(clone, recorded, tmp_path, monkeypatch):
    """As if Python were linked with another zlib: this one compresses less."""
    code = "import functools, zlib\nzlib.compress = functools.partial(zlib.compress, level=1)\n"
    (tmp_path / "sitecustomize.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = build(clone)
    assert changes(recorded, found) == [
        "feature tensor_zlib, encoded by the zlib that Python is linked with: the same values in other bytes",
        "dataset_info.json, made by tensorflow-datasets and protobuf's JSON",  # it counts bytes
        "records, made by protobuf's serialization, if no feature is named besides",
        "shards, made by tensorflow's TFRecord writer, if no record is named besides",
    ]
    text = explain(recorded, found)
    assert "no version changed, so it is this machine or our own code" in text


def test_every_named_encoder_is_measured(recorded):
    assert all(any(name.startswith(start) for name in recorded["features"]) for start in ENCODERS)


def test_a_changed_encoder_is_named_with_the_consequence(recorded):
    found = copy.deepcopy(recorded)
    found["features"]["png_3"]["bytes"] = "0" * 64
    found["features"]["jpeg_1"] = {"bytes": "0" * 64, "values": "0" * 64}
    found["files"]["shards"] = "0" * 64
    found["made with"]["tensorflow"] = "9.9.9"
    assert changes(recorded, found) == [
        "feature jpeg_1, encoded by tensorflow's tf.io.encode_jpeg: other values",
        "feature png_3, encoded by tensorflow's tf.io.encode_png: the same values in other bytes",
        "shards, made by tensorflow's TFRecord writer, if no record is named besides",
    ]
    text = explain(recorded, found)
    assert f"since they were recorded: tensorflow {recorded['made with']['tensorflow']} -> 9.9.9" in text
    assert "params.yaml under toolchain" in text
