"""The kinds of datasets that a team has, each defined for plain TFDS: built, proved and read as they are."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import loader
from tests.catalogue.sources import LONG_LINE, make_scans, make_scenes, make_sources
from tests.conftest import make_clone
from tests.helpers.parity import assert_same

DEFINITIONS = Path(__file__).parent / "definitions"
NAMES = sorted(path.name for path in DEFINITIONS.glob("*/*"))
CONFIGS = {"herbarium": ("genus", "family"), "two_sensors": ("radar", "radar_camera")}
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg makes the sources of two datasets"),
]


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory):
    """A clone in which all of them are built."""
    folder = tmp_path_factory.mktemp("catalogue")
    clone = make_clone(folder / "clone")
    shutil.copytree(DEFINITIONS, clone.root / "datasets", dirs_exist_ok=True)
    make_sources(folder / "mirror")
    for name, file, make in (("scenes", "scenes.zip", make_scenes), ("herbarium", "scans.tar", make_scans)):
        manual = clone.root / f"sources/{name}/manual"
        manual.mkdir(parents=True)
        make(manual / file)
    for name, configs in CONFIGS.items():
        clone.scripts("add", f"--config={','.join(configs)}", name)
    clone.scripts("add", *(name for name in NAMES if name not in CONFIGS))
    clone.scripts("lock", "wages", "herbarium")
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setenv("DATASETS_MIRROR", str(folder / "mirror"))
    clone.scripts("register", *NAMES)
    clone.scripts("repro", *NAMES)
    yield clone
    monkeypatch.undo()


@pytest.fixture
def load(catalogue, monkeypatch):
    monkeypatch.chdir(catalogue.root)
    monkeypatch.delenv("DATASETS_REPO", raising=False)
    return lambda name, **options: loader.load(name, repo=catalogue.root, **options)


def test_no_line_of_a_definition_was_changed(catalogue):
    for path in DEFINITIONS.rglob("*.py"):
        assert (catalogue.root / "datasets" / path.relative_to(DEFINITIONS)).read_bytes() == path.read_bytes()


def test_every_one_is_proved_and_built_again_from_its_sources(catalogue):
    names = [name for name in NAMES if name != "herbarium"]  # which test_move_in.py builds again
    printed = catalogue.scripts("verify", "--rebuild", *names)
    assert f"{len(names)} of {len(names)} datasets: ok" in printed


@pytest.mark.parametrize("name", [name for name in NAMES if name != "corpus"])
def test_the_values_are_those_of_tfds(catalogue, load, name, tmp_path):
    import tensorflow_datasets as tfds

    tars = sorted((catalogue.root / "artifacts").glob(f"{name}*.tar"))
    assert tars
    for tar in tars:
        subprocess.run(["tar", "-xf", tar, "-C", tmp_path], check=True)
        config = tar.stem.removeprefix(name).removeprefix("-") or None
        info, splits = load(name, config=config)
        builder = tfds.builder_from_directory(tmp_path / info.full_name)
        for split, examples in splits.items():
            expected = list(tfds.as_numpy(builder.as_dataset(split=split)))
            assert len(expected) == len(examples) > 0
            for actual, wanted in zip(examples, expected, strict=True):
                assert_same(actual, wanted)


def test_scenes_from_a_manual_archive(load):
    info, splits = load("scenes")
    assert info.features["label"].names == ("airplane", "beach", "sea ice")
    assert info.supervised_keys == ("image", "label")
    assert sorted(bytes(example["filename"]) for example in splits["train"])[-1] == b"sea_ice_003.jpg"


def test_overhead_images_with_any_number_of_boxes(load):
    _, splits = load("overhead")
    assert {name: len(split) for name, split in splits.items()} == {"train": 6, "test": 2}
    boxes = {int(example["image/id"]): len(example["objects"]["bbox"]) for example in splits["train"] + splits["test"]}
    assert boxes == {number: number % 4 for number in range(8)}


def test_adversarial_pairs_without_a_parent_keep_their_float64(load):
    _, splits = load("patched")
    random = np.random.default_rng(0)
    assert {example["confidence"].dtype for example in splits["adversarial"]} == {np.dtype("float64")}
    assert float(random.random()) in [float(example["confidence"]) for example in splits["adversarial"]]


def test_video_through_ffmpeg_keeps_every_frame(load):
    _, splits = load("tracking")
    assert {example["video"].shape for example in splits["dev"]} == {(6, 16, 24, 3)}
    assert {example["mask"].shape for example in splits["eval"]} == {(6, 16, 24, 1)}


def test_two_configs_from_two_archives_with_files_of_the_same_names(load):
    one, both = (load("two_sensors", config=config)[1]["train"][0]["place"] for config in CONFIGS["two_sensors"])
    assert (one.shape, both.shape) == ((8, 8, 2), (8, 8, 5))
    assert not np.array_equal(both[..., :2], both[..., 2:4])


def test_a_table_with_missing_values(load):
    _, splits = load("wages")
    columns = splits["all_years"].arrays()
    assert np.isnan(columns["wage"]).sum() == 2
    assert sorted(columns["since"].tolist()) == [-1, 1999, 2001, 2020]


def test_text_with_lines_of_200_mb(load):
    _, splits = load("corpus")
    lengths = [len(example["text"]) for example in splits["train"]]
    assert lengths == [len("one document"), 0, len("two wörds".encode()), LONG_LINE, LONG_LINE]


def test_episodes(load):
    _, splits = load("episodes")
    assert sorted(len(example["steps"]) for example in splits["train"]) == [2, 3, 4]
    assert bool(list(splits["train"][0]["steps"])[-1]["is_last"])
