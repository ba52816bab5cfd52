"""The locations of source files: their order, their errors, and the files they leave."""

import gzip
import hashlib
import os
import socket
import threading
import time

import pytest

from scripts._define.definition import read_definition
from scripts._process.errors import ScriptError
from scripts._sources import download as downloads
from scripts._sources import parts
from scripts._sources.sources import FILES_AT_ONCE, Source, Sources
from tests.helpers.web_server import WebFile

DATA = bytes(range(256)) * 5000  # more than one chunk
WRONG = bytes([DATA[0] ^ 1]) + DATA[1:]
LONGER = DATA + b"more"
SHA256 = hashlib.sha256(DATA).hexdigest()
NAME = "file one.bin"
PAGE = b"<!doctype html><title>Moved</title><p>This file has moved."

pytestmark = pytest.mark.usefixtures("upstream_only")


@pytest.fixture
def refusing():
    """The URL of a port that refuses connections."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{unused.getsockname()[1]}"


@pytest.fixture
def folder(small):
    """The folder of the source files."""
    return small / "sources/small"


def sources(root):
    return Sources(read_definition("small", root=root))


def source(url="http://127.0.0.1:9/unused", filename=NAME):
    return Source(url, filename, len(DATA), SHA256)


def write(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def stored(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


def locations(error):
    """Return the locations that an error lists, with their reasons."""
    lines = str(error.value).splitlines()
    return [line.strip() for line in lines if line.startswith("  ")]


def test_a_stored_file_is_used_without_requests(small, folder, server, monkeypatch, tmp_path):
    path = write(folder / NAME, DATA)
    monkeypatch.setenv("DATASETS_MIRROR", server.url)
    assert sources(small).find(source(server.respond("/up", DATA))) == path
    assert not server.requests


def test_a_mirror_folder_is_the_second_location_and_its_file_is_not_copied(
    small, folder, server, monkeypatch, tmp_path
):
    path = write(tmp_path / "mirror/small" / NAME, DATA)
    monkeypatch.setenv("DATASETS_MIRROR", os.fspath(tmp_path / "mirror"))
    assert sources(small).find(source(server.respond("/up", DATA))) == path
    assert not server.requests
    assert stored(folder) == {}


def test_a_mirror_may_be_in_the_home_folder(small, monkeypatch, tmp_path):
    path = write(tmp_path / "home/mirror/small" / NAME, DATA)
    monkeypatch.setenv("HOME", os.fspath(tmp_path / "home"))
    monkeypatch.setenv("DATASETS_MIRROR", "~/mirror")
    assert sources(small).find(source()) == path


@pytest.mark.parametrize("ending", ["", "/"])
def test_a_mirror_url_comes_before_upstream_and_its_file_is_stored(small, folder, server, monkeypatch, ending):
    server.respond("/mirror/small/file%20one.bin", DATA)
    monkeypatch.setenv("DATASETS_MIRROR", f"{server.url}/mirror{ending}")
    assert sources(small).find(source(server.respond("/up", DATA))) == folder / NAME
    assert server.requests == {"/mirror/small/file%20one.bin": 1}
    assert stored(folder) == {NAME: DATA}


def test_upstream_comes_after_the_mirror_and_its_file_is_stored(small, folder, server, monkeypatch, tmp_path):
    monkeypatch.setenv("DATASETS_MIRROR", os.fspath(tmp_path / "empty"))
    assert sources(small).find(source(server.respond("/up", DATA))) == folder / NAME
    assert server.requests == {"/up": 1}
    assert stored(folder) == {NAME: DATA}


def test_a_file_is_downloaded_once(small, server):
    wanted = source(server.respond("/up", DATA))
    for _ in range(3):
        sources(small).find(wanted)
    assert server.requests == {"/up": 1}


def test_redirects_are_followed(small, folder, server):
    server.respond("/new", DATA)
    url = server.respond("/old", b"", status=302, Location="/new")
    assert sources(small).find(source(url)).read_bytes() == DATA
    assert server.requests == {"/old": 1, "/new": 1}


def test_used_contains_only_files_that_were_found(small, folder):
    write(folder / NAME, DATA)
    found = sources(small)
    wanted = source("http://127.0.0.1:9/one")
    found.find(wanted)
    with pytest.raises(ScriptError):
        found.find(source("http://127.0.0.1:9/two", "other.bin"))
    assert found.used == {wanted.url: wanted}


def changed(data):
    found = f"{len(data):,} bytes, SHA-256 {hashlib.sha256(data).hexdigest()}"
    return f"has another file than the recorded one: {found}, instead of {len(DATA):,} bytes, SHA-256 {SHA256}"


INCOMPLETE = {"body": DATA[:-7], "Content_Length": str(len(DATA))}
HTML = {"body": PAGE, "Content_Type": "text/html"}
FAILURES = {  # the response, the expected reason, and the expected number of requests
    "wrong bytes of the same size": ({"body": WRONG}, changed(WRONG), 1),
    "fewer bytes": ({"body": DATA[:-1]}, changed(DATA[:-1]), 1),
    "no byte": ({"body": b""}, changed(b""), 1),
    "incomplete": (INCOMPLETE, "IncompleteRead(1279993 bytes read, 7 more expected), tried 4 times", 4),
    "more bytes": ({"body": LONGER}, changed(LONGER), 1),
    "404": ({"status": 404, "body": b"gone"}, "answers 404", 1),
    "500": ({"status": 500, "body": DATA}, "answers 500 Internal Server Error, tried 4 times", 4),
    "an HTML page": (HTML, changed(PAGE) + "; it is an HTML page", 1),
    "an HTML page without a type": ({"body": b"\n <HTML>"}, changed(b"\n <HTML>") + "; it is an HTML page", 1),
}
CHANGED = FAILURES.keys() - {"incomplete", "404", "500"}


@pytest.mark.parametrize("what", FAILURES)
def test_if_the_mirror_fails_the_file_comes_from_upstream(small, folder, server, monkeypatch, what, capsys):
    response, reason, times = FAILURES[what]
    server.respond("/small/file%20one.bin", **response)
    monkeypatch.setenv("DATASETS_MIRROR", server.url)
    assert sources(small).find(source(server.respond("/up", DATA))).read_bytes() == DATA
    assert server.requests == {"/small/file%20one.bin": times, "/up": 1}
    assert stored(folder).get(NAME) == DATA
    printed = [line for line in capsys.readouterr().err.splitlines() if "; trying the next location" in line]
    assert len(printed) == 1
    assert f"mirror {server.url}/small/file%20one.bin" in printed[0]
    assert reason in printed[0]


@pytest.mark.parametrize("what", FAILURES)
def test_if_no_location_has_the_file_the_error_lists_all(small, folder, server, monkeypatch, tmp_path, what):
    response, reason, _ = FAILURES[what]
    monkeypatch.setenv("DATASETS_MIRROR", os.fspath(tmp_path / "mirror"))
    url = server.respond("/up", **response)
    with pytest.raises(ScriptError) as raised:
        sources(small).find(source(url))
    local, mirror, dvc, upstream, npm = locations(raised)
    assert local == f"sources/small/{NAME}: no such file"
    assert mirror == f"mirror {tmp_path / 'mirror/small' / NAME}: no such file"
    assert dvc == "DVC (sources/small.dvc): no such file"
    assert upstream.startswith(f"upstream {url}: ")
    assert reason in upstream
    assert npm == "npm package: the definition names none"
    message = str(raised.value)
    assert message.startswith(f"small: source file not found: {NAME} ({len(DATA):,} bytes, SHA-256 {SHA256})")
    assert f"download {url} elsewhere and put it at sources/small/{NAME}" in message
    how_to_update = f"remove the line of {url} from datasets/standard/small/checksums.tsv"
    assert (how_to_update in message) == (what in CHANGED)
    assert ("make build DATASET=small REGISTER=1" in message) == (what in CHANGED)
    assert bool(stored(folder)) == (what == "incomplete")


def test_a_refused_connection_is_listed_as_reason(small, folder, refusing):
    with pytest.raises(ScriptError) as raised:
        sources(small).find(source(f"{refusing}/up"))
    assert f"upstream {refusing}/up: [Errno 111] Connection refused" in locations(raised)
    assert stored(folder) == {}


def test_if_the_mirror_refuses_connections_the_file_comes_from_upstream(small, server, refusing, monkeypatch):
    monkeypatch.setenv("DATASETS_MIRROR", refusing)
    assert sources(small).find(source(server.respond("/up", DATA))).read_bytes() == DATA


@pytest.mark.parametrize("url", ["no-url", "ftp://127.0.0.1/x", "http://"])
def test_an_invalid_url_is_listed_as_reason(small, url):
    with pytest.raises(ScriptError) as raised:
        sources(small).find(source(url))
    assert [location for location in locations(raised) if location.startswith(f"upstream {url}: ")]


@pytest.mark.parametrize("value", [None, ""])
def test_an_error_says_that_no_mirror_is_set(small, refusing, monkeypatch, value):
    if value is not None:
        monkeypatch.setenv("DATASETS_MIRROR", value)
    with pytest.raises(ScriptError) as raised:
        sources(small).find(source(refusing))
    assert "mirror (DATASETS_MIRROR): the variable is not set" in locations(raised)


@pytest.mark.parametrize("corrupt", [WRONG, DATA[:-1], LONGER, b""])
def test_a_corrupt_stored_file_is_replaced_from_upstream(small, folder, server, corrupt):
    write(folder / NAME, corrupt)
    assert sources(small).find(source(server.respond("/up", DATA))) == folder / NAME
    assert stored(folder) == {NAME: DATA}


def test_a_corrupt_stored_file_is_not_replaced_by_another_corrupt_one(small, folder, server):
    write(folder / NAME, WRONG)
    with pytest.raises(ScriptError, match="has another SHA-256"):
        sources(small).find(source(server.respond("/up", PAGE)))
    assert stored(folder) == {NAME: WRONG}


@pytest.mark.parametrize("corrupt", [WRONG, DATA[:-1]])
def test_a_corrupt_file_in_a_mirror_folder_is_neither_used_nor_changed(small, server, monkeypatch, tmp_path, corrupt):
    path = write(tmp_path / "mirror/small" / NAME, corrupt)
    monkeypatch.setenv("DATASETS_MIRROR", os.fspath(tmp_path / "mirror"))
    assert sources(small).find(source(server.respond("/up", DATA))).read_bytes() == DATA
    assert path.read_bytes() == corrupt


def test_a_folder_at_the_path_of_a_mirrors_file_is_not_used(small, server, monkeypatch, tmp_path):
    (tmp_path / "mirror/small" / NAME).mkdir(parents=True)
    monkeypatch.setenv("DATASETS_MIRROR", os.fspath(tmp_path / "mirror"))
    assert sources(small).find(source(server.respond("/up", DATA))).read_bytes() == DATA


def test_a_folder_at_the_path_of_a_stored_file_is_an_error_that_names_it(small, folder, server):
    (folder / NAME).mkdir(parents=True)
    with pytest.raises(ScriptError, match=f"sources/small/{NAME}"):
        sources(small).find(source(server.respond("/up", DATA)))


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip"])
def test_a_file_with_a_content_encoding_is_not_decompressed(small, server, encoding):
    # Apache sends this header with AddEncoding
    packed = gzip.compress(DATA, mtime=0)
    url = server.respond("/up.gz", packed, Content_Encoding=encoding)
    wanted = Source(url, "up.gz", len(packed), hashlib.sha256(packed).hexdigest())
    assert sources(small).find(wanted).read_bytes() == packed


def test_partial_files_that_are_not_needed_are_removed(small, folder, server):
    key = "0123456789abcdef"
    for name in (f".{key}.part", f".{key}.part.json", f"..{key}.part.json.part"):
        write(folder / name, DATA[:100])
    with sources(small) as found:
        assert found.find(source(server.respond("/up", DATA))) == folder / NAME
    assert stored(folder) == {NAME: DATA}


def test_hidden_files_of_the_user_are_kept(small, folder, server, tmp_path):
    key = "0123456789abcdef"
    names = (".git/config", ".notes", ".x.part", f".{key}.part.txt", f".{key}", f".{key}.part.json/mine")
    for name in names:
        write(folder / name, b"mine")
    link = folder / f".{key}.part"
    link.symlink_to(write(tmp_path / "elsewhere", b"mine"))
    with sources(small) as found:
        assert found.find(source(server.respond("/up", DATA))) == folder / NAME
    assert all((folder / name).read_bytes() == b"mine" for name in names)
    assert link.is_symlink()


def test_a_hidden_link_to_a_folder_is_not_followed(small, folder, server, tmp_path):
    write(tmp_path / "elsewhere/mine", b"mine")
    folder.mkdir(parents=True)
    (folder / ".elsewhere").symlink_to(tmp_path / "elsewhere")
    with sources(small) as found:
        assert found.find(source(server.respond("/up", DATA))) == folder / NAME
    assert (tmp_path / "elsewhere/mine").read_bytes() == b"mine"


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_an_interrupted_download_is_resumed_by_the_next_run(small, folder, server, monkeypatch, stop):
    wanted = source(server.serve("/up", WebFile(DATA, {"ETag": '"one"'})))

    def interrupt(response, part, **_):
        part.write_bytes(response.raw.read(1000))
        raise stop

    with monkeypatch.context() as patched:
        patched.setattr(downloads, "_receive", interrupt)
        with pytest.raises(stop), sources(small) as found:
            found.find(wanted)
    assert NAME not in stored(folder)
    with sources(small) as found:
        assert found.find(wanted).read_bytes() == DATA
    assert server.requested_ranges() == [None, "bytes=1000-"]
    assert stored(folder) == {NAME: DATA}


def test_a_corrupt_partial_file_is_downloaded_again_once(small, folder, server):
    wanted = source(server.serve("/up", WebFile(DATA, {"ETag": '"one"'}, break_after=[1000, 0, 0, 0])))
    with pytest.raises(ScriptError), sources(small) as found:
        found.find(wanted)
    (part,) = folder.glob(".[!.]*.part")
    part.write_bytes(b"x" * 1000)
    server.request_headers.clear()
    with sources(small) as found:
        assert found.find(wanted).read_bytes() == DATA
    assert server.requested_ranges() == ["bytes=1000-", None]


def test_the_number_of_parallel_downloads_is_limited(small, folder, server):
    wanted = [source(server.serve(f"/{n}", WebFile(DATA)), f"{n}.bin") for n in range(3 * FILES_AT_ONCE)]
    server.is_open.clear()
    with sources(small) as found:
        futures = [found.submit(each) for each in wanted]
        while server.open_requests < FILES_AT_ONCE:
            time.sleep(0.01)
        time.sleep(0.1)  # in which another request would arrive
        at_once = server.open_requests
        server.is_open.set()
        paths = [future.result() for future in futures]
    assert at_once == FILES_AT_ONCE
    assert [path.name for path in paths] == [each.filename for each in wanted]
    assert set(stored(folder)) == {each.filename for each in wanted}


def test_an_error_cancels_running_downloads_which_can_be_resumed(small, folder, server):
    missing = source(server.url + "/missing", "missing.bin")
    slow = source(server.serve("/slow", WebFile(DATA * 40, {"ETag": '"1"'}, pause_seconds=0.005)), "slow.bin")
    slow = Source(slow.url, slow.filename, len(DATA) * 40, hashlib.sha256(DATA * 40).hexdigest())
    with pytest.raises(ScriptError, match=r"source file not found: missing\.bin"), sources(small) as found:
        futures = [found.submit(slow)]
        while not any(part.stat().st_size for part in folder.glob(".[!.]*.part")):
            time.sleep(0.01)
        found.submit(missing).result()
    with pytest.raises(ScriptError):  # cancelled
        futures[0].result(timeout=5)
    server.serve("/slow", WebFile(DATA * 40, {"ETag": '"1"'}))
    server.request_headers.clear()
    with sources(small) as found:
        assert found.find(slow).read_bytes() == DATA * 40
    assert server.requested_ranges() != [None]
    assert len(server.request_headers) == 1


def test_several_threads_download_a_file_once(small, folder, server, monkeypatch, capsys):
    monkeypatch.setattr(parts, "WAIT_SECONDS", 0.02)
    wanted = source(server.serve("/up", WebFile(DATA, pause_seconds=0.02)))
    found = []
    threads = [threading.Thread(target=lambda: found.append(sources(small).find(wanted))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [folder / NAME] * 3
    assert server.requests == {"/up": 1}
    assert "another process is fetching it; waiting" in capsys.readouterr().err


def test_a_partial_file_that_another_process_writes_is_not_removed(small, folder, server):
    other = sources(small)
    with other._parts.open("x", label="x", stopped=threading.Event()) as part:
        part.write_bytes(b"half")
        state = write(part.with_name(f".{part.name}.json.part"), b"half")
        with sources(small) as found:
            found.find(source(server.respond("/up", DATA)))
        assert part.read_bytes() == state.read_bytes() == b"half"


def test_with_a_full_disk_the_partial_file_is_kept(small, folder, server, monkeypatch):
    def full(response, part, **_):
        part.write_bytes(response.raw.read(1000))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(downloads, "_receive", full)
    message = r"file one\.bin cannot be stored in .*: No space left on device"
    with pytest.raises(ScriptError, match=message), sources(small) as found:
        found.find(source(server.serve("/up", WebFile(DATA))))
    assert [path.stat().st_size for path in folder.glob(".[!.]*.part")] == [1000]


@pytest.mark.parametrize("filename", ["../x", "a/b", "/etc/passwd", "..", ".", ".hidden", "x/", "../small/x", ""])
def test_a_name_that_is_not_a_plain_file_name_is_refused(small, folder, server, filename):
    with pytest.raises(ScriptError, match=r"in checksums\.tsv is not a plain file name"):
        sources(small).find(source(server.respond("/up", DATA), filename))
    assert not server.requests
    assert stored(folder) == {}


def test_two_files_with_the_same_name_are_refused(small, server):
    # the second would replace the first, whose path the builder already has
    found = sources(small)
    found.find(source(server.respond("/one", DATA)))
    other = b"other" + DATA
    wanted = Source(server.respond("/two", other), NAME, len(other), hashlib.sha256(other).hexdigest())
    with pytest.raises(ScriptError, match=f"have the same file name, {NAME}; change one in the 4th column"):
        found.find(wanted)


def test_secrets_in_the_url_of_a_mirror_are_not_shown(small, server, monkeypatch, capsys):
    host = server.respond("/gone", b"", status=404).partition("://")[2].partition("/")[0]
    monkeypatch.setenv("DATASETS_MIRROR", f"http://user:s3cr3t@{host}")
    with pytest.raises(ScriptError) as raised:
        sources(small).find(source(server.respond("/missing", b"", status=404)))
    assert "s3cr3t" not in str(raised.value) + capsys.readouterr().err


@pytest.mark.parametrize("url", ["ftp://user:s3cr3t@example.org/one.bin", "http://u:s3cr3t@[bad/x?sig=s3cr3t"])
def test_secrets_in_the_url_of_a_source_file_are_not_shown(small, url, capsys):
    with pytest.raises(ScriptError) as raised:
        sources(small).find(source(url))
    assert "s3cr3t" not in str(raised.value) + capsys.readouterr().err
    assert f"source file not found: {NAME}" in str(raised.value)
