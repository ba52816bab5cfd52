"""What a branch does to every dataset, in commits of a real git repository, and with a real S3 server."""

import json
import shutil

import pytest
from ruamel.yaml import YAML

import loader
from loader._commands.report_markdown import markdown
from loader._diff import diff
from loader._report import report
from tests.helpers.dataset_history import History, records_of

PUSH = "make push DATASET=small PUBLIC=1"
BUILD = "make build DATASET=small"


@pytest.fixture
def history(tmp_path):
    """A dataset on `main`, and a branch `topic` that has left it."""
    history = History(tmp_path / "history")
    history.commit(records_of(train=range(30)))
    history.git("branch", "-M", "main")
    history.git("checkout", "--quiet", "-b", "topic")
    return history


@pytest.fixture
def branch(clone):
    """A clone of this project on a branch of its own, without artifacts."""
    clone.run("git", "branch", "-M", "main")
    clone.run("git", "checkout", "--quiet", "-b", "topic")
    return clone


def entries(root, base="main", **options):
    return {entry.difference.name: entry for entry in report(base, repo=root, **{"offline": True} | options)}


def steps(entry):
    """The commands to run before merging, without those that `dvc.lock` of a hand-made history needs."""
    return [step for step in entry.steps if not step.reason.startswith("it was built before these changes")]


def edit_yaml(path, change):
    yaml = YAML()
    content = yaml.load(path)
    change(content)
    yaml.dump(content, path)


class TestWhatChanges:
    def test_what_a_branch_changes_is_told_and_not_what_its_base_changed_meanwhile(self, history):
        cached = history.write(records_of(train=range(25)), version="1.1.0")
        history.commit_all()
        history.git("checkout", "--quiet", "main")
        history.commit(records_of(train=range(99)), version="2.0.0")
        history.git("checkout", "--quiet", "topic")
        shutil.copyfile(cached, history.tar)
        (entry,) = report("main", repo=history.root, offline=True)
        assert (entry.difference.old_version, entry.difference.new_version) == ("1.0.0", "1.1.0")
        assert steps(entry) == []
        text = markdown([entry])
        assert text.startswith(f"## Datasets\n\n1 dataset is changed since main ({history.commits[0][:12]}).\n")
        assert "| train | 30 | 25 | 0 | 5 | 0 | 25 | 0 |" in text
        assert f"make diff DATASET=small FROM={history.commits[0][:12]} SHOW=20\n" in text
        assert "make verify DATASET=small REBUILD=1\n" in text

    def test_a_report_goes_on_without_the_examples_that_cannot_be_compared(self, history):
        history.commit(records_of(train=range(25)), version="1.1.0")
        history.tar.unlink()
        shutil.rmtree(history.root / ".dvc/cache")
        entry = entries(history.root)["small"]
        assert entry.difference.note.startswith("examples were not compared: small: small.tar of ")
        assert "version | 1.0.0 | 1.1.0" in markdown([entry])

    def test_a_report_goes_on_where_the_artifact_in_the_work_tree_is_of_another_revision(self, history):
        history.write(records_of(train=range(25)), version="1.1.0").unlink()
        history.tar.write_bytes(history.tar.read_bytes().replace(b'"train": 25', b'"train": 26'))
        assert "does not belong to the manifest" in entries(history.root)["small"].difference.note
        with pytest.raises(loader.ManifestError, match="does not belong to the manifest"):
            diff("small", repo=history.root, offline=True)

    def test_a_branch_that_changes_nothing_has_nothing_to_do(self, branch):
        commit = branch.run("git", "rev-parse", "HEAD").stdout[:12]
        text = markdown(list(entries(branch.root).values()))
        assert text == f"## Datasets\n\n4 datasets are unchanged since main ({commit}).\n"

    def test_only_another_license_needs_neither_a_version_nor_a_push(self, history, remote):
        remote.point(history.root)
        history.write(records_of(train=range(30)), license="MIT")
        entry = entries(history.root, offline=False)["small"]
        assert steps(entry) == []
        assert (entry.is_recorded, entry.remotes, entry.review) == (False, {}, ("make verify DATASET=small REBUILD=1",))
        assert "| small | 1.0.0 | only its description | unchanged |" in markdown([entry])

    def test_a_base_that_only_the_remote_has_is_found(self, history):
        history.git("update-ref", "refs/remotes/origin/develop", "HEAD")
        history.commit(records_of(train=range(25)), version="1.1.0")
        found = entries(history.root, "develop")["small"].difference
        assert found.old_label == f"origin/develop ({history.commits[0][:12]})"
        assert found.configs[0].removed == 5
        with pytest.raises(loader.NotFoundError, match="has no revision 'nowhere'"):
            report("nowhere", repo=history.root)

    def test_text_of_others_means_nothing_in_markdown(self, history):
        history.write(records_of(train=range(30)), version="1.0.1", license="[x](y)\n```\n# <img>")
        manifest = history.root / "artifacts/small.json"
        document = json.loads(manifest.read_text())
        document["artifacts"]["small.tar"]["version"] = document["version"]
        manifest.write_text(json.dumps({**document, "version": "1.0|`<b>"}))
        text = markdown(list(entries(history.root).values()))
        assert r"| 1.0.0 → 1.0\|\`\<b\> |" in text
        assert "<img>" not in text.replace(r"\<img\>", "")
        assert text.count("```") % 2 == 0


