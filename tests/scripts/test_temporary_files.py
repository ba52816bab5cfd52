"""The folder for temporary files is left as it was found; by the commands together: tests/test_make.py."""

import os
import tempfile
from pathlib import Path

import pytest

from scripts._process import s3_server
from scripts._process.scratch import temporary_files_in
from scripts._tfds.fetch import fetch_sources
from tests.helpers.source_files_dataset import make_source_files_dataset


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The empty folder that TMPDIR names."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", os.fspath(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


def test_the_temporary_files_of_a_builder_are_in_its_scratch_folder(tmp_path, temporary):
    body = 'import tempfile\ntempfile.mkdtemp()\nreturn {"train": iter(())}'
    root = make_source_files_dataset(tmp_path / "repository", "http://127.0.0.1:9", body)
    assert fetch_sources("downloader", root=root) == []
    assert list(temporary.iterdir()) == []
    assert os.environ["TMPDIR"] == os.fspath(temporary)
    assert tempfile.gettempdir() == os.fspath(temporary)


def test_without_the_variable_it_is_unset_again(tmp_path, monkeypatch):
    monkeypatch.delenv("TMPDIR", raising=False)
    with temporary_files_in(tmp_path / "new"):
        assert tempfile.gettempdir() == os.environ["TMPDIR"] == os.fspath(tmp_path / "new")
    assert "TMPDIR" not in os.environ


def test_the_s3_server_leaves_no_logs_and_no_socket(tmp_path, temporary):
    server = s3_server.start(tmp_path / "s3")
    s3_server.stop(tmp_path / "s3")
    assert list(temporary.iterdir()) == []
    port = server.endpoint.rpartition(":")[2]
    assert not Path(f"/tmp/seaweedfs-s3-{port}.sock").exists()
