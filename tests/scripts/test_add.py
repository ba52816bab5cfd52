"""Adding datasets of TFDS."""

import sys
from functools import partial

import pytest

from scripts._define.definition import read_definition
from scripts._process.errors import ScriptError
from scripts._process.files import read_yaml
from scripts.add import add
from tests.helpers.commented_repository import git_status, make_commented_repository
from tests.helpers.killing import kill_at_step, read_files


@pytest.fixture
def root(tmp_path):
    return make_commented_repository(tmp_path / "repository")


def assert_refused(root, match, *names, **options):
    before = read_files(root)
    with pytest.raises(ScriptError, match=match):
        add(*names, root=root, **options)
    assert read_files(root) == before


def test_a_dataset_is_added_with_the_facts_of_its_builder(root):
    add("cifar10", root=root)
    found = read_definition("cifar10", root=root)
    assert (found.builder, found.version, found.visibility) == ("cifar10", "3.0.2", "private")
    assert found.license == "unknown, see https://www.cs.toronto.edu/~kriz/cifar.html"
    assert (found.configs, found.parents, found.folder) == ((), {}, None)
    desc = read_yaml(root / "dvc.yaml")["stages"]["cifar10"]["desc"]
    assert desc == (
        "The CIFAR-10 dataset consists of 60000 32x32 colour images in 10 classes, with 6000 images per class "
        "(TFDS's own builder)"
    )
    assert {line[3:] for line in git_status(root)} == {"dvc.yaml", "params.yaml"}


def test_a_license_that_tfds_knows_is_recorded(root):
    add("wikipedia", root=root)
    assert "Creative Commons Attribution-ShareAlike 3.0" in read_definition("wikipedia", root=root).license


def test_configs_and_version_can_be_chosen(root):
    add("glue", version="1.0.0", configs=("sst2", "cola"), root=root)
    found = read_definition("glue", root=root)
    assert (found.version, found.configs) == ("1.0.0", ("sst2", "cola"))
    assert [tar.name for tar in found.tars.values()] == ["glue-sst2.tar", "glue-cola.tar"]


@pytest.mark.slow
def test_the_default_config_is_printed_but_not_written_to_params_yaml(clone):
    output = clone.run("make", "--silent", "add", "DATASET=glue", env={"VERSION": "0", "CONFIG": "x"}).stdout
    assert "added glue 2.0.0" in output
    assert "it will be built in its default config, cola, one of 12; to build others, name them: CONFIG=a,b" in output
    assert "fill in license in params.yaml, which TFDS does not know" in output
    assert read_definition("glue", root=clone.root).configs == ()
    clone.scripts("remove", "glue")
    output = clone.run("make", "--silent", "add", "DATASET=glue", "CONFIG=cola, sst2,cola", "VERSION=1.0.0").stdout
    assert "default config" not in output
    assert read_definition("glue", root=clone.root).configs == ("cola", "sst2")
    assert "glue" in clone.run("dvc", "stage", "list").stdout


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("cifar11", "did you mean cifar10_1 (TFDS) or cifar10 (TFDS) or cifar100 (TFDS)?"),
        ("frist", "first (this repository)"),
        ("segond", "did you mean second (this repository)?"),
        ("qqqqqq", "TFDS's datasets are listed at https://www.tensorflow.org/datasets/catalog/overview"),
        ("huggingface:squad", "TFDS's datasets are listed at"),
    ],
)
def test_an_unknown_name_gets_hints_from_tfds_and_this_repository(root, name, hint):
    with pytest.raises(ScriptError, match="neither TFDS nor this repository has a dataset") as raised:
        add(name, root=root)
    assert hint in str(raised.value)


def test_configs_and_versions_that_tfds_does_not_have_are_refused(root):
    assert_refused(root, "glue has no config 'colo'; did you mean cola?", "glue", configs=("cola", "colo"))
    assert_refused(root, "cifar10 has no config 'x'; it has: none", "cifar10", configs=("x",))
    message = r"TFDS cannot make its builder cifar10: Dataset .* at version 9\.9\.9"
    assert_refused(root, message, "cifar10", version="9.9.9")
    assert_refused(root, "TFDS cannot make its builder wmt_translate: ", "wmt_translate")


def test_configs_with_versions_of_their_own_are_added_with_them(root):
    assert add("librispeech", configs=("default", "lazy_decode"), root=root)["librispeech"].version == "2.1.2"
    found = read_definition("librispeech", root=root)
    assert (found.version, found.config_versions) == (None, {"default": "2.1.1", "lazy_decode": "2.1.2"})
    assert found.configs == ("default", "lazy_decode")


def test_a_builder_whose_package_is_missing_is_refused(root, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert_refused(root, "TFDS cannot make its builder qm9: .*pandas", "qm9")


def test_a_name_in_use_is_refused(root):
    assert_refused(root, "there is already a dataset first", "first")
    add("cifar10", root=root)
    after = read_files(root)
    add("cifar10", root=root)  # no error, because the first run may have been killed
    assert read_files(root) == after
    (root / "params.yaml").write_text((root / "params.yaml").read_text().replace("license: unknown", "license: MIT"))
    assert_refused(root, "there is already a dataset cifar10", "cifar10")


def test_several_datasets_are_added_or_none(root):
    assert_refused(root, "has a dataset 'cifar11'", "cifar10", "cifar11")
    assert_refused(root, "there is already a dataset first", "cifar10", "first")
    assert_refused(root, "TFDS cannot make its builder wmt_translate: ", "cifar10", "wmt_translate")
    assert_refused(root, "a version and configs are for one dataset", "cifar10", "glue", configs=("cola",))
    add("glue", "cifar10", "glue", root=root)
    assert read_definition("glue", root=root).version == "2.0.0"
    assert read_definition("cifar10", root=root).version == "3.0.2"


def test_add_imports_neither_tensorflow_nor_dvc(clone):
    code = (
        "import sys; from scripts.add import add; add('cifar10')\n"
        "print([name for name in ('tensorflow', 'dvc') if name in sys.modules])"
    )
    assert clone.python(code) == "[]\n"


@pytest.mark.slow
@pytest.mark.parametrize("names", [["cifar10"], ["cifar10", "glue"]])
def test_a_killed_add_is_completed_by_running_it_again(tmp_path, names):
    expected = make_commented_repository(tmp_path / "expected")
    add(*names, root=expected)
    after = read_files(expected)
    for step in range(100):
        root = make_commented_repository(tmp_path / f"{step}")
        finished = kill_at_step(partial(add, *names, root=root), step, root=root)
        add(*names, root=root)
        assert read_files(root) == after, f"killed before step {step}"
        if finished:
            break
    assert 6 <= step < 100
