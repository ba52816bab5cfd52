"""Registering: unregistered files are shown and registered, all or none; existing lines never change."""

import hashlib
import os
import time

import pytest

from scripts import register as module
from scripts._process.errors import ScriptError
from scripts._tfds.fetch import fetch_sources
from scripts.register import register
from tests.conftest import BIN
from tests.helpers.source_files_dataset import make_source_files_dataset, tsv_line, tsv_path
from tests.helpers.web_server import WebFile

A, B, OTHER = b"a" * 100_000, b"b" * 70_000, b"other" * 1000
PAGE = b"<!DOCTYPE html><title>Sign in</title>"
BOTH = 'return {"train": self._generate_examples(dl_manager.download([f"{BASE}/b.bin", f"{BASE}/a.bin"]))}'

pytestmark = [
    pytest.mark.usefixtures("upstream_only"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning"),
]


@pytest.fixture
def root(tmp_path, server):
    """A repository with a builder that downloads two files, neither of them registered."""
    server.serve("/a.bin", WebFile(A, {"ETag": '"a"', "Content-Type": "application/x-a"}))
    server.serve("/b.bin", WebFile(B))
    return make_source_files_dataset(tmp_path / "repository", server.url, BOTH)


def partial_files(root):
    return [path.name for path in (root / "sources/downloader").glob(".*")]


def test_unregistered_files_are_shown_and_registered_by_url(root, server, capsys):
    sources = register("downloader", root=root)
    assert [source.filename for source in sources] == ["a.bin", "b.bin"]
    assert tsv_path(root).read_text() == tsv_line(f"{server.url}/a.bin", A) + tsv_line(f"{server.url}/b.bin", B)
    shown = capsys.readouterr().err
    for text in (f"{server.url}/a.bin", "100,000 bytes", hashlib.sha256(A).hexdigest(), "application/x-a"):
        assert text in shown
    assert "unknown type" in shown
    assert "datasets/standard/downloader/checksums.tsv" in shown
    assert partial_files(root) == []
    server.request_headers.clear()
    assert [path.read_bytes() for _, path, _ in fetch_sources("downloader", root=root)] == [A, B]
    assert server.request_headers == []  # the files are stored and not downloaded again


def test_tfds_would_write_the_same_checksums_tsv(root):
    register("downloader", root=root)
    from etils import epath
    from tensorflow_datasets.core.download import checksums as tfds_checksums

    path = epath.Path(tsv_path(root))
    infos = tfds_checksums.load_url_infos(path)
    copy = path.parent / "copy.tsv"
    tfds_checksums.save_url_infos(copy, infos)
    assert copy.read_bytes() == path.read_bytes()


def test_registering_again_changes_nothing_and_downloads_nothing(root, server):
    register("downloader", root=root)
    before = tsv_path(root).stat()
    server.request_headers.clear()
    assert register("downloader", root=root) == []
    assert tsv_path(root).stat().st_mtime_ns == before.st_mtime_ns
    assert server.request_headers == []


def test_existing_lines_and_comments_stay_unchanged(root, server):
    old = f"http://127.0.0.1:9/zzz 12 {'0' * 64}"  # TFDS's old format
    tsv_path(root).write_text(f"# by hand\n{old}\n{tsv_line(server.url + '/b.bin', B)}")
    assert [source.filename for source in register("downloader", root=root)] == ["a.bin"]
    a, b = tsv_line(f"{server.url}/a.bin", A), tsv_line(f"{server.url}/b.bin", B)
    assert tsv_path(root).read_text() == "# by hand\n" + "".join(sorted([f"{old}\n", a, b]))


def test_a_changed_upstream_file_is_an_error_that_describes_both_files(root, server):
    text = tsv_line(f"{server.url}/a.bin", OTHER)
    tsv_path(root).write_text(text)
    with pytest.raises(ScriptError) as raised:
        register("downloader", root=root)
    for part in (f"{len(A):,} bytes", f"{len(OTHER):,} bytes", *(hashlib.sha256(x).hexdigest() for x in (A, OTHER))):
        assert part in str(raised.value)
    assert f"remove the line of {server.url}/a.bin from datasets/standard/downloader/checksums.tsv" in str(raised.value)
    assert tsv_path(root).read_text() == text


def test_after_removing_the_line_the_new_file_is_registered_and_replaces_the_stored_one(root, server):
    register("downloader", root=root)
    server.serve("/a.bin", WebFile(OTHER))
    tsv_path(root).write_text(tsv_line(f"{server.url}/b.bin", B))
    register("downloader", root=root)
    assert tsv_line(f"{server.url}/a.bin", OTHER) in tsv_path(root).read_text()
    assert (root / "sources/downloader/a.bin").read_bytes() == OTHER


@pytest.mark.parametrize("headers", [{}, {"Content-Type": "text/html"}])
def test_an_html_page_is_not_registered(root, server, headers):
    server.serve("/a.bin", WebFile(PAGE if not headers else b"sign in", headers))
    with pytest.raises(ScriptError, match=r"nothing was registered, because .*/a\.bin is an HTML page"):
        register("downloader", root=root)
    assert not tsv_path(root).exists()


def test_files_that_are_not_trusted_are_neither_registered_nor_stored(root):
    with pytest.raises(ScriptError, match="downloader: nothing was registered"):
        register("downloader", root=root, confirm=lambda: False)
    assert not tsv_path(root).exists()
    assert not (root / "sources/downloader/a.bin").exists()


def test_nothing_is_registered_if_one_file_is_not_found(root, server):
    del server.files["/b.bin"]
    with pytest.raises(ScriptError, match=r"source file not found: .*/b\.bin:\n  upstream .*: answers 404"):
        register("downloader", root=root)
    assert not tsv_path(root).exists()


@pytest.mark.parametrize("registered", [False, True])
def test_the_first_failure_stops_the_other_downloads(root, server, registered):
    slow = os.urandom(50 << 16)
    server.serve("/a.bin", WebFile(slow, pause_seconds=2))  # 100 seconds
    tsv_path(root).write_text(tsv_line(f"{server.url}/a.bin", slow) if registered else "")
    del server.files["/b.bin"]
    started = time.monotonic()
    with pytest.raises(ScriptError, match=r"source file not found: .*/b\.bin"):
        register("downloader", root=root)
    assert time.monotonic() - started < 60


def test_secrets_in_a_url_are_not_shown(tmp_path, server, capsys):
    body = 'return {"train": self._generate_examples(dl_manager.download([f"{BASE}/a.bin?token=s3cr3t"]))}'
    url = server.url.replace("http://", "http://user:s3cr3t@")
    root = make_source_files_dataset(tmp_path / "repository", url, body)
    server.serve("/a.bin?token=s3cr3t", WebFile(A))
    (source,) = register("downloader", root=root)
    assert source.url == f"{url}/a.bin?token=s3cr3t"  # TFDS looks it up by the whole URL
    shown = capsys.readouterr().err
    assert f"{server.url}/a.bin?token=***" in shown
    assert "s3cr3t" not in shown


def test_without_upstream_a_stored_file_or_the_mirror_is_used(root, server, monkeypatch, capsys):
    del server.files["/b.bin"]
    (root / "sources/downloader").mkdir(parents=True)
    (root / "sources/downloader/b.bin").write_bytes(B)
    server.serve("/a.bin", WebFile(PAGE))
    (root / "mirror/downloader").mkdir(parents=True)
    (root / "mirror/downloader/a.bin").write_bytes(A)
    monkeypatch.setenv("DATASETS_MIRROR", os.fspath(root / "mirror"))
    register("downloader", root=root)
    assert tsv_path(root).read_text() == tsv_line(f"{server.url}/a.bin", A) + tsv_line(f"{server.url}/b.bin", B)
    shown = capsys.readouterr().err
    assert "from sources/downloader/b.bin" in shown
    assert f"from mirror {root}/mirror/downloader/a.bin" in shown


def test_two_files_with_the_same_name_get_different_names(tmp_path, server):
    body = 'return {"train": self._generate_examples(dl_manager.download([f"{BASE}/x/f", f"{BASE}/y/f"]))}'
    root = make_source_files_dataset(tmp_path / "repository", server.url, body)
    for path, data in (("/x/f", A), ("/y/f", B)):
        server.serve(path, WebFile(data))
    first, second = register("downloader", root=root)
    assert first.filename == "f"
    assert second.filename == f"{hashlib.sha256(f'{server.url}/y/f'.encode()).hexdigest()[:8]}-f"
    assert [path.read_bytes() for _, path, _ in fetch_sources("downloader", root=root)] == [A, B]


def test_a_stored_file_is_not_used_for_another_url_with_its_name(tmp_path, server):
    body = 'return {"train": self._generate_examples(dl_manager.download([f"{BASE}/x/f", f"{BASE}/y/f"]))}'
    root = make_source_files_dataset(tmp_path / "repository", server.url, body)
    (root / "sources/downloader").mkdir(parents=True)
    (root / "sources/downloader/f").write_bytes(A)
    tsv_path(root).write_text(tsv_line(f"{server.url}/x/f", A))
    with pytest.raises(ScriptError, match=r"source file not found: .*/y/f"):
        register("downloader", root=root)


def test_a_builder_may_read_a_file_to_find_other_urls(tmp_path, server):
    body = """
        names = dl_manager.download(f"{BASE}/list").read_text().split()
        return {"train": self._generate_examples(dl_manager.download([f"{BASE}/{n}" for n in names]))}
        """
    root = make_source_files_dataset(tmp_path / "repository", server.url, body)
    server.serve("/list", WebFile(b"a.bin b.bin"))
    server.serve("/a.bin", WebFile(A))
    server.serve("/b.bin", WebFile(B))
    assert [source.filename for source in register("downloader", root=root)] == ["a.bin", "b.bin", "list"]


def test_a_kill_before_the_lines_are_written_leaves_partial_files_only(root, server, monkeypatch):
    def die(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(module, "add_checksums", die)
        with pytest.raises(KeyboardInterrupt):
            register("downloader", root=root)
    assert not tsv_path(root).exists()
    assert not (root / "sources/downloader/a.bin").exists()
    server.request_headers.clear()
    register("downloader", root=root)
    assert f"bytes={len(A)}-" in server.requested_ranges()  # only checks whether the file has changed
    assert partial_files(root) == []


def test_after_a_kill_when_the_lines_are_written_the_next_run_uses_the_files(root, server, monkeypatch):
    def die(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(module.UnregisteredFiles, "accept", die)
        with pytest.raises(KeyboardInterrupt):
            register("downloader", root=root)
    server.request_headers.clear()
    assert [path.read_bytes() for _, path, _ in fetch_sources("downloader", root=root)] == [A, B]
    assert server.request_headers == []
    assert partial_files(root) == []


@pytest.mark.slow
@pytest.mark.parametrize(("typed", "registered"), [("y\n", True), ("n\n", False), ("\n", False)])
def test_on_a_terminal_the_user_must_confirm(root, typed, registered):
    import pty
    import subprocess

    code = (
        f"import pathlib, scripts.register as s; s.ROOT = pathlib.Path({os.fspath(root)!r})\n"
        f"s.register.__kwdefaults__['root'] = s.ROOT; s.command(['downloader'])"
    )
    controller, terminal = pty.openpty()
    os.write(controller, typed.encode())
    process = subprocess.Popen(
        [BIN / "python", "-c", code], cwd=module.ROOT, stdin=terminal, stdout=terminal, stderr=terminal, close_fds=True
    )
    os.close(terminal)
    output = b""
    try:
        while chunk := os.read(controller, 10_000):
            output += chunk
    except OSError:  # the other end is closed
        pass
    os.close(controller)
    assert (process.wait() == 0) == registered, output.decode()
    assert b"Trust them? [y/N]" in output
    assert tsv_path(root).exists() == registered
