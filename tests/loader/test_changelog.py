"""`loader.changelog`: what changed in each version of a dataset, in commits of a real git repository."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import loader
from tests.helpers.dataset_history import History, encode, records_of, values_of

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments, check=True):
    command = [sys.executable, "-m", "loader", "changelog", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=check)


@pytest.fixture
def history(tmp_path):
    """Three versions: the first one released, the last one in the work tree only."""
    history = History(tmp_path / "history")
    history.commit(records_of(train=range(50), test=range(5)))
    history.git("tag", "small@v1.0.0")
    history.git("tag", "paper")
    records = records_of(train=range(10, 53), test=range(5))
    records["train"]["11"] = encode(values_of(11) | {"label": 0})
    history.commit(records, version="1.1.0", license="MIT")
    history.write(records_of(train=range(10, 53), test=range(5)), version="2.0.0", license="MIT")
    return history


def cached_as(version, history):
    """The artifact of a version in DVC's cache."""
    objects = (path for path in (history.root / ".dvc/cache").rglob("*/*/*/*") if path.is_file())
    return next(path for path in objects if f"small/{version}/".encode() in path.read_bytes())


def expected(history, *, changes=None):
    dates = [history.git("log", "-1", "--format=%cs", commit) for commit in history.commits]
    first, second = (history.git("rev-parse", "--short", commit) for commit in history.commits)
    newest, middle = changes or (
        "\n"
        "| split | old | new | added | removed | changed | unchanged | moved |\n"
        "|---|---:|---:|---:|---:|---:|---:|---:|\n"
        "| train | 43 | 43 | 0 | 0 | 1 | 42 | 0 |\n"
        "| test | 5 | 5 | 0 | 0 | 0 | 5 | 0 |\n",
        "- license: CC0 → MIT\n"
        "\n"
        "| split | old | new | added | removed | changed | unchanged | moved |\n"
        "|---|---:|---:|---:|---:|---:|---:|---:|\n"
        "| train | 50 | 43 | 3 | 10 | 1 | 39 | 0 |\n"
        "| test | 5 | 5 | 0 | 0 | 0 | 5 | 0 |\n",
    )
    return (
        "# Changes of small\n\n"
        "## 2.0.0 (not committed)\n\n"
        "Not released.\n\n"
        f"- examples: 43 in train, 5 in test\n{newest}\n"
        f"## 1.1.0 ({dates[1]})\n\n"
        f"Not released, recorded in commit {second}.\n\n"
        f"- examples: 43 in train, 5 in test\n{middle}\n"
        f"## 1.0.0 ({dates[0]})\n\n"
        f"Released as `small@v1.0.0`, recorded in commit {first}, tagged paper.\n\n"
        "- examples: 50 in train, 5 in test"
    )


def test_each_version_has_its_examples_and_what_changed_since_the_one_before(history):
    found = loader.changelog("small", repo=history.root, offline=True)
    assert str(found) == found._repr_markdown_() == expected(history)
    assert [each.release for each in found.versions] == [None, None, "small@v1.0.0"]
    assert found.versions[1].difference.configs[0].removed == 10
    assert found.versions[2].difference is None


def test_the_command_prints_or_writes_it(history, tmp_path):
    printed = run("small", "--repo", history.root, "--offline")
    assert (printed.stdout, printed.stderr) == (f"{expected(history)}\n", "")
    file = tmp_path / "CHANGELOG.md"
    done = run("small", "--repo", history.root, "--offline", "--output", file)
    assert file.read_text() == printed.stdout
    assert done.stdout == f"{file}: the change log of small, versions: 3\n"
    document = json.loads(run("small", "--repo", history.root, "--offline", "--json").stdout)
    assert [each["version"] for each in document["versions"]] == ["2.0.0", "1.1.0", "1.0.0"]
    splits = {"train": 43, "test": 5}
    assert document["versions"][0]["examples"] == [{"config": None, "version": None, "splits": splits}]
    assert document["versions"][1]["difference"]["configs"][0]["splits"][0]["added"] == 3
    done = run("small", "--repo", history.root, "--json", "--output", file, check=False)
    assert (done.returncode, done.stdout) == (2, "")


