"""Creating datasets that can be built without changes."""

import hashlib
import json
import os
import re
import shutil
from functools import partial
from pathlib import Path

import pytest

from scripts._define.definition import read_definition
from scripts._define.parent import Parent, PerturbedFeatures
from scripts._define.scaffold import adversarial, derived, standard
from scripts._process.errors import ScriptError
from scripts.new import new
from tests.helpers.commented_repository import git_status, make_commented_repository
from tests.helpers.killing import kill_at_step, read_files

BUILDER = "datasets/standard/third/third.py"


@pytest.fixture
def root(tmp_path):
    return make_commented_repository(tmp_path / "repository")


def assert_refused(root, match, name="third", **options):
    before = read_files(root)
    with pytest.raises(ScriptError, match=match):
        new(name, root=root, **options)
    assert read_files(root) == before


def give_features(root, name, **features):
    """Write a manifest with these features for a dataset."""
    kinds = {
        "image": {"image": {"dtype": "uint8", "shape": {"dimensions": ["4", "-1", "3"]}}},
        "image16": {"image": {"dtype": "uint16", "shape": {"dimensions": ["4", "4", "1"]}}},
        "label": {"classLabel": {"numClasses": "7"}},
        "text": {"text": {}},
    }
    entry = {
        "config": None,
        "size": 1024,
        "sha256": "0" * 64,
        "index": {"offset": 512, "size": 9, "sha256": "0" * 64},
        "splits": {"validation": {}, "unlabelled": {}},
        "features": {"featuresDict": {"features": {key: kinds[kind] for key, kind in features.items()}}},
    }
    manifest = {"format": 1, "name": name, "version": "1.0.0", "artifacts": {f"{name}.tar": entry}}
    (root / f"artifacts/{name}.json").write_text(json.dumps(manifest))


@pytest.mark.slow
def test_a_new_dataset_builds_without_changes(clone):
    output = clone.run("make", "--silent", "new", "NAME=my_dataset", "KIND=standard").stdout
    assert len(re.findall(r"^  \d\. .*", output, re.MULTILINE)) == 3
    assert "it is private: to publish it, set remote to public in dvc.yaml" in output
    assert {line[3:] for line in git_status(clone.root)} == {
        "dvc.yaml",
        "params.yaml",
        "datasets/standard/my_dataset/README.md",
        "datasets/standard/my_dataset/checksums.tsv",
        "datasets/standard/my_dataset/my_dataset.py",
        *(
            f"datasets/standard/my_dataset/data/{split}/{label}_{number}.png"
            for split, count in (("train", 3), ("test", 1))
            for label in ("horizontal", "vertical")
            for number in range(count)
        ),
    }
    before = set(git_status(clone.root))
    no_network = {"DATASETS_MIRROR": "", "https_proxy": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}
    clone.run("make", "--silent", "build", "DATASET=my_dataset", env=no_network)
    loaded = clone.python(
        "import loader\n"
        "info, ds = loader.load('my_dataset')\n"
        "print(info.version, len(ds['train']), len(ds['test']), {e['image'].shape for e in ds['train']})\n"
        "print(sorted((e['image'][0] == e['image'][2]).all() and int(e['label']) for e in ds['train']))\n"
    )
    assert loaded == "1.0.0 6 2 {(8, 8, 3)}\n[0, 0, 0, 1, 1, 1]\n"
    assert "didn't change" in clone.run("dvc", "repro", "my_dataset").stdout
    assert set(git_status(clone.root)) - before == {
        *(f"?? artifacts/my_dataset.{suffix}" for suffix in ("json", "stats.json", "croissant.json")),
        " M dvc.lock",
    }
    # the third of the printed steps
    (step,) = re.findall(r"3\. (git add [^;]*);", output)
    clone.run("sh", "-c", step)
    assert all(line[1] == " " for line in git_status(clone.root))


@pytest.mark.slow
def test_an_adversarial_dataset_without_a_parent_and_one_named_as_one_of_tfds_build_without_changes(clone):
    longest = "a" * 197
    clone.scripts("new", "own_pairs", "--kind", "adversarial")
    clone.scripts("new", longest)
    assert "TFDS has a builder resisc45 too" in clone.scripts("new", "resisc45")
    clone.run("dvc", "repro", "own_pairs", "resisc45", longest)
    loaded = clone.python(
        "import loader\n"
        "info, pairs = loader.load('own_pairs', split='test')\n"
        "moved = [abs(pair['adversarial_image'].astype(int) - pair['image']).max() for pair in pairs]\n"
        "print(len(pairs), set(map(int, moved)), sorted(map(int, pairs['label'])), info.features['label'].names)\n"
        f"print(*(len(loader.load(name, split='train')[1]) for name in ('resisc45', {longest!r})))\n"
    )
    assert loaded == "4 {8} [0, 0, 1, 1] ('horizontal', 'vertical')\n6 6\n"


def test_an_environment_variable_does_not_set_the_name(clone):
    done = clone.run("make", "new", check=False, env={"NAME": "the_machine"})
    assert done.returncode
    assert "name it: make new NAME=my_dataset KIND=standard" in done.stderr
    assert git_status(clone.root) == []


