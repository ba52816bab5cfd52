"""Downloads: resumed if interrupted, restarted if the file has changed, retried after temporary errors."""

import gzip
import os
import signal
import subprocess
import sys
import time
import zlib

import pytest

from scripts._process.errors import UnavailableError
from scripts._sources import download as module
from scripts._sources.download import discard, download
from tests.conftest import ROOT
from tests.helpers.web_server import WebFile

DATA = bytes(range(256)) * 20_000  # 78 chunks
OTHER = DATA[::-1]
HALF = len(DATA) // 2
ETAG = {"ETag": '"one"'}


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(module, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def part(tmp_path):
    return tmp_path / ".x.part"


def fetch(url, part, **options):
    return download(url, part, label="x", **options)


def interrupted_download(server, part, **options):
    """Serve a file, download the first half of it, and return its URL."""
    url = server.serve("/x", WebFile(DATA, dict(ETAG), break_after=[HALF], **options))
    attempts, module.ATTEMPTS = module.ATTEMPTS, 1
    try:
        with pytest.raises(UnavailableError):
            fetch(url, part, size=len(DATA))
    finally:
        module.ATTEMPTS = attempts
    assert 0 < part.stat().st_size <= HALF
    server.request_headers.clear()
    return url


def test_a_download_returns_the_file_name_and_type_from_the_server(server, part):
    headers = {"ETag": '"one"', "Content-Type": "text/csv; charset=utf-8", "Last-Modified": "then"}
    info = fetch(server.serve("/data/a%20file.csv?x=1", WebFile(DATA, headers)), part)
    assert part.read_bytes() == DATA
    assert (info.filename, info.content_type) == ("a file.csv", "text/csv")
    assert server.requested_ranges() == [None]


@pytest.mark.parametrize(
    ("disposition", "filename"),
    [
        ('attachment; filename="real name.zip"', "real name.zip"),
        ("attachment; filename=../../etc/passwd", "passwd"),
        ("attachment; filename*=UTF-8''%e2%82%ac.txt", "€.txt"),
        ("inline", "x"),
        ("", "x"),
    ],
)
def test_a_file_name_from_the_server_cannot_contain_a_folder(server, part, disposition, filename):
    url = server.respond("/x", DATA, Content_Disposition=disposition)
    assert fetch(url, part).filename == filename


def test_a_dropped_connection_is_resumed(server, part):
    url = server.serve("/x", WebFile(DATA, dict(ETAG), break_after=[HALF, 0, HALF // 2]))
    fetch(url, part, size=len(DATA))
    assert part.read_bytes() == DATA
    whole, *rest = server.requested_ranges()
    assert whole is None
    starts = [int(text.removeprefix("bytes=").rstrip("-")) for text in rest]
    assert starts[0] >= HALF - module.CHUNK_BYTES
    assert starts[0] == starts[1] < starts[2]
    assert all(headers.get("If-Range") == '"one"' for headers in server.request_headers[1:])


def test_the_next_run_resumes_an_interrupted_download(server, part):
    url = interrupted_download(server, part)
    size = part.stat().st_size
    fetch(url, part, size=len(DATA))
    assert part.read_bytes() == DATA
    assert server.requested_ranges() == [f"bytes={size}-"]


def test_a_complete_part_is_not_requested_again(server, part):
    url = server.serve("/x", WebFile(DATA, dict(ETAG)))
    first = fetch(url, part, size=len(DATA))
    assert fetch(url, part, size=len(DATA)) == first
    assert server.requests["/x"] == 1


def test_without_a_known_size_the_server_tells_whether_a_part_is_complete(server, part):
    url = server.serve("/x", WebFile(DATA, dict(ETAG)))
    fetch(url, part)
    fetch(url, part)
    assert part.read_bytes() == DATA
    assert server.requested_ranges() == [None, f"bytes={len(DATA)}-"]


@pytest.mark.parametrize("header", ["ETag", "Last-Modified"])
@pytest.mark.parametrize("size", [len(DATA), None])
def test_a_file_that_has_changed_is_downloaded_from_the_beginning(server, part, header, size):
    url = server.serve("/x", WebFile(DATA, {header: '"one"'}, break_after=[HALF, 0, 0, 0]))
    with pytest.raises(UnavailableError, match="tried 4 times"):
        fetch(url, part, size=size)
    server.serve("/x", WebFile(OTHER, {header: '"two"'}))
    fetch(url, part, size=size)
    assert part.read_bytes() == OTHER


def test_without_ranges_a_file_is_downloaded_from_the_beginning(server, part):
    url = interrupted_download(server, part, supports_ranges=False)
    fetch(url, part, size=len(DATA))
    assert part.read_bytes() == DATA
    assert len(server.request_headers) == 1


@pytest.mark.parametrize("headers", [{}, {"ETag": 'W/"weak"'}])
def test_without_size_and_etag_a_download_is_not_resumed(server, part, headers):
    url = server.serve("/x", WebFile(DATA, headers, break_after=[HALF]))
    fetch(url, part)
    assert part.read_bytes() == DATA
    assert server.requested_ranges() == [None, None]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"x": 1}'])
def test_a_part_without_valid_info_is_resumed_only_if_the_size_is_known(server, part, content):
    url = server.serve("/x", WebFile(DATA, dict(ETAG)))
    part.write_bytes(DATA[:HALF])
    part.with_name(".x.part.json").write_bytes(content)
    fetch(url, part, size=len(DATA))
    assert server.requested_ranges() == [f"bytes={HALF}-"]
    discard(part)
    part.write_bytes(OTHER[:HALF])
    fetch(url, part)
    assert part.read_bytes() == DATA


def test_a_part_that_is_longer_than_the_file_is_replaced(server, part):
    url = server.serve("/x", WebFile(DATA, dict(ETAG)))
    part.write_bytes(DATA + b"more")
    fetch(url, part, size=len(DATA))
    assert part.read_bytes() == DATA


def test_another_range_than_the_requested_one_is_not_appended(server, part):
    part.write_bytes(DATA[:HALF])
    url = server.respond("/x", DATA[:100], status=206, Content_Range=f"bytes 0-99/{len(DATA)}")
    with pytest.raises(UnavailableError, match="sends another range than the requested one"):
        fetch(url, part, size=len(DATA))
    assert not part.exists()


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_temporary_server_error_is_retried(server, part, status):
    url = server.serve("/x", WebFile(DATA, busy_statuses=[status] * 3))
    fetch(url, part, size=len(DATA))
    assert part.read_bytes() == DATA
    assert server.requests["/x"] == 4


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_a_permanent_server_error_is_not_retried(server, part, status):
    url = server.respond("/x", b"no", status=status)
    with pytest.raises(UnavailableError, match=f"answers {status}"):
        fetch(url, part)
    assert server.requests["/x"] == 1


def test_retries_end_after_four_attempts(server, part):
    url = server.respond("/x", b"no", status=503)
    with pytest.raises(UnavailableError, match=r"answers 503 .*, tried 4 times"):
        fetch(url, part)


def test_the_retry_after_header_sets_the_pause(server, part, monkeypatch):
    pauses = []

    class RecordingEvent(module.Event):
        def wait(self, seconds=None):
            pauses.append(seconds)
            return False

    url = server.respond("/x", b"no", status=429, Retry_After="7")
    with pytest.raises(UnavailableError):
        fetch(url, part, stopped=RecordingEvent())
    assert pauses == [7, 7, 7]


def test_an_attempt_that_makes_progress_does_not_count_as_failed(server, part):
    url = server.serve("/x", WebFile(DATA, dict(ETAG), break_after=[module.PROGRESS_BYTES + 1] * 10))
    attempts = module.ATTEMPTS
    module.ATTEMPTS = 2
    try:
        fetch(url, part, size=len(DATA))
    finally:
        module.ATTEMPTS = attempts
    assert part.read_bytes() == DATA


def test_a_body_without_content_length_that_ends_early_is_resumed(server, part):
    url = server.serve("/x", WebFile(DATA, dict(ETAG), break_after=[HALF], states_length=False))
    fetch(url, part, size=len(DATA))
    assert part.read_bytes() == DATA
    assert len(server.request_headers) == 2


def test_a_download_that_far_exceeds_the_size_is_stopped(server, part, monkeypatch):
    monkeypatch.setattr(module, "SURPLUS_BYTES", 1000)
    url = server.serve("/x", WebFile(DATA, states_length=False))
    with pytest.raises(UnavailableError, match="sends far more than the recorded 10 bytes"):
        fetch(url, part, size=10)


def test_a_download_can_be_cancelled(server, part):
    stopped = module.Event()
    stopped.set()
    with pytest.raises(UnavailableError, match="cancelled"):
        fetch(server.serve("/x", WebFile(DATA)), part, stopped=stopped)
    with pytest.raises(UnavailableError, match="cancelled"):
        fetch(server.respond("/y", b"", status=503), part, stopped=stopped)


def test_secrets_in_a_url_are_neither_printed_nor_stored(server, part, capsys):
    url = server.serve("/x?token=s3cr3t", WebFile(DATA)).replace("http://", "http://user:s3cr3t@")
    fetch(url, part)
    stored = "".join(path.read_text(errors="replace") for path in part.parent.iterdir())
    assert "s3cr3t" not in capsys.readouterr().err + stored


PACKED = gzip.compress(DATA, 1, mtime=0)
DEFLATE = zlib.compressobj(wbits=-15)
RAW_DEFLATE = DEFLATE.compress(DATA) + DEFLATE.flush()


@pytest.mark.parametrize("size", [len(DATA), None])
@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", PACKED),
        ("X-GZIP", gzip.compress(DATA[:HALF], mtime=0) + gzip.compress(DATA[HALF:], mtime=0)),
        ("deflate", zlib.compress(DATA)),
        ("deflate", RAW_DEFLATE),
        ("gzip, identity, gzip", gzip.compress(PACKED, mtime=0)),
    ],
)
def test_a_text_that_the_server_encoded_is_decoded(server, part, size, encoding, body):
    url = server.serve("/x.txt", WebFile(body, {**ETAG, "Content-Encoding": encoding}))
    info = fetch(url, part, size=size)
    assert part.read_bytes() == DATA
    assert fetch(url, part, size=size) == info
    assert part.read_bytes() == DATA
    assert sorted(path.name for path in part.parent.iterdir()) == [".x.part", ".x.part.json"]


@pytest.mark.parametrize(("name", "content_type"), [("x.tar.gz", "application/x-tar"), ("x", "application/gzip")])
def test_a_file_that_is_compressed_itself_stays_so(server, part, name, content_type):
    headers = {"Content-Encoding": "x-gzip", "Content-Type": content_type}  # as Apache does with AddEncoding
    fetch(server.serve(f"/{name}", WebFile(PACKED, headers)), part)
    assert part.read_bytes() == PACKED


@pytest.mark.parametrize(("name", "size"), [("x.gz", len(DATA)), ("x.txt", len(PACKED))])
def test_the_recorded_size_says_whether_a_file_is_meant_compressed(server, part, name, size):
    fetch(server.serve(f"/{name}", WebFile(PACKED, {"Content-Encoding": "gzip"})), part, size=size)
    assert part.stat().st_size == size


@pytest.mark.parametrize("size", [len(DATA), None])
def test_an_encoded_download_is_resumed(server, part, size):
    half = len(PACKED) // 2
    url = server.serve("/x.txt", WebFile(PACKED, {**ETAG, "Content-Encoding": "gzip"}, break_after=[half]))
    fetch(url, part, size=size)
    assert part.read_bytes() == DATA
    whole, rest = server.requested_ranges()
    assert whole is None
    assert rest == f"bytes={half}-"


def test_a_part_is_not_continued_in_another_encoding(server, part):
    url = interrupted_download(server, part)
    server.files["/x"].headers["Content-Encoding"] = "gzip"
    server.files["/x"].body = PACKED
    part.write_bytes(DATA[:10])
    fetch(url, part, size=len(DATA))
    assert part.read_bytes() == DATA
    assert server.requested_ranges() == ["bytes=10-", None]


@pytest.mark.parametrize(
    ("encoding", "body", "message"),
    [
        ("br", b"x", "sends it encoded as br, which nobody asked for"),
        ("gzip", DATA, r"does not send gzip, as it says .*, tried 4 times"),
        ("gzip", gzip.compress(b"x", mtime=0)[:-9], r"does not send gzip, as it says .*, tried 4 times"),
        ("deflate", zlib.compress(b"x")[:-4], r"does not send deflate, as it says .*, tried 4 times"),
        ("gzip", gzip.compress(bytes(1 << 20), mtime=0), "sends far more than"),
    ],
    ids=["another encoding", "no gzip", "cut off gzip", "cut off deflate", "too much"],
)
def test_what_cannot_be_decoded_is_refused(server, part, monkeypatch, encoding, body, message):
    monkeypatch.setattr(module, "SURPLUS_BYTES", 1000)
    with pytest.raises(UnavailableError, match=message):
        fetch(server.serve("/x", WebFile(body, {"Content-Encoding": encoding})), part, size=10)


def test_a_killed_download_is_resumed_by_the_next_one(server, part):
    url = server.serve("/x", WebFile(DATA, dict(ETAG), pause_seconds=0.02))
    code = (
        "from pathlib import Path; from scripts._sources.download import download\n"
        f"download({url!r}, Path({os.fspath(part)!r}), label='x', size={len(DATA)})"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 20
    while not (part.exists() and part.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    size = part.stat().st_size
    assert 0 < size < len(DATA)
    server.request_headers.clear()
    fetch(url, part, size=len(DATA))
    assert part.read_bytes() == DATA
    assert server.requested_ranges() == [f"bytes={size}-"]
