"""A changed license or description changes the manifest only; everything else that changes is built."""

import json
import re

import pytest

from tests.helpers.buildable_dataset import add_buildable


@pytest.fixture
def tiny(clone):
    """A clone in which `tiny` is built."""
    add_buildable(clone.root)
    clone.run("dvc", "repro", "tiny")
    return clone


def edit(clone, file, old, new):
    path = clone.root / file
    before = path.read_text()
    assert old in before
    path.write_text(before.replace(old, new))


def manifest(clone):
    return json.loads((clone.root / "artifacts/tiny.json").read_text())


def recorded_md5(clone):
    """The md5 that dvc.lock records of the tar."""
    return re.search(r"path: artifacts/tiny\.tar\n\s+hash: md5\n\s+md5: (\w+)", (clone.root / "dvc.lock").read_text())[
        1
    ]


def repro(clone):
    """Run the stage; return whether the dataset was built, not only its manifest updated."""
    output = clone.run("dvc", "repro", "tiny")
    text = output.stdout + output.stderr
    assert "Running stage 'tiny'" in text
    assert ("tiny: building 1.0.0" in text) != ("updating tiny.json" in text)
    assert clone.run("dvc", "status", "tiny").stdout.strip() == "Data and pipelines are up to date."
    return "tiny: building 1.0.0" in text


def test_a_corrected_license_and_description_need_no_build(tiny):
    md5, before = recorded_md5(tiny), manifest(tiny)
    edit(tiny, "params.yaml", "license: CC0", "license: CC BY 4.0\n  description: Tiny images.")
    assert not repro(tiny)
    assert manifest(tiny) == {**before, "license": "CC BY 4.0", "description": "Tiny images."}
    assert recorded_md5(tiny) == md5
    assert tiny.scripts("verify", "tiny").count("tiny: ok") == 4
    edit(tiny, "params.yaml", "\n  description: Tiny images.", "")
    assert not repro(tiny)
    assert manifest(tiny) == {**before, "license": "CC BY 4.0"}


def test_publishing_changes_no_stage(tiny):
    edit(
        tiny,
        "dvc.yaml",
        "artifacts/tiny.tar:\n          remote: public",
        "artifacts/tiny.tar:\n          remote: private",
    )
    assert "up to date" in tiny.run("dvc", "status", "tiny").stdout
    assert "Stage 'tiny' didn't change, skipping" in tiny.run("dvc", "repro", "tiny").stdout


@pytest.mark.slow
@pytest.mark.parametrize("change", ["builder", "source", "manifest", "no tar"])
def test_whatever_else_has_changed_it_is_built(tiny, change):
    edit(tiny, "params.yaml", "license: CC0", "license: CC BY 4.0")
    if change == "builder":
        edit(tiny, "datasets/standard/tiny/tiny.py", "number / 3", "number / 4")
    elif change == "source":  # its checksum is part of the definition
        edit(tiny, "datasets/standard/tiny/checksums.tsv", "tiny.json\n", "tiny.json\n\n")
    elif change == "manifest":
        edit(tiny, "artifacts/tiny.json", '"CC0"', '"CC1"')
    else:
        (tiny.root / "artifacts/tiny.tar").unlink()
        for cached in (tiny.root / ".dvc/cache/files/md5").rglob("*"):
            if cached.is_file():
                cached.unlink()
    assert repro(tiny)
    assert manifest(tiny)["license"] == "CC BY 4.0"


def test_a_change_of_the_readme_is_one_of_the_dataset(tiny):
    assert "up to date" in tiny.run("dvc", "status", "tiny").stdout
    (tiny.root / "datasets/standard/tiny/README.md").write_text("# Tiny\n")
    assert "changed deps" in tiny.run("dvc", "status", "tiny").stdout


def test_another_content_of_a_recorded_version_is_told(tiny):
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    tiny.run("git", "add", "--all")
    tiny.run("git", *identity, "commit", "--quiet", "-m", "tiny")
    commit = tiny.run("git", "rev-parse", "--short", "HEAD").stdout.strip()
    edit(tiny, "datasets/standard/tiny/tiny.py", "number / 3", "number / 4")
    done = tiny.run("dvc", "repro", "tiny")
    text = done.stdout + done.stderr
    assert f"tiny: WARNING: 1.0.0 was recorded with other bytes in commit {commit}; raise the version" in text
