"""Registering: what is new is shown and written, all or nothing; what is registered is never rewritten."""

import hashlib
import os

import pytest

from scripts import register as module
from scripts._process.errors import ScriptError
from scripts._tfds.fetch import fetch_sources
from scripts.register import register
from tests.conftest import BIN
from tests.helpers.source_files_dataset import checksums, line, make_asking
from tests.helpers.web_server import WebFile

A, B, OTHER = b"a" * 100_000, b"b" * 70_000, b"other" * 1000
PAGE = b"<!DOCTYPE html><title>Sign in</title>"
BOTH = 'return {"train": self._generate_examples(dl_manager.download([f"{BASE}/b.bin", f"{BASE}/a.bin"]))}'

pytestmark = [
    pytest.mark.usefixtures("upstream_only"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning"),
]


@pytest.fixture
def asker(tmp_path, server):
    """A repository of a builder that asks for two files, and for which nothing is registered."""
    server.serve("/a.bin", WebFile(A, {"ETag": '"a"', "Content-Type": "application/x-a"}))
    server.serve("/b.bin", WebFile(B))
    return make_asking(tmp_path / "repository", server.url, BOTH)


def hidden(root):
    return [path.name for path in (root / "sources/asker").glob(".*")]


def test_what_is_new_is_shown_and_written_by_url(asker, server, capsys):
    sources = register("asker", root=asker)
    assert [source.filename for source in sources] == ["a.bin", "b.bin"]
    assert checksums(asker).read_text() == line(f"{server.url}/a.bin", A) + line(f"{server.url}/b.bin", B)
    shown = capsys.readouterr().err
    for text in (f"{server.url}/a.bin", "100,000 bytes", hashlib.sha256(A).hexdigest(), "application/x-a"):
        assert text in shown
    assert "of no stated type" in shown
    assert "datasets/standard/asker/checksums.tsv" in shown
    assert hidden(asker) == []
    server.asked.clear()
    assert [path.read_bytes() for _, path, _ in fetch_sources("asker", root=asker)] == [A, B]
    assert server.asked == []  # kept, and not asked for again


def test_tfds_reads_what_was_written_and_would_write_the_same(asker):
    register("asker", root=asker)
    from etils import epath
    from tensorflow_datasets.core.download import checksums as theirs

    path = epath.Path(checksums(asker))
    infos = theirs.load_url_infos(path)
    copy = path.parent / "copy.tsv"
    theirs.save_url_infos(copy, infos)
    assert copy.read_bytes() == path.read_bytes()


def test_registering_again_changes_nothing_and_asks_nobody(asker, server):
    register("asker", root=asker)
    before = checksums(asker).stat()
    server.asked.clear()
    assert register("asker", root=asker) == []
    assert checksums(asker).stat().st_mtime_ns == before.st_mtime_ns
    assert server.asked == []


def test_only_what_has_no_line_is_added_and_the_rest_stays_as_it_is(asker, server):
    old = f"http://127.0.0.1:9/zzz 12 {'0' * 64}"  # the form of TFDS's early days
    checksums(asker).write_text(f"# by hand\n{old}\n{line(server.url + '/b.bin', B)}")
    assert [source.filename for source in register("asker", root=asker)] == ["a.bin"]
    a, b = line(f"{server.url}/a.bin", A), line(f"{server.url}/b.bin", B)
    assert checksums(asker).read_text() == "# by hand\n" + "".join(sorted([f"{old}\n", a, b]))


def test_a_changed_upstream_is_an_error_with_both_files_and_never_a_new_line(asker, server):
    text = line(f"{server.url}/a.bin", OTHER)
    checksums(asker).write_text(text)
    with pytest.raises(ScriptError) as raised:
        register("asker", root=asker)
    for part in (f"{len(A):,} bytes", f"{len(OTHER):,} bytes", *(hashlib.sha256(x).hexdigest() for x in (A, OTHER))):
        assert part in str(raised.value)
    assert f"take the line of {server.url}/a.bin out of datasets/standard/asker/checksums.tsv" in str(raised.value)
    assert checksums(asker).read_text() == text


def test_the_line_taken_out_the_new_file_is_registered_although_the_old_one_is_at_hand(asker, server):
    register("asker", root=asker)
    server.serve("/a.bin", WebFile(OTHER))
    checksums(asker).write_text(line(f"{server.url}/b.bin", B))
    register("asker", root=asker)
    assert line(f"{server.url}/a.bin", OTHER) in checksums(asker).read_text()
    assert (asker / "sources/asker/a.bin").read_bytes() == OTHER


@pytest.mark.parametrize("headers", [{}, {"Content-Type": "text/html"}])
def test_an_html_page_is_not_registered(asker, server, headers):
    server.serve("/a.bin", WebFile(PAGE if not headers else b"sign in", headers))
    with pytest.raises(ScriptError, match=r"nothing was registered, for .*/a\.bin gives an HTML page"):
        register("asker", root=asker)
    assert not checksums(asker).exists()


def test_what_is_not_trusted_is_not_written_and_not_kept(asker):
    with pytest.raises(ScriptError, match="asker: nothing was registered"):
        register("asker", root=asker, trusts=lambda: False)
    assert not checksums(asker).exists()
    assert not (asker / "sources/asker/a.bin").exists()


def test_nothing_is_written_where_one_file_is_to_be_had_nowhere(asker, server):
    del server.files["/b.bin"]
    with pytest.raises(ScriptError, match=r"source file not found: .*/b\.bin:\n  upstream .*: answers 404"):
        register("asker", root=asker)
    assert not checksums(asker).exists()


def test_a_file_supplied_by_hand_stands_in_for_an_upstream_that_cannot_be_reached(asker, server, monkeypatch, capsys):
    del server.files["/b.bin"]
    (asker / "sources/asker").mkdir(parents=True)
    (asker / "sources/asker/b.bin").write_bytes(B)
    server.serve("/a.bin", WebFile(PAGE))
    (asker / "mirror/asker").mkdir(parents=True)
    (asker / "mirror/asker/a.bin").write_bytes(A)
    monkeypatch.setenv("DATASETS_MIRROR", os.fspath(asker / "mirror"))
    register("asker", root=asker)
    assert checksums(asker).read_text() == line(f"{server.url}/a.bin", A) + line(f"{server.url}/b.bin", B)
    shown = capsys.readouterr().err
    assert "from sources/asker/b.bin" in shown
    assert f"from mirror {asker}/mirror/asker/a.bin" in shown


def test_two_files_of_one_name_get_names_of_their_own(tmp_path, server):
    body = 'return {"train": self._generate_examples(dl_manager.download([f"{BASE}/x/f", f"{BASE}/y/f"]))}'
    root = make_asking(tmp_path / "repository", server.url, body)
    for path, data in (("/x/f", A), ("/y/f", B)):
        server.serve(path, WebFile(data))
    first, second = register("asker", root=root)
    assert first.filename == "f"
    assert second.filename == f"{hashlib.sha256(f'{server.url}/y/f'.encode()).hexdigest()[:8]}-f"
    assert [path.read_bytes() for _, path, _ in fetch_sources("asker", root=root)] == [A, B]


def test_a_file_at_hand_is_not_taken_for_another_url_of_its_name(tmp_path, server):
    body = 'return {"train": self._generate_examples(dl_manager.download([f"{BASE}/x/f", f"{BASE}/y/f"]))}'
    root = make_asking(tmp_path / "repository", server.url, body)
    (root / "sources/asker").mkdir(parents=True)
    (root / "sources/asker/f").write_bytes(A)
    checksums(root).write_text(line(f"{server.url}/x/f", A))
    with pytest.raises(ScriptError, match=r"source file not found: .*/y/f"):
        register("asker", root=root)


def test_a_file_that_names_the_others_is_looked_into(tmp_path, server):
    body = """
        names = dl_manager.download(f"{BASE}/list").read_text().split()
        return {"train": self._generate_examples(dl_manager.download([f"{BASE}/{n}" for n in names]))}
        """
    root = make_asking(tmp_path / "repository", server.url, body)
    server.serve("/list", WebFile(b"a.bin b.bin"))
    server.serve("/a.bin", WebFile(A))
    server.serve("/b.bin", WebFile(B))
    assert [source.filename for source in register("asker", root=root)] == ["a.bin", "b.bin", "list"]


def test_the_checksums_of_tfds_are_not_ours_to_write():
    with pytest.raises(ScriptError, match="mnist is TFDS's own dataset: its checksums come with the package"):
        register("mnist")


def test_a_kill_before_the_lines_are_written_leaves_none_and_the_files_to_go_on_from(asker, server, monkeypatch):
    def die(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(module, "add_checksums", die)
        with pytest.raises(KeyboardInterrupt):
            register("asker", root=asker)
    assert not checksums(asker).exists()
    assert not (asker / "sources/asker/a.bin").exists()
    server.asked.clear()
    register("asker", root=asker)
    assert f"bytes={len(A)}-" in server.ranges()  # asked only whether it is still the same
    assert hidden(asker) == []


def test_a_kill_after_the_lines_are_written_leaves_the_files_to_the_next_run(asker, server, monkeypatch):
    def die(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(module.UnregisteredFiles, "keep", die)
        with pytest.raises(KeyboardInterrupt):
            register("asker", root=asker)
    server.asked.clear()
    assert [path.read_bytes() for _, path, _ in fetch_sources("asker", root=asker)] == [A, B]
    assert server.asked == []
    assert hidden(asker) == []


@pytest.mark.parametrize(("typed", "registered"), [("y\n", True), ("n\n", False), ("\n", False)])
def test_on_a_terminal_a_person_is_asked(asker, typed, registered):
    import pty
    import subprocess

    code = (
        f"import pathlib, scripts.register as s; s.ROOT = pathlib.Path({os.fspath(asker)!r})\n"
        f"s.register.__kwdefaults__['root'] = s.ROOT; s.command(['asker'])"
    )
    ours, theirs = pty.openpty()
    os.write(ours, typed.encode())
    done = subprocess.Popen(
        [BIN / "python", "-c", code], cwd=module.ROOT, stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True
    )
    os.close(theirs)
    said = b""
    try:
        while chunk := os.read(ours, 10_000):
            said += chunk
    except OSError:  # the other end is closed
        pass
    os.close(ours)
    assert (done.wait() == 0) == registered, said.decode()
    assert b"Trust them? [y/N]" in said
    assert checksums(asker).exists() == registered
