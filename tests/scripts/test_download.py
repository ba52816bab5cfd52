"""Downloads: continued where they broke off, started anew where the file changed, tried again where that may help."""

import os
import signal
import subprocess
import sys
import time

import pytest

from scripts._process.errors import UnavailableError
from scripts._sources import download as module
from scripts._sources.download import download, forget
from tests.conftest import ROOT
from tests.helpers.web_server import WebFile

DATA = bytes(range(256)) * 20_000  # five chunks
OTHER = DATA[::-1]
HALF = len(DATA) // 2
ETAG = {"ETag": '"one"'}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(module, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def part(tmp_path):
    return tmp_path / ".x.part"


def bring(url, part, **options):
    return download(url, part, label="x", **options)


def broken(server, part, **options):
    """A download that an earlier run left at the half."""
    url = server.serve("/x", WebFile(DATA, dict(ETAG), sends=[HALF], **options))
    attempts, module.ATTEMPTS = module.ATTEMPTS, 1
    try:
        with pytest.raises(UnavailableError):
            bring(url, part, size=len(DATA))
    finally:
        module.ATTEMPTS = attempts
    assert 0 < part.stat().st_size <= HALF
    server.asked.clear()
    return url


def test_a_file_arrives_with_what_the_server_says_of_it(server, part):
    headers = {"ETag": '"one"', "Content-Type": "text/csv; charset=utf-8", "Last-Modified": "then"}
    answer = bring(server.serve("/data/a%20file.csv?x=1", WebFile(DATA, headers)), part)
    assert part.read_bytes() == DATA
    assert (answer.filename, answer.content_type) == ("a file.csv", "text/csv")
    assert server.ranges() == [None]


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
def test_the_server_may_name_the_file_but_not_a_folder(server, part, disposition, filename):
    url = server.answer("/x", DATA, Content_Disposition=disposition)
    assert bring(url, part).filename == filename


def test_a_connection_that_breaks_is_continued_from_where_it_broke(server, part):
    url = server.serve("/x", WebFile(DATA, dict(ETAG), sends=[HALF, 0, HALF // 2]))
    bring(url, part, size=len(DATA))
    assert part.read_bytes() == DATA
    whole, *rest = server.ranges()
    assert whole is None
    starts = [int(text.removeprefix("bytes=").rstrip("-")) for text in rest]
    assert starts[0] >= HALF - module.PIECE_BYTES
    assert starts[0] == starts[1] < starts[2]
    assert all(headers.get("If-Range") == '"one"' for headers in server.asked[1:])


def test_the_next_run_goes_on_where_the_last_was_interrupted(server, part):
    url = broken(server, part)
    left = part.stat().st_size
    bring(url, part, size=len(DATA))
    assert part.read_bytes() == DATA
    assert server.ranges() == [f"bytes={left}-"]


def test_a_complete_part_is_not_asked_for_again(server, part):
    url = server.serve("/x", WebFile(DATA, dict(ETAG)))
    first = bring(url, part, size=len(DATA))
    assert bring(url, part, size=len(DATA)) == first
    assert server.requests["/x"] == 1


def test_where_no_size_is_known_the_server_says_that_a_part_is_complete(server, part):
    url = server.serve("/x", WebFile(DATA, dict(ETAG)))
    bring(url, part)
    bring(url, part)
    assert part.read_bytes() == DATA
    assert server.ranges() == [None, f"bytes={len(DATA)}-"]


@pytest.mark.parametrize("header", ["ETag", "Last-Modified"])
@pytest.mark.parametrize("size", [len(DATA), None])
def test_a_file_that_changed_meanwhile_starts_anew(server, part, header, size):
    url = server.serve("/x", WebFile(DATA, {header: '"one"'}, sends=[HALF, 0, 0, 0]))
    with pytest.raises(UnavailableError, match="tried 4 times"):
        bring(url, part, size=size)
    server.serve("/x", WebFile(OTHER, {header: '"two"'}))
    bring(url, part, size=size)
    assert part.read_bytes() == OTHER


def test_a_server_without_ranges_starts_anew(server, part):
    url = broken(server, part, ranges=False)
    bring(url, part, size=len(DATA))
    assert part.read_bytes() == DATA
    assert len(server.asked) == 1


@pytest.mark.parametrize("headers", [{}, {"ETag": 'W/"weak"'}])
def test_what_nothing_would_prove_is_not_continued_where_the_server_may_have_changed_it(server, part, headers):
    url = server.serve("/x", WebFile(DATA, headers, sends=[HALF]))
    bring(url, part)
    assert part.read_bytes() == DATA
    assert server.ranges() == [None, None]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"x": 1}'])
def test_a_part_whose_state_is_lost_is_used_only_where_its_sha256_will_tell(server, part, content):
    url = server.serve("/x", WebFile(DATA, dict(ETAG)))
    part.write_bytes(DATA[:HALF])
    part.with_name(".x.part.json").write_bytes(content)
    bring(url, part, size=len(DATA))
    assert server.ranges() == [f"bytes={HALF}-"]
    forget(part)
    part.write_bytes(OTHER[:HALF])
    bring(url, part)
    assert part.read_bytes() == DATA


def test_a_part_that_is_longer_than_the_file_starts_anew(server, part):
    url = server.serve("/x", WebFile(DATA, dict(ETAG)))
    part.write_bytes(DATA + b"more")
    bring(url, part, size=len(DATA))
    assert part.read_bytes() == DATA


def test_another_range_than_asked_for_is_not_appended(server, part):
    part.write_bytes(DATA[:HALF])
    url = server.answer("/x", DATA[:100], status=206, Content_Range=f"bytes 0-99/{len(DATA)}")
    with pytest.raises(UnavailableError, match="another part than it was asked for"):
        bring(url, part, size=len(DATA))
    assert not part.exists()


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_busy_server_is_asked_again(server, part, status):
    url = server.serve("/x", WebFile(DATA, busy=[status] * 3))
    bring(url, part, size=len(DATA))
    assert part.read_bytes() == DATA
    assert server.requests["/x"] == 4


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_a_server_that_refuses_is_asked_once(server, part, status):
    url = server.answer("/x", b"no", status=status)
    with pytest.raises(UnavailableError, match=f"answers {status}"):
        bring(url, part)
    assert server.requests["/x"] == 1


def test_a_server_that_stays_busy_is_given_up(server, part):
    url = server.answer("/x", b"no", status=503)
    with pytest.raises(UnavailableError, match=r"answers 503 .*, tried 4 times"):
        bring(url, part)


def test_a_server_that_says_when_is_asked_then(server, part, monkeypatch):
    pauses = []

    class Patient(module.Event):
        def wait(self, seconds=None):
            pauses.append(seconds)
            return False

    url = server.answer("/x", b"no", status=429, Retry_After="7")
    with pytest.raises(UnavailableError):
        bring(url, part, stopped=Patient())
    assert pauses == [7, 7, 7]


def test_progress_counts_as_success_so_that_a_long_file_may_break_many_times(server, part):
    url = server.serve("/x", WebFile(DATA, dict(ETAG), sends=[module.PROGRESS_BYTES + 1] * 10))
    attempts = module.ATTEMPTS
    module.ATTEMPTS = 2
    try:
        bring(url, part, size=len(DATA))
    finally:
        module.ATTEMPTS = attempts
    assert part.read_bytes() == DATA


def test_a_body_of_unstated_length_that_ends_early_is_continued(server, part):
    url = server.serve("/x", WebFile(DATA, dict(ETAG), sends=[HALF], length=False))
    bring(url, part, size=len(DATA))
    assert part.read_bytes() == DATA
    assert len(server.asked) == 2


def test_a_body_without_end_is_left(server, part, monkeypatch):
    monkeypatch.setattr(module, "SURPLUS_BYTES", 1000)
    url = server.serve("/x", WebFile(DATA, length=False))
    with pytest.raises(UnavailableError, match="sends more than the 10 bytes recorded, without end"):
        bring(url, part, size=10)


def test_nobody_waits_for_what_is_not_wanted_any_more(server, part):
    stopped = module.Event()
    stopped.set()
    with pytest.raises(UnavailableError, match="given up"):
        bring(server.serve("/x", WebFile(DATA)), part, stopped=stopped)
    with pytest.raises(UnavailableError, match="given up"):
        bring(server.answer("/y", b"", status=503), part, stopped=stopped)


def test_what_is_secret_in_a_url_is_neither_said_nor_kept(server, part, capsys):
    url = server.serve("/x?token=s3cr3t", WebFile(DATA)).replace("http://", "http://user:s3cr3t@")
    bring(url, part)
    kept = "".join(path.read_text(errors="replace") for path in part.parent.iterdir())
    assert "s3cr3t" not in capsys.readouterr().err + kept


def test_a_killed_download_leaves_its_part_and_the_next_one_uses_it(server, part):
    url = server.serve("/x", WebFile(DATA, dict(ETAG), pause=0.02))
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
    left = part.stat().st_size
    assert 0 < left < len(DATA)
    server.asked.clear()
    bring(url, part, size=len(DATA))
    assert part.read_bytes() == DATA
    assert server.ranges() == [f"bytes={left}-"]
