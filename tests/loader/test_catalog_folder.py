"""The folder of the catalog is replaced as a whole or not at all, and only if it is a catalog."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from loader._catalog import folder as folder_module
from loader._catalog.site import write_catalog
from loader._errors import ArgumentError, LoaderError
from loader._format import exchange
from tests.helpers.made_up_registry import make_registry
from tests.helpers.written_records import (
    ROOT,
    SECRET,
    contents,
    make_family,
    manifest,
    pages,
    run_catalog,
    write_records,
)


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    return make_family(tmp_path_factory.mktemp("repository") / "family")


def test_only_a_catalog_is_replaced(repository, tmp_path):
    target = tmp_path / "mine"
    target.mkdir()
    (target / "thesis.tex").write_text("ten years")
    with pytest.raises(ArgumentError, match="mine is not a catalog, and is not replaced: name another folder"):
        write_catalog(target, repo=repository)
    with pytest.raises(ArgumentError, match="is not a folder"):
        write_catalog(target / "thesis.tex", repo=repository)
    with pytest.raises(ArgumentError, match="mkdir -p "):
        write_catalog(target / "a/b", repo=repository)
    assert contents(target) == {"thesis.tex": b"ten years"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine"]
    (target / "thesis.tex").unlink()
    write_catalog(target, repo=repository)
    (target / "CNAME").write_text("example.org")
    before = contents(target)
    with pytest.raises(ArgumentError, match="mine/CNAME is not of the catalog and would be lost"):
        write_catalog(target, repo=repository)
    assert contents(target) == before


def test_the_working_folder_is_not_replaced(repository, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ArgumentError, match="cannot be replaced while it is in use"):
        write_catalog(Path(), repo=repository)
    assert list(tmp_path.iterdir()) == []


def test_datasets_that_are_gone_have_no_page_in_the_next_catalog(tmp_path):
    root = tmp_path / "repository"
    write_records(root, {"photos": manifest("photos"), "faces": manifest("faces")})
    write_catalog(tmp_path / "site", repo=root)
    (root / "artifacts/faces.json").unlink()
    write_records(root, {"photos": manifest("photos")})
    write_catalog(tmp_path / "site", repo=root)
    assert [page.name for page in pages(tmp_path / "site")] == ["index.html", "photos.html"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["repository", "site"]


def test_two_runs_at_once_do_not_write_the_same_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(folder_module, "WAIT_SECONDS", 0.1)
    with folder_module.replaced_folder(tmp_path / "site") as part:
        (part / "index.html").write_text("first")
        with pytest.raises(LoaderError, match="another process is writing a catalog"):
            write_catalog(tmp_path / "site", repo=ROOT)
    assert (tmp_path / "site/index.html").read_text() == "first"


def test_where_folders_cannot_be_swapped_they_are_renamed(repository, tmp_path, monkeypatch):
    write_catalog(tmp_path / "site", repo=repository)
    monkeypatch.setattr(exchange.ctypes, "CDLL", lambda *_, **__: object())
    write_catalog(tmp_path / "site", repo=repository, private=True)
    assert (tmp_path / f"site/datasets/{SECRET}.html").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["site"]


def test_a_full_disk_is_one_sentence_and_leaves_the_old_site(repository, tmp_path):
    mount = tmp_path / "disk"
    mount.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=150k", "tmpfs", mount], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a file system needs root")
    try:
        small = tmp_path / "repository"
        write_records(small, {"photos": manifest("photos")})
        write_catalog(mount / "site", repo=small)
        before = contents(mount / "site")
        done = run_catalog("--repo", repository, "--output", mount / "site")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == f"error: {mount}/site cannot be written (No space left on device)\n"
        assert contents(mount / "site") == before
        assert [path.name for path in mount.iterdir()] == ["site"]
    finally:
        subprocess.run(["umount", "--lazy", mount], check=True)


def test_a_killed_run_leaves_the_old_site_and_the_next_one_cleans_up(tmp_path):
    registry = make_registry(tmp_path / "registry", datasets=40, versions=1)
    output = tmp_path / "site"
    write_catalog(output, repo=registry)
    before = contents(output)
    command = [sys.executable, "-m", "loader", "catalog", "--private", "--repo", registry, "--output", output]
    process = subprocess.Popen(command, cwd=ROOT)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".site.part/datasets/*")):
        assert process.poll() is None
        assert time.monotonic() < deadline
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert contents(output) == before
    assert (tmp_path / ".site.part").exists()
    write_catalog(output, repo=registry, private=True)
    assert len(pages(output)) == 41
    assert sorted(path.name for path in tmp_path.iterdir()) == ["registry", "site"]


def test_the_templates_are_part_of_the_wheel(tmp_path):
    from hatchling.builders.wheel import WheelBuilder

    files = {each.distribution_path for each in WheelBuilder(str(ROOT)).recurse_included_files()}
    room = ROOT / "loader/_catalog"
    data = {path.relative_to(ROOT).as_posix() for path in room.rglob("*") if path.suffix in (".html", ".css", ".js")}
    assert len(data) == 5
    assert data <= files
