"""What has to be done before a dataset of TFDS can be built."""

import json
import shutil
import subprocess
import sys
import time

import pytest

from scripts._build import needs
from scripts._define.definition import ROOT
from tests.helpers.commented_repository import make_commented_repository

NAMES = ["cifar10", "resisc45", "c4", "lsun", "rlu_control_suite", "user_libri_text", "gsm8k", "natural_questions"]
# in a process of its own, because the builders are asked in a fork of it, which must have no threads
CODE = """
import json, pathlib, shutil, sys
from collections import namedtuple
from scripts._build import needs
from scripts._define.definition import read_definition
from scripts.add import add

root, *names = sys.argv[1:]
root = pathlib.Path(root)
found = {**add(*names, root=root), **add("glue", configs=("cola", "sst2"), root=root)}
needs.find_spec = lambda _: None
shutil.disk_usage = lambda _: namedtuple("Usage", "free")(3 * 45_000_000_000)
asked = needs.find_needs([(read_definition(name, root=root), facts) for name, facts in found.items()])
print(json.dumps({name: (each.sentences, each.size) for name, each in zip(found, asked)}))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    root = make_commented_repository(tmp_path_factory.mktemp("needs") / "repository")
    shutil.copy(ROOT / "requirements.lock", root)
    command = [sys.executable, "-c", CODE, str(root), *NAMES]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    assert not [path for path in (root / ".scratch").iterdir() if path.is_dir()]
    return json.loads(done.stdout)


@pytest.mark.slow
def test_a_dataset_that_can_be_built_needs_nothing(found):
    assert found["cifar10"] == [{}, 170052171]


def test_every_config_is_asked(found):
    assert found["glue"] == [{}, 376971 + 7439277]


def test_files_to_download_by_hand_are_named_with_their_place_and_the_instructions(found):
    text = found["resisc45"][0]["manual files"]
    assert text.startswith("its builder reads files that only a person can download: put them into sources/resisc45/ma")
    assert "\nhttps://1drv.ms/u/s!AmgKYzARBl5ca3HNaHIlzp_IXjs\n" in text
    assert found["c4"][0]["manual files"].startswith("its builder may read files")  # in another config only


def test_packages_that_no_environment_has_are_named_with_the_commands_that_add_them(found):
    assert found["lsun"][0]["packages"].endswith(
        "imports tensorflow-io, which .venv does not have; add it with: mkdir -p datasets/standard/lsun && "
        "printf 'tensorflow-io\\n' >> datasets/standard/lsun/requirements.txt && make lock DATASET=lsun"
    )
    assert found["c4"][0]["Beam"] == "its builder uses Apache Beam; add it to .venv with: make beam"
    assert "packages" not in found["c4"][0]


def test_missing_checksums_are_counted(found):
    assert found["gsm8k"][0]["checksums"].startswith("TFDS has none for ")


def test_a_builder_that_does_not_download_through_tfds_is_told_apart(found):
    assert (
        "reads gs://rl_unplugged/dm_control_suite_episodes/ by itself" in found["rlu_control_suite"][0]["source files"]
    )
    assert found["user_libri_text"][0].keys() >= {"Kaggle"}


def test_too_small_a_disk_is_told(found):
    assert found["natural_questions"][0]["disk space"].startswith("its source files have 45,069,199,013 bytes, and")


def test_a_builder_that_does_not_answer_is_given_up(monkeypatch):
    monkeypatch.setattr(needs, "ASK_SECONDS", 0.5)
    monkeypatch.setattr(needs, "_asked", lambda seconds: time.sleep(seconds) or "asked")
    with needs._Asking() as asking:
        assert asking.ask(60).problem == "it has not asked for its source files within 0.5 seconds"
        assert asking.ask(0) == "asked"