def test_the_template_explains_how_to_download_data(clone):
    clone.scripts("new", "third")
    builder = clone.root / BUILDER
    text = builder.read_text()
    (here,), (line,) = re.findall(r"\n( +data = .*)", text), re.findall(r"#     (data = .*)", text)
    (url,) = re.findall('"(.*)"', line)
    builder.write_text(text.replace(here, f"        {line}"))
    source = shutil.make_archive(str(clone.root / "sources/third/data-1.0"), "zip", builder.parent / "data")
    shutil.rmtree(builder.parent / "data")
    content = Path(source).read_bytes()
    line = f"{url}\t{len(content)}\t{hashlib.sha256(content).hexdigest()}\tdata-1.0.zip\n"
    (builder.parent / "checksums.tsv").write_text(line)
    clone.run("dvc", "repro", "third")
    manifest = json.loads((clone.root / "artifacts/third.json").read_text())
    assert [found["url"] for found in manifest["sources"]] == [url]
    assert manifest["artifacts"]["third.tar"]["splits"]["train"]["examples"] == 6


@pytest.mark.slow
def test_a_new_adversarial_dataset_builds_without_changes(built_tiny):
    clone = built_tiny
    output = clone.run("make", "--silent", "new", "NAME=tiny_grey", "KIND=adversarial", "PARENT=tiny").stdout
    assert "datasets/adversarial/tiny_grey" in output
    found = read_definition("tiny_grey", root=clone.root)
    assert found.parents == {"tiny": ("tiny.tar",)}
    assert (found.visibility, found.license, found.arguments) == ("private", "CC0", {"epsilon": 8})
    clone.run("make", "--silent", "build", "DATASET=tiny_grey")
    loaded = clone.python(
        "import loader, numpy as np\n"
        "parent, child = (loader.load(name, split='test')[1] for name in ('tiny', 'tiny_grey'))\n"
        "assert len(parent) == len(child) == 30\n"
        "known = {example['image'].tobytes(): int(example['label']) for example in parent}\n"
        "for example in child:\n"
        "    assert known[example['image'].tobytes()] == example['label']\n"
        "    moved = example['adversarial_image'].astype(int) - example['image']\n"
        "    assert (moved == np.where(example['image'] < 128, 8, -8)).all()\n"
        "    assert example['text'] in (b'one', b'two', b'three')\n"
        "info = loader.load('tiny_grey')[0]\n"
        "assert [*info.features] == ['adversarial_image', 'image', 'label', 'number', 'text'], [*info.features]\n"
        "assert tuple(info.features['label'].names) == ('even', 'odd')\n"
        "print('ok')"
    )
    assert loaded == "ok\n"
    clone.run("ruff", "check", "datasets/adversarial/tiny_grey")
    clone.run("ruff", "format", "--check", "datasets/adversarial/tiny_grey")
    assert list(json.loads((clone.root / "artifacts/tiny_grey.json").read_text())["parents"]) == ["tiny"]
    # a parent that is not a dependency would not be recorded, and could be private without being noticed
    stages = clone.root / "dvc.yaml"
    stages.write_text(stages.read_text().replace("      - artifacts/tiny.tar\n", ""))
    for command in ("build", "fetch"):
        output = clone.scripts(command, "tiny_grey", check=False)
        assert "tiny_grey: its builder reads the dataset tiny, on which its stage does not depend" in output


def test_a_full_disk_names_the_folder_and_leaves_nothing(clone):
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "def full(self, data):\n"
        "    raise OSError(28, os.strerror(28))\n"
        "Path.write_bytes = full\n"
        "sys.argv[1:] = ['new', 'third']\n"
        "from scripts.__main__ import main; main()"
    )
    folder = clone.root / "datasets/standard/third"
    assert f"error: {folder} cannot be created: No space left on device\n" in clone.python(code, check=False)
    assert clone.run("git", "status", "--porcelain").stdout == ""


def test_the_scaffold_passes_the_linter(clone):
    longest = "a" * 197
    clone.scripts("new", longest)
    clone.scripts("new", "my_attack", "--kind", "adversarial")
    assert "? " not in (clone.root / "dvc.yaml").read_text()  # a long key, as ruamel writes it
    clone.run("ruff", "check", "datasets")
    clone.run("ruff", "format", "--check", "datasets")
    for word in ("TODO", "$", "fake"):
        assert word not in (clone.root / f"datasets/standard/{longest}/{longest}.py").read_text()
        assert word not in (clone.root / "datasets/adversarial/my_attack/my_attack.py").read_text()
    assert not list((clone.root / "datasets").rglob("__init__.py"))
    assert clone.scripts("new", longest).startswith(f"created datasets/standard/{longest}")  # the files are unchanged


@pytest.mark.parametrize(
    "name",
    ["", "Third", "3rd", "my-dataset", "_third", "third_", "a__b", "a b", "über", "a/b", "../x", "x.y"],
)
def test_an_invalid_name_is_refused(root, name):
    assert_refused(root, f"{re.escape(repr(name))} is not a valid dataset name: it must be in snake_case", name)


