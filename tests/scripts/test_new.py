"""A dataset in one command, which builds as it stands."""

import hashlib
import json
import re
import shutil
from functools import partial
from pathlib import Path

import pytest

from scripts._define.definition import read_definition
from scripts._define.parent import Features, Parent
from scripts._define.scaffold import adversarial, standard
from scripts._process.errors import ScriptError
from scripts.new import new
from tests.helpers.buildable_dataset import add_buildable
from tests.helpers.commented_repository import commit, make_commented, status
from tests.helpers.killing import files_of, run_killed

BUILDER = "datasets/standard/third/third.py"


@pytest.fixture
def root(tmp_path):
    return make_commented(tmp_path / "house")


def refused(root, match, name="third", **options):
    before = files_of(root)
    with pytest.raises(ScriptError, match=match):
        new(name, root=root, **options)
    assert files_of(root) == before


def give_features(root, name, **features):
    """Write the manifest of a dataset that has these features."""
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


def test_it_builds_as_it_stands(clone):
    told = clone.run("make", "--silent", "new", "NAME=my_dataset", "KIND=standard").stdout
    assert len(re.findall(r"^  \d\. .*", told, re.MULTILINE)) == 3
    assert "it is private: to publish it, say public in params.yaml" in told
    assert {line[3:] for line in status(clone.root)} == {
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
    before = set(status(clone.root))
    nowhere = {"DATASETS_MIRROR": "", "https_proxy": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}
    clone.run("make", "--silent", "build", "DATASET=my_dataset", env=nowhere)
    seen = clone.python(
        "import loader\n"
        "info, ds = loader.load('my_dataset')\n"
        "print(info.version, len(ds['train']), len(ds['test']), {e['image'].shape for e in ds['train']})\n"
        "print(sorted((e['image'][0] == e['image'][2]).all() and int(e['label']) for e in ds['train']))\n"
    )
    assert seen == "1.0.0 6 2 {(8, 8, 3)}\n[0, 0, 0, 1, 1, 1]\n"
    assert "didn't change" in clone.run("dvc", "repro", "my_dataset").stdout
    assert set(status(clone.root)) - before == {"?? artifacts/my_dataset.json", " M dvc.lock"}
    # the third step, as it is told
    (step,) = re.findall(r"3\. (git add [^;]*);", told)
    clone.run("sh", "-c", step)
    assert all(line[1] == " " for line in status(clone.root))


def test_the_name_comes_from_the_command_line(clone):
    ended = clone.run("make", "new", check=False, env={"NAME": "the_machine"})
    assert ended.returncode
    assert "name it: make new NAME=my_dataset KIND=standard" in ended.stderr
    assert status(clone.root) == []


def test_its_data_may_come_from_elsewhere_as_it_says(clone):
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
def test_an_adversarial_one_is_derived_and_builds_as_it_stands(clone):
    add_buildable(clone.root)
    clone.run("dvc", "repro", "tiny")
    told = clone.run("make", "--silent", "new", "NAME=tiny_grey", "KIND=adversarial", "PARENT=tiny").stdout
    assert "datasets/adversarial/tiny_grey" in told
    found = read_definition("tiny_grey", root=clone.root)
    assert found.parents == {"tiny": ("tiny.tar",)}
    assert (found.visibility, found.license, found.arguments) == ("private", "CC0", {"epsilon": 8})
    clone.run("make", "--silent", "build", "DATASET=tiny_grey")
    seen = clone.python(
        "import loader, numpy as np\n"
        "parent, child = (loader.load(name, split='test')[1] for name in ('tiny', 'tiny_grey'))\n"
        "assert len(parent) == len(child) == 30\n"
        "known = {example['image'].tobytes(): int(example['label']) for example in parent}\n"
        "for example in child:\n"
        "    assert known[example['image'].tobytes()] == example['label']\n"
        "    moved = example['adversarial_image'].astype(int) - example['image']\n"
        "    assert (moved == np.where(example['image'] < 128, 8, -8)).all()\n"
        "print('ok')"
    )
    assert seen == "ok\n"
    assert list(json.loads((clone.root / "artifacts/tiny_grey.json").read_text())["parents"]) == ["tiny"]
    # what is read without being a dependency would not be recorded, and a private parent not be noticed
    stages = clone.root / "dvc.yaml"
    stages.write_text(stages.read_text().replace("      - artifacts/tiny.tar\n", ""))
    for command in ("build", "fetch"):
        refused = clone.scripts(command, "tiny_grey", check=False)
        assert "tiny_grey: its builder reads the dataset tiny, on which its stage does not depend" in refused


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
    assert f"error: {folder} cannot be made: No space left on device\n" in clone.python(code, check=False)
    assert clone.run("git", "status", "--porcelain").stdout == ""


def test_the_scaffold_passes_the_lint(clone):
    long = "a" * 64
    clone.scripts("new", long)
    clone.scripts("new", "my_attack", "--kind", "adversarial")
    clone.run("ruff", "check", "datasets")
    clone.run("ruff", "format", "--check", "datasets")
    for word in ("TODO", "$", "fake"):
        assert word not in (clone.root / f"datasets/standard/{long}/{long}.py").read_text()
        assert word not in (clone.root / "datasets/adversarial/my_attack/my_attack.py").read_text()
    assert not list((clone.root / "datasets").rglob("__init__.py"))
    assert clone.scripts("new", long).startswith(f"made datasets/standard/{long}")  # it is as it was made


@pytest.mark.parametrize(
    "name",
    ["", "Third", "3rd", "my-dataset", "_third", "third_", "a__b", "a b", "über", "a/b", "../x", "a" * 65, "x.y"],
)
def test_a_bad_name_is_refused(root, name):
    refused(root, f"{re.escape(repr(name))} is no name for a dataset: it must be in snake_case", name)


def test_what_tfds_would_call_otherwise_is_refused(root):
    refused(root, "not end in _dataset_builder", "third_dataset_builder")


@pytest.mark.parametrize(
    ("name", "whose"),
    [
        ("class", "it is a word of Python"),
        ("match", "it is a word of Python"),
        ("toolchain", r"it is a word of params\.yaml"),
        ("mnist", "TFDS has a builder of that name; add it with: make add DATASET=mnist"),
        ("ai2_arc", "TFDS has a builder"),
        ("first", "there is a dataset first already"),
        ("second", "there is a dataset second already"),
    ],
)
def test_a_taken_name_is_refused(root, name, whose):
    refused(root, whose, name)


def test_a_name_of_the_other_kind_is_taken(root):
    new("third", root=root)
    give_features(root, "second", image="image", label="label")
    refused(root, "the name third is in use: there is a folder datasets/standard/third", kind="adversarial")
    refused(root, "the name first is in use", "first", kind="adversarial", parent="second")


def test_a_folder_that_is_no_scaffold_is_left_alone(root):
    folder = root / "datasets/standard/third"
    folder.mkdir()
    (folder / "third.py").write_text("# mine\n")
    refused(root, f"{folder} is there already, is not what would be made, .*rm -r {folder}")
    shutil.rmtree(folder)  # as the message says
    new("third", root=root)


def test_once_edited_the_name_is_taken(root):
    new("third", root=root)
    after = files_of(root)
    new("third", root=root)
    assert files_of(root) == after
    (root / BUILDER).write_text("# mine\n")
    refused(root, "there is a dataset third already; choose another name, build it with: make build DATASET=third")


def test_killed_anywhere_it_is_made_by_making_it_again(tmp_path):
    expected = make_commented(tmp_path / "expected")
    new("third", root=expected)
    after = files_of(expected)
    for step in range(200):
        root = make_commented(tmp_path / f"{step}")
        ended = run_killed(partial(new, "third", root=root), step, root=root)
        # what is there looks finished only if it is
        assert not (root / "datasets/standard/third").exists() or (root / BUILDER).read_bytes() == after[BUILDER]
        new("third", root=root)
        assert files_of(root) == after, f"killed before step {step}"
        assert not list((root / ".scratch").glob("*/"))
        if ended:
            break
        shutil.rmtree(root)
    assert 25 <= step < 200  # eleven files and their folders, then three that are edited


def test_a_parent_must_be_there_and_built(root):
    refused(
        root, r"nothing can be derived from mnist: there is no dataset .* name another with PARENT=", kind="adversarial"
    )
    refused(root, "the parent second is not built, .*make build DATASET=second", kind="adversarial", parent="second")


@pytest.mark.parametrize("features", [{"image": "image"}, {"label": "label"}, {"image": "image16", "label": "label"}])
def test_a_parent_must_have_an_image_and_a_class(root, features):
    give_features(root, "first", **features)
    refused(root, "the parent first has no image of uint8 with a ClassLabel", kind="adversarial", parent="first")


def test_a_derived_one_takes_what_its_parent_has(root):
    give_features(root, "second", words="text", picture="image", animal="label")
    commit(root)
    builder = (new("third", kind="adversarial", parent="second", root=root) / "third.py").read_text()
    assert builder.count("Image(shape=(4, None, 3))") == 2
    assert "ClassLabel(num_classes=7)" in builder
    assert builder.count('example["picture"]') == 2
    assert 'example["animal"]' in builder
    assert 'splits["validation"][:_EXAMPLES]' in builder
    found = read_definition("third", root=root)
    assert found.parents == {"second": ("second-a.tar", "second-b.tar")}
    assert found.license == "CC BY 4.0"


def test_the_scaffolds_are_the_same_every_time():
    parent = Parent("p", "CC0", "x", ("artifacts/p.tar",), Features("test", "image", (2, 2, 1), "label", 3))
    assert standard("third") == standard("third")
    assert adversarial("third", parent) == adversarial("third", parent)
