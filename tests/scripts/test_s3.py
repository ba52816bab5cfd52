"""The S3 server on this machine: up, found again, private where it must be, gone."""

import json
import urllib.error
import urllib.request

import pytest

from scripts._process import s3_server


@pytest.fixture
def folder(tmp_path):
    yield tmp_path / "s3"
    s3_server.stop(tmp_path / "s3")


def status(url, method="GET"):
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, method=method, data=b"x" if method == "PUT" else None)
        ) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_it_comes_up_keeps_its_keys_and_data_and_ends(folder):
    server = s3_server.start(folder)
    assert s3_server.start(folder) == server
    keys = server.credentials.read_text()
    assert (server.credentials.stat().st_mode & 0o777, (folder / "s3.json").stat().st_mode & 0o777) == (0o600, 0o600)
    assert s3_server.stop(folder)
    assert s3_server.find(folder) is None
    assert not s3_server.stop(folder)
    again = s3_server.start(folder)
    assert again.credentials.read_text() == keys


def test_strangers_read_the_public_bucket_only_and_write_none(s3_server):
    assert status(f"{s3_server.endpoint}/public?list-type=2") == 200
    assert status(f"{s3_server.endpoint}/private?list-type=2") == 403
    assert status(f"{s3_server.endpoint}/public/x", "PUT") == 403
    assert status(f"{s3_server.endpoint}/private/x", "PUT") == 403


def test_two_servers_do_not_meet(folder, s3_server):
    server = s3_server.start(folder)
    assert server.endpoint != s3_server.endpoint
    assert s3_server.find(folder) == server


def test_a_process_that_took_the_number_of_a_dead_server_is_left_alone(folder):
    import os

    folder.mkdir()
    (folder / "server.json").write_text(json.dumps({"pid": os.getpid(), "endpoint": "http://127.0.0.1:1"}))
    assert s3_server.find(folder) is None
    assert not s3_server.stop(folder)


def test_the_commands_point_the_clone_at_it_and_back(clone):
    output = clone.scripts("s3")
    config = (clone.root / ".dvc/config.local").read_text()
    try:
        assert "S3 server at http://127.0.0.1:" in output
        for text in ("url = s3://public", "url = s3://private", "endpointurl = http://127.0.0.1:"):
            assert text in config
        assert "aws_secret" not in config
        assert clone.run("git", "status", "--porcelain").stdout == ""
    finally:
        assert "S3 server stopped" in clone.scripts("s3", "--stop")
    assert "endpointurl" not in (clone.root / ".dvc/config.local").read_text()


@pytest.mark.parametrize("state", ["{}", "[]", '{"pid": "x", "endpoint": ""}', '{"pid": -1, "endpoint": ""}', "{"])
def test_a_broken_note_of_the_server_is_no_server(folder, state):
    folder.mkdir()
    (folder / "server.json").write_text(state)
    assert s3_server.find(folder) is None


def test_a_copy_of_the_folder_does_not_stop_the_first_ones_server(folder, tmp_path):
    server = s3_server.start(folder)
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy/server.json").write_bytes((folder / "server.json").read_bytes())
    assert not s3_server.stop(tmp_path / "copy")
    assert s3_server.find(folder) == server
