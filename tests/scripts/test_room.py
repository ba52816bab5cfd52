"""A build that cannot fit on the disk is refused before it starts."""

from dataclasses import replace

import pytest

from loader._format.manifest import read_manifest
from scripts._build import room
from scripts._define.definition import read_definition
from scripts._process.errors import ScriptError
from scripts._tfds.fetch import fetch_sources
from scripts.build import build
from tests.helpers.source_files_dataset import make_source_files_dataset, tsv_line, tsv_path
from tests.helpers.web_server import WebFile


class _Usage:
    free = 1000


@pytest.fixture
def definition(small, monkeypatch):
    monkeypatch.setattr(room.shutil, "disk_usage", lambda _: _Usage)
    return read_definition("small", root=small)


def check(definition):
    artifacts = definition.manifest.parent
    room.check_room(definition, artifacts, artifacts)


def test_a_version_that_is_known_not_to_fit_is_refused_with_the_figures(definition):
    (entry,) = read_manifest(definition.manifest).artifacts
    with pytest.raises(ScriptError) as raised:
        check(definition)
    assert str(raised.value) == (
        f"small: version {definition.version} needs {int(room.SCRATCH * entry.size):,} bytes to be built, "
        f"{definition.manifest.parent} has 1,000 left; make room and build again"
    )


def test_of_another_version_it_is_only_said(definition, capsys):
    check(replace(definition, version="9.0.0"))
    assert capsys.readouterr().err.endswith("has 1,000 left; another version may need as much\n")


def test_a_dataset_that_was_never_built_is_not_checked(definition):
    definition.manifest.unlink()
    check(definition)


TWO = """
paths = dl_manager.download({"train": f"{BASE}/a", "test": [f"{BASE}/b"]})
return {split: self._generate_examples(found) for split, found in paths.items()}
"""


@pytest.mark.usefixtures("upstream_only")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_source_files_that_do_not_fit_are_refused_before_one_is_downloaded(tmp_path, server, monkeypatch, capsys):
    root = make_source_files_dataset(tmp_path / "repository", server.url, TWO)
    data = bytes(300_000)
    tsv_path(root).write_text("".join(tsv_line(server.serve(path, WebFile(data)), data) for path in ("/a", "/b")))
    monkeypatch.setattr(room.shutil, "disk_usage", lambda _: _Usage)
    monkeypatch.setattr(_Usage, "free", 599_999)
    for use in (build, fetch_sources):
        with pytest.raises(ScriptError) as raised:
            use("downloader", root=root)
        assert str(raised.value) == (
            f"downloader: 600,000 bytes of its source files are still to be downloaded, {root} has 599,999 left; "
            f"make room and run it again"
        )
    assert not server.requests
    part = root / "sources/downloader/.0123456789abcdef.part"  # of an earlier download
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x")
    build("downloader", root=root)
    assert (
        "downloader: its source files have 600,000 bytes, and a build takes about 3 times as much: 1,799,999 bytes "
        f"more, {root} has 599,999 left\n"
    ) in capsys.readouterr().err
