"""The Makefile: what a person types, and what they get."""

import re
import shutil
from pathlib import Path

import pytest

from tests.tiny import add_tiny

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def tiny(clone, remote):
    add_tiny(clone.root)
    remote.point(clone.root)
    return clone


def make(clone, *arguments, check=True):
    done = clone.run("make", "--silent", *arguments, check=check)
    return done.stdout + done.stderr


def test_make_alone_lists_every_target_with_a_line(clone):
    text = make(clone)
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    listed = dict(re.findall(r"^  make ([a-z0-9-]+) +(.+)$", text, re.MULTILINE))
    assert set(listed) == targets
    assert len(text.splitlines()) == len(listed)


def test_the_whole_path(tiny):
    make(tiny, "build", "DATASET=tiny")
    assert "didn't change" in make(tiny, "build", "DATASET=tiny")
    assert "Running stage 'tiny'" in make(tiny, "build", "DATASET=tiny", "OVERWRITE=1")
    assert "a build from its sources gives the same bytes" in make(tiny, "verify", "DATASET=tiny", "REBUILD=1")
    everything = make(tiny, "verify", "ALL=1", check=False)  # of the others, the clone has no artifacts
    assert "tiny: ok: dvc.lock and manifest record" in everything
    assert "mnist: FAILED: " in everything
    assert re.search(r"error: (\d+) of (\d+) datasets failed:\n", everything)
    assert "PUBLIC=1" in make(tiny, "push", "DATASET=tiny", check=False)
    assert "PUBLIC=1" in make(tiny, "push", "DATASET=tiny", "PUBLIC=0", check=False)
    inherited = tiny.run("make", "push", "DATASET=tiny", check=False, env={"PUBLIC": "1"})
    assert "PUBLIC=1" in inherited.stderr
    assert "on the remote at s3://public/" in make(tiny, "push", "DATASET=tiny", "PUBLIC=1")
    (tiny.root / "artifacts/tiny.tar").unlink()
    shutil.rmtree(tiny.root / ".dvc/cache")
    assert "artifacts/tiny.tar" in make(tiny, "pull", "DATASET=tiny")
    assert "extracted/tiny/1.0.0" in make(tiny, "extract", "DATASET=tiny")
    assert "OVERWRITE=1" in make(tiny, "extract", "DATASET=tiny", check=False)
    make(tiny, "extract", "DATASET=tiny", "OVERWRITE=1")
    make(tiny, "extract", "DATASET=tiny", "TO=some where/else")
    assert (tiny.root / "some where/else/tiny/1.0.0/dataset_info.json").is_file()
    assert tiny.run("git", "status", "--porcelain", "--", "extracted", "sources", ".scratch").stdout == ""


def test_sources_are_registered_built_from_mirrored_and_fetched_again(tiny):
    checksums = tiny.root / "datasets/standard/tiny/checksums.tsv"
    registered = checksums.read_text()
    checksums.unlink()
    assert "register it with: make build DATASET=tiny REGISTER=1" in make(tiny, "build", "DATASET=tiny", check=False)
    text = make(tiny, "build", "DATASET=tiny", "REGISTER=1")
    assert "these files would be trusted from now on" in text
    assert "from sources/tiny/tiny.json" in text
    assert checksums.read_text() == registered
    assert "every source file has its line" in make(tiny, "build", "DATASET=tiny", "REGISTER=1")
    assert "PUBLIC=1" in make(tiny, "mirror", "DATASET=tiny", check=False)
    inherited = tiny.run("make", "mirror", "DATASET=tiny", check=False, env={"PUBLIC": "1"})
    assert "PUBLIC=1" in inherited.stderr
    assert "git add sources/tiny.dvc" in make(tiny, "mirror", "DATASET=tiny", "PUBLIC=1")
    assert tiny.run("git", "status", "--porcelain", "--", "sources").stdout == "?? sources/\n"
    tiny.run("git", "add", "sources")
    shutil.rmtree(tiny.root / "sources/tiny")
    shutil.rmtree(tiny.root / ".dvc/cache")
    assert "sources/tiny/tiny.json, 23 bytes, from DVC (sources/tiny.dvc)" in make(tiny, "fetch", "DATASET=tiny")
    shutil.rmtree(tiny.root / "sources/tiny")
    make(tiny, "build", "DATASET=tiny", "OVERWRITE=1")
    assert tiny.run("git", "ls-files", "sources").stdout == "sources/tiny.dvc\n"