class TestVersions:
    def test_other_bytes_need_another_version(self, history):
        history.commit(records_of(train=range(25)))
        (step,) = steps(entries(history.root)["small"])
        assert step.command == BUILD
        assert step.reason.startswith(f"version 1.0.0 has other bytes in commit {history.commits[0][:7]} of ")
        assert step.reason.endswith(": raise the version in params.yaml and in the builder")

    def test_a_version_that_the_base_recorded_meanwhile_is_taken(self, history):
        cached = history.write(records_of(train=range(25)), version="1.1.0")
        history.commit_all()
        history.git("checkout", "--quiet", "main")
        history.commit(records_of(train=range(20)), version="1.1.0")
        history.git("tag", "-a", "small@v1.1.0", "-m", "release")
        history.git("checkout", "--quiet", "topic")
        shutil.copyfile(cached, history.tar)
        (step,) = steps(entries(history.root)["small"])
        assert step.reason.startswith(f"version 1.1.0 has other bytes in commit {history.commits[-1][:7]} of ")
        assert ", tagged small@v1.1.0: raise the version" in step.reason

    def test_a_withdrawn_record_takes_no_version(self, history):
        history.commit(records_of(train=range(25)), withdrawn=[history.commits[0][:7]])
        assert steps(entries(history.root)["small"]) == []

    def test_going_back_to_what_was_recorded_is_told(self, history):
        history.commit(records_of(train=range(25)), version="1.1.0")
        history.write(records_of(train=range(30)))
        entry = entries(history.root, "topic")["small"]
        assert steps(entry) == []
        assert entry.notes[-1].startswith(f"it goes back to what commit {history.commits[0][:7]} of ")


