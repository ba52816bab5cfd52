"""Google Drive asks for a confirmation before it sends a large file. A proxy on this machine answers in its place."""

import pytest

from scripts._process.errors import UnavailableError
from scripts._sources import download as module
from scripts._sources.download import download
from tests.helpers.web_server import WebFile

DATA = bytes(range(256)) * 1000
START = "http://drive.google.com/uc?export=download&id=1a"
FILE = "http://drive.usercontent.google.com/download?id=1a&export=download&confirm=t&uuid=8c-2"
# shortened from the answer of 2024 and later; the older one had no uuid, and its form led to drive.google.com
PAGE = b"""<!DOCTYPE html><html><head><title>Google Drive - Virus scan warning</title></head><body>
<p>Google Drive can't scan this file for viruses.</p>
<form id="download-form" action="http://drive.usercontent.google.com/download" method="get">
<input type="submit" id="uc-download-link" value="Download anyway"/>
<input type="hidden" name="id" value="1a"><input type="hidden" name="export" value="download">
<input type="hidden" name="confirm" value="t"><input type="hidden" name="uuid" value="8c-2"></form></body></html>"""
HTML = {"Content_Type": "text/html; charset=utf-8"}
AS_FILE = {"Content-Disposition": 'attachment; filename="data.zip"', "Last-Modified": "then"}


@pytest.fixture(autouse=True)
def drive(server, monkeypatch):
    """The web server, as a proxy for all hosts."""
    monkeypatch.setattr(module, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setenv("http_proxy", server.url)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return server


@pytest.fixture
def part(tmp_path):
    return tmp_path / ".x.part"


def test_a_large_file_is_confirmed(drive, part):
    drive.respond(START, PAGE, **HTML)
    drive.serve(FILE, WebFile(DATA, dict(AS_FILE)))
    assert download(START, part, label="x").filename == "data.zip"
    assert part.read_bytes() == DATA


def test_a_dropped_download_is_confirmed_again_and_resumed(drive, part):
    drive.respond(START, PAGE, **HTML)
    drive.serve(FILE, WebFile(DATA, dict(AS_FILE), break_after=[100_000]))
    download(START, part, label="x", size=len(DATA))
    assert part.read_bytes() == DATA
    assert [text for text in drive.requested_ranges() if text] == ["bytes=100000-"]


def test_a_small_file_needs_no_confirmation(drive, part):
    drive.serve(START, WebFile(b"<html>my page</html>", {**AS_FILE, "Content-Type": "text/html"}))
    download(START, part, label="x")
    assert part.read_bytes() == b"<html>my page</html>"


@pytest.mark.parametrize(
    "page",
    [
        b"<html><head><title>Google Drive - Quota exceeded</title></head></html>",
        b"<title>Google Drive - Quota exceeded</title><form action='http://elsewhere.example/x'></form>",
    ],
)
def test_another_page_is_named_and_its_form_is_not_sent_elsewhere(drive, part, page):
    drive.respond(START, page, **HTML)
    with pytest.raises(UnavailableError, match="sends a page of Google Drive instead of the file: 'Google Drive - Quo"):
        download(START, part, label="x")
    assert list(drive.requests) == [START]


def test_a_confirmation_that_leads_to_the_page_again_is_an_error(drive, part):
    drive.respond(START, PAGE, **HTML)
    drive.respond(FILE, PAGE, **HTML)
    with pytest.raises(UnavailableError, match="asks for a confirmation again"):
        download(START, part, label="x")
