"""Removing datasets without losing uncommitted files."""

import shutil
from functools import partial

import pytest

from scripts._process.errors import ScriptError
from scripts._process.files import read_yaml
from scripts.new import new
from scripts.remove import Removal, remove
from tests.helpers.commented_repository import git_commit, git_status, make_commented_repository
from tests.helpers.killing import kill_at_step, read_files

FOLDER = "datasets/standard/first"


@pytest.fixture
def root(tmp_path):
    return make_commented_repository(tmp_path / "repository")


def test_committed_files_are_removed(root):
    (root / FOLDER / "__pycache__").mkdir()
    (root / FOLDER / "__pycache__/first.pyc").write_bytes(b"")
    removal = remove("first", root=root)
    assert set(removal.removed) == {*("params.yaml", "dvc.yaml", "dvc.lock", "artifacts/first.json", FOLDER)}
    assert removal.kept == ()
    assert {line[3:] for line in git_status(root)} == {
        *("params.yaml", "dvc.yaml", "dvc.lock", "artifacts/first.json"),
        *(f"{FOLDER}/first.py", f"{FOLDER}/README.md"),
    }
    assert not (root / FOLDER).exists()


@pytest.mark.parametrize("file", ["first.py", "notes.txt", "data.npy"])
def test_a_folder_with_uncommitted_files_is_kept(root, file):
    (root / ".gitignore").write_text("__pycache__/\n/.scratch/\n*.npy\n")
    (root / FOLDER / file).write_text("precious\n")
    removal = remove("first", root=root)
    assert FOLDER not in removal.removed
    assert removal.kept == (FOLDER,)
    assert (root / FOLDER / file).read_text() == "precious\n"


def test_without_git_the_folder_is_kept(root):
    shutil.rmtree(root / ".git")
    assert remove("first", root=root).kept == (FOLDER,)


def test_artifacts_and_source_files_are_kept_and_named(root):
    for path in ("artifacts/second-a.tar", "artifacts/second-b.tar", "sources/second/x.zip", "sources/second.dvc"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text("x")
    removal = remove("second", root=root)
    assert removal.kept == (
        *("artifacts/second-a.tar", "artifacts/second-b.tar", "sources/second", "sources/second.dvc"),
    )
    assert all((root / path).exists() for path in removal.kept)


@pytest.mark.parametrize("name", ["frist", "toolchain", "", "../first"])
def test_an_unknown_name_changes_nothing(root, name):
    before = read_files(root)
    assert remove(name, root=root) == Removal((), ())
    assert read_files(root) == before


def test_removing_a_dataset_again_changes_nothing(root):
    remove("first", root=root)
    before = read_files(root)
    assert remove("first", root=root) == Removal((), ())
    assert read_files(root) == before


def test_a_record_that_a_merge_has_left_in_the_lock_file_is_removed(root):
    lock = (root / "dvc.lock").read_bytes()
    remove("first", root=root)
    (root / "dvc.lock").write_bytes(lock)
    assert remove("first", root=root).removed == ("dvc.lock",)
    assert b"first" not in (root / "dvc.lock").read_bytes()


def test_a_dataset_that_another_is_derived_from_is_not_removed(root):
    stage = "  third:\n    cmd: x\n    deps: [artifacts/second-b.tar]\n"
    text = (root / "dvc.yaml").read_text()
    (root / "dvc.yaml").write_text(text.replace("stages:\n", f"stages:\n{stage}"))
    before = read_files(root)
    with pytest.raises(ScriptError, match=r'third is derived from second; .* make remove DATASET="second third"'):
        remove("second", root=root)
    assert read_files(root) == before
    remove("third", root=root)  # a stage without a block in params.yaml
    remove("second", root=root)


def test_several_datasets_are_removed_or_none(root):
    new("third", root=root)
    stages = root / "dvc.yaml"
    stages.write_text(
        stages.read_text().replace(
            "deps: [datasets/standard/first]", "deps: [datasets/standard/first, artifacts/third.tar]"
        )
    )
    git_commit(root)
    before = read_files(root)
    with pytest.raises(ScriptError, match=r'first is derived from third; .*: make remove DATASET="second third first"'):
        remove("second", "third", root=root)
    assert read_files(root) == before
    removal = remove("third", "frist", "second", "first", "third", root=root)
    assert {*removal.removed} >= {"params.yaml", "dvc.yaml", "dvc.lock", FOLDER, "datasets/standard/third"}
    assert read_yaml(root / "params.yaml") == {"toolchain": {}}
    assert not read_yaml(root / "dvc.yaml")["stages"]


def test_if_a_file_cannot_be_edited_nothing_is_changed(root):
    text = (root / "params.yaml").read_text()
    (root / "params.yaml").write_text(text.replace("first:\n", "first: &first\n") + "\nother:\n  <<: *first\n")
    git_commit(root)
    before = read_files(root)
    with pytest.raises(ScriptError, match="'first' cannot be removed by editing lines; edit it by hand"):
        remove("first", root=root)
    assert read_files(root) == before


def test_removing_a_new_dataset_restores_all_files(root):
    before = read_files(root)
    new("third", root=root)
    git_commit(root)
    remove("third", root=root)
    assert read_files(root) == before


@pytest.mark.slow
def test_dvc_works_after_all_datasets_are_removed(built_tiny):
    clone = built_tiny
    output = clone.run("make", "--silent", "remove", "DATASET=tiny").stdout
    described = ", ".join(f"artifacts/tiny.{suffix}" for suffix in ("croissant.json", "json", "stats.json"))
    assert f"removed tiny from dvc.lock, dvc.yaml, params.yaml, {described}" in output
    assert "kept, delete them if they are not needed: artifacts/tiny.tar datasets/standard/tiny sources/tiny" in output
    assert git_status(clone.root) == ["?? datasets/standard/tiny/checksums.tsv", "?? datasets/standard/tiny/tiny.py"]
    stages = clone.run("dvc", "stage", "list", "--name-only").stdout.split()
    assert "mnist" in stages and "tiny" not in stages
    for name in reversed(stages):  # derived datasets are after their parents
        clone.scripts("remove", name)
    assert "up to date" in clone.run("dvc", "repro").stdout
    assert "nothing to remove: there is no dataset 'mnist'" in clone.scripts("remove", "mnist")


@pytest.mark.slow
def test_a_killed_remove_is_completed_by_running_it_again(tmp_path):
    expected = make_commented_repository(tmp_path / "expected")
    remove("first", root=expected)
    after = read_files(expected)
    for step in range(100):
        root = make_commented_repository(tmp_path / f"{step}")
        if kill_at_step(partial(remove, "first", root=root), step, root=root):
            break
        # if the last step was killed, everything is already removed
        if read_files(root) != after:
            remove("first", root=root)
        assert read_files(root) == after, f"killed before step {step}"
        assert git_status(root) == git_status(expected)
    assert 10 <= step < 100
