"""The private names of TFDS that `scripts/_tfds` uses: all are listed there, and the installed TFDS has them."""

import ast
import importlib.util
import inspect
import re
from importlib import metadata
from pathlib import Path

import pytest

import scripts._tfds
from scripts._define.definition import read_definition

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = Path(scripts._tfds.__file__).parent
DECODER = ROOT / "loader/_features/tfds.py"  # decodes features that only TFDS knows
LISTED = re.findall(r"^    ([\w.]+): (\w+\.py): \S.*$", scripts._tfds.__doc__, re.MULTILINE)


def tfds_has(name):
    """Whether a module, one of its attributes, or an attribute that a class sets on `self` exists."""
    parts = name.replace("tfds.", "tensorflow_datasets.", 1).split(".")
    found = importlib.import_module(parts[0])
    for number, part in enumerate(parts[1:], 2):
        path = ".".join(parts[:number])
        if inspect.ismodule(found) and importlib.util.find_spec(path.rpartition(".")[0]).submodule_search_locations:
            try:
                found = importlib.import_module(path)
                continue
            except ModuleNotFoundError:
                pass  # not a module
        if hasattr(found, part):
            found = getattr(found, part)
        else:
            return number == len(parts) and inspect.isclass(found) and is_set(found, part)
    return True


def is_set(cls, attribute):
    sources = [inspect.getsource(each) for each in cls.__mro__ if each.__module__.startswith("tensorflow_datasets")]
    return any(re.search(rf"\bself\.{attribute}(: [^=\n]+)? = ", source) for source in sources)


def names_in(tree):
    """The attributes, imported names, functions and strings in a file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.ImportFrom):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.FunctionDef):
            yield node.name
        elif isinstance(node, ast.Constant):
            yield node.value


def problems(listed):
    """What is wrong with lines of the list, given as pairs of name and file."""
    version = metadata.version("tensorflow-datasets")
    for name, file in listed:
        path = PACKAGE / file
        if not tfds_has(name):
            yield f"scripts/_tfds/{file} uses {name}, which TFDS {version} does not have"
        elif not path.is_file() or name.rpartition(".")[2] not in names_in(ast.parse(path.read_text())):
            yield f"scripts/_tfds/{file} is listed as using {name}, but does not"


def test_the_installed_tfds_has_every_listed_name_and_the_listed_file_uses_it():
    assert list(problems(LISTED)) == []


def test_each_name_is_listed_once():
    names = [name for name, _ in LISTED]
    assert names
    assert sorted(names) == sorted(set(names))
    assert len(names) == len(re.findall("^    ", scripts._tfds.__doc__, re.MULTILINE))


def test_the_listed_version_is_that_of_the_toolchain():
    (version,) = set(re.findall(r"TFDS (\d[\d.]*\d)", scripts._tfds.__doc__))
    assert version == read_definition("mnist").toolchain["tensorflow-datasets"]


def own_attributes(tree):
    """The attributes that the classes of a file set in `__init__`."""
    makers = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == "__init__")
    for node in (node for maker in makers for node in ast.walk(maker)):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self":
            yield node.attr


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("*.py")), ids=lambda path: path.name)
def test_every_private_attribute_that_a_file_uses_is_listed(path):
    tree = ast.parse(path.read_text())
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and re.match("_[^_]", node.attr)}
    listed = {name.rpartition(".")[2] for name, file in LISTED if file == path.name}
    assert used - set(own_attributes(tree)) - listed == set()


def root_of(node):
    """The object at the beginning of `a.b(...).c[...]`."""
    while isinstance(node, ast.Attribute | ast.Call | ast.Subscript):
        node = node.func if isinstance(node, ast.Call) else node.value
    return ast.unparse(node)


def private_uses(source):
    """The private names of TFDS in Python code: imports below tfds.core, and names with an underscore."""
    listed = {name.rpartition(".")[2] for name, _ in LISTED}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom | ast.Import):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            if any(re.match(r"tensorflow_datasets\.(core|.*\b_)", module) for module in modules):
                yield ast.unparse(node)
        elif isinstance(node, ast.Attribute) and re.match("_[^_]", node.attr):
            root = root_of(node.value)
            if root in ("tfds", "tensorflow_datasets") or (node.attr in listed and root not in ("self", "cls")):
                yield ast.unparse(node)


def test_nothing_else_uses_private_names_of_tfds():
    paths = [path for folder in ("scripts", "loader") for path in sorted((ROOT / folder).rglob("*.py"))]
    found = {
        path.relative_to(ROOT): list(private_uses(path.read_text()))
        for path in paths
        if path != DECODER and path.parent != PACKAGE
    }
    assert {path: uses for path, uses in found.items() if uses} == {}


@pytest.mark.parametrize(
    ("name", "file", "message"),
    [
        (
            "tfds.core.split_builder.SplitBuilder._no_such_name",
            "splits.py",
            r"splits\.py uses .*\._no_such_name, which",
        ),
        ("tfds.core.no_such_module.SplitBuilder", "splits.py", r"splits\.py uses tfds\.core\.no_such_module\."),
        (
            "tfds.core.writer.Writer._shuffler",
            "splits.py",
            r"splits\.py is listed as using .*\._shuffler, but does not",
        ),
        (
            "tfds.core.utils.tqdm",
            "no_such_file.py",
            r"no_such_file\.py is listed as using tfds\.core\.utils\.tqdm, but",
        ),
    ],
)
def test_a_wrong_line_is_reported_with_its_file_and_name(name, file, message):
    (problem,) = problems([(name, file)])
    assert re.match(f"scripts/_tfds/{message}", problem)


@pytest.mark.parametrize(
    "source",
    [
        "from tensorflow_datasets.core import writer",
        "import tensorflow_datasets.core.writer",
        "tfds.core.split_builder._SplitInfoFuture",
        "tfds.builder('mnist')._original_state",
        "def f(builder):\n    return builder._split_generators",
    ],
)
def test_a_private_name_elsewhere_is_found(source):
    assert len(list(private_uses(source))) == 1
