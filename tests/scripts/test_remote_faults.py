"""Push and pull with a remote that is silent, slow or broken, with a damaged download, and with a full disk."""

import os
import re
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from loader._errors import FetchError
from scripts._dvc import transfer
from scripts._dvc.stages import recorded_output
from scripts.pull import pull
from scripts.push import push
from tests.conftest import clean_environment
from tests.helpers.faulty_s3 import faulty_s3_of
from tests.helpers.recorded_dataset import make_dvc, make_recorded
from tests.helpers.scripted_s3 import response, scripted_s3

ROOT = Path(__file__).resolve().parents[2]
PULL = "from pathlib import Path; from scripts.pull import pull; pull('small', root=Path({!r}))"


@pytest.fixture
def repository(tmp_path, remote):
    root = make_recorded(tmp_path / "repository")
    make_dvc(root, ROOT / ".dvc/config")
    remote.point(root)
    return root


@pytest.fixture
def pushed(repository):
    """The repository after a push, without its artifact and with an empty cache."""
    push("small", public=True, root=repository)
    tar_of(repository).unlink()
    shutil.rmtree(repository / ".dvc/cache")
    return repository


@pytest.fixture
def proxy(repository, s3_server):
    """A proxy between the repository and the S3 server."""
    with faulty_s3_of(repository, s3_server.endpoint) as proxy:
        yield proxy


@pytest.fixture
def quick(monkeypatch):
    """Short time limits."""
    monkeypatch.setattr(transfer, "STEP_SECONDS", 1.5)
    monkeypatch.setattr(transfer, "ABORT_SECONDS", 1)


def tar_of(root):
    return root / "artifacts/small.tar"


def leftovers(root):
    """The partial files in DVC's cache."""
    return list((root / ".dvc/cache/files").glob("*.part"))


TOO_SLOW = "is silent or too slow: a step took more than"
REMOTE = r"remote 'public' at http://127\.0\.0\.1:\d+"


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(("fault", "method"), [("silent", "HEAD"), ("trickle", "GET")])
def test_a_pull_ends_whatever_the_server_does(pushed, proxy, fault, method):
    proxy.fault = lambda asked, _: fault if asked == method else None
    start = time.monotonic()
    with pytest.raises(FetchError, match=f"small: {REMOTE} {TOO_SLOW}"):
        pull("small", root=pushed)
    assert time.monotonic() - start < 30
    assert not tar_of(pushed).exists()
    proxy.fault = lambda *_: None
    pull("small", root=pushed)
    assert tar_of(pushed).exists()
    assert leftovers(pushed) == []


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(("fault", "method"), [("trickle", "HEAD"), ("silent", "PUT")])
def test_a_push_ends_whatever_the_server_does(repository, remote, proxy, fault, method):
    proxy.fault = lambda asked, _: fault if asked == method else None
    start = time.monotonic()
    with pytest.raises(FetchError, match=f"{REMOTE} {TOO_SLOW}"):
        push("small", public=True, root=repository)
    assert time.monotonic() - start < 30
    proxy.fault = lambda *_: None
    push("small", public=True, root=repository)
    assert len(remote.keys("public")) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_a_redirect_is_not_followed_and_ends_at_once(repository, status, method):
    """Otherwise aiohttp follows it with the session token, or botocore asks for the bucket's region without end."""
    size = tar_of(repository).stat().st_size
    tar_of(repository).unlink()
    shutil.rmtree(repository / ".dvc/cache")
    with scripted_s3() as server, scripted_s3() as elsewhere:
        local = repository / ".dvc/config.local"
        local.write_text(re.sub("endpointurl = .*", f"endpointurl = {server.url}", local.read_text()))
        found, redirect = response(200, Content_Length=size), response(status, Location=f"{elsewhere.url}/x")
        server.answer = lambda request, send: send(
            found if method == "GET" and request is server.requests[0] else redirect
        )
        with pytest.raises(FetchError, match=rf"is not at {server.url}, but at {elsewhere.url}/x"):
            pull("small", root=repository)
        assert len(server.requests) < 10
        assert elsewhere.requests == []


