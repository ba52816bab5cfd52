"""A dataset out again, and nothing lost without a word."""

import shutil
from functools import partial

import pytest

from scripts._process.errors import ScriptError
from scripts.new import new
from scripts.remove import remove
from tests.helpers.buildable_dataset import add_buildable
from tests.helpers.commented_repository import commit, make_commented, status
from tests.helpers.killing import files_of, run_killed

FOLDER = "datasets/standard/first"


@pytest.fixture
def root(tmp_path):
    return make_commented(tmp_path / "house")


def test_what_git_has_goes_and_can_come_back(root):
    (root / FOLDER / "__pycache__").mkdir()
    (root / FOLDER / "__pycache__/first.pyc").write_bytes(b"")
    removal = remove("first", root=root)
    assert set(removal.removed) == {*("params.yaml", "dvc.yaml", "dvc.lock", "artifacts/first.json", FOLDER)}
    assert removal.left == ()
    assert {line[3:] for line in status(root)} == {
        *("params.yaml", "dvc.yaml", "dvc.lock", "artifacts/first.json"),
        *(f"{FOLDER}/first.py", f"{FOLDER}/README.md"),
    }
    assert not (root / FOLDER).exists()


@pytest.mark.parametrize("file", ["first.py", "notes.txt", "data.npy"])
def test_what_git_has_not_stays(root, file):
    (root / ".gitignore").write_text("__pycache__/\n/.scratch/\n*.npy\n")
    (root / FOLDER / file).write_text("precious\n")
    removal = remove("first", root=root)
    assert FOLDER not in removal.removed
    assert removal.left == (FOLDER,)
    assert (root / FOLDER / file).read_text() == "precious\n"


def test_outside_git_the_folder_stays(root):
    shutil.rmtree(root / ".git")
    assert remove("first", root=root).left == (FOLDER,)


def test_artifacts_and_sources_stay_and_are_named(root):
    for path in ("artifacts/second-a.tar", "artifacts/second-b.tar", "sources/second/x.zip", "sources/second.dvc"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text("x")
    removal = remove("second", root=root)
    assert removal.left == (
        *("artifacts/second-a.tar", "artifacts/second-b.tar", "sources/second", "sources/second.dvc"),
    )
    assert all((root / path).exists() for path in removal.left)


@pytest.mark.parametrize("name", ["frist", "toolchain", "", "../first"])
def test_an_unknown_name_changes_nothing(root, name):
    before = files_of(root)
    with pytest.raises(ScriptError, match=r"there is no dataset .* in params\.yaml or dvc\.yaml"):
        remove(name, root=root)
    assert files_of(root) == before


def test_what_another_is_derived_from_is_refused(root):
    stage = "  third:\n    cmd: x\n    deps: [artifacts/second-b.tar]\n"
    text = (root / "dvc.yaml").read_text()
    (root / "dvc.yaml").write_text(text.replace("stages:\n", f"stages:\n{stage}"))
    before = files_of(root)
    with pytest.raises(ScriptError, match=r"third is derived from second; .* make remove DATASET=third"):
        remove("second", root=root)
    assert files_of(root) == before
    remove("third", root=root)  # a stage that params.yaml does not know
    remove("second", root=root)


def test_where_a_file_cannot_be_edited_nothing_is_changed(root):
    text = (root / "params.yaml").read_text()
    (root / "params.yaml").write_text(text.replace("first:\n", "first: &first\n") + "\nother:\n  <<: *first\n")
    commit(root)
    before = files_of(root)
    with pytest.raises(ScriptError, match="'first' cannot be taken out of it line by line; do it by hand"):
        remove("first", root=root)
    assert files_of(root) == before


def test_new_and_remove_leave_no_trace(root):
    before = files_of(root)
    new("third", root=root)
    commit(root)
    remove("third", root=root)
    assert files_of(root) == before


@pytest.mark.slow
def test_built_and_removed_dvc_is_content(clone):
    add_buildable(clone.root)
    clone.run("dvc", "repro", "tiny")
    told = clone.run("make", "--silent", "remove", "DATASET=tiny").stdout
    assert "removed tiny from dvc.lock, dvc.yaml, params.yaml, artifacts/tiny.json" in told
    assert "left, delete them if nobody needs them: artifacts/tiny.tar datasets/standard/tiny sources/tiny" in told
    assert status(clone.root) == ["?? datasets/standard/tiny/checksums.tsv", "?? datasets/standard/tiny/tiny.py"]
    stages = clone.run("dvc", "stage", "list", "--name-only").stdout.split()
    assert "mnist" in stages and "tiny" not in stages
    for name in reversed(stages):  # what is derived comes after its parent
        clone.scripts("remove", name)
    assert "up to date" in clone.run("dvc", "repro").stdout
    assert "error: there is no dataset 'mnist'" in clone.scripts("remove", "mnist", check=False)


def test_killed_anywhere_it_is_removed_by_removing_it_again(tmp_path):
    expected = make_commented(tmp_path / "expected")
    remove("first", root=expected)
    after = files_of(expected)
    for step in range(100):
        root = make_commented(tmp_path / f"{step}")
        if run_killed(partial(remove, "first", root=root), step, root=root):
            break
        # unless it was killed on its last step, when all was done, it is there to be removed
        if files_of(root) != after:
            remove("first", root=root)
        assert files_of(root) == after, f"killed before step {step}"
        assert status(root) == status(expected)
    assert 10 <= step < 100