def test_a_name_that_tfds_would_shorten_is_refused(root):
    assert_refused(root, "not end in _dataset_builder", "third_dataset_builder")


def test_a_name_that_is_too_long_is_refused_with_the_limit(root, monkeypatch):
    assert_refused(root, "has 198 characters, and at most 197 work: the file name of an artifact has at", "a" * 198)
    monkeypatch.setattr(os, "pathconf", lambda path, name: 143)  # as on eCryptfs
    assert_refused(root, "has 86 characters, and at most 85 work: this file system takes file names of 143", "a" * 86)
    new("a" * 85, root=root)


def test_the_configs_of_a_long_name_count_too(root):
    new("a" * 197, root=root)
    params = root / "params.yaml"
    params.write_text(params.read_text().replace("  license: unknown\n", "  license: unknown\n  configs: [b]\n"))
    with pytest.raises(ScriptError, match="would have a file name of 203 characters, and at most 201 work"):
        read_definition("a" * 197, root=root)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("class", "it is a keyword of Python"),
        ("match", "it is a keyword of Python"),
        ("toolchain", r"it is a keyword of params\.yaml"),
        ("first", "there is already a dataset first"),
        ("second", "there is already a dataset second"),
    ],
)
def test_a_name_in_use_is_refused(root, name, message):
    assert_refused(root, message, name)


def test_a_name_in_use_by_a_dataset_of_the_other_kind_is_refused(root):
    new("third", root=root)
    assert_refused(root, "the name third is in use: there is a folder datasets/standard/third", kind="adversarial")
    assert_refused(root, "the name first is in use", "first", kind="adversarial")


def test_a_folder_with_other_files_is_not_changed(root):
    folder = root / "datasets/standard/third"
    folder.mkdir()
    (folder / "third.py").write_text("# mine\n")
    assert_refused(root, f"{folder} already exists with other files, .*rm -r {folder}")
    shutil.rmtree(folder)  # as the message says
    new("third", root=root)


def test_an_edited_dataset_is_not_created_again(root):
    new("third", root=root)
    after = read_files(root)
    new("third", root=root)
    assert read_files(root) == after
    (root / BUILDER).write_text("# mine\n")
    assert_refused(
        root, "there is already a dataset third; choose another name, build it with: make build DATASET=third"
    )


@pytest.mark.slow
def test_a_killed_new_is_completed_by_running_it_again(tmp_path):
    expected = make_commented_repository(tmp_path / "expected")
    new("third", root=expected)
    after = read_files(expected)
    for step in range(200):
        root = make_commented_repository(tmp_path / f"{step}")
        finished = kill_at_step(partial(new, "third", root=root), step, root=root)
        # the folder is created atomically
        assert not (root / "datasets/standard/third").exists() or (root / BUILDER).read_bytes() == after[BUILDER]
        new("third", root=root)
        assert read_files(root) == after, f"killed before step {step}"
        assert not list((root / ".scratch").glob("*/"))
        if finished:
            break
        shutil.rmtree(root)
    assert 25 <= step < 200  # eleven new files and their folders, then two edited files


def test_a_parent_must_exist_and_be_built(root):
    assert_refused(
        root,
        r"nothing can be derived from mnist: there is no dataset .* name another with PARENT=",
        kind="adversarial",
        parent="mnist",
    )
    assert_refused(
        root, "the parent second is not built, .*make build DATASET=second", kind="adversarial", parent="second"
    )


@pytest.mark.parametrize("features", [{"label": "label"}, {"image": "image16", "label": "label"}])
def test_a_parent_must_have_an_image(root, features):
    give_features(root, "first", **features)
    assert_refused(
        root, "the parent first has no uint8 image, .* or leave out PARENT", kind="adversarial", parent="first"
    )


def test_a_parent_must_be_here_and_is_for_adversarial_datasets(root):
    give_features(root, "first", image="image")
    assert_refused(root, "the parent first is not here, .* make pull DATASET=first", kind="adversarial", parent="first")
    assert_refused(root, "a standard dataset is created without PARENT=first; add KIND=adversarial", parent="first")


PARENT = Parent(
    "second",
    "CC0",
    "b",
    "artifacts/second.json",
    ("artifacts/second-a.tar", "artifacts/second-b.tar"),
    PerturbedFeatures("validation", "picture", (4, None, 3), "adversarial_picture", None),
    {"features.json": b"{}", "animal.labels.txt": b"cat\n"},
)


def test_a_derived_dataset_reads_the_config_split_and_image_of_its_parent():
    files = derived("third", PARENT).files
    builder = files["third.py"].decode()
    assert builder.count("Image(shape=(4, None, 3))") == 2
    assert 'example["picture"]' in builder
    assert builder.count('"adversarial_picture": ') == 2
    assert 'loader.load(_PARENT, config="b")' in builder
    assert 'splits["validation"][:_EXAMPLES]' in builder
    assert "supervised_keys=None," in builder
    assert files["parent/animal.labels.txt"] == b"cat\n"


def test_scaffolds_are_deterministic():
    assert standard("third") == standard("third")
    assert adversarial("third") == adversarial("third")
    assert derived("third", PARENT) == derived("third", PARENT)
