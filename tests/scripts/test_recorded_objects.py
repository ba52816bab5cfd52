"""What the whole history of a clone records."""

import subprocess

import pytest

from scripts._process.errors import ScriptError
from scripts._release.recorded_objects import current_records, recorded_objects

DVC_YAML = """\
stages:
  one:
    cmd: build
    outs:
      - artifacts/one.tar: {remote: REMOTE}
      - artifacts/one.json: {cache: false}
"""
LOCK = """\
schema: '2.0'
stages:
  one:
    cmd: build
    params:
      params.yaml:
        one:
          version: VERSION
    outs:
    - path: artifacts/one.json
      hash: md5
      md5: ffffffffffffffffffffffffffffffff
      size: 1
    - path: artifacts/one.tar
      hash: md5
      md5: DIGIT
      size: 7
"""


def git(root, *arguments):
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    done = subprocess.run(["git", *identity, *arguments], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def record(root, digit, version, remote="private"):
    """Commit a record of one artifact, whose md5 is a repeated digit, and return the commit."""
    (root / "dvc.yaml").write_text(DVC_YAML.replace("REMOTE", remote))
    (root / "dvc.lock").write_text(LOCK.replace("DIGIT", digit * 32).replace("VERSION", version))
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", version)
    return git(root, "rev-parse", "HEAD")


@pytest.fixture
def root(tmp_path):
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    return tmp_path


def test_an_object_is_found_with_its_version_commits_branches_tags_and_remote(root):
    first = record(root, "1", "1.0.0")
    git(root, "tag", "--annotate", "--message=x", "one@v1.0.0")
    second = record(root, "2", "1.1.0", "public")
    found = recorded_objects(root)
    assert sorted(found) == ["1" * 32, "2" * 32]
    (old,), (new,) = found["1" * 32], found["2" * 32]
    assert (old.dataset, old.version, old.path, old.size) == ("one", "1.0.0", "artifacts/one.tar", 7)
    assert (old.commits, old.branches, old.tags, old.is_current) == ([first], [], ["one@v1.0.0"], False)
    assert (new.commits, new.branches, new.tags, new.is_current) == ([second], ["main", "HEAD"], [], True)
    assert (old.remotes, new.remotes) == ({"private"}, {"public"})


def test_a_side_branch_of_which_a_merge_kept_nothing_is_not_forgotten(root):
    record(root, "1", "1.0.0")
    git(root, "checkout", "--quiet", "-b", "side")
    record(root, "2", "1.1.0")
    git(root, "checkout", "--quiet", "main")
    record(root, "3", "1.2.0")
    git(root, "merge", "--quiet", "--strategy=ours", "--message=x", "side")
    git(root, "branch", "--delete", "--force", "side")
    assert sorted(recorded_objects(root)) == ["1" * 32, "2" * 32, "3" * 32]


def test_what_only_the_work_tree_records_counts(root):
    record(root, "1", "1.0.0")
    (root / "dvc.lock").write_text(LOCK.replace("DIGIT", "4" * 32))
    (found,) = recorded_objects(root)["4" * 32]
    assert (found.is_current, found.commits) == (True, [])


def test_source_files_are_found(root):
    record(root, "1", "1.0.0")
    (root / "sources").mkdir()
    source = f"outs:\n- md5: {'5' * 32}\n  size: 9\n  hash: md5\n  path: one/a.zip\n  remote: public\n"
    (root / "sources/one.dvc").write_text(source)
    commit = record(root, "2", "1.1.0")
    (found,) = recorded_objects(root)["5" * 32]
    assert (found.dataset, found.version, found.path, found.size) == ("one", "", "sources/one/a.zip", 9)
    assert (found.remotes, found.commits, found.is_source) == ({"public"}, [commit], True)


def test_a_committed_conflict_hides_no_object(root):
    record(root, "1", "1.0.0")
    lock = (root / "dvc.lock").read_text()
    (root / "dvc.lock").write_text(f"<<<<<<< ours\n{lock}=======\n{lock.replace('1' * 32, '6' * 32)}>>>>>>> theirs\n")
    git(root, "commit", "--quiet", "--all", "--message=conflict")
    (root / "dvc.lock").write_text(lock)
    found = recorded_objects(root)
    assert {"1" * 32, "6" * 32} <= found.keys()
    assert (found["6" * 32][0].dataset, found["6" * 32][0].size) == ("", 7)


def test_a_record_in_the_work_tree_that_cannot_be_read_is_an_error(root):
    record(root, "1", "1.0.0")
    (root / "dvc.lock").write_text("stages:\n  one: 3\n")
    with pytest.raises(ScriptError, match=r"dvc\.lock does not have DVC's format"):
        current_records(root)
