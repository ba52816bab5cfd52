"""Reading another revision, another version, another repository or a TFDS folder."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import loader
from tests.helpers import recorded_dataset as small_dataset
from tests.helpers.recorded_dataset import fill_dvc_cache, make_git, make_recorded

ROOT = Path(__file__).resolve().parents[2]


def git(root, *arguments):
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    done = subprocess.run(["git", *identity, *arguments], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def history(tmp_path, remote, monkeypatch):
    """A repository with two pushed versions of `small` in its history; the newer one is checked out."""
    root = make_recorded(tmp_path / "repository")
    make_git(root)
    remote.point(root)
    record(root, remote, "v1")
    monkeypatch.setattr(small_dataset, "VERSION", "2.0.0")
    monkeypatch.setattr(small_dataset, "SPLITS", {"train": (40,), "test": (2,)})
    newer = make_recorded(tmp_path / "newer")
    for name in ("artifacts/small.tar", "artifacts/small.json", "dvc.lock"):
        (root / name).unlink()
        shutil.copy(newer / name, root / name)
    record(root, remote, "v2")
    return root


def record(root, remote, tag):
    remote.publish(root / "artifacts/small.tar")
    fill_dvc_cache(root)
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "-m", tag)
    git(root, "tag", tag)


def state(root):
    return git(root, "status", "--porcelain"), sorted(str(path) for path in root.rglob("*") if ".git" not in path.parts)


@pytest.mark.parametrize("rev", ["v1", "HEAD~1", "branch", "commit"])
def test_another_revision_is_fetched_without_changing_the_work_tree(history, rev):
    git(history, "branch", "branch", "v1")
    shutil.rmtree(history / ".dvc/cache")
    before = state(history)
    info, ds = loader.load("small", repo=history, rev=git(history, "rev-parse", "v1") if rev == "commit" else rev)
    assert (info.version, len(list(ds["train"]))) == ("1.0.0", 5300)
    assert loader.load("small", repo=history)[0].version == "2.0.0"
    assert state(history) == before
    assert [entry.name for entry in loader.cache.entries()] == ["small.tar"]


def test_a_revision_whose_artifact_is_on_this_machine_needs_no_network(history):
    path = loader.ensure("small", repo=history, rev="v1", offline=True)
    assert path.is_relative_to(history / ".dvc/cache")
    shutil.rmtree(history / ".dvc/cache")
    assert loader.ensure("small", repo=history, rev="v2", offline=True) == history / "artifacts/small.tar"


def test_a_version_is_read_from_the_revision_that_recorded_it(history):
    for version, records in (("1.0.0", 5300), ("2.0.0", 40)):
        info, train = loader.load("small", split="train", repo=history, version=version)
        assert (info.version, len(train)) == (version, records)
    info, _ = loader.load("small", repo=history, rev="v1", version="1.0.0")
    assert info.version == "1.0.0"


def test_a_version_prefers_its_release_tag(history):
    """The history records 1.0.0 with other bytes after its release."""

    def git(*arguments):
        subprocess.run(
            ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments], cwd=history, check=True
        )

    git("checkout", "--quiet", "v1", "--", "artifacts/small.json", "dvc.lock")
    manifest = history / "artifacts/small.json"
    manifest.write_text(manifest.read_text().replace('"CC0"', '"other"'))
    git("commit", "--quiet", "--all", "--message", "1.0.0 again")
    git("checkout", "--quiet", "v2", "--", "artifacts/small.json", "dvc.lock")
    git("commit", "--quiet", "--all", "--message", "2.0.0 again")
    assert loader.load("small", repo=history, version="1.0.0")[0].license == "other"
    git("tag", "--annotate", "small@v1.0.0", "v1", "--message", "small 1.0.0")
    assert loader.load("small", repo=history, version="1.0.0")[0].license == "CC0"
    git("tag", "--annotate", "small@v3.0.0", "v1", "--message", "wrong")
    with pytest.raises(loader.ManifestError, match=r"the tag small@v3\.0\.0 of .* records 1\.0\.0"):
        loader.load("small", repo=history, version="3.0.0")


def test_an_unknown_version_is_an_error_that_lists_the_versions(history):
    with pytest.raises(loader.NotFoundError, match=r"no version '3\.0\.0'.*its versions: 2\.0\.0, 1\.0\.0"):
        loader.load("small", repo=history, version="3.0.0")
    with pytest.raises(loader.NotFoundError, match=r"no version '2\.0\.0'.*its versions: 1\.0\.0"):
        loader.load("small", repo=history, rev="v1", version="2.0.0")


@pytest.mark.parametrize("rev", ["v9", "--all", "", "v1:params.yaml", "v1^{tree}", "a b"])
def test_an_unknown_revision_is_an_error(history, rev):
    with pytest.raises(loader.NotFoundError, match="has no revision"):
        loader.load("small", repo=history, rev=rev or " ")


def test_a_revision_without_the_dataset_is_an_error(history):
    with pytest.raises(loader.NotFoundError, match=r"there is no dataset 'large' in .*@[0-9a-f]{12}; it has: small"):
        loader.load("large", repo=history, rev="v1")


def test_a_folder_without_git_has_no_revisions(tmp_path):
    root = make_recorded(tmp_path / "repository")
    with pytest.raises(loader.NotFoundError, match="has no revision 'v1'"):
        loader.load("small", repo=root, rev="v1")


class TestUrl:
    @pytest.fixture
    def url(self, history, remote):
        """The URL of the repository, whose committed configuration has the remote but no credentials."""
        local = (history / ".dvc/config.local").read_text()
        keep = [line for line in local.splitlines() if "credential" not in line and "profile" not in line]
        (history / ".dvc/config").write_text("[core]\n    remote = public\n" + "\n".join(keep))
        git(history, "add", "--all")
        git(history, "commit", "--quiet", "-m", "remotes")
        os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.environ["AWS_CONFIG_FILE"] = os.devnull
        os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
        return f"file://{history}"

    def test_another_project_loads_two_revisions_with_only_the_loader(self, url, tmp_path):
        elsewhere = tmp_path / "experiment"
        elsewhere.mkdir()
        code = (
            "import sys; sys.path.insert(0, sys.argv[1]); import loader\n"
            "for options in ({}, {'rev': 'v1'}, {'version': '1.0.0'}):\n"
            "    info, ds = loader.load('small', repo=sys.argv[2], **options)\n"
            "    print(info.version, len(list(ds['train'])))"
        )
        done = subprocess.run(
            [sys.executable, "-P", "-c", code, ROOT, url], cwd=elsewhere, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines() == ["2.0.0 40", "1.0.0 5300", "1.0.0 5300"]
        assert list(elsewhere.iterdir()) == []

    def test_a_revision_that_was_read_before_can_be_read_offline(self, url, history):
        with pytest.raises(loader.FetchError, match="was never fetched to this machine"):
            loader.load("small", repo=url, offline=True)
        loader.load("small", repo=url)
        with pytest.raises(loader.FetchError, match="nothing is fetched offline"):
            loader.load("small", repo=url, rev="v1", offline=True)
        history.rename(history.with_name("gone"))
        assert loader.load("small", repo=url, offline=True)[0].version == "2.0.0"
        with pytest.raises(loader.FetchError, match=r"cannot fetch .* offline=True"):
            loader.load("small", repo=url)

    def test_a_full_commit_hash_that_was_read_before_needs_no_network(self, url, history):
        first = git(history, "rev-parse", "v1")
        loader.load("small", repo=url, rev=first)
        history.rename(history.with_name("gone"))
        assert loader.load("small", repo=url, rev=first)[0].version == "1.0.0"

    def test_new_tags_are_found(self, url, history):
        loader.load("small", repo=url)
        git(history, "tag", "newest", "v1")
        assert loader.load("small", repo=url, rev="newest")[0].version == "1.0.0"

    def test_the_default_branch_may_be_renamed(self, url, history):
        loader.load("small", repo=url)
        old = git(history, "branch", "--show-current")
        git(history, "switch", "--quiet", "-c", "newest")
        git(history, "branch", "-D", old)
        git(history, "commit", "--quiet", "--allow-empty", "-m", "newest")
        assert loader.load("small", repo=url)[0].version == "2.0.0"
        (clone,) = (loader.cache.folder() / "repositories").iterdir()
        assert git(clone, "rev-parse", "HEAD") == git(history, "rev-parse", "HEAD")

    def test_a_password_in_a_url_is_neither_stored_nor_shown(self):
        with pytest.raises(loader.FetchError) as raised:
            loader.load("small", repo="http://me:sec@ret@127.0.0.1:9/x.git")
        assert "ret" not in str(raised.value)
        files = [path for path in loader.cache.folder().rglob("*") if path.is_file()]
        assert [path for path in files if b"sec@ret" in path.read_bytes()] == []

    def test_the_dvc_configuration_of_a_repository_cannot_run_a_program(self, url, history, tmp_path):
        program = tmp_path / "program.ini"
        program.write_text(f"[default]\ncredential_process = touch {tmp_path}/run\n")
        config = history / ".dvc/config"
        config.write_text(re.sub("( *endpointurl)", rf"    configpath = {program}\n\1", config.read_text()))
        git(history, "commit", "--quiet", "--all", "-m", "configpath")
        (history / ".dvc/config.local").unlink()
        del os.environ["AWS_CONFIG_FILE"]
        os.environ["HOME"] = str(tmp_path)
        shutil.rmtree(history / ".dvc/cache")
        for repo in (url, history):
            loader.cache.clear()
            loader.load("small", repo=repo, rev="v1")
        assert not (tmp_path / "run").exists()

    def test_the_variable_may_be_a_url(self, url, tmp_path, monkeypatch):
        monkeypatch.setenv("DATASETS_REPO", url)
        monkeypatch.chdir(tmp_path)
        assert loader.load("small")[0].version == "2.0.0"

    def test_a_url_without_a_repository_is_an_error(self, tmp_path):
        with pytest.raises(loader.FetchError, match=r"git cannot fetch file://.*nothing"):
            loader.load("small", repo=f"file://{tmp_path}/nothing")
        assert not any((loader.cache.folder() / "repositories").iterdir())


class TestDataDir:
    @pytest.fixture
    def data_dir(self, tmp_path):
        data_dir = tmp_path / "data"
        prepared = small_dataset.prepare_recorded(tmp_path / "scratch")
        for version in ("1.0.0", "1.0.10", "1.0.9"):
            shutil.copytree(prepared.folder, data_dir / "small" / version)
            info = data_dir / "small" / version / "dataset_info.json"
            info.write_text(info.read_text().replace("1.0.0", version))
        return data_dir

    def test_the_newest_version_is_read(self, data_dir):
        info, train = loader.load("small", data_dir=data_dir, split="train[:10]")
        assert (info.version, len(train)) == ("1.0.10", 10)
        assert loader.load("small", data_dir=data_dir, version="1.0.0")[0].version == "1.0.0"

    def test_configs_are_folders_between_name_and_version(self, data_dir):
        (data_dir / "small").rename(data_dir / "one")
        (data_dir / "small").mkdir()
        (data_dir / "one").rename(data_dir / "small/one")
        assert loader.load("small", data_dir=data_dir)[0].version == "1.0.10"
        shutil.copytree(data_dir / "small/one", data_dir / "small/two")
        with pytest.raises(loader.NotFoundError, match="name one: config='one' or 'two'"):
            loader.load("small", data_dir=data_dir)
        assert loader.load("small", data_dir=data_dir, config="two", version="1.0.9")[0].version == "1.0.9"

    @pytest.mark.parametrize("options", [{"version": "9.0.0"}, {"config": "x"}])
    def test_a_missing_version_or_config_is_an_error(self, data_dir, options):
        with pytest.raises(loader.NotFoundError, match="has no version"):
            loader.load("small", data_dir=data_dir, **options)

    def test_it_cannot_be_combined_with_a_repository(self, data_dir):
        with pytest.raises(loader.ArgumentError, match="leave out repo="):
            loader.load("small", data_dir=data_dir, rev="v1")


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        (lambda lock: lock.replace('"md5": "', '"md5": "../../../'), "ManifestError", "is not an MD5"),
        (lambda lock: lock.replace('"size": ', '"size": 1'), "ManifestError", "record two different artifacts"),
        (lambda lock: lock[:100], "ManifestError", "cannot be read"),
        (lambda lock: "[1]", "ManifestError", "cannot be read"),
        (lambda lock: "{}", "ManifestError", "does not record"),
    ],
)
def test_a_dvc_lock_without_a_valid_record_is_an_error(small, change, error, sentence):
    (small / "artifacts/small.tar").unlink()
    lock = small / "dvc.lock"
    lock.write_text(change(lock.read_text()))
    with pytest.raises(getattr(loader, error), match=sentence) as raised:
        loader.ensure("small", repo=small)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("split", [3, {"train"}, b"train", {"a": "train"}])
def test_a_split_of_another_type_is_an_error(small, split):
    with pytest.raises(loader.ArgumentError, match="split= takes a split string or a list of them"):
        loader.load("small", split=split, repo=small)
