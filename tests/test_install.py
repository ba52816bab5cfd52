"""What `pip install` of the loader brings."""

import ast
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.helpers.recorded_dataset import make_git

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DECLARED = {canonicalize_name(Requirement(text).name) for text in PROJECT["dependencies"]}
OPTIONAL = {"absl", "jax", "jinja2", "markupsafe", "ml_dtypes", "pandas", "pyarrow", "tensorflow", "torch"}
"""Modules that the loader uses only if they are installed."""


def closure(texts):
    """The names of the packages that these requirements bring, by what is installed here."""
    found, waiting = set(), list(texts)
    while waiting:
        requirement = Requirement(waiting.pop())
        name = canonicalize_name(requirement.name)
        if name in found or not (requirement.marker is None or requirement.marker.evaluate({"extra": ""})):
            continue
        found.add(name)
        waiting += requires(name) or []
    return found


def imported(path):
    """The modules outside the standard library and the loader that a file imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add("google.protobuf" if node.module.startswith("google.protobuf") else node.module.partition(".")[0])
    return names - set(sys.stdlib_module_names) - {"loader"}


def test_the_loader_brings_at_most_24_packages_besides_itself():
    found = closure(PROJECT["dependencies"])
    assert len(found) <= 24, sorted(found)
    assert found.isdisjoint({"dvc", "dvc-s3", "opencv-python-headless", "tensorflow", "tensorflow-datasets"})


def test_the_packages_that_the_loader_imports_are_those_that_it_declares():
    distributions = {name: set(map(canonicalize_name, found)) for name, found in packages_distributions().items()}
    distributions["google.protobuf"] = {"protobuf"}
    names = set().union(*map(imported, (ROOT / "loader").rglob("*.py"))) - OPTIONAL - {"tensorflow_datasets"}
    assert [name for name in sorted(names) if not distributions.get(name, set()) & DECLARED] == []
    assert set().union(*(distributions[name] for name in names)) >= DECLARED


@pytest.fixture
def without(small):
    """A function that runs a command of the loader as if packages were not installed."""

    def run(modules, *arguments):
        hide = f"import sys; sys.modules.update(dict.fromkeys({modules!r}))"
        code = f"{hide}\nfrom loader._commands.app import main\nmain()"
        return subprocess.run([sys.executable, "-c", code, *arguments], cwd=small, capture_output=True, text=True)

    return run


@pytest.mark.parametrize(
    "command", [("list",), ("info", "small"), ("versions", "small"), ("show", "small"), ("catalog",)]
)
def test_a_command_runs_without_the_packages_that_build(without, small, command):
    make_git(small)
    done = without(("dvc", "dvc_s3", "cv2", "fsspec", "tensorflow", "tensorflow_datasets"), *command)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_catalog_without_jinja_is_one_sentence(without):
    done = without(("jinja2", "markupsafe"), "catalog")
    assert done.returncode == 1
    assert done.stderr == (
        "error: a catalog needs Jinja2, which is not installed; install it with: pip install jinja2\n"
    )
