"""The doors of source files: their order, what closes one, and what is left behind."""

import gzip
import hashlib
import os
import socket
import threading
from collections import Counter
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from scripts._sources import sources as module
from scripts._sources.sources import Source, Sources
from scripts.definition import read_definition
from scripts.errors import ScriptError

DATA = bytes(range(256)) * 5000  # more than one chunk
WRONG = bytes([DATA[0] ^ 1]) + DATA[1:]
LONGER = DATA + b"more"
SHA256 = hashlib.sha256(DATA).hexdigest()
NAME = "file one.bin"
PAGE = b"<!doctype html><title>Moved</title><p>This file has moved."


class Server:
    """A web server whose answers a test chooses, and that counts what it is asked."""

    def __init__(self):
        self.answers = {}
        self.requests = Counter()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                server.requests[self.path] += 1
                status, headers, body = server.answers.get(self.path, (404, {}, b"not here"))
                self.send_response(status)
                for name, value in ({"Content-Length": str(len(body))} | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                with suppress(ConnectionError):  # who is sent too much hangs up
                    self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def answer(self, path, body=DATA, status=200, **headers):
        """Answer to `path`, and return its URL."""
        self.answers[path] = (status, {name.replace("_", "-"): value for name, value in headers.items()}, body)
        return self.url + path

    def close(self):
        """End the server."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def server():
    server = Server()
    yield server
    server.close()


@pytest.fixture
def refusing():
    """The URL of a port that nobody listens at."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture(autouse=True)
def no_mirror(monkeypatch):
    """No mirror but the test's own, and no proxy in between."""
    monkeypatch.delenv("DATASETS_MIRROR", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def folder(small):
    """Where source files are kept."""
    return small / "sources/small"


def sources(root):
    return Sources(read_definition("small", root=root))


def source(url="http://127.0.0.1:9/unused", filename=NAME):
    return Source(url, filename, len(DATA), SHA256)


def put(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def kept(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


def doors(error):
    """The doors that an error lists, with their reasons."""
    lines = str(error.value).splitlines()
    return [line.strip() for line in lines if line.startswith("  ")]


def test_a_file_at_hand_is_used_and_nobody_is_asked(small, folder, server, monkeypatch, tmp_path):
    path = put(folder / NAME, DATA)
    monkeypatch.setenv("DATASETS_MIRROR", server.url)
    assert sources(small).find(source(server.answer("/up"))) == path
    assert not server.requests


def test_a_mirror_that_is_a_folder_comes_second_and_its_file_is_used_in_place(
    small, folder, server, monkeypatch, tmp_path
):
    path = put(tmp_path / "mirror/small" / NAME, DATA)
    monkeypatch.setenv("DATASETS_MIRROR", os.fspath(tmp_path / "mirror"))
    assert sources(small).find(source(server.answer("/up"))) == path
    assert not server.requests
    assert kept(folder) == {}


def test_a_mirror_may_lie_in_the_home_folder(small, monkeypatch, tmp_path):
    path = put(tmp_path / "home/mirror/small" / NAME, DATA)
    monkeypatch.setenv("HOME", os.fspath(tmp_path / "home"))
    monkeypatch.setenv("DATASETS_MIRROR", "~/mirror")
    assert sources(small).find(source()) == path


@pytest.mark.parametrize("ending", ["", "/"])
def test_a_mirror_that_is_a_url_comes_before_upstream_and_its_file_is_kept(small, folder, server, monkeypatch, ending):
    server.answer("/mirror/small/file%20one.bin")
    monkeypatch.setenv("DATASETS_MIRROR", f"{server.url}/mirror{ending}")
    assert sources(small).find(source(server.answer("/up"))) == folder / NAME
    assert server.requests == {"/mirror/small/file%20one.bin": 1}
    assert kept(folder) == {NAME: DATA}


def test_upstream_comes_after_the_mirror_and_its_file_is_kept(small, folder, server, monkeypatch, tmp_path):
    monkeypatch.setenv("DATASETS_MIRROR", os.fspath(tmp_path / "empty"))
    assert sources(small).find(source(server.answer("/up"))) == folder / NAME
    assert server.requests == {"/up": 1}
    assert kept(folder) == {NAME: DATA}


def test_upstream_is_asked_once_only(small, server):
    wanted = source(server.answer("/up"))
    for _ in range(3):
        sources(small).find(wanted)
    assert server.requests == {"/up": 1}


def test_a_redirected_file_is_followed(small, folder, server):
    server.answer("/new")
    url = server.answer("/old", b"", status=302, Location="/new")
    assert sources(small).find(source(url)).read_bytes() == DATA
    assert server.requests == {"/old": 1, "/new": 1}


def test_what_was_used_is_remembered_and_what_was_not_found_is_not(small, folder):
    put(folder / NAME, DATA)
    found = sources(small)
    wanted = source("http://127.0.0.1:9/one")
    found.find(wanted)
    with pytest.raises(ScriptError):
        found.find(source("http://127.0.0.1:9/two", "other.bin"))
    assert found.used == {wanted.url: wanted}


CLOSED = {
    "wrong bytes of the same size": ({"body": WRONG}, r"has another SHA-256 (" + hashlib.sha256(WRONG).hexdigest()),
    "fewer bytes": ({"body": DATA[:-1]}, f"has {len(DATA) - 1:,} bytes instead of {len(DATA):,}"),
    "no byte": ({"body": b""}, f"has 0 bytes instead of {len(DATA):,}"),
    "broken off": ({"body": DATA[:-7], "Content_Length": str(len(DATA))}, "IncompleteRead"),
    "more bytes": ({"body": LONGER}, f"sends more than the {len(DATA):,} bytes recorded"),
    "404": ({"status": 404, "body": b"gone"}, "404"),
    "500": ({"status": 500, "body": DATA}, "500"),
    "an HTML page": ({"body": PAGE, "Content_Type": "text/html"}, f"has {len(PAGE)} bytes instead of {len(DATA):,}"),
}


@pytest.mark.parametrize("what", CLOSED)
def test_a_mirror_that_fails_is_passed_over_for_upstream(small, folder, server, monkeypatch, what, capsys):
    answer, reason = CLOSED[what]
    server.answer("/small/file%20one.bin", **answer)
    monkeypatch.setenv("DATASETS_MIRROR", server.url)
    assert sources(small).find(source(server.answer("/up"))).read_bytes() == DATA
    assert server.requests == {"/small/file%20one.bin": 1, "/up": 1}
    assert kept(folder) == {NAME: DATA}
    told = [line for line in capsys.readouterr().err.splitlines() if "passed over" in line]
    assert len(told) == 1
    assert f"mirror {server.url}/small/file%20one.bin" in told[0]
    assert reason in told[0]


@pytest.mark.parametrize("what", CLOSED)
def test_where_no_door_has_the_file_one_error_lists_them_all(small, folder, server, monkeypatch, tmp_path, what):
    answer, reason = CLOSED[what]
    monkeypatch.setenv("DATASETS_MIRROR", os.fspath(tmp_path / "mirror"))
    url = server.answer("/up", **answer)
    with pytest.raises(ScriptError) as raised:
        sources(small).find(source(url))
    at_hand, mirror, upstream, registry = doors(raised)
    assert at_hand == f"sources/small/{NAME}: no such file"
    assert mirror == f"mirror {tmp_path / 'mirror/small' / NAME}: no such file"
    assert upstream.startswith(f"upstream {url}: ")
    assert reason in upstream
    assert registry == "package registry: the definition knows none"
    message = str(raised.value)
    assert message.startswith(f"small: no door has the source file {NAME} ({len(DATA):,} bytes, SHA-256 {SHA256})")
    assert message.endswith(f"download {url} elsewhere and put it at sources/small/{NAME}")
    assert kept(folder) == {}


def test_a_refused_connection_is_a_reason(small, folder, refusing):
    with pytest.raises(ScriptError) as raised:
        sources(small).find(source(f"{refusing}/up"))
    assert f"upstream {refusing}/up: [Errno 111] Connection refused" in doors(raised)
    assert kept(folder) == {}


def test_a_mirror_that_refuses_is_passed_over(small, server, refusing, monkeypatch):
    monkeypatch.setenv("DATASETS_MIRROR", refusing)
    assert sources(small).find(source(server.answer("/up"))).read_bytes() == DATA


@pytest.mark.parametrize("url", ["no-url", "ftp://127.0.0.1/x", "http://"])
def test_a_url_that_cannot_be_asked_is_a_reason(small, url):
    with pytest.raises(ScriptError) as raised:
        sources(small).find(source(url))
    assert [door for door in doors(raised) if door.startswith(f"upstream {url}: ")]


@pytest.mark.parametrize("value", [None, ""])
def test_an_error_says_where_no_mirror_is_named(small, refusing, monkeypatch, value):
    if value is not None:
        monkeypatch.setenv("DATASETS_MIRROR", value)
    with pytest.raises(ScriptError) as raised:
        sources(small).find(source(refusing))
    assert "mirror (DATASETS_MIRROR): the variable is not set" in doors(raised)


@pytest.mark.parametrize("corrupt", [WRONG, DATA[:-1], LONGER, b""])
def test_a_corrupt_file_at_hand_is_healed_by_upstream(small, folder, server, corrupt):
    put(folder / NAME, corrupt)
    assert sources(small).find(source(server.answer("/up"))) == folder / NAME
    assert kept(folder) == {NAME: DATA}


def test_a_corrupt_file_at_hand_is_not_replaced_by_a_worse_one(small, folder, server):
    put(folder / NAME, WRONG)
    with pytest.raises(ScriptError, match="has another SHA-256"):
        sources(small).find(source(server.answer("/up", PAGE)))
    assert kept(folder) == {NAME: WRONG}


@pytest.mark.parametrize("corrupt", [WRONG, DATA[:-1]])
def test_a_corrupt_file_in_a_mirrors_folder_is_passed_over_and_stays(small, server, monkeypatch, tmp_path, corrupt):
    path = put(tmp_path / "mirror/small" / NAME, corrupt)
    monkeypatch.setenv("DATASETS_MIRROR", os.fspath(tmp_path / "mirror"))
    assert sources(small).find(source(server.answer("/up"))).read_bytes() == DATA
    assert path.read_bytes() == corrupt


def test_a_folder_in_the_place_of_a_mirrors_file_is_passed_over(small, server, monkeypatch, tmp_path):
    (tmp_path / "mirror/small" / NAME).mkdir(parents=True)
    monkeypatch.setenv("DATASETS_MIRROR", os.fspath(tmp_path / "mirror"))
    assert sources(small).find(source(server.answer("/up"))).read_bytes() == DATA


def test_a_folder_in_the_place_of_the_file_at_hand_is_an_error_that_names_it(small, folder, server):
    (folder / NAME).mkdir(parents=True)
    with pytest.raises(ScriptError, match=f"sources/small/{NAME}"):
        sources(small).find(source(server.answer("/up")))


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip"])
def test_a_compressed_file_arrives_as_it_is_though_the_server_names_its_compression(small, server, encoding):
    # as Apache does with AddEncoding
    packed = gzip.compress(DATA, mtime=0)
    url = server.answer("/up.gz", packed, Content_Encoding=encoding)
    wanted = Source(url, "up.gz", len(packed), hashlib.sha256(packed).hexdigest())
    assert sources(small).find(wanted).read_bytes() == packed


def test_leftovers_of_a_run_that_was_killed_are_cleaned(small, folder, server):
    put(folder / f".{NAME}.123.part", DATA[:100])
    put(folder / ".registry-abc/package.tgz", b"half")
    put(folder / "other.bin", b"mine")
    assert sources(small).find(source(server.answer("/up"))) == folder / NAME
    assert kept(folder) == {NAME: DATA, "other.bin": b"mine"}


def test_a_hidden_link_to_a_folder_is_no_obstacle(small, folder, server, tmp_path):
    put(tmp_path / "elsewhere/mine", b"mine")
    folder.mkdir(parents=True)
    (folder / ".elsewhere").symlink_to(tmp_path / "elsewhere")
    assert sources(small).find(source(server.answer("/up"))) == folder / NAME
    assert (tmp_path / "elsewhere/mine").read_bytes() == b"mine"


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_a_download_that_is_interrupted_leaves_nothing(small, folder, server, monkeypatch, stop):
    checked = module._checked

    def interrupt(path, wanted):
        if path.suffix == ".part":
            raise stop
        return checked(path, wanted)

    monkeypatch.setattr(module, "_checked", interrupt)
    with pytest.raises(stop):
        sources(small).find(source(server.answer("/up")))
    assert server.requests == {"/up": 1}
    assert kept(folder) == {}


@pytest.mark.parametrize("filename", ["../x", "a/b", "/etc/passwd", "..", ".", ".hidden", "x/", "../small/x", ""])
def test_a_name_that_is_no_plain_file_name_is_refused(small, folder, server, filename):
    with pytest.raises(ScriptError, match=r"in checksums\.tsv is no plain file name"):
        sources(small).find(source(server.answer("/up"), filename))
    assert not server.requests
    assert kept(folder) == {}


def test_two_files_of_one_name_are_refused(small, server):
    # the second would take the place of the first, which the builder already has the path of
    found = sources(small)
    found.find(source(server.answer("/one")))
    other = b"other" + DATA
    wanted = Source(server.answer("/two", other), NAME, len(other), hashlib.sha256(other).hexdigest())
    with pytest.raises(ScriptError, match=f"two files of one name, {NAME}; give one another name in the 4th column"):
        found.find(wanted)


def test_what_is_secret_in_a_mirrors_url_is_not_shown(small, server, monkeypatch, capsys):
    host = server.answer("/gone", status=404).partition("://")[2].partition("/")[0]
    monkeypatch.setenv("DATASETS_MIRROR", f"http://user:s3cr3t@{host}")
    with pytest.raises(ScriptError) as raised:
        sources(small).find(source(server.answer("/missing", status=404)))
    assert "s3cr3t" not in str(raised.value) + capsys.readouterr().err
