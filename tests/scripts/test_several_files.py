"""A builder may be several files, whatever other package has the name of one of them.

That Beam's workers get them is in test_packages.py.
"""

import hashlib
import json
import pickle
import sys
import tarfile

import pytest

from scripts._define.definition import read_definition
from scripts._tfds.builder import find_builder
from scripts._tfds.modules import load_module, read_code
from scripts._verify.sandbox import rebuilt
from tests.conftest import make_clone
from tests.helpers.several_files import add_several_files

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")


@pytest.fixture(autouse=True)
def own_modules():
    """Forget what a test imports."""
    before = dict(sys.modules)
    yield
    for name in sys.modules.keys() - before.keys():
        if name.startswith(("dataset_folders", "datasets", "one_", "two_", "tiny_")):
            del sys.modules[name]
    sys.meta_path[:] = [each for each in sys.meta_path if not hasattr(each, "package")]


@pytest.fixture
def load(tmp_path):
    """A function that imports a builder with the given files."""

    def load_files(name, **files):
        folder = tmp_path / "datasets/standard" / name
        folder.mkdir(parents=True)
        for file, text in files.items():
            (folder / f"{file}.py").write_text(text)
        return load_module(read_code(folder, name=name, root=tmp_path))

    return load_files


def test_two_datasets_of_one_process_have_their_own_helper(load):
    code = "import helper\nfrom . import helper as same\ndef late():\n    import helper\n    return helper.VALUE\n"
    one = load("one", one=code, helper="VALUE = 1")
    two = load("two", two=code, helper="VALUE = 2")
    assert (one.helper.VALUE, two.helper.VALUE) == (1, 2)
    assert (one.late(), two.late()) == (1, 2)
    assert one.helper is one.same
    assert "helper" not in sys.modules


def test_a_builder_below_an_import_is_not_registered_with_tfds(tmp_path):
    import tensorflow_datasets as tfds

    folder = tmp_path / "datasets/standard/one"
    folder.mkdir(parents=True)
    (folder / "helper.py").write_text("")
    (folder / "one.py").write_text(
        "import tensorflow_datasets as tfds\nfrom . import helper\nclass One(tfds.core.GeneratorBasedBuilder): pass\n"
    )
    for _ in range(2):  # as for a second config
        load_module(read_code(folder, name="one", root=tmp_path))
    assert "one" not in tfds.list_builders(with_community_datasets=False)


def test_another_package_named_datasets_is_not_disturbed(load, tmp_path, monkeypatch):
    other = tmp_path / "elsewhere/datasets/__init__.py"
    other.parent.mkdir(parents=True)
    other.write_text("NAME = 'another package'")
    monkeypatch.syspath_prepend(tmp_path / "elsewhere")
    one = load(
        "one",
        one="import datasets\nfrom datasets.standard.one import helper\nimport datasets.standard.one.helper as same\n"
        "from datasets.standard.one.helper import VALUE\n",
        helper="VALUE = 1",
    )
    assert one.datasets.NAME == "another package"
    assert one.VALUE == one.helper.VALUE == one.same.VALUE == 1


def test_a_file_beside_the_builder_wins_over_a_package_but_not_over_the_standard_library(load, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    for name in ("helper", "one"):
        (tmp_path / f"elsewhere/{name}.py").write_text("VALUE = 'installed'")
    monkeypatch.syspath_prepend(tmp_path / "elsewhere")
    one = load("one", one="import helper, random\nimport one", helper="VALUE = 1", random="VALUE = 2")
    assert one.helper.VALUE == 1
    assert not hasattr(one.random, "VALUE")
    assert one.one.VALUE == "installed"  # a file does not import itself


def test_the_folder_is_a_package_of_its_name_as_for_the_command_line_of_tfds(load):
    one = load(
        "one",
        one="from one import helper\nimport one.helper\nimport one.helper as same\nfrom one.helper import VALUE\n",
        helper="def late():\n    from one import VALUE as same\n    return same\nVALUE = 1\n",
    )
    assert one.helper is one.same is one.one.helper
    assert one.helper.late() == one.VALUE == 1


def test_objects_of_a_helper_can_be_pickled_and_a_changed_helper_is_read_again(load):
    one = load("one", one="import helper", helper="class Point:\n    def __init__(self, x):\n        self.x = x\n")
    assert pickle.loads(pickle.dumps(one.helper.Point(3))).x == 3
    folder = one.helper.__spec__.origin
    with open(folder, "a") as file:  # noqa: PTH123
        file.write("VALUE = 4\n")
    code = sys.modules["one_dataset_builder"].__builder_code__
    assert load_module(read_code(code.folder, name="one", root=code.folder.parents[2])).helper.VALUE == 4


def test_a_builder_as_tfds_new_writes_it_is_found(tmp_path_factory):
    clone = make_clone(tmp_path_factory.mktemp("named") / "clone")
    add_several_files(clone.root)
    folder = clone.root / "datasets/standard/tiny"
    (folder / "tiny.py").rename(folder / "tiny_dataset_builder.py")
    builder = find_builder(read_definition("tiny", root=clone.root))
    assert (builder.name, builder.__module__) == ("tiny", "tiny_dataset_builder")


def md5(clone):
    return hashlib.md5((clone.root / "artifacts/tiny.tar").read_bytes(), usedforsecurity=False).hexdigest()


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """A clone in which a builder of several files was built, and the md5 of its artifact."""
    clone = make_clone(tmp_path_factory.mktemp("several") / "clone")
    add_several_files(clone.root)
    clone.scripts("build", "tiny")
    return clone, md5(clone)


def test_a_builder_of_several_files_is_built_in_worker_processes(several):
    clone, _ = several
    text = clone.python("import loader; print(loader.load('tiny')[1]['train'][7]['text'].decode())")
    assert text.split()[1:] in (["odd", "30oddone"], ["even", "30evenone"])
    with tarfile.open(clone.root / "artifacts/tiny.tar") as tar:
        described = json.loads(tar.extractfile("tiny/1.0.0/dataset_info.json").read())
    assert described["moduleName"] == "datasets.standard.tiny.tiny"


@pytest.mark.slow
def test_a_builder_of_several_files_is_built_in_the_sandbox(several):
    from loader._format.manifest import read_manifest

    clone, expected = several
    definition = read_definition("tiny", root=clone.root)
    with rebuilt(definition, read_manifest(definition.manifest)) as build:
        content = (build.folder / "tiny.tar").read_bytes()
    assert hashlib.md5(content, usedforsecurity=False).hexdigest() == expected
