"""What is imported on the way to the first example: only what it needs, because importing takes longer than reading."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

NEEDED = {"google", "loader", "numpy"}  # google is protobuf's; numpy is what examples consist of
FOR_IMAGES = {"kornia_rs", "simplejpeg"}
HEAVY = {  # of the standard library and of protobuf, and what others than the reader of an artifact need of the loader
    *("asyncio", "bz2", "concurrent.futures", "csv", "decimal", "difflib", "email", "fractions", "html", "http"),
    *("importlib.metadata", "logging", "lzma", "multiprocessing", "random", "selectors", "shutil", "signal", "socket"),
    *("ssl", "subprocess", "tarfile", "tempfile", "urllib.request", "xml", "zipfile"),
    "google.protobuf.descriptor_pb2",
    *("loader._cached", "loader._catalog", "loader._commands", "loader._datasets", "loader._diff", "loader._display"),
    *("loader._fetch.clone", "loader._fetch.remote", "loader._fetch.s3", "loader._fetch.safe_yaml"),
    "loader._fetch.signatures",
    *("loader._format.tfrecord", "loader._prepared", "loader._registry", "loader._room", "loader._tf"),
}


def imported(code, *, after="sys"):
    """The modules that some code imports, without those that importing `after` brings."""
    script = f"import sys, {after}\nknown = set(sys.modules)\n{code}\nprint(*sys.modules.keys() - known)"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, text=True)
    return set(done.stdout.split())


def packages(modules):
    """The packages of some modules that are not in the standard library."""
    found = {module.partition(".")[0] for module in modules} - sys.stdlib_module_names
    # Cython's belong to the packages compiled with it, and kornia-rs looks for nvidia
    return {name for name in found if "cython" not in name} - {"nvidia"}


def first_example(repo, **options):
    return f"import loader\nloader.load('small', 'train', repo={os.fspath(repo)!r}, **{options})[1][0]"


def test_the_first_example_imports_only_what_it_needs(small):
    modules = imported(first_example(small))
    assert packages(modules) == NEEDED
    assert modules & HEAVY == set()


def test_images_import_their_decoders():
    assert packages(imported("import loader\nfrom loader._features import images")) == NEEDED | FOR_IMAGES


def test_tensors_import_nothing_else_but_torch(small):
    pytest.importorskip("torch")
    arrays = imported(first_example(small), after="torch")
    tensors = imported(first_example(small, format="torch"), after="torch")
    assert packages(tensors) == packages(arrays)
    assert tensors & HEAVY == arrays & HEAVY


def test_what_says_something_of_datasets_is_imported_by_who_asks():
    assert "loader._registry" not in imported("import loader\ndir(loader)")
    assert "loader._registry" in imported("from loader import *")
    assert imported("import loader\nassert loader.DatasetEntry.__module__ == loader.diff.__module__ == 'loader'")
