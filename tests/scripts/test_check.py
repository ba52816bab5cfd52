"""`make check`: the repository's records agree, or everything that does not is listed."""

import json
import subprocess
import sys

import pytest

from scripts._process.errors import ScriptError
from scripts.check import check
from tests.helpers.commented_repository import git_commit
from tests.helpers.editing import edit
from tests.helpers.recorded_dataset import make_git, record_artifacts


@pytest.fixture
def root(small):
    make_git(small)
    git_commit(small)
    return small


def problems(root):
    """What `check` lists."""
    with pytest.raises(ScriptError) as raised:
        check(root=root)
    first, *lines = str(raised.value).splitlines()
    assert first == f"{len(lines)} found:"
    return [line.strip() for line in lines]


def test_records_that_agree_pass(root):
    check(root=root)


def test_this_repository_passes(clone):
    assert clone.run("make", "check").stdout == "the records agree\n"


def test_it_imports_neither_dvc_nor_tensorflow(root):
    code = "import sys; from scripts.check import check; from pathlib import Path; check(root=Path(sys.argv[1])); "
    code += "print(*{'dvc', 'tensorflow', 'tensorflow_datasets', 'botocore'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code, str(root)], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("file", ["params.yaml", "dvc.yaml", "dvc.lock", "artifacts/small.json", ".dvc/config"])
def test_merge_markers_are_found(root, file):
    path = root / file
    path.write_text(f"<<<<<<< HEAD\n{path.read_text()}=======\n>>>>>>> other\n")
    assert problems(root) == [f"{file}:1 has a merge conflict that was not resolved; make resolve says what is left"]


def test_a_dataset_that_was_never_built_is_no_problem(root):
    with (root / "params.yaml").open("a") as file:
        file.write("new: {builder: new, version: 1.0.0, license: CC0}\n")
    with (root / "dvc.yaml").open("a") as file:
        file.write("  new:\n    cmd: x\n    outs: [artifacts/new.tar]\n")
    check(root=root)


def test_a_broken_definition_is_listed_beside_the_others(root):
    with (root / "params.yaml").open("a") as file:
        file.write("a: {builder: a, version: 1.0.0, license: CC0}\nb: 3\n")
    assert problems(root) == [
        "dvc.yaml has no stage 'a', but params.yaml has a block 'a'",
        "params.yaml: the block 'b' is not a mapping",
    ]


def test_a_remote_without_a_value_is_named(root):
    edit(root / "dvc.yaml", "artifacts/small.tar: {remote: public}", "artifacts/small.tar: {remote: }")
    assert problems(root) == [
        "dvc.yaml does not have DVC's format: the remote of the output artifacts/small.tar must be a name, as in "
        "remote: private"
    ]


def test_an_artifact_that_dvc_artifacts_get_does_not_find_is_named_with_what_to_add(root):
    edit(root / "dvc.yaml", "artifacts:\n  small: {path: artifacts/small.tar, type: dataset, labels: [standard]}\n", "")
    (problem,) = problems(root)
    assert problem == (
        "small: dvc.yaml does not list artifacts/small.tar, so that dvc artifacts get does not find it; "
        "add to artifacts: small: {path: artifacts/small.tar, type: dataset}"
    )
    key, _, entry = problem.partition("add to ")[2].partition(" ")
    with (root / "dvc.yaml").open("a") as file:
        file.write(f"{key}\n  {entry}\n")
    check(root=root)


def test_an_entry_for_an_artifact_that_is_not_built_is_found(root):
    edit(root / "dvc.yaml", "artifacts:\n", "artifacts:\n  old: {path: artifacts/small-old.tar}\n")
    assert problems(root) == [
        "small: dvc.yaml lists artifacts/small-old.tar as old under artifacts, which is not an artifact of it by that "
        "name; remove that entry"
    ]


def test_a_definition_that_changed_after_the_build_is_found(root):
    edit(root / "params.yaml", "license: CC0", "license: MIT")
    assert problems(root) == [
        "small: params.yaml has changed since it was built (license); build it with: make build DATASET=small"
    ]