def test_a_changed_definition_changes_the_artifact_and_a_verify_says_what(tiny):
    make(tiny, "build", "DATASET=tiny")
    builder = tiny.root / "datasets/standard/tiny/tiny.py"
    builder.write_text(builder.read_text().replace("number % 2", "(number + (number == 7)) % 2"))
    text = make(tiny, "verify", "DATASET=tiny", "REBUILD=1", check=False)
    assert "error: tiny: a build from its sources (in a sandbox " in text
    assert ") differs from the recorded artifact:\n" in text
    assert "split train: 1 of 200 records differ, in label (1)" in text
    assert ": label 1 and 0\n" in text
    assert "Running stage 'tiny'" in make(tiny, "build", "DATASET=tiny")
    make(tiny, "verify", "DATASET=tiny", "REBUILD=1")


def test_the_definitions_readme_may_change_without_a_rebuild(tiny):
    make(tiny, "build", "DATASET=tiny")
    (tiny.root / "datasets/standard/tiny/README.md").write_text("# tiny\n")
    (tiny.root / "datasets/standard/tiny/__pycache__").mkdir(exist_ok=True)
    (tiny.root / "datasets/standard/tiny/__pycache__/x.pyc").write_text("")
    assert "didn't change" in make(tiny, "build", "DATASET=tiny")


@pytest.mark.parametrize("target", ["add", "remove", "build", "verify", "extract", "fetch", "mirror", "push", "pull"])
def test_a_missing_dataset_says_how_to_name_one(clone, target):
    assert f"name a dataset: make {target} DATASET=mnist" in make(clone, target, check=False)


@pytest.mark.parametrize("target", ["verify", "extract", "fetch", "mirror", "push", "pull"])
def test_a_wrong_name_is_one_sentence(clone, target):
    text = make(clone, target, "DATASET=mnst", check=False)
    assert "error: there is no dataset 'mnst' in params.yaml; did you mean mnist?" in text
    assert "Traceback" not in text


def test_remote_writes_the_config_and_wants_both_buckets(clone):
    assert "name both buckets" in make(clone, "remote", "PUBLIC=s3://a", check=False)
    make(clone, "remote", "PUBLIC=s3://ours/data", "PRIVATE=s3://secret", "ENDPOINT=https://s3.example.org")
    config = (clone.root / ".dvc/config").read_text()
    assert config.lower().count("verify = true") == 2
    for text in ("url = s3://ours/data", "url = s3://secret", "endpointurl = https://s3.example.org"):
        assert text in config
    assert "one bucket" in make(clone, "remote", "PUBLIC=s3://ours/a", "PRIVATE=s3://ours/b", check=False)
    assert (clone.root / ".dvc/config").read_text() == config


def test_every_command_helps_at_once_and_without_tensorflow(clone):
    commands = [
        "new",
        "add",
        "remove",
        "build",
        "verify",
        "extract",
        "fetch",
        "register",
        "mirror",
        "push",
        "pull",
        "remote",
        "s3",
    ]
    for command in ([], *([name] for name in commands)):
        assert "Usage: python -m scripts" in clone.scripts(*command, "--help")
    code = (
        "import sys, scripts.__main__\n"
        "print([name for name in ('tensorflow', 'tensorflow_datasets', 'dvc', 'requests') if name in sys.modules])"
    )
    assert clone.python(code).strip() == "[]"


def test_a_python_without_the_packages_says_what_to_do(clone):
    done = clone.run("python3", "-S", "-m", "scripts", "build", "mnist", check=False, env={"PYTHONPATH": ""})
    assert done.returncode == 1
    assert "set up with: make setup" in done.stderr
    assert "Traceback" not in done.stderr
