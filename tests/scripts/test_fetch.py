"""Fetching: what a builder asks for is learnt without building, and brought at once."""

import io
import os
import signal
import subprocess
import sys
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from scripts._process.errors import ScriptError
from scripts._tfds import gather
from scripts._tfds.downloads import PendingPath
from scripts._tfds.fetch import fetch_sources
from scripts.build import build
from tests.conftest import ROOT
from tests.helpers.source_files_dataset import checksums, line, make_asking
from tests.helpers.web_server import WebFile

FILES = {f"{letter}.bin": letter.encode() * 200_000 for letter in "abcdef"}

pytestmark = [
    pytest.mark.usefixtures("upstream_only"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning"),
]


@pytest.fixture
def asker(tmp_path, server):
    """Return a function that makes the repository of a builder, whose files the server has."""

    def make(body, files=FILES, **options):
        root = make_asking(tmp_path / "repository", server.url, body, **options)
        text = "".join(
            line(server.serve(f"/{name}", WebFile(data, {"ETag": f'"{name}"'})), data) for name, data in files.items()
        )
        checksums(root).write_text(text)
        return root

    return make


def names(found):
    return [path.name for _, path, _ in found]


def test_the_files_of_a_nest_are_brought_at_once_and_nothing_is_built(asker, server):
    root = asker(
        """
        paths = dl_manager.download({"train": [f"{BASE}/{x}.bin" for x in "abcd"], "test": {"one": f"{BASE}/e.bin"}})
        return {split: self._generate_examples(found) for split, found in paths.items()}
        """
    )
    for file in server.files.values():
        file.pause = 0.05
    found = fetch_sources("asker", root=root)
    assert names(found) == ["a.bin", "b.bin", "c.bin", "d.bin", "e.bin"]
    assert all(path.read_bytes() == FILES[path.name] for _, path, _ in found)
    assert all(location.startswith("upstream http://") for _, _, location in found)
    assert server.most_at_once > 1
    assert list((root / "artifacts").iterdir()) == []
    assert sorted(path.name for path in (root / "sources/asker").iterdir()) == names(found)
    assert not (root / ".scratch/fetch-asker").exists()


def test_files_of_calls_after_one_another_are_brought_at_once_too(asker, server):
    root = asker(
        """
        paths = [dl_manager.download(f"{BASE}/{x}.bin") for x in "abc"]
        return {"train": self._generate_examples(paths)}
        """
    )
    for file in server.files.values():
        file.pause = 0.05
    assert names(fetch_sources("asker", root=root)) == ["a.bin", "b.bin", "c.bin"]
    assert server.most_at_once > 1


def archive(*members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name in members:
            info = tarfile.TarInfo(name)
            tar.addfile(info, io.BytesIO())
    return out.getvalue()


LISTS = {"list.txt": b"b.bin\nc.bin", "list.tar.gz": archive("b.bin", "c.bin")}
READING = {
    "read": 'names = dl_manager.download(f"{BASE}/list.txt").read_text().split()',
    "open": 'names = open(dl_manager.download(f"{BASE}/list.txt")).read().split()',
    "looked at": """
        path = dl_manager.download(f"{BASE}/list.txt")
        names = path.read_text().split() if path.exists() else []""",
    "extracted": """
        folder = dl_manager.download_and_extract(f"{BASE}/list.tar.gz")
        names = sorted(path.name for path in folder.glob("*.bin"))""",
    "extracted later": """
        folder = dl_manager.extract(dl_manager.download([f"{BASE}/list.tar.gz"]))[0]
        names = sorted(path.name for path in (folder / ".").iterdir())""",
    "archive": """
        members = dl_manager.iter_archive(dl_manager.download(f"{BASE}/list.tar.gz"))
        names = [name for name, _ in members]""",
}


@pytest.mark.parametrize("how", READING)
def test_a_file_that_names_the_others_is_looked_into(asker, how):
    lines = READING[how]
    body = lines if lines.startswith("\n") else f"\n        {lines}"
    body += '\n        return {"train": self._generate_examples(dl_manager.download([f"{BASE}/{n}" for n in names]))}'
    found = fetch_sources("asker", root=asker(body, FILES | LISTS))
    assert [name for name in names(found) if name.endswith(".bin")] == ["b.bin", "c.bin"]
    assert len(found) == 3


def test_one_that_asks_for_another_file_in_every_run_is_told(asker, monkeypatch):
    monkeypatch.setattr(gather, "MAX_RUNS", 3)
    root = asker(
        """
        letter = "abcdef"[next(runs)]
        raise ValueError(dl_manager.download(f"{BASE}/{letter}.bin").read_text())
        """
    )
    builder = root / "datasets/standard/asker/asker.py"
    builder.write_text(f"import itertools\nruns = itertools.count()\n{builder.read_text()}")
    with pytest.raises(ScriptError, match=r"other source files each of the 3 times it ran, the last one .*/c\.bin"):
        fetch_sources("asker", root=root)


def test_every_config_is_asked(asker):
    body = 'return {"train": self._generate_examples([dl_manager.download(f"{BASE}/{self.builder_config.name}.bin")])}'
    assert names(fetch_sources("asker", root=asker(body, configs=("a", "b")))) == ["a.bin", "b.bin"]


def test_a_builder_that_asks_for_nothing_is_said_to(asker):
    assert fetch_sources("asker", root=asker('return {"train": iter(())}')) == []


@pytest.mark.parametrize(("failure", "told"), [("1 / 0", "ZeroDivisionError"), ("raise SystemExit(0)", "SystemExit")])
def test_a_builder_that_fails_is_one_sentence_with_the_place(asker, failure, told):
    root = asker(f'dl_manager.download(f"{{BASE}}/a.bin")\n{failure}')
    with pytest.raises(ScriptError, match=rf"datasets/standard/asker/asker\.py:\d+: {told}"):
        fetch_sources("asker", root=root)


def test_a_url_without_a_line_names_the_command(asker):
    root = asker('return {"train": self._generate_examples(dl_manager.download([f"{BASE}/new.bin"]))}')
    with pytest.raises(ScriptError, match=r"no line for .*/new\.bin.*make build DATASET=asker REGISTER=1"):
        fetch_sources("asker", root=root)


def test_a_file_that_is_to_be_had_nowhere_names_every_location(asker, server):
    root = asker('return {"train": self._generate_examples(dl_manager.download([f"{BASE}/a.bin", f"{BASE}/b.bin"]))}')
    del server.files["/b.bin"]
    with pytest.raises(ScriptError, match=r"source file not found: b\.bin"):
        fetch_sources("asker", root=root)


def test_a_fetch_that_is_killed_is_continued_by_a_build(asker, server):
    root = asker('return {"train": self._generate_examples(dl_manager.download([f"{BASE}/a.bin"]))}')
    data = os.urandom(1 << 20)
    url = server.serve("/a.bin", WebFile(data, {"ETag": '"1"'}, pause=0.1))
    checksums(root).write_text(line(url, data))
    code = f"import pathlib, scripts.fetch as s; s.fetch('asker', root=pathlib.Path({os.fspath(root)!r}))"
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while (
        not any(part.stat().st_size for part in root.glob("sources/asker/.[!.]*.part")) and time.monotonic() < deadline
    ):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    server.files["/a.bin"].pause = 0
    server.asked.clear()
    build("asker", root=root)
    (asked,) = server.ranges()
    assert int(asked.removeprefix("bytes=").rstrip("-")) > 0
    assert (root / "sources/asker/a.bin").read_bytes() == data
    assert [path.name for path in (root / "sources/asker").iterdir()] == ["a.bin"]
    assert (root / "artifacts/asker.tar").exists()


def test_a_path_is_there_whenever_it_is_done():
    with ThreadPoolExecutor(4) as threads:
        for _ in range(500):
            steps = [
                PendingPath(threads.submit(int, n)).then(lambda n: PendingPath(threads.submit(int, n)))
                for n in range(4)
            ]
            assert [step.get() for step in steps] == [0, 1, 2, 3]
        failing = PendingPath(threads.submit(int, "x")).then(lambda n: PendingPath(threads.submit(int, n)))
        with pytest.raises(ValueError, match="invalid literal"):
            failing.get()