def test_a_manifest_that_dvc_lock_does_not_record_is_found(root):
    edit(root / "artifacts/small.json", '"license": "CC0"', '"license": "MIT"')
    assert problems(root) == [
        "small: dvc.lock records another artifacts/small.json; restore both with: "
        "git checkout -- artifacts/small.json dvc.lock"
    ]


def test_a_missing_manifest_is_found(root):
    (root / "artifacts/small.json").unlink()
    (problem,) = problems(root)
    assert "the manifest" in problem
    assert "is missing" in problem


def test_outputs_that_are_not_recorded_are_found(root):
    edit(root / "dvc.lock", "artifacts/small.tar", "artifacts/other.tar")
    assert problems(root) == [
        "small: dvc.lock does not record artifacts/small.tar; build it with: make build DATASET=small",
        "small: dvc.lock records artifacts/other.tar, which dvc.yaml does not list; "
        "build it with: make build DATASET=small",
    ]


def test_a_record_without_a_definition_is_found(root):
    lock = json.loads((root / "dvc.lock").read_text())
    lock["stages"]["gone"] = lock["stages"]["small"]
    (root / "dvc.lock").write_text(json.dumps(lock))
    assert problems(root) == [
        "dvc.lock records gone, which dvc.yaml does not define; remove it with: make remove DATASET=gone"
    ]


def test_a_public_dataset_made_from_private_data_is_found(root):
    with (root / "params.yaml").open("a") as file:
        file.write("made: {builder: made, version: 1.0.0, license: CC0}\n")
    with (root / "dvc.yaml").open("a") as file:
        file.write(
            "  made:\n    deps: [artifacts/small.tar]\n    outs:\n      - artifacts/made.tar: {remote: public}\n"
        )
    check(root=root)
    edit(root / "dvc.yaml", "artifacts/small.tar: {remote: public}", "artifacts/small.tar: {remote: private}")
    (problem,) = problems(root)
    assert problem.startswith("made is public, but derived from small, which is private")


def test_one_bucket_for_both_remotes_is_found(root):
    edit(root / ".dvc/config", "s3://datasets-private", "s3://datasets-public/private")
    (problem,) = problems(root)
    assert problem.startswith(".dvc/config: ")
    assert "datasets-public" in problem


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("url = s3://datasets-private", "URL = s3://[x", "the private remote needs a URL"),
        (
            "['remote \"private\"']",
            "['REMOTE \"private\"']\nEndpointUrl = http://h/b",
            "an endpoint must be the address",
        ),
        (
            "['remote \"private\"']",
            "['remote \"private\"']\nacl = public-read",
            "the private remote has acl = public-read",
        ),
        ("remote = private", "Remote = public", "DVC's default remote is 'public'"),
    ],
)
def test_a_configuration_with_which_private_data_could_become_public_is_found(root, old, new, sentence):
    edit(root / ".dvc/config", old, new)
    (problem,) = problems(root)
    assert problem.startswith(f".dvc/config: {sentence}")


def test_a_configuration_of_one_clone_that_is_in_git_is_found(root):
    (root / ".dvc/config.local").write_text("")
    check(root=root)
    subprocess.run(["git", "add", "--force", ".dvc/config.local"], cwd=root, check=True)
    (problem,) = problems(root)
    subprocess.run(problem.partition("with: ")[2].split(), cwd=root, check=True)
    check(root=root)


def test_statistics_of_other_examples_than_the_manifest_are_found(root):
    path = root / "artifacts/small.stats.json"
    edit(path, '"examples": 5370', '"examples": 5371')
    record_artifacts(root)
    assert problems(root) == [
        "small: artifacts/small.stats.json has other examples or bytes than the manifest; write it again with: "
        "rm artifacts/small.stats.json && make build DATASET=small"
    ]
    path.write_text("[]")
    record_artifacts(root)
    assert "small: artifacts/small.stats.json has other examples" in problems(root)[0]


