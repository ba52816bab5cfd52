"""One of TFDS's datasets, registered in one command."""

import sys
from functools import partial

import pytest

from scripts._define.definition import read_definition
from scripts._process.errors import ScriptError
from scripts._process.files import read_yaml
from scripts.add import add
from tests.helpers.commented_repository import make_commented, status
from tests.helpers.killing import files_of, run_killed


@pytest.fixture
def root(tmp_path):
    return make_commented(tmp_path / "house")


def refused(root, match, name, **options):
    before = files_of(root)
    with pytest.raises(ScriptError, match=match):
        add(name, root=root, **options)
    assert files_of(root) == before


def test_it_is_registered_with_what_tfds_says(root):
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
    assert {line[3:] for line in status(root)} == {"dvc.yaml", "params.yaml"}


def test_a_licence_that_tfds_knows_is_taken(root):
    add("wikipedia", root=root)
    assert "Creative Commons Attribution-ShareAlike 3.0" in read_definition("wikipedia", root=root).license


def test_configs_and_a_version_are_chosen(root):
    add("glue", version="1.0.0", configs=("sst2", "cola"), root=root)
    found = read_definition("glue", root=root)
    assert (found.version, found.configs) == ("1.0.0", ("sst2", "cola"))
    assert [tar.name for tar in found.tars.values()] == ["glue-sst2.tar", "glue-cola.tar"]


def test_the_default_config_is_told_and_left_to_tfds(clone):
    told = clone.run("make", "--silent", "add", "DATASET=glue", env={"VERSION": "0", "CONFIG": "x"}).stdout
    assert "added glue 2.0.0" in told
    assert "it will be built in its default config, cola, one of 12; for others name them: CONFIG=a,b" in told
    assert "fill in license in params.yaml, which TFDS does not know" in told
    assert read_definition("glue", root=clone.root).configs == ()
    clone.scripts("remove", "glue")
    told = clone.run("make", "--silent", "add", "DATASET=glue", "CONFIG=cola, sst2,cola", "VERSION=1.0.0").stdout
    assert "default config" not in told
    assert read_definition("glue", root=clone.root).configs == ("cola", "sst2")
    assert "glue" in clone.run("dvc", "stage", "list").stdout


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("cifar11", "did you mean cifar10_1 (TFDS) or cifar10 (TFDS) or cifar100 (TFDS)?"),
        ("frist", "first (here)"),
        ("segond", "did you mean second (here)?"),
        ("qqqqqq", "TFDS's are listed at https://www.tensorflow.org/datasets/catalog/overview"),
        ("huggingface:squad", "TFDS's are listed at"),
    ],
)
def test_a_name_unknown_to_both_gets_the_nearest_of_both(root, name, hint):
    with pytest.raises(ScriptError, match="neither TFDS nor this repository has a dataset") as raised:
        add(name, root=root)
    assert hint in str(raised.value)


def test_what_tfds_has_not_is_refused(root):
    refused(root, "glue has no config 'colo'; did you mean cola?", "glue", configs=("cola", "colo"))
    both = ("default", "lazy_decode")
    refused(
        root, r"the configs .* of librispeech have different versions \(2\.1\.1, 2\.1\.2\)", "librispeech", configs=both
    )
    refused(root, "cifar10 has no config 'x'; it has: none", "cifar10", configs=("x",))
    refused(root, r"TFDS cannot make its builder cifar10: Dataset .* at version 9\.9\.9", "cifar10", version="9.9.9")
    refused(root, "TFDS cannot make its builder wmt_translate: ", "wmt_translate")


def test_a_builder_whose_package_is_missing_is_refused(root, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    refused(root, "TFDS cannot make its builder qm9: .*pandas", "qm9")


def test_a_taken_name_is_refused(root):
    refused(root, "there is a dataset first already", "first")
    add("cifar10", root=root)
    after = files_of(root)
    add("cifar10", root=root)  # as a run does that follows a killed one
    assert files_of(root) == after
    (root / "params.yaml").write_text((root / "params.yaml").read_text().replace("license: unknown", "license: MIT"))
    refused(root, "there is a dataset cifar10 already", "cifar10")


def test_tensorflow_stays_out(clone):
    code = (
        "import sys; from scripts.add import add; add('cifar10')\n"
        "print([name for name in ('tensorflow', 'dvc') if name in sys.modules])"
    )
    assert clone.python(code) == "[]\n"


def test_killed_anywhere_it_is_added_by_adding_it_again(tmp_path):
    expected = make_commented(tmp_path / "expected")
    add("cifar10", root=expected)
    after = files_of(expected)
    for step in range(100):
        root = make_commented(tmp_path / f"{step}")
        ended = run_killed(partial(add, "cifar10", root=root), step, root=root)
        add("cifar10", root=root)
        assert files_of(root) == after, f"killed before step {step}"
        if ended:
            break
    assert 6 <= step < 100
