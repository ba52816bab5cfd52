"""The spoken digits by speaker: each config holds out another speaker, and keeps every recording as it is."""

import hashlib
import json

import numpy as np
import pytest

import loader

SPEAKERS = ("jackson", "nicolas", "theo")


@pytest.mark.slow
@pytest.mark.parametrize("config", [None, *SPEAKERS])
def test_a_config_holds_its_speaker_out(built, config):
    root = built("digit_speakers").root
    held_out = config or "jackson"
    _, recordings = loader.load("digit", repo=root, split="all")
    expected = {example["filename"]: example for example in recordings}
    info, ds = loader.load("digit_speakers", config=config, repo=root)
    assert info.config_name == held_out
    assert info.features.keys() == recordings.features.keys()
    assert info.features["audio"].sample_rate == 8000
    assert {name: len(split) for name, split in ds.items()} == {"train": 1000, "test": 500}
    assert {e["user"].decode() for e in ds["test"]} == {held_out}
    assert {e["user"].decode() for e in ds["train"]} == set(SPEAKERS) - {held_out}

    found = [example for split in ds.values() for example in split]
    assert {example["filename"] for example in found} == expected.keys()
    for example in found:
        parent = expected[example["filename"]]
        assert example["audio"].dtype == np.int16
        np.testing.assert_equal(example, parent)


def test_a_recording_takes_the_bytes_it_takes_in_its_parent(built):
    root = built("digit_speakers").root
    sizes = [
        sum(split.num_bytes for split in loader.load(name, config=config, repo=root)[0].splits.values())
        for name, config in [("digit", None), *(("digit_speakers", speaker) for speaker in SPEAKERS)]
    ]
    assert set(sizes) == {10_172_300}


def test_the_manifest_names_the_parent(built):
    root = built("digit_speakers").root
    manifest = json.loads((root / "artifacts/digit_speakers.json").read_text())
    sha256 = hashlib.sha256((root / "artifacts/digit.tar").read_bytes()).hexdigest()
    assert manifest["parents"] == {"digit": {"version": "1.0.8", "artifacts": {"digit.tar": sha256}}}
    assert manifest["default_config"] == "jackson"
    assert list(manifest["artifacts"]) == [f"digit_speakers-{speaker}.tar" for speaker in SPEAKERS]
