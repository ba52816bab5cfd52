"""The locations of source files: their order, what closes one, and what is left behind."""

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
    """The URL of a port that nobody listens at."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


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


def locations(error):
    """The locations that an error lists, with their reasons."""
    lines = str(error.value).splitlines()
    return [line.strip() for line in lines if line.startswith("  ")]


def test_a_file_at_hand_is_used_and_nobody_is_asked(small, folder, server, monkeypatch, tmp_path):
    path = put(folder / NAME, DATA)
    monkeypatch.setenv("DATASETS_MIRROR", server.url)
    assert sources(small).find(source(server.answer("/up", DATA))) == path
    assert not server.requests


def test_a_mirror_that_is_a_folder_comes_second_and_its_file_is_used_in_place(
    small, folder, server, monkeypatch, tmp_path
):
    path = put(tmp_path / "mirror/small" / NAME, DATA)
    monkeypatch.setenv("DATASETS_MIRROR", os.fspath(tmp_path / "mirror"))
    assert sources(small).find(source(server.answer("/up", DATA))) == path
    assert not server.requests
    assert kept(folder) == {}


def test_a_mirror_may_lie_in_the_home_folder(small, monkeypatch, tmp_path):
    path = put(tmp_path / "home/mirror/small" / NAME, DATA)
    monkeypatch.setenv("HOME", os.fspath(tmp_path / "home"))
    monkeypatch.setenv("DATASETS_MIRROR", "~/mirror")
    assert sources(small).find(source()) == path


@pytest.mark.parametrize("ending", ["", "/"])
def test_a_mirror_that_is_a_url_comes_before_upstream_and_its_file_is_kept(small, folder, server, monkeypatch, ending):
    server.answer("/mirror/small/file%20one.bin", DATA)
    monkeypatch.setenv("DATASETS_MIRROR", f"{server.url}/mirror{ending}")
    assert sources(small).find(source(server.answer("/up", DATA))) == folder / NAME
    assert server.requests == {"/mirror/small/file%20one.bin": 1}
    assert kept(folder) == {NAME: DATA}


def test_upstream_comes_after_the_mirror_and_its_file_is_kept(small, folder, server, monkeypatch, tmp_path):
    monkeypatch.setenv("DATASETS_MIRROR", os.fspath(tmp_path / "empty"))
    assert sources(small).find(source(server.answer("/up", DATA))) == folder / NAME
    assert server.requests == {"/up": 1}
    assert kept(folder) == {NAME: DATA}


def test_upstream_is_asked_once_only(small, server):
    wanted = source(server.answer("/up", DATA))
    for _ in range(3):
        sources(small).find(wanted)
    assert server.requests == {"/up": 1}


def test_a_redirected_file_is_followed(small, folder, server):
    server.answer("/new", DATA)
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


def other(data):
    found = f"{len(data):,} bytes, SHA-256 {hashlib.sha256(data).hexdigest()}"
    return f"has another file than the recorded one: {found}, instead of {len(DATA):,} bytes, SHA-256 {SHA256}"


BROKEN_OFF = {"body": DATA[:-7], "Content_Length": str(len(DATA))}
HTML = {"body": PAGE, "Content_Type": "text/html"}
CLOSED = {  # the answer, the reason that is given, and how often the server is asked
    "wrong bytes of the same size": ({"body": WRONG}, other(WRONG), 1),
    "fewer bytes": ({"body": DATA[:-1]}, other(DATA[:-1]), 1),
    "no byte": ({"body": b""}, other(b""), 1),
    "broken off": (BROKEN_OFF, "IncompleteRead(1279993 bytes read, 7 more expected), tried 4 times", 4),
    "more bytes": ({"body": LONGER}, other(LONGER), 1),
    "404": ({"status": 404, "body": b"gone"}, "answers 404", 1),
    "500": ({"status": 500, "body": DATA}, "answers 500 Internal Server Error, tried 4 times", 4),
    "an HTML page": (HTML, other(PAGE) + "; it is an HTML page", 1),
    "an HTML page of no stated type": ({"body": b"\n <HTML>"}, other(b"\n <HTML>") + "; it is an HTML page", 1),
}
CHANGED = CLOSED.keys() - {"broken off", "404", "500"}


@pytest.mark.parametrize("what", CLOSED)
def test_a_mirror_that_fails_is_passed_over_for_upstream(small, folder, server, monkeypatch, what, capsys):
    answer, reason, times = CLOSED[what]
    server.answer("/small/file%20one.bin", **answer)
    monkeypatch.setenv("DATASETS_MIRROR", server.url)
    assert sources(small).find(source(server.answer("/up", DATA))).read_bytes() == DATA
    assert server.requests == {"/small/file%20one.bin": times, "/up": 1}
    assert kept(folder).get(NAME) == DATA
    told = [line for line in capsys.readouterr().err.splitlines() if "passed over" in line]
    assert len(told) == 1
    assert f"mirror {server.url}/small/file%20one.bin" in told[0]
    assert reason in told[0]


@pytest.mark.parametrize("what", CLOSED)
def test_where_no_location_has_the_file_one_error_lists_them_all(small, folder, server, monkeypatch, tmp_path, what):
    answer, reason, _ = CLOSED[what]
    monkeypatch.setenv("DATASETS_MIRROR", os.fspath(tmp_path / "mirror"))
    url = server.answer("/up", **answer)
    with pytest.raises(ScriptError) as raised:
        sources(small).find(source(url))
    at_hand, mirror, dvc, upstream, registry = locations(raised)
    assert at_hand == f"sources/small/{NAME}: no such file"
    assert mirror == f"mirror {tmp_path / 'mirror/small' / NAME}: no such file"
    assert dvc == "DVC (sources/small.dvc): no such file"
    assert upstream.startswith(f"upstream {url}: ")
    assert reason in upstream
    assert registry == "npm package: the definition names none"
    message = str(raised.value)
    assert message.startswith(f"small: source file not found: {NAME} ({len(DATA):,} bytes, SHA-256 {SHA256})")
    assert f"download {url} elsewhere and put it at sources/small/{NAME}" in message
    renewal = f"take the line of {url} out of datasets/standard/small/checksums.tsv"
    assert (renewal in message) == (what in CHANGED)
    assert ("make build DATASET=small REGISTER=1" in message) == (what in CHANGED)
    assert bool(kept(folder)) == (what == "broken off")


def test_a_refused_connection_is_a_reason(small, folder, refusing):
    with pytest.raises(ScriptError) as raised:
        sources(small).find(source(f"{refusing}/up"))
    assert f"upstream {refusing}/up: [Errno 111] Connection refused" in locations(raised)
    assert kept(folder) == {}


def test_a_mirror_that_refuses_is_passed_over(small, server, refusing, monkeypatch):
    monkeypatch.setenv("DATASETS_MIRROR", refusing)
    assert sources(small).find(source(server.answer("/up", DATA))).read_bytes() == DATA


@pytest.mark.parametrize("url", ["no-url", "ftp://127.0.0.1/x", "http://"])
def test_a_url_that_cannot_be_asked_is_a_reason(small, url):
    with pytest.raises(ScriptError) as raised:
        sources(small).find(source(url))
    assert [location for location in locations(raised) if location.startswith(f"upstream {url}: ")]


@pytest.mark.parametrize("value", [None, ""])
def test_an_error_says_where_no_mirror_is_named(small, refusing, monkeypatch, value):
    if value is not None:
        monkeypatch.setenv("DATASETS_MIRROR", value)
    with pytest.raises(ScriptError) as raised:
        sources(small).find(source(refusing))
    assert "mirror (DATASETS_MIRROR): the variable is not set" in locations(raised)


@pytest.mark.parametrize("corrupt", [WRONG, DATA[:-1], LONGER, b""])
def test_a_corrupt_file_at_hand_is_healed_by_upstream(small, folder, server, corrupt):
    put(folder / NAME, corrupt)
    assert sources(small).find(source(server.answer("/up", DATA))) == folder / NAME
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
    assert sources(small).find(source(server.answer("/up", DATA))).read_bytes() == DATA
    assert path.read_bytes() == corrupt


def test_a_folder_in_the_place_of_a_mirrors_file_is_passed_over(small, server, monkeypatch, tmp_path):
    (tmp_path / "mirror/small" / NAME).mkdir(parents=True)
    monkeypatch.setenv("DATASETS_MIRROR", os.fspath(tmp_path / "mirror"))
    assert sources(small).find(source(server.answer("/up", DATA))).read_bytes() == DATA


def test_a_folder_in_the_place_of_the_file_at_hand_is_an_error_that_names_it(small, folder, server):
    (folder / NAME).mkdir(parents=True)
    with pytest.raises(ScriptError, match=f"sources/small/{NAME}"):
        sources(small).find(source(server.answer("/up", DATA)))


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip"])
def test_a_compressed_file_arrives_as_it_is_though_the_server_names_its_compression(small, server, encoding):
    # as Apache does with AddEncoding
    packed = gzip.compress(DATA, mtime=0)
    url = server.answer("/up.gz", packed, Content_Encoding=encoding)
    wanted = Source(url, "up.gz", len(packed), hashlib.sha256(packed).hexdigest())
    assert sources(small).find(wanted).read_bytes() == packed


def test_what_a_killed_run_left_of_files_nobody_asks_for_is_swept(small, folder, server):
    put(folder / f".{NAME}.123.part", DATA[:100])
    put(folder / ".abc.part-x/package.tgz", b"half")
    put(folder / ".abc.part.json", b"{}")
    put(folder / "other.bin", b"mine")
    with sources(small) as found:
        assert found.find(source(server.answer("/up", DATA))) == folder / NAME
    assert kept(folder) == {NAME: DATA, "other.bin": b"mine"}


def test_a_hidden_link_to_a_folder_is_no_obstacle(small, folder, server, tmp_path):
    put(tmp_path / "elsewhere/mine", b"mine")
    folder.mkdir(parents=True)
    (folder / ".elsewhere").symlink_to(tmp_path / "elsewhere")
    with sources(small) as found:
        assert found.find(source(server.answer("/up", DATA))) == folder / NAME
    assert (tmp_path / "elsewhere/mine").read_bytes() == b"mine"


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_an_interrupted_download_is_continued_by_the_next_run(small, folder, server, monkeypatch, stop):
    wanted = source(server.serve("/up", WebFile(DATA, {"ETag": '"one"'})))

    def interrupt(response, part, **_):
        part.write_bytes(response.raw.read(1000))
        raise stop

    with monkeypatch.context() as patched:
        patched.setattr(downloads, "_receive", interrupt)
        with pytest.raises(stop), sources(small) as found:
            found.find(wanted)
    assert NAME not in kept(folder)
    with sources(small) as found:
        assert found.find(wanted).read_bytes() == DATA
    assert server.ranges() == [None, "bytes=1000-"]
    assert kept(folder) == {NAME: DATA}


def test_a_part_that_was_not_the_beginning_of_the_file_is_fetched_anew_once(small, folder, server):
    wanted = source(server.serve("/up", WebFile(DATA, {"ETag": '"one"'}, sends=[1000, 0, 0, 0])))
    with pytest.raises(ScriptError), sources(small) as found:
        found.find(wanted)
    (part,) = folder.glob(".[!.]*.part")
    part.write_bytes(b"x" * 1000)
    server.asked.clear()
    with sources(small) as found:
        assert found.find(wanted).read_bytes() == DATA
    assert server.ranges() == ["bytes=1000-", None]


def test_several_files_are_fetched_at_once_but_not_all(small, folder, server):
    wanted = [source(server.serve(f"/{n}", WebFile(DATA, pause=0.01)), f"{n}.bin") for n in range(3 * FILES_AT_ONCE)]
    with sources(small) as found:
        paths = [future.result() for future in [found.submit(each) for each in wanted]]
    assert [path.name for path in paths] == [each.filename for each in wanted]
    assert 1 < server.most_at_once < 2 * FILES_AT_ONCE  # one may have ended that the server still counts
    assert set(kept(folder)) == {each.filename for each in wanted}


def test_an_error_ends_what_is_under_way_and_it_is_continued(small, folder, server):
    missing = source(server.url + "/missing", "missing.bin")
    slow = source(server.serve("/slow", WebFile(DATA * 40, {"ETag": '"1"'}, pause=0.005)), "slow.bin")
    slow = Source(slow.url, slow.filename, len(DATA) * 40, hashlib.sha256(DATA * 40).hexdigest())
    with pytest.raises(ScriptError, match=r"source file not found: missing\.bin"), sources(small) as found:
        futures = [found.submit(slow)]
        while not any(part.stat().st_size for part in folder.glob(".[!.]*.part")):
            time.sleep(0.01)
        found.submit(missing).result()
    with pytest.raises(ScriptError):  # given up, not waited for
        futures[0].result(timeout=5)
    server.serve("/slow", WebFile(DATA * 40, {"ETag": '"1"'}))
    server.asked.clear()
    with sources(small) as found:
        assert found.find(slow).read_bytes() == DATA * 40
    assert server.ranges() != [None]
    assert len(server.asked) == 1


def test_two_at_once_fetch_a_file_once(small, folder, server, monkeypatch, capsys):
    monkeypatch.setattr(parts, "WAIT_SECONDS", 0.02)
    wanted = source(server.serve("/up", WebFile(DATA, pause=0.02)))
    found = []
    threads = [threading.Thread(target=lambda: found.append(sources(small).find(wanted))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [folder / NAME] * 3
    assert server.requests == {"/up": 1}
    assert "another process is fetching it; waiting" in capsys.readouterr().err


def test_what_another_process_is_writing_is_not_swept(small, folder, server):
    other = sources(small)
    with other._parts.open("x", label="x", stopped=threading.Event()) as part:
        part.write_bytes(b"half")
        state = put(part.with_name(f".{part.name}.json.part"), b"half")
        with sources(small) as found:
            found.find(source(server.answer("/up", DATA)))
        assert part.read_bytes() == state.read_bytes() == b"half"


def test_a_full_disk_is_one_sentence_and_keeps_what_came(small, folder, server, monkeypatch):
    def full(response, part, **_):
        part.write_bytes(response.raw.read(1000))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(downloads, "_receive", full)
    sentence = r"file one\.bin cannot be kept in .* \(No space left on device\)"
    with pytest.raises(ScriptError, match=sentence), sources(small) as found:
        found.find(source(server.serve("/up", WebFile(DATA))))
    assert [path.stat().st_size for path in folder.glob(".[!.]*.part")] == [1000]


@pytest.mark.parametrize("filename", ["../x", "a/b", "/etc/passwd", "..", ".", ".hidden", "x/", "../small/x", ""])
def test_a_name_that_is_no_plain_file_name_is_refused(small, folder, server, filename):
    with pytest.raises(ScriptError, match=r"in checksums\.tsv is no plain file name"):
        sources(small).find(source(server.answer("/up", DATA), filename))
    assert not server.requests
    assert kept(folder) == {}


def test_two_files_of_one_name_are_refused(small, server):
    # the second would take the place of the first, which the builder already has the path of
    found = sources(small)
    found.find(source(server.answer("/one", DATA)))
    other = b"other" + DATA
    wanted = Source(server.answer("/two", other), NAME, len(other), hashlib.sha256(other).hexdigest())
    with pytest.raises(ScriptError, match=f"two files of one name, {NAME}; give one another name in the 4th column"):
        found.find(wanted)


def test_what_is_secret_in_a_mirrors_url_is_not_shown(small, server, monkeypatch, capsys):
    host = server.answer("/gone", b"", status=404).partition("://")[2].partition("/")[0]
    monkeypatch.setenv("DATASETS_MIRROR", f"http://user:s3cr3t@{host}")
    with pytest.raises(ScriptError) as raised:
        sources(small).find(source(server.answer("/missing", b"", status=404)))
    assert "s3cr3t" not in str(raised.value) + capsys.readouterr().err
