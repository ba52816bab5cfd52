"""Giving a dataset another name: all that names it changes, and nothing else."""

import json
import shutil
from functools import partial

import pytest

from scripts._define.renamed import rename_builder
from scripts._process.errors import ScriptError
from scripts._process.files import read_yaml
from scripts.new import new
from scripts.rename import rename
from tests.helpers.commented_repository import git_commit, make_commented_repository
from tests.helpers.killing import kill_at_step, read_files


@pytest.fixture
def root(tmp_path):
    return make_repository(tmp_path / "repository")


def make_repository(root):
    """A repository with a dataset `third`, which has source files and an artifact; `second` is derived from it."""
    make_commented_repository(root)
    new("third", root=root)
    for path in ("artifacts/third.tar", "artifacts/third.json", "artifacts/third.stats.json", "sources/third/x.zip"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text("x")
    (root / "sources/third.dvc").write_text("outs:\n- md5: 0\n  size: 1\n  path: third/x.zip\n  remote: private\n")
    stages = root / "dvc.yaml"
    command = "    cmd: python -m scripts build second\n"
    stages.write_text(stages.read_text().replace(command, f"{command}    deps: [artifacts/third.tar]  # its parent\n"))
    git_commit(root)
    return root


def test_a_renamed_dataset_is_as_one_created_under_that_name(root, tmp_path):
    renaming = rename("third", "best_one", root=root)
    expected = make_commented_repository(tmp_path / "expected")
    folder = new("best_one", root=expected)
    found, wanted = (read_yaml(each / "dvc.yaml") for each in (root, expected))
    assert found["stages"]["best_one"] == wanted["stages"]["best_one"]
    assert found["artifacts"]["best_one"] == wanted["artifacts"]["best_one"]
    assert next(each for each in found["plots"] if "best_one" in each) in wanted["plots"]
    assert read_yaml(root / "params.yaml") == read_yaml(expected / "params.yaml")
    assert found["stages"]["second"]["deps"] == ["artifacts/best_one.tar"]
    assert "deps: [artifacts/best_one.tar]  # its parent\n" in (root / "dvc.yaml").read_text()
    files = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    here = root / "datasets/standard/best_one"
    assert {path.relative_to(here) for path in here.rglob("*") if path.is_file()} == set(files)
    assert (here / "best_one.py").read_bytes() == files[folder.joinpath("best_one.py").relative_to(folder)]
    assert (root / "sources/best_one/x.zip").exists()
    assert (root / "sources/best_one.dvc").read_text().count("best_one/x.zip") == 1
    assert renaming.children == ("second",)
    assert renaming.mentions == ("datasets/standard/best_one/README.md:1",)
    assert renaming.kept == ("artifacts/third.tar",)
    left = [path for path in read_files(root) if "third" in path]
    assert left == ["artifacts/third.tar"]


def test_there_and_back_leaves_every_other_byte(root):
    before = read_files(root)
    rename("third", "best_one", root=root)
    rename("best_one", "third", root=root)
    removed = {"artifacts/third.json", "artifacts/third.stats.json"}
    assert read_files(root) == {path: data for path, data in before.items() if path not in removed}


@pytest.mark.slow
def test_a_killed_renaming_is_completed_by_running_it_again(tmp_path):
    expected = make_repository(tmp_path / "expected")
    rename("third", "best_one", root=expected)
    after = read_files(expected)
    for step in range(200):
        root = make_repository(tmp_path / f"{step}")
        finished = kill_at_step(partial(rename, "third", "best_one", root=root), step, root=root)
        if "best_one" not in read_yaml(root / "params.yaml"):
            rename("third", "best_one", root=root)
        assert read_files(root) == after, f"killed before step {step}"
        if finished:
            break
        shutil.rmtree(root)
    assert 25 <= step < 200


@pytest.mark.parametrize(
    ("old", "name", "message"),
    [
        ("fourth", "best_one", r"there is no dataset 'fourth' in params\.yaml; .*it has: first, second, third"),
        ("fourth", "third", "it may have been renamed to third already"),
        ("third", "second", "there is already a dataset second"),
        ("third", "Third", "'Third' is not a valid dataset name"),
        ("third", "toolchain", "the name toolchain is reserved"),
        ("third", "taken", "the name taken is in use: there is sources/taken; choose another name"),
        ("third", "owned", "datasets/standard/owned is there already, with other files"),
        (
            "second",
            "best_one",
            "second is built by TFDS's builder second, whose name is .*; .* a subclass of TFDS's",
        ),
    ],
)
def test_what_cannot_be_renamed_is_refused_and_nothing_changes(root, old, name, message):
    (root / "sources/taken").mkdir()
    (root / "datasets/standard/owned").mkdir()
    (root / "datasets/standard/owned/owned.py").write_text("# mine\n")
    before = read_files(root)
    with pytest.raises(ScriptError, match=message):
        rename(old, name, root=root)
    assert read_files(root) == before


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("class Builder(B):\n    x = 'old_one'\n", "class Builder(B):\n    x = 'old_one'\n"),
        ("class OldOne(B):\n    y = OldOne.z  # OldOne\n", "class New2(B):\n    y = New2.z  # OldOne\n"),
        ("class Other(B):\n    name = 'old_one'; y = 1\n", 'class Other(B):\n    name = "new2"; y = 1\n'),
    ],
)
def test_the_class_or_the_name_that_it_states_is_changed(source, expected):
    assert rename_builder(source, "old_one", "new2", "x.py") == expected


def test_a_class_whose_name_cannot_say_the_new_name_becomes_builder():
    assert rename_builder("class OldOne(B): pass\n", "old_one", "new_2", "x.py") == "class Builder(B): pass\n"


def test_a_builder_without_such_a_class_is_refused():
    with pytest.raises(ScriptError, match=r"x\.py has no class whose name gives old_one, and none called Builder"):
        rename_builder("class Other(B): pass\n", "old_one", "new2", "x.py")


@pytest.mark.slow
def test_a_renamed_dataset_is_built_and_its_versions_keep_the_old_name(built_tiny):
    clone = built_tiny
    git_commit(clone.root)
    output = clone.scripts("rename", "tiny", "words")
    assert 'make build DATASET="words"' in output
    clone.run("dvc", "repro", "words")
    (step,) = [line.partition(". ")[2].partition(";")[0] for line in output.splitlines() if "git add" in line]
    clone.run("sh", "-c", step)
    assert json.loads((clone.root / "artifacts/words.json").read_text())["name"] == "words"
    assert all(line[1] == " " for line in clone.run("git", "status", "--porcelain").stdout.splitlines())
    git_commit(clone.root)
    loaded = clone.python(
        "import loader\n"
        "print(len(loader.load('words', split='test')[1]), [each.name for each in loader.versions('words')])\n"
        "print(len(loader.load('tiny', rev='HEAD~1', split='test')[1]))\n"
    )
    assert loaded == "30 ['words', 'tiny']\n30\n"
    assert "the records agree" in clone.scripts("check")