class TestRemotes:
    def test_a_new_version_is_asked_for_on_its_remote(self, history, remote):
        remote.point(history.root)
        history.commit(records_of(train=range(25)), version="1.1.0")
        entry = entries(history.root, offline=False)["small"]
        assert entry.remotes == {"small.tar": "not on its remote"}
        assert [tuple(step) for step in steps(entry)] == [("small.tar: not on its remote", PUSH)]
        assert "| 1.0.0 → 1.1.0 | changed | not on its remote |" in markdown([entry])

        key = remote.publish(history.tar)
        entry = entries(history.root, offline=False)["small"]
        assert steps(entry) == []
        assert entry.notes == ("on its remote, with the recorded size: small.tar",)

        remote.write(key, b"cut off")
        (step,) = steps(entries(history.root, offline=False)["small"])
        assert step.reason.startswith("small.tar: on its remote with 7 bytes instead of ")
        assert step.command == PUSH

    def test_the_remote_of_another_visibility_is_asked_though_no_byte_changed(self, history, remote):
        remote.point(history.root)
        remote.publish(history.tar)
        stages = history.root / "dvc.yaml"
        stages.write_text(stages.read_text().replace("remote: public", "remote: private"))
        (step,) = steps(entries(history.root, offline=False)["small"])
        assert tuple(step) == ("small.tar: not on its remote", "make push DATASET=small")

    def test_a_remote_that_does_not_answer_is_named_and_is_nothing_to_do(self, branch):
        def change(lock):
            for out in lock["stages"]["digit_speakers"]["outs"]:
                out["md5"] = out["md5"][::-1] if out["path"].endswith(".tar") else out["md5"]

        edit_yaml(branch.root / "dvc.lock", change)
        (branch.root / ".dvc/config.local").write_text("['remote \"public\"']\nendpointurl = http://127.0.0.1:9\n")
        entry = entries(branch.root, offline=False)["digit_speakers"]
        assert len(entry.remotes) == 3
        (note,) = entry.notes
        assert note.startswith("its remote cannot be asked: remote 'public' at http://127.0.0.1:9")
        assert "make push" not in markdown([entry])
        assert "| remote unknown |" in markdown([entry])

    def test_offline_the_remote_is_not_asked(self, history):
        history.commit(records_of(train=range(25)), version="1.1.0")
        entry = entries(history.root)["small"]
        assert (entry.remotes, entry.notes) == ({}, ("its remote was not asked: offline",))


class TestRecords:
    def test_only_another_md5_in_dvc_lock_is_told(self, branch):
        def change(lock):
            for out in lock["stages"]["mnist"]["outs"]:
                out["md5"] = "0" * 32 if out["path"] == "artifacts/mnist.tar" else out["md5"]

        edit_yaml(branch.root / "dvc.lock", change)
        found = entries(branch.root)
        assert found["mnist"].difference.status == "same"
        assert [tuple(step) for step in found["mnist"].steps] == [
            ("dvc.lock records other bytes of mnist.tar, and the manifest does not", "make build DATASET=mnist")
        ]
        assert [tuple(step) for step in found["mnist_fgsm"].steps] == [
            ("it was built before these changes: its parent mnist", "make build DATASET=mnist_fgsm")
        ]
        text = markdown(list(found.values()))
        assert "4 datasets are unchanged since main" in text
        assert "**2 datasets are not ready to be merged.**" in text

    def test_a_definition_that_was_not_built_is_told_once(self, branch):
        params = branch.root / "params.yaml"
        params.write_text(params.read_text().replace("epsilon: 26", "epsilon: 8"))
        text = markdown(list(entries(branch.root).values()))
        assert text.count("make build DATASET=mnist_fgsm") == 1
        assert "# it was built before these changes: params.yaml (epsilon)\nmake build DATASET=mnist_fgsm\n" in text

    def test_a_new_dataset_is_to_be_built_and_then_to_be_looked_at(self, branch):
        branch.scripts("new", "stripes")
        entry = entries(branch.root)["stripes"]
        assert [tuple(step) for step in entry.steps] == [("it was never built", "make build DATASET=stripes")]
        assert "1 dataset is not built yet." in markdown([entry])
        branch.run("git", "add", "--all")
        branch.run("git", "-c", "user.name=test", "-c", "user.email=t@example.org", "commit", "--quiet", "-m", "new")
        entry = entries(branch.root, "topic")["stripes"]
        assert entry.steps == ()  # the base has it too, so it is not for this branch to build

    def test_a_removed_parent_names_what_is_derived_from_it(self, branch):
        for file, key in (("params.yaml", None), ("dvc.yaml", "stages"), ("dvc.lock", "stages")):
            edit_yaml(branch.root / file, lambda content, key=key: (content[key] if key else content).pop("mnist"))
        for path in branch.root.glob("artifacts/mnist.*"):
            path.unlink()
        entry = entries(branch.root)["mnist"]
        assert entry.difference.status == "removed"
        assert [tuple(step) for step in entry.steps] == [
            ("mnist_fgsm is derived from it: remove mnist_fgsm too, or keep it", "make remove DATASET=mnist_fgsm")
        ]
        (command,) = entry.review
        done = branch.run("python", "-m", "loader", "info", "mnist", "--rev", command.partition("REV=")[2])
        assert done.stdout.startswith("mnist 3.0.1\n")