def test_it_ends_at_a_revision(history):
    assert str(loader.changelog("small", repo=history.root, rev="small@v1.0.0")).count("\n## ") == 1


def test_of_an_artifact_that_is_nowhere_the_manifests_are_compared_and_a_line_says_so(history):
    cached_as("1.1.0", history).unlink()
    note = "- examples not compared, because an artifact is not at hand: this is what the manifests say\n"
    text = expected(history, changes=(note, f"- license: CC0 → MIT\n{note}"))
    done = run("small", "--repo", history.root, "--offline")
    assert done.stdout == f"{text.rstrip()}\n"
    (warning,) = done.stderr.splitlines()
    assert warning.startswith("warning: 2.0.0 and 1 more: examples were not compared: small: small.tar of ")


def test_a_record_index_is_read_from_the_remote(history, remote):
    local = str(loader.changelog("small", repo=history.root, offline=True))
    remote.point(history.root)
    newest = history.tar.read_bytes()
    for path in [path for path in (history.root / ".dvc/cache").rglob("*/*/*/*") if path.is_file()]:
        shutil.copyfile(path, history.tar)
        remote.publish(history.tar)
    history.tar.write_bytes(newest)
    shutil.rmtree(history.root / ".dvc/cache")
    found = loader.changelog("small", repo=history.root)
    assert str(found) == local
    assert loader.cache.entries() == []
    assert all(each.difference.bytes_fetched for each in found.versions[:2])


def test_former_names_follow_and_are_compared(history):
    history.commit_all()
    for file in ("params.yaml", "dvc.yaml", "dvc.lock", "artifacts/small.json"):
        path = history.root / file
        path.write_text(
            path.read_text().replace("small.", "tiny.").replace('"small"', '"tiny"').replace("small:", "tiny:")
        )
    (history.root / "artifacts/small.json").rename(history.root / "artifacts/tiny.json")
    history.tar.rename(history.root / "artifacts/tiny.tar")
    history.commit_all()
    newest, before, *_ = loader.changelog("tiny", repo=history.root, offline=True).versions
    assert (newest.entry.name, before.entry.name) == ("tiny", "small")
    assert newest.difference.configs[0].status == "same"
    assert "\n## small 2.0.0 (" in str(loader.changelog("tiny", repo=history.root, offline=True))


def test_an_unknown_dataset_or_config_and_a_damaged_artifact_are_errors(history):
    with pytest.raises(loader.NotFoundError, match="there is no dataset 'large'"):
        loader.changelog("large", repo=history.root)
    with pytest.raises(loader.NotFoundError, match=r"no version of small in .* has the config 'big'"):
        loader.changelog("small", config="big", repo=history.root)
    cached_as("2.0.0", history).unlink()
    history.tar.write_bytes(history.tar.read_bytes()[:-1])
    with pytest.raises(loader.IntegrityError, match="it is truncated, or from another revision"):
        loader.changelog("small", repo=history.root, offline=True)


def test_a_dataset_that_was_never_built_has_none(history):
    params = history.root / "params.yaml"
    params.write_text(params.read_text() + "planned: {builder: datasets/standard/planned, version: 1.0.0}\n")
    assert loader.changelog("planned", repo=history.root).versions == ()
    assert "no version of planned is recorded" in run("planned", "--repo", history.root).stderr


def test_a_config_with_a_version_of_its_own_is_shown_with_it(tmp_path):
    history = History(tmp_path / "history")
    history.write(records_of(train=range(3)))
    manifest = history.root / "artifacts/small.json"
    document = json.loads(manifest.read_text())
    document["artifacts"]["small.tar"] |= {"config": "radar", "version": "2.1.0"}
    manifest.write_text(json.dumps(document | {"default_config": "radar"}))
    found = loader.changelog("small", repo=history.root, offline=True)
    assert "- examples of radar 2.1.0: 3 in train" in str(found)
    [version] = found.as_json()["versions"]
    assert version["examples"] == [{"config": "radar", "version": "2.1.0", "splits": {"train": 3}}]
