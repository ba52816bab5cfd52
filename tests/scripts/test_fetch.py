"""Fetching source files in parallel, without building the dataset."""

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
from tests.helpers.source_files_dataset import make_source_files_dataset, tsv_line, tsv_path
from tests.helpers.web_server import WebFile

FILES = {f"{letter}.bin": letter.encode() * 200_000 for letter in "abcdef"}

pytestmark = [
    pytest.mark.usefixtures("upstream_only"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning"),
]


@pytest.fixture
def make_root(tmp_path, server):
    """A function that creates a repository with a builder whose source files are on the web server."""

    def make(body, files=FILES, **options):
        root = make_source_files_dataset(tmp_path / "repository", server.url, body, **options)
        text = "".join(
            tsv_line(server.serve(f"/{name}", WebFile(data, {"ETag": f'"{name}"'})), data)
            for name, data in files.items()
        )
        tsv_path(root).write_text(text)
        return root

    return make


def names(found):
    return [path.name for _, path, _ in found]


def test_files_in_a_nested_structure_are_fetched_in_parallel_and_nothing_is_built(make_root, server):
    root = make_root(
        """
        paths = dl_manager.download({"train": [f"{BASE}/{x}.bin" for x in "abcd"], "test": {"one": f"{BASE}/e.bin"}})
        return {split: self._generate_examples(found) for split, found in paths.items()}
        """
    )
    for file in server.files.values():
        file.pause_seconds = 0.05
    found = fetch_sources("downloader", root=root)
    assert names(found) == ["a.bin", "b.bin", "c.bin", "d.bin", "e.bin"]
    assert all(path.read_bytes() == FILES[path.name] for _, path, _ in found)
    assert all(location.startswith("upstream http://") for _, _, location in found)
    assert server.max_open_requests > 1
    assert list((root / "artifacts").iterdir()) == []
    assert sorted(path.name for path in (root / "sources/downloader").iterdir()) == names(found)
    assert not (root / ".scratch/fetch-downloader").exists()


def test_files_of_several_download_calls_are_fetched_in_parallel(make_root, server):
    root = make_root(
        """
        paths = [dl_manager.download(f"{BASE}/{x}.bin") for x in "abc"]
        return {"train": self._generate_examples(paths)}
        """
    )
    for file in server.files.values():
        file.pause_seconds = 0.05
    assert names(fetch_sources("downloader", root=root)) == ["a.bin", "b.bin", "c.bin"]
    assert server.max_open_requests > 1


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
def test_a_builder_may_read_a_file_to_find_other_urls(make_root, how):
    lines = READING[how]
    body = lines if lines.startswith("\n") else f"\n        {lines}"
    body += '\n        return {"train": self._generate_examples(dl_manager.download([f"{BASE}/{n}" for n in names]))}'
    found = fetch_sources("downloader", root=make_root(body, FILES | LISTS))
    assert [name for name in names(found) if name.endswith(".bin")] == ["b.bin", "c.bin"]
    assert len(found) == 3


def test_a_builder_that_downloads_another_file_in_every_run_is_an_error(make_root, monkeypatch):
    monkeypatch.setattr(gather, "MAX_RUNS", 3)
    root = make_root(
        """
        letter = "abcdef"[next(runs)]
        raise ValueError(dl_manager.download(f"{BASE}/{letter}.bin").read_text())
        """
    )
    builder = root / "datasets/standard/downloader/downloader.py"
    builder.write_text(f"import itertools\nruns = itertools.count()\n{builder.read_text()}")
    with pytest.raises(ScriptError, match=r"other source files each of the 3 times it ran, the last one .*/c\.bin"):
        fetch_sources("downloader", root=root)


def test_the_files_of_every_config_are_fetched(make_root):
    body = 'return {"train": self._generate_examples([dl_manager.download(f"{BASE}/{self.builder_config.name}.bin")])}'
    assert names(fetch_sources("downloader", root=make_root(body, configs=("a", "b")))) == ["a.bin", "b.bin"]


def test_a_builder_may_have_no_source_files(make_root):
    assert fetch_sources("downloader", root=make_root('return {"train": iter(())}')) == []


@pytest.mark.parametrize(("failure", "name"), [("1 / 0", "ZeroDivisionError"), ("raise SystemExit(0)", "SystemExit")])
def test_the_error_of_a_builder_names_the_line(make_root, failure, name):
    root = make_root(f'dl_manager.download(f"{{BASE}}/a.bin")\n{failure}')
    with pytest.raises(ScriptError, match=rf"datasets/standard/downloader/downloader\.py:\d+: {name}"):
        fetch_sources("downloader", root=root)


def test_the_error_for_an_unregistered_file_names_the_command(make_root):
    root = make_root('return {"train": self._generate_examples(dl_manager.download([f"{BASE}/new.bin"]))}')
    with pytest.raises(ScriptError, match=r"no line for .*/new\.bin.*make build DATASET=downloader REGISTER=1"):
        fetch_sources("downloader", root=root)


def test_a_file_that_no_location_has_is_an_error(make_root, server):
    root = make_root(
        'return {"train": self._generate_examples(dl_manager.download([f"{BASE}/a.bin", f"{BASE}/b.bin"]))}'
    )
    del server.files["/b.bin"]
    with pytest.raises(ScriptError, match=r"source file not found: b\.bin"):
        fetch_sources("downloader", root=root)


def test_the_first_failure_stops_the_other_downloads(make_root, server):
    body = 'return {"train": self._generate_examples(dl_manager.download([f"{BASE}/a.bin", f"{BASE}/b.bin"]))}'
    root = make_root(body, {**FILES, "a.bin": os.urandom(50 << 16)})
    server.files["/a.bin"].pause_seconds = 2  # 100 seconds
    del server.files["/b.bin"]
    started = time.monotonic()
    with pytest.raises(ScriptError, match=r"source file not found: b\.bin"):
        fetch_sources("downloader", root=root)
    assert time.monotonic() - started < 60


def test_a_killed_fetch_is_resumed_by_a_build(make_root, server):
    root = make_root('return {"train": self._generate_examples(dl_manager.download([f"{BASE}/a.bin"]))}')
    data = os.urandom(1 << 20)
    url = server.serve("/a.bin", WebFile(data, {"ETag": '"1"'}, pause_seconds=0.1))
    tsv_path(root).write_text(tsv_line(url, data))
    code = (
        f"import pathlib, scripts._tfds.fetch as f\n"
        f"f.fetch_sources('downloader', root=pathlib.Path({os.fspath(root)!r}))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while (
        not any(part.stat().st_size for part in root.glob("sources/downloader/.[!.]*.part"))
        and time.monotonic() < deadline
    ):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    server.files["/a.bin"].pause_seconds = 0
    server.request_headers.clear()
    build("downloader", root=root)
    (requested,) = server.requested_ranges()
    assert int(requested.removeprefix("bytes=").rstrip("-")) > 0
    assert (root / "sources/downloader/a.bin").read_bytes() == data
    assert [path.name for path in (root / "sources/downloader").iterdir()] == ["a.bin"]
    assert (root / "artifacts/downloader.tar").exists()


def test_a_pending_path_returns_the_result_of_its_steps():
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