@pytest.mark.parametrize("suffix", ["stats.json", "croissant.json"])
def test_a_description_that_is_changed_missing_or_not_listed_is_found(root, suffix):
    path = root / f"artifacts/small.{suffix}"
    recorded = path.read_bytes()
    path.write_bytes(recorded + b"\n")
    restore = f"git checkout -- artifacts/small.{suffix} dvc.lock"
    assert problems(root) == [f"small: dvc.lock records another artifacts/small.{suffix}; restore both with: {restore}"]
    path.unlink()
    assert restore in problems(root)[0]
    path.write_bytes(recorded)
    subprocess.run(["git", "rm", "--quiet", "--cached", path], cwd=root, check=True)
    assert problems(root) == [
        f"small: artifacts/small.{suffix} is not in git, so nobody else can see it; add it with: "
        f"git add artifacts/small.{suffix}"
    ]


def test_a_stage_of_an_older_version_is_told_what_to_list(root):
    edit(root / "dvc.yaml", "    metrics:\n      - artifacts/small.stats.json: {cache: false, persist: true}\n", "")
    lock = json.loads((root / "dvc.lock").read_text())
    outs = lock["stages"]["small"]["outs"]
    outs[:] = [out for out in outs if not out["path"].endswith(".stats.json")]
    (root / "dvc.lock").write_text(json.dumps(lock))
    assert problems(root) == [
        "small: dvc.yaml does not list artifacts/small.stats.json; add it to the metrics of the stage, with cache: "
        "false and persist: true, and build it with: make build DATASET=small"
    ]


def test_a_manifest_that_is_not_in_git_is_found(root):
    subprocess.run(["git", "rm", "--quiet", "--cached", "artifacts/small.json"], cwd=root, check=True)
    assert problems(root) == [
        "small: artifacts/small.json is not in git, so nobody else can load it; add it with: "
        "git add artifacts/small.json"
    ]


def test_a_version_that_is_recorded_with_two_contents_is_found(root):
    first = subprocess.check_output(["git", "rev-parse", "--short", "HEAD"], cwd=root, text=True).strip()
    path = root / "artifacts/small.json"
    before = path.read_text()
    raw = json.loads(before)
    raw["artifacts"]["small.tar"]["sha256"] = "0" * 64
    path.write_text(json.dumps(raw))
    git_commit(root)
    path.write_text(before)
    git_commit(root)
    (problem,) = problems(root)
    assert problem.startswith("small 1.0.0 is recorded with two contents, in commits ")
    assert first in problem
    edit(root / "params.yaml", "license: CC0", f"license: CC0\n  withdrawn: [{first}]")
    assert problems(root) == [
        "small: params.yaml has changed since it was built (withdrawn); build it with: make build DATASET=small"
    ]


def test_a_folder_without_git_is_told(small):
    make_git(small)
    (small / ".git").rename(small / "gone")
    assert any("git" in problem for problem in problems(small))


def test_source_files_on_the_remote_of_another_visibility_are_found(root):
    record = root / "sources/small.dvc"
    record.parent.mkdir()
    out = {"path": "small/a.zip", "hash": "md5", "md5": "0" * 32, "size": 1}
    record.write_text(json.dumps({"outs": [out | {"remote": "public"}]}))
    check(root=root)
    edit(root / "dvc.yaml", "{remote: public}", "{remote: private}")
    assert problems(root) == [
        f"small: {record} names remote 'public' for a.zip, but in dvc.yaml small is private; replace it with: "
        f"rm {record} && make mirror DATASET=small"
    ]


def test_a_public_dataset_that_was_built_from_what_may_be_private_is_found(root):
    lock = json.loads((root / "dvc.lock").read_text())
    lock["stages"]["small"]["deps"] = [{"path": "artifacts", "md5": "0" * 32 + ".dir"}]
    (root / "dvc.lock").write_text(json.dumps(lock))
    (problem,) = problems(root)
    assert problem.startswith("small: its recorded artifacts were built from what dvc.lock lists: dvc.yaml: the stage")
