"""Which datasets a branch changes."""

import pytest

from scripts._process.errors import ScriptError
from scripts.changed import changed
from tests.helpers.editing import edit

ALL = ["digit", "digit_speakers", "mnist", "mnist_fgsm"]


@pytest.fixture
def branch(clone):
    """A clone on a branch of its own."""
    clone.run("git", "branch", "-M", "main")
    clone.run("git", "checkout", "--quiet", "-b", "topic")
    return clone


def commit(clone):
    clone.run("git", "add", "--all")
    clone.run("git", "-c", "user.name=test", "-c", "user.email=test@example.org", "commit", "--quiet", "-m", "change")


def test_a_branch_that_touches_no_dataset_changes_none(branch):
    edit(branch.root / "README.md", "# ", "# The ")
    edit(branch.root / "params.yaml", "# The datasets", "# All datasets")
    (branch.root / "datasets/standard/note.txt").write_text("not a dataset's")
    commit(branch)
    assert changed("main", root=branch.root) == []
    assert branch.scripts("changed") == ""


def test_a_file_of_its_folder_changes_a_dataset_committed_or_not(branch):
    edit(branch.root / "datasets/standard/digit/digit.py", "import io", "import io  # and nothing else")
    assert changed("main", root=branch.root) == ["digit"]
    (branch.root / "datasets/adversarial/mnist_fgsm/weights.txt").write_text("1 2 3")
    assert changed("main", root=branch.root) == ["digit", "mnist_fgsm"]
    commit(branch)
    assert branch.scripts("changed", "--base", "main") == "digit mnist_fgsm\n"
    assert changed("HEAD", root=branch.root) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "names"),
    [
        ("params.yaml", "epsilon: 26", "epsilon: 8", ["mnist_fgsm"]),
        ("params.yaml", "license: CC BY-SA 3.0\n\ndigit", "license: CC0\n\ndigit", ["mnist"]),
        ("params.yaml", "numpy: ", "numpy: 9", ALL),
        ("requirements.lock", "numpy==", "numpy== ", ALL),
        ("requirements-beam.lock", "apache-beam==", "apache-beam== ", ALL),
        ("benchmarks/requirements.lock", "numpy==", "numpy== ", []),
        ("dvc.yaml", "desc: Spoken digits, 1,500", "desc: Spoken digits; 1,500", ["digit"]),
        ("datasets/standard/digit/checksums.tsv", "\t", "\t1", ["digit"]),
        ("artifacts/digit.json", '"1.0.8"', '"1.0.9"', ["digit"]),
        ("artifacts/digit.stats.json", "1500", "1501", ["digit"]),
    ],
)
def test_each_place_that_says_something_of_a_dataset_counts(branch, file, old, new, names):
    edit(branch.root / file, old, new)
    assert changed("main", root=branch.root) == names


def test_another_artifact_of_a_parent_changes_what_is_derived_from_it(branch):
    from ruamel.yaml import YAML

    yaml, path = YAML(), branch.root / "dvc.lock"
    lock = yaml.load(path)
    for out in lock["stages"]["mnist"]["outs"]:
        if out["path"] == "artifacts/mnist.tar":
            out["md5"] = "0" * 32
    yaml.dump(lock, path)
    assert changed("main", root=branch.root) == ["mnist", "mnist_fgsm"]


def test_what_the_base_changed_meanwhile_does_not_count(branch):
    edit(branch.root / "params.yaml", "epsilon: 26", "epsilon: 8")
    commit(branch)
    branch.run("git", "checkout", "--quiet", "main")
    edit(branch.root / "datasets/standard/digit/digit.py", "import io", "import io  # and nothing else")
    commit(branch)
    branch.run("git", "checkout", "--quiet", "topic")
    assert changed("main", root=branch.root) == ["mnist_fgsm"]


def test_a_new_dataset_counts_from_its_first_build_and_a_removed_one_not(branch):
    branch.scripts("new", "stripes")
    branch.scripts("remove", "digit_speakers")
    assert changed("main", root=branch.root) == ["stripes"]
    done = branch.run("python", "-m", "scripts", "changed")
    assert done.stdout == ""
    assert done.stderr == "stripes was never built; build it with: make build DATASET=stripes\n"


def test_a_base_may_be_a_branch_that_only_origin_has_and_must_exist(branch):
    edit(branch.root / "params.yaml", "epsilon: 26", "epsilon: 8")
    branch.run("git", "update-ref", "refs/remotes/origin/develop", "main")
    assert changed("develop", root=branch.root) == ["mnist_fgsm"]
    for base in ("nowhere", "--help"):
        with pytest.raises(ScriptError, match=f"there is no branch, commit or tag '{base}'"):
            changed(base, root=branch.root)