def test_a_connection_that_is_reset_is_one_error(pushed, proxy):
    proxy.fault = lambda method, _: "reset" if method == "GET" else None
    with pytest.raises(FetchError, match=f"small: {REMOTE} cannot be reached"):
        pull("small", root=pushed)


def pull_alone(root, **options):
    """Pull in another process."""
    return subprocess.run(
        [sys.executable, "-c", PULL.format(os.fspath(root))],
        cwd=ROOT,
        env=clean_environment(),
        capture_output=True,
        text=True,
        **options,
    )


def last_line(done):
    return done.stderr.strip().rpartition("\n")[2]


def test_a_download_that_is_damaged_on_the_way_does_not_blame_the_object(pushed, proxy, remote):
    proxy.change_body = lambda body: body[:-2000] + b"x" + body[-1999:]
    with pytest.raises(FetchError, match=r"small: the download of s3://.* was damaged: its MD5, as the remote reports"):
        pull("small", root=pushed)
    assert leftovers(pushed) == []
    proxy.change_body = lambda body: body
    pull("small", root=pushed)
    assert tar_of(pushed).exists()


def test_a_wrong_object_is_named_with_the_command_that_replaces_it(pushed, remote):
    (key,) = remote.keys("public")
    data = remote.read(key)
    remote.write(key, data[:-2000] + b"x" + data[-1999:])
    with pytest.raises(
        FetchError, match=r"has another md5 than dvc\.lock records .*: make push DATASET=small PUBLIC=1$"
    ):
        pull("small", root=pushed)
    remote.write(key, data[:-1])
    with pytest.raises(FetchError, match=r"bytes, dvc\.lock records .*: make push DATASET=small PUBLIC=1$"):
        pull("small", root=pushed)
    remote.remove(key)
    with pytest.raises(FetchError, match=r"does not have it .*, run: make push DATASET=small PUBLIC=1$"):
        pull("small", root=pushed)
    assert not tar_of(pushed).exists()


@pytest.mark.slow
def test_an_interrupted_download_is_resumed(pushed, proxy, monkeypatch):
    monkeypatch.setattr(transfer, "READ_BYTES", 100_000)
    proxy.fault = lambda method, _: "reset" if method == "GET" and proxy.methods().count("GET") > 3 else None
    with pytest.raises(FetchError, match="cannot be reached"):
        pull("small", root=pushed)
    (part,) = leftovers(pushed)
    done = part.stat().st_size
    assert done >= 100_000
    proxy.fault = lambda *_: None
    proxy.requests.clear()
    pull("small", root=pushed)
    ranges = [headers["Range"] for method, _, headers in proxy.requests if method == "GET"]
    assert ranges[0].startswith(f"bytes={done}-")


def test_wrong_bytes_of_an_earlier_download_are_fetched_again(pushed):
    files = pushed / ".dvc/cache/files"
    files.mkdir(parents=True)
    md5 = recorded_output(pushed, "small", tar_of(pushed))["md5"]
    (files / f"{md5}.part").write_bytes(b"wrong" * 1000)
    pull("small", root=pushed)
    assert leftovers(pushed) == []


def limit_file_size():
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))


@pytest.mark.slow
def test_a_full_disk_does_not_blame_the_object(pushed, remote):
    (key,) = remote.keys("public")
    done = pull_alone(pushed, preexec_fn=limit_file_size)
    assert "FetchError: small: DVC's cache cannot be written" in last_line(done)
    assert "nothing is wrong with the object on remote 'public'" in last_line(done)
    assert "remove" not in last_line(done)
    assert remote.keys("public") == [key]
    pull("small", root=pushed)
    assert tar_of(pushed).exists()


def test_artifacts_that_cannot_be_written_do_not_blame_the_object(pushed):
    pull("small", root=pushed)
    tar_of(pushed).unlink()
    subprocess.run(["dvc", "config", "--local", "cache.type", "copy"], cwd=pushed, check=True)
    done = pull_alone(pushed, preexec_fn=limit_file_size)
    assert f"FetchError: small: {tar_of(pushed)} cannot be written" in last_line(done)
    assert last_line(done).endswith("make pull DATASET=small")
    assert not tar_of(pushed).exists()
    pull("small", root=pushed)
    assert tar_of(pushed).exists()
