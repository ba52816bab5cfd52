"""Downloads over FTP: resumed, restarted if the file has changed, retried, and stopped, as those over HTTP are."""

import socket

import pytest

from scripts._process.errors import UnavailableError
from scripts._sources import download as module
from scripts._sources.download import download
from tests.helpers.ftp_server import FtpServer

DATA = bytes(range(256)) * 20_000  # 78 chunks
OTHER = DATA[::-1]
HALF = len(DATA) // 2


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(module, "FIRST_PAUSE_SECONDS", 0.01)


@pytest.fixture
def ftp():
    server = FtpServer()
    yield server
    server.close()


@pytest.fixture
def part(tmp_path):
    return tmp_path / ".x.part"


def fetch(url, part, **options):
    return download(url, part, label="x", **options)


def test_a_file_is_downloaded_with_its_name(ftp, part):
    info = fetch(ftp.serve("pub/a file.csv", DATA).replace(" ", "%20"), part, size=len(DATA))
    assert part.read_bytes() == DATA
    assert info.filename == "a file.csv"
    assert ftp.commands[0] == "USER anonymous"


@pytest.mark.parametrize("size", [len(DATA), None])
def test_a_dropped_connection_is_resumed(ftp, part, size):
    ftp.break_after = [HALF]
    fetch(ftp.serve("x", DATA), part, size=size)
    assert part.read_bytes() == DATA
    first, second = ftp.offsets()
    assert first == 0 < second <= HALF


@pytest.mark.parametrize("size", [len(DATA), None])
def test_a_file_that_has_changed_is_downloaded_from_the_beginning(ftp, part, size):
    ftp.break_after = [HALF, 0, 0, 0]
    with pytest.raises(UnavailableError, match="tried 4 times"):
        fetch(ftp.serve("x", DATA), part, size=size)
    ftp.modified = "20250101000000"
    fetch(ftp.serve("x", OTHER), part, size=size)
    assert part.read_bytes() == OTHER


@pytest.mark.parametrize("lacking", [{"REST"}, {"SIZE"}, {"MDTM"}, {"REST", "SIZE", "MDTM"}])
def test_a_server_without_some_commands_will_do(ftp, part, lacking):
    ftp.lacking, ftp.break_after = lacking, [HALF]
    fetch(ftp.serve("x", DATA), part, size=len(DATA))
    assert part.read_bytes() == DATA


def test_without_a_size_or_a_time_of_change_a_download_is_not_resumed(ftp, part):
    ftp.lacking, ftp.break_after = {"MDTM"}, [HALF]
    fetch(ftp.serve("x", DATA), part)
    assert part.read_bytes() == DATA
    assert ftp.offsets() == [0, 0]


def test_a_complete_part_is_not_transferred_again(ftp, part):
    url = ftp.serve("x", DATA)
    first = fetch(url, part)
    assert fetch(url, part) == first
    assert fetch(url, part, size=len(DATA)) == first
    assert ftp.offsets() == [0]


def test_the_user_of_the_url_logs_in_and_stays_secret(ftp, part, capsys):
    ftp.credentials = ("me@work", "s3cr3t")
    url = ftp.serve("x", DATA).replace("ftp://", "ftp://me%40work:s3cr3t@")
    fetch(url, part, size=len(DATA))
    assert part.read_bytes() == DATA
    with pytest.raises(UnavailableError, match=r"answers 530 Login incorrect\."):
        fetch(url.replace("s3cr3t", "wr0ng"), part.with_name("other"))
    assert "s3cr3t" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("path", "message"),
    [("missing", "answers 550 No such file"), ("", "names no file"), ("a%0d%0aDELE%20b", "illegal newline")],
)
def test_a_file_that_is_not_there_is_not_asked_for_again(ftp, part, path, message):
    with pytest.raises(UnavailableError, match=message):
        fetch(f"ftp://{ftp.address}/{path}", part)
    assert len([each for each in ftp.commands if each.startswith("USER")]) <= 1
    assert not any("DELE" in each for each in ftp.commands)


def test_a_host_that_refuses_the_connection_is_tried_once(part):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(UnavailableError, match="Connection refused"):
        fetch(f"ftp://127.0.0.1:{port}/x", part)


def test_a_server_that_is_silent_is_given_up(part, monkeypatch):
    monkeypatch.setattr(module, "TIMEOUT_SECONDS", (0.1, 0.1))
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(UnavailableError, match="timed out"):
        fetch(f"ftp://127.0.0.1:{silent.getsockname()[1]}/x", part)


def test_a_download_can_be_cancelled(ftp, part):
    stopped = module.Event()
    stopped.set()
    with pytest.raises(UnavailableError, match="cancelled"):
        fetch(ftp.serve("x", DATA), part, stopped=stopped)
