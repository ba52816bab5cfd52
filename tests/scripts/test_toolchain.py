"""Checks in seconds whether another version of a package would change the bytes of datasets, or what they read."""

import copy
import json

import kornia_rs
import pytest
import simplejpeg

from tests.toolchain.decoded import DECODERS, measure_decoders
from tests.toolchain.measure import ENCODERS, RECORD, build, changes, explain


@pytest.fixture(scope="module")
def recorded():
    return json.loads(RECORD.read_text())


@pytest.mark.slow
def test_this_environment_produces_the_recorded_bytes(clone, recorded):
    found = build(clone)
    assert not changes(recorded, found), explain(recorded, found)


@pytest.mark.slow
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


def test_another_decoder_is_found_and_named(recorded, monkeypatch):
    """As if a new simplejpeg used another inverse cosine transform, and a new kornia-rs rounded 16-bit pixels."""
    jpeg, png = simplejpeg.decode_jpeg, kornia_rs.io.decode_image_png_u16
    monkeypatch.setattr(
        simplejpeg, "decode_jpeg", lambda *args, **options: jpeg(*args, **{**options, "fastdct": False})
    )
    monkeypatch.setattr(kornia_rs.io, "decode_image_png_u16", lambda *args: png(*args) & 0xFFF0)
    found = {**recorded, "decoders": measure_decoders()}
    lines = changes(recorded, found)
    assert {line.partition(",")[0] for line in lines} >= {
        "420.jpg to 3 channels",
        "grey.jpg to 1 channels",
        "grey16.png to 1 channels",
        "rgb16.png to 3 channels",
    }
    # the two channels of grey with alpha are decoded as one of 16 bits
    assert all(name.partition(" ")[0].endswith((".jpg", "16.png", "grey_alpha.png")) for name in lines)
    assert (
        "rgb16.png to 3 channels, decoded by kornia-rs, and the loader through numpy if the channels are not those "
        "of the file: other values, which derived datasets read"
    ) in lines
    assert "have, or read, other bytes or values than those recorded" in explain(recorded, found)


def test_every_decoder_that_derived_datasets_read_through_is_measured(recorded):
    assert {f".{name.split('.')[1].split()[0]}" for name in recorded["decoders"]} == set(DECODERS)


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
