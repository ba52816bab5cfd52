"""The state of a dataset: where its artifacts are, what its remote has, and what has changed since it was built."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

import loader
from loader._registry.lookup import entries
from scripts.push import push
from tests.helpers.made_up_registry import dataset_name, make_registry
from tests.helpers.recorded_dataset import fill_dvc_cache, make_dvc, make_git, make_recorded

ROOT = Path(__file__).resolve().parents[2]


def state(root, name="small", **options):
    return str(loader.info(name, repo=root, **options).state)


@pytest.fixture
def registry(tmp_path):
    return make_registry(tmp_path / "registry", datasets=3, versions=1)


class TestPlaces:
    def test_an_artifact_is_here_only_if_it_is_the_recorded_one(self, small):
        tar = small / "artifacts/small.tar"
        assert state(small) == "here"
        data = bytearray(tar.read_bytes())
        data[600] ^= 1  # in the index header
        tar.write_bytes(data)
        assert state(small) == "not on this machine"
        tar.write_bytes(data[:-1])
        assert state(small) == "not on this machine"
        tar.unlink()
        tar.mkdir()
        assert state(small) == "not on this machine"

    def test_an_artifact_can_be_in_the_cache_of_dvc(self, small):
        fill_dvc_cache(small)
        (small / "artifacts/small.tar").unlink()
        assert state(small) == "in a cache"

    @pytest.mark.parametrize("level", ["config", "config.local"])
    def test_the_cache_of_dvc_can_be_elsewhere(self, small, tmp_path, level):
        make_git(small)
        fill_dvc_cache(small)
        (small / "artifacts/small.tar").unlink()
        shutil.move(small / ".dvc/cache", tmp_path / "elsewhere")
        config = small / ".dvc" / level
        text = config.read_text().replace("[cache]\n", "") if config.exists() else ""
        config.write_text(f"{text}\n[cache]\n    dir = ../../elsewhere\n")
        assert state(small) == "in a cache"

    def test_an_artifact_can_be_in_the_cache_of_the_loader(self, repository, remote):
        push("small", public=False, root=repository)
        (repository / "artifacts/small.tar").unlink()
        shutil.rmtree(repository / ".dvc/cache")
        assert state(repository) == "not on this machine"
        loader.ensure("small", repo=repository)
        assert state(repository) == "in a cache"

    def test_several_artifacts_are_counted(self, clone):
        assert state(clone.root, "digit_speakers") == "not on this machine"


@pytest.fixture
def repository(tmp_path, remote):
    root = make_recorded(tmp_path / "repository")
    dvc_yaml = root / "dvc.yaml"
    dvc_yaml.write_text(dvc_yaml.read_text().replace("remote: public", "remote: private"))
    make_dvc(root, ROOT / ".dvc/config")
    remote.point(root)
    return root


class TestRemotes:
    def test_a_private_dataset_that_was_never_pushed_is_not_on_its_remote(self, repository, remote):
        assert (
            "in sync" in subprocess.run(["dvc", "status", "-c"], cwd=repository, capture_output=True, text=True).stdout
        )
        assert state(repository) == "here"
        assert state(repository, ask_remote=True) == "here; not on its remote"
        push("small", public=False, root=repository)
        assert state(repository, ask_remote=True) == "here; on its remote"
        [key] = remote.keys("private")
        remote.write(key, b"short")
        assert "on its remote with 5 bytes instead of" in state(repository, ask_remote=True)
        remote.write(key, b"")
        assert "on its remote with 0 bytes instead of" in state(repository, ask_remote=True)
        remote.remove(key)
        assert state(repository, ask_remote=True) == "here; not on its remote"

    def test_a_remote_that_cannot_be_asked_is_said_so(self, repository, remote):
        subprocess.run(
            ["dvc", "remote", "modify", "--local", "private", "endpointurl", "http://127.0.0.1:9"],
            cwd=repository,
            check=True,
        )
        [entry] = entries(repo=repository, ask_remote=True)
        assert str(entry.state) == "here; remote unknown"
        assert entry.configs[0].remote.startswith("its remote cannot be asked: remote 'private' at http://127.0.0.1:9")
        assert len(entry.state.unknown) == 1

    def test_an_artifact_that_dvc_does_not_record_is_said_so(self, repository):
        (repository / "dvc.lock").write_text("schema: '2.0'\n")
        assert state(repository, ask_remote=True).startswith("here; not recorded in dvc.lock; outdated: dvc.lock")


class TestOutdated:
    def test_nothing_is_outdated_in_a_fresh_clone(self, registry):
        for options in ({}, {"rev": "HEAD"}):
            assert {str(each.state) for each in entries(repo=registry, **options)} == {"not on this machine"}

    @pytest.mark.parametrize(
        ("file", "before", "after", "words"),
        [
            ("params.yaml", "dataset_001:\n", "dataset_001:\n  arguments: {epsilon: 8}\n", "params.yaml (arguments)"),
            ("params.yaml", "CC BY-SA 4.0", "CC0", "params.yaml (license)"),
            ("params.yaml", "numpy: 2.4.6", "numpy: 2.4.7", "toolchain (numpy)"),
            ("dvc.yaml", "scripts build dataset_001", "scripts build x", "dvc.yaml (cmd)"),
            ("dvc.yaml", "dataset_001.json:", "dataset_001.extra.json:", "dvc.yaml (artifacts/dataset_001.extra.json)"),
            ("artifacts/dataset_001.json", "Made-up", "Altered", "artifacts/dataset_001.json"),
            ("datasets/standard/dataset_001/builder.py", "b", "c", "datasets/standard/dataset_001/builder.py"),
        ],
    )
    def test_what_has_changed_is_named(self, registry, file, before, after, words):
        path = registry / file
        assert before in path.read_text()
        path.write_text(path.read_text().replace(before, after))
        assert state(registry, dataset_name(1)) == f"not on this machine; outdated: {words}"
        if words.startswith(("params.yaml", "dvc.yaml", "artifacts", "datasets")):
            assert state(registry, dataset_name(0)) == "not on this machine"
        assert state(registry, dataset_name(1), rev="HEAD") == "not on this machine"

    def test_statistics_that_were_removed_are_named(self, clone):
        (clone.root / "artifacts/digit.stats.json").unlink()
        assert state(clone.root, "digit") == "not on this machine; outdated: artifacts/digit.stats.json (missing)"
        assert state(clone.root, "digit", rev="HEAD") == "not on this machine"

    def test_a_manifest_that_was_removed_is_named_with_what_restores_it(self, clone):
        (clone.root / "artifacts/digit.json").unlink()
        with pytest.raises(loader.ManifestError, match=r"digit\.json is missing; restore it with: git checkout --"):
            loader.info("digit", repo=clone.root)
        [found] = [str(entry.state) for entry in entries(repo=clone.root) if entry.name == "digit"]
        assert found.startswith("unreadable: digit: ")

    def test_an_argument_is_named_alone(self, registry):
        params, lock = registry / "params.yaml", registry / "dvc.lock"
        params.write_text(
            params.read_text().replace("dataset_001:\n", "dataset_001:\n  arguments: {epsilon: 8, a: 1}\n")
        )
        text = lock.read_text()
        block = "        dataset_001:\n"
        lock.write_text(text.replace(block, f"{block}          arguments: {{epsilon: 9, a: 1}}\n"))
        assert state(registry, dataset_name(1)) == "not on this machine; outdated: params.yaml (epsilon)"

    def test_added_and_removed_files_of_a_definition_are_named(self, registry):
        folder = registry / "datasets/standard/dataset_001"
        (folder / "new.py").write_text("")
        (folder / "README.md").unlink()
        expected = "datasets/standard/dataset_001/README.md, datasets/standard/dataset_001/new.py"
        assert state(registry, dataset_name(1)).endswith(f"outdated: {expected}")

    def test_the_folder_is_named_if_no_commit_has_the_recorded_one(self, registry):
        (registry / "datasets/standard/dataset_001/builder.py").write_text("other")
        options = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
        subprocess.run(["git", *options, "commit", "-aqm", "changed"], cwd=registry, check=True)
        for options in ({}, {"rev": "HEAD"}):
            assert state(registry, dataset_name(1), **options).endswith("outdated: datasets/standard/dataset_001")

    def test_files_that_dvc_ignores_change_nothing(self, registry):
        folder = registry / "datasets/standard/dataset_001"
        (folder / "__pycache__").mkdir()
        (folder / "__pycache__/builder.cpython-311.pyc").write_bytes(b"x")
        assert state(registry, dataset_name(1)) == "not on this machine"
        (folder / ".dvcignore").write_text("other\n")
        assert "maybe datasets/standard/dataset_001, which has its own .dvcignore" in state(registry, dataset_name(1))

    def test_a_definition_outside_the_repository_is_not_read(self, registry):
        for file in ("dvc.yaml", "dvc.lock"):
            text = (registry / file).read_text()
            (registry / file).write_text(text.replace("datasets/standard/dataset_001", "/dev/zero"))
        assert "maybe /dev/zero, which is outside the repository" in state(registry, dataset_name(1))

    def test_another_artifact_of_a_parent_is_named(self, clone):
        lock = clone.root / "dvc.lock"
        md5 = loader.info("digit", repo=clone.root).configs[0].md5
        parts = lock.read_text().rsplit(md5, 1)  # the last one is that of the derived dataset's dependency
        lock.write_text(("0" * 32).join(parts))
        assert "its parent digit" in state(clone.root, "digit_speakers")

    def test_it_agrees_with_dvc(self, built_tiny):
        clone = built_tiny
        assert state(clone.root, "tiny") == "here"
        builder = clone.root / "datasets/standard/tiny/tiny.py"
        builder.write_text(builder.read_text() + "\n")
        assert "tiny" in json.loads(clone.run("dvc", "status", "--json", "tiny").stdout)
        assert state(clone.root, "tiny").startswith("here; outdated: datasets/standard/tiny")
