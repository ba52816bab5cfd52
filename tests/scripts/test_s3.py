"""The S3 server on this machine: starting, finding and stopping it, and its access rights."""

import json
import os
import shlex
import shutil
import urllib.error
import urllib.request

import pytest

from scripts._process.s3_server import find, start, stop


@pytest.fixture
def folder(tmp_path):
    yield tmp_path / "s3"
    stop(tmp_path / "s3")


def status(url, method="GET"):
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, method=method, data=b"x" if method == "PUT" else None)
        ) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


@pytest.mark.slow
def test_it_starts_stops_and_keeps_its_keys(folder):
    server = start(folder)
    assert start(folder) == server
    keys = server.credentials.read_text()
    assert (server.credentials.stat().st_mode & 0o777, (folder / "s3.json").stat().st_mode & 0o777) == (0o600, 0o600)
    assert stop(folder)
    assert find(folder) is None
    assert not stop(folder)
    again = start(folder)
    assert again.credentials.read_text() == keys


def test_anonymous_clients_can_read_the_public_bucket_and_nothing_else(s3_server):
    assert status(f"{s3_server.endpoint}/public?list-type=2") == 200
    assert status(f"{s3_server.endpoint}/private?list-type=2") == 403
    assert status(f"{s3_server.endpoint}/public/x", "PUT") == 403
    assert status(f"{s3_server.endpoint}/private/x", "PUT") == 403


def test_two_servers_can_run_at_once(folder, s3_server):
    server = start(folder)
    assert server.endpoint != s3_server.endpoint
    assert find(folder) == server


def test_a_process_that_got_the_id_of_a_dead_server_is_not_stopped(folder):
    folder.mkdir()
    (folder / "server.json").write_text(json.dumps({"pid": os.getpid(), "endpoint": "http://127.0.0.1:1"}))
    assert find(folder) is None
    assert not stop(folder)


@pytest.mark.slow
def test_the_command_points_the_clone_at_it_and_stopping_reverts_that(clone):
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


@pytest.mark.slow
def test_what_the_command_prints_works_as_printed(built_tiny, tmp_path):
    clone = built_tiny
    output = clone.scripts("s3")
    try:
        clone.scripts("push", "tiny", "--public")
        shutil.rmtree(clone.root / ".dvc/cache")
        (clone.root / "artifacts/tiny.tar").unlink()
        (export,) = (text.partition(": export ")[2] for text in output.splitlines() if ": export " in text)
        environment = dict(each.split("=", 1) for each in shlex.split(export))
        code = (
            "from botocore.session import Session; s3 = Session().create_client('s3'); "
            "print(s3.list_objects_v2(Bucket='public')['KeyCount'])"
        )
        assert clone.python(code, env=environment).strip() == "1"
        (call,) = (text.partition(" in it, ")[2] for text in output.splitlines() if " in it, " in text)
        expression = call.removesuffix(" elsewhere").replace("NAME", "'tiny'")
        code = f"import os, loader; os.chdir({os.fspath(tmp_path)!r}); print(len({expression}[1]['train']))"
        assert int(clone.python(code)) > 0
    finally:
        clone.scripts("s3", "--stop")


@pytest.mark.parametrize("state", ["{}", "[]", '{"pid": "x", "endpoint": ""}', '{"pid": -1, "endpoint": ""}', "{"])
def test_a_broken_server_json_is_no_server(folder, state):
    folder.mkdir()
    (folder / "server.json").write_text(state)
    assert find(folder) is None


@pytest.mark.slow
def test_a_copy_of_the_folder_does_not_stop_the_server_of_the_original(folder, tmp_path):
    server = start(folder)
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy/server.json").write_bytes((folder / "server.json").read_bytes())
    assert not stop(tmp_path / "copy")
    assert find(folder) == server
