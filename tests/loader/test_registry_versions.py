"""`loader.versions`: the contents of a dataset that git's history records."""

import json
import subprocess

import pytest

import loader
from tests.helpers.made_up_registry import dataset_name, make_registry
from tests.helpers.recorded_dataset import make_git, record_artifacts


def git(root, *arguments):
    options = ["-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "commit.gpgSign=false"]
    done = subprocess.run(["git", *options, *arguments], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(root, message="test"):
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "-m", message)
    return git(root, "rev-parse", "--short", "HEAD")


def record(root, *, name="small", **changes):
    """Change what the manifest records."""
    path = root / f"artifacts/{name}.json"
    manifest = json.loads(path.read_text())
    sha256 = changes.pop("sha256", None)
    if sha256:
        [entry] = manifest["artifacts"].values()
        entry["sha256"] = sha256
    path.write_text(json.dumps({**manifest, **changes}))


@pytest.fixture
def repository(small):
    make_git(small)
    commit(small, "first")
    return small


def test_each_content_has_the_commit_that_recorded_it_first(repository):
    first = git(repository, "rev-parse", "--short", "HEAD")
    record(repository, license="MIT")
    commit(repository, "the same content with another license")
    record(repository, version="1.1.0", sha256="1" * 64)
    second = commit(repository)
    newest, oldest = loader.versions("small", repo=repository)
    assert (newest.version, newest.commit, newest.is_current) == ("1.1.0", second, True)
    assert (oldest.version, oldest.commit, oldest.is_current) == ("1.0.0", first, False)
    assert newest.artifacts == {"small.tar": "1" * 64}
    assert oldest.date == git(repository, "log", "-1", "--format=%cI", first)
    assert [each.is_current for each in loader.versions("small", repo=repository, rev=first)] == [True]
    assert loader.versions("small", repo=f"file://{repository}") == [newest, oldest]


def test_two_contents_of_one_version_are_both_listed(repository):
    record(repository, sha256="2" * 64)
    commit(repository)
    assert [each.version for each in loader.versions("small", repo=repository)] == ["1.0.0", "1.0.0"]


def test_what_no_commit_records_yet_comes_first(repository):
    record(repository, version="2.0.0", sha256="3" * 64)
    newest, oldest = loader.versions("small", repo=repository)
    assert (newest.version, newest.commit, newest.date, newest.is_current) == ("2.0.0", "", "", True)
    assert not oldest.is_current
    assert [each.version for each in loader.versions("small", repo=repository, rev="HEAD")] == ["1.0.0"]


def test_without_git_there_is_the_work_tree(small):
    [only] = loader.versions("small", repo=small)
    assert (only.version, only.commit, only.is_current) == ("1.0.0", "", True)


def test_tags_are_listed_with_the_content_that_they_release(repository):
    git(repository, "tag", "paper")
    git(repository, "tag", "other@v1.0.0")
    (repository / "README.md").write_text("more")
    commit(repository)
    git(repository, "tag", "-a", "-m", "released", "small@v1.0.0")
    git(repository, "tag", "later")
    git(repository, "tag", "a-file", "HEAD:README.md")
    record(repository, version="1.1.0", sha256="1" * 64)
    commit(repository)
    newest, oldest = loader.versions("small", repo=repository)
    assert newest.tags == ()
    assert oldest.tags == ("small@v1.0.0", "paper")


def test_the_contents_of_merged_branches_are_listed(repository):
    main = git(repository, "symbolic-ref", "--short", "HEAD")
    git(repository, "checkout", "--quiet", "-b", "branch")
    record(repository, version="1.1.0", sha256="1" * 64)
    commit(repository)
    git(repository, "checkout", "--quiet", main)
    record(repository, version="1.2.0", sha256="2" * 64)
    commit(repository)
    git(repository, "merge", "--quiet", "--strategy=ours", "branch", "-m", "merged")
    found = loader.versions("small", repo=repository)
    assert sorted(each.version for each in found) == ["1.0.0", "1.1.0", "1.2.0"]
    assert [each.version for each in found if each.is_current] == ["1.2.0"]


def test_a_renamed_dataset_keeps_its_versions(repository):
    (repository / "artifacts/small.json").rename(repository / "artifacts/tiny.json")
    manifest = json.loads((repository / "artifacts/tiny.json").read_text())
    (repository / "artifacts/tiny.json").write_text(json.dumps({**manifest, "name": "tiny"}, indent=2) + "\n")
    commit(repository, "renamed")
    newest, oldest = loader.versions("tiny", repo=repository)
    assert (newest.name, newest.is_current) == ("tiny", True)
    assert (oldest.name, oldest.version, oldest.is_current) == ("small", "1.0.0", False)


def test_a_withdrawn_content_is_left_out(repository):
    withdrawn = git(repository, "rev-parse", "--short", "HEAD")
    record(repository, sha256="4" * 64)
    params = repository / "params.yaml"
    params.write_text(params.read_text() + f'  withdrawn: ["{withdrawn}"]\n')
    commit(repository)
    [only] = loader.versions("small", repo=repository)
    assert only.artifacts == {"small.tar": "4" * 64}


def test_a_manifest_of_another_format_in_the_history_is_left_out(repository):
    good = (repository / "artifacts/small.json").read_bytes()
    for data in (b"{", b'{"format": 2}'):
        (repository / "artifacts/small.json").write_bytes(data)
        commit(repository)
    (repository / "artifacts/small.json").write_bytes(good)
    record_artifacts(repository)
    commit(repository)
    assert len(loader.versions("small", repo=repository)) == 1


def test_a_repository_may_be_below_the_root_of_git(small, tmp_path):
    make_git(tmp_path)
    commit(tmp_path)
    assert [each.is_current for each in loader.versions("small", repo=small)] == [True]
    assert loader.versions("small", repo=small)[0].commit
    assert str(loader.info("small", repo=small, rev="HEAD").state) == "here"


def test_a_merge_counts_as_a_commit_that_records_what_it_brings(small, tmp_path):
    make_git(tmp_path)
    commit(tmp_path)
    main = git(tmp_path, "symbolic-ref", "--short", "HEAD")
    git(tmp_path, "checkout", "--quiet", "-b", "branch")
    record(small, version="1.1.0", sha256="1" * 64)
    recorded = commit(tmp_path)
    git(tmp_path, "checkout", "--quiet", main)
    (tmp_path / "other").write_text("x")
    commit(tmp_path)
    git(tmp_path, "merge", "--quiet", "branch", "-m", "merged")
    git(tmp_path, "tag", "paper")
    newest, oldest = loader.versions("small", repo=small)
    assert (newest.version, newest.commit, newest.tags) == ("1.1.0", recorded, ("paper",))
    assert (oldest.version, oldest.tags) == ("1.0.0", ())


def test_every_version_of_a_long_history_is_listed(tmp_path):
    root = make_registry(tmp_path / "registry", datasets=2, versions=200)
    found = loader.versions(dataset_name(0), repo=root)
    assert [each.version for each in found] == [f"1.0.{number}" for number in reversed(range(200))]
    assert all(each.tags == (f"{each.name}@v{each.version}",) for each in found)
