"""What only describes artifacts is written anew without a build; everything else that changes is built."""

import hashlib
import json
import re

import pytest

from scripts._build.update import kept_artifacts
from scripts._define.definition import read_definition
from tests.helpers.editing import edit


@pytest.fixture
def tiny(built_tiny):
    return built_tiny


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
    assert ("tiny: building 1.0.0" in text) != ("tiny: nothing that determines its bytes has changed" in text)
    assert clone.run("dvc", "status", "tiny").stdout.strip() == "Data and pipelines are up to date."
    return "tiny: building 1.0.0" in text


@pytest.mark.slow
def test_a_corrected_license_and_description_need_no_build(tiny):
    md5, before = recorded_md5(tiny), manifest(tiny)
    edit(tiny.root / "params.yaml", "license: CC0", "license: CC BY 4.0\n  description: Tiny images.")
    assert not repro(tiny)
    assert manifest(tiny) == {**before, "license": "CC BY 4.0", "description": "Tiny images."}
    assert recorded_md5(tiny) == md5
    assert tiny.scripts("verify", "tiny").count("tiny: ok") == 4
    edit(tiny.root / "params.yaml", "\n  description: Tiny images.", "")
    assert not repro(tiny)
    assert manifest(tiny) == {**before, "license": "CC BY 4.0"}


def descriptions(clone):
    """The small files that describe the artifact."""
    return {path.name: path.read_bytes() for path in (clone.root / "artifacts").glob("tiny*.json")}


def make_older(clone):
    """Make the repository what an older version of this project made: without statistics and Croissant description."""
    path = clone.root / "dvc.yaml"
    before = path.read_text()
    lines = "      - artifacts/{}:\n          cache: false\n          persist: true\n"
    start = before.index(lines.format("tiny.json"))
    path.write_text(before[:start] + "    metrics:\n" + lines.format("tiny.json"))
    for name in ("tiny.stats.json", "tiny.croissant.json"):
        (clone.root / "artifacts" / name).unlink()
    clone.run("dvc", "commit", "--force", "tiny")
    assert "tiny.stats" not in (clone.root / "dvc.lock").read_text()
    path.write_text(before)


@pytest.mark.slow
def test_what_describes_artifacts_is_added_without_building_them(tiny):
    md5, before = recorded_md5(tiny), descriptions(tiny)
    assert set(before) == {"tiny.json", "tiny.stats.json", "tiny.croissant.json"}
    make_older(tiny)
    (tiny.root / "artifacts/tiny.tar").unlink()  # it is in DVC's cache
    assert not repro(tiny)
    assert descriptions(tiny) == before
    assert recorded_md5(tiny) == md5
    assert tiny.scripts("verify", "tiny").count("tiny: ok") == 4
    (tiny.root / "artifacts/tiny.stats.json").write_text("{}")
    assert not repro(tiny)
    assert descriptions(tiny) == before


def test_with_all_that_describes_it_a_dataset_is_built_again_if_dvc_is_told_to(tiny):
    output = tiny.run("dvc", "repro", "--force", "tiny")
    assert "tiny: building 1.0.0" in output.stdout + output.stderr


def test_a_kill_while_statistics_are_computed_loses_nothing(tiny):
    md5, before = recorded_md5(tiny), descriptions(tiny)
    make_older(tiny)
    statistics = tiny.root / "scripts/_build/statistics/compute.py"
    code = statistics.read_text()
    edit(
        tiny.root / "scripts/_build/statistics/compute.py",
        "        totals = Counter[str]()\n",
        "        totals = Counter[str]()\n        os.kill(os.getpid(), 9)\n",
    )
    killed = tiny.run("dvc", "repro", "tiny", check=False)
    assert killed.returncode
    statistics.write_text(code)
    assert not repro(tiny)
    assert descriptions(tiny) == before
    assert recorded_md5(tiny) == md5


def test_after_a_kill_while_statistics_are_computed_dvc_checks_the_recorded_artifact_out(tiny):
    md5, before = recorded_md5(tiny), descriptions(tiny)
    edit(tiny.root / "datasets/standard/tiny/tiny.py", "number / 3", "number / 4")
    edit(
        tiny.root / "scripts/_build/statistics/compute.py",
        "        totals = Counter[str]()\n",
        "        totals = Counter[str]()\n        os.kill(os.getpid(), 9)\n",
    )
    assert tiny.run("dvc", "repro", "tiny", check=False).returncode
    tar = tiny.root / "artifacts/tiny.tar"
    assert not tar.exists()  # DVC removed it
    tiny.run("dvc", "checkout", "tiny")
    assert hashlib.md5(tar.read_bytes(), usedforsecurity=False).hexdigest() == md5
    assert descriptions(tiny) == before


def test_publishing_changes_no_stage(tiny):
    edit(
        tiny.root / "dvc.yaml",
        "artifacts/tiny.tar:\n          remote: public",
        "artifacts/tiny.tar:\n          remote: private",
    )
    assert "up to date" in tiny.run("dvc", "status", "tiny").stdout
    assert "Stage 'tiny' didn't change, skipping" in tiny.run("dvc", "repro", "tiny").stdout


@pytest.mark.parametrize("change", ["builder", "source", "manifest", "no tar"])
def test_whatever_else_has_changed_it_is_built(tiny, change):
    edit(tiny.root / "params.yaml", "license: CC0", "license: CC BY 4.0")
    assert kept_artifacts(read_definition("tiny", root=tiny.root)).manifest["license"] == "CC BY 4.0"
    if change == "builder":
        edit(tiny.root / "datasets/standard/tiny/tiny.py", "number / 3", "number / 4")
    elif change == "source":  # its checksum is part of the definition
        edit(tiny.root / "datasets/standard/tiny/checksums.tsv", "tiny.json\n", "tiny.json\n\n")
    elif change == "manifest":
        edit(tiny.root / "artifacts/tiny.json", '"CC0"', '"CC1"')
    else:
        (tiny.root / "artifacts/tiny.tar").unlink()
        for cached in (tiny.root / ".dvc/cache/files/md5").rglob("*"):
            if cached.is_file():
                cached.unlink()
    assert kept_artifacts(read_definition("tiny", root=tiny.root)) is None


def test_a_change_of_the_readme_is_one_of_the_dataset(tiny):
    assert "up to date" in tiny.run("dvc", "status", "tiny").stdout
    (tiny.root / "datasets/standard/tiny/README.md").write_text("# Tiny\n")
    assert "changed deps" in tiny.run("dvc", "status", "tiny").stdout


def test_another_content_of_a_recorded_version_is_told(tiny):
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    tiny.run("git", "add", "--all")
    tiny.run("git", *identity, "commit", "--quiet", "-m", "tiny")
    commit = tiny.run("git", "rev-parse", "--short", "HEAD").stdout.strip()
    edit(tiny.root / "datasets/standard/tiny/tiny.py", "number / 3", "number / 4")
    edit(tiny.root / "params.yaml", "license: CC0", "license: CC BY 4.0")
    done = tiny.run("dvc", "repro", "tiny")
    text = done.stdout + done.stderr
    assert "tiny: building 1.0.0" in text
    assert manifest(tiny)["license"] == "CC BY 4.0"
    assert f"tiny: WARNING: 1.0.0 was recorded with other bytes in commit {commit}; raise the version" in text
