"""Checksums of a repository's own for a dataset of TFDS: they add to those that come with TFDS, and override them."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from scripts._define.definition import read_definition
from scripts._define.yaml_edits import add_dependency
from scripts._process.errors import ScriptError
from scripts._tfds.fetch import fetch_sources
from scripts.register import register
from tests.helpers.source_files_dataset import BUILDER, tsv_line
from tests.helpers.web_server import WebFile

OLD, NEW, OTHER = b"as TFDS registered it", b"as upstream has it now", b"not registered by TFDS"
NAME = "installed_downloader"
PARAMS = f"toolchain: {{}}\n{NAME}:\n  builder: {NAME}\n  version: 1.0.0\n  license: CC0\n"
STAGE = f"""stages:
  {NAME}:
    cmd: python -m scripts build {NAME}
    params: [{NAME}, toolchain]
    outs:
      - artifacts/{NAME}.tar: {{remote: private}}
      - artifacts/{NAME}.json: {{cache: false, persist: true}}
"""
WITH_DEPS = STAGE.replace("    params", f"    deps:\n      - datasets/standard/{NAME}\n    params")

pytestmark = [
    pytest.mark.usefixtures("upstream_only"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning"),
]


@pytest.fixture
def root(tmp_path, server, monkeypatch):
    """A repository with a dataset of an installed builder, which comes with the checksum of one of its two files."""
    from tensorflow_datasets.core import registered

    installed = tmp_path / "installed"
    installed.mkdir()
    body = 'return {"train": self._generate_examples(dl_manager.download([f"{BASE}/a.bin", f"{BASE}/b.bin"]))}'
    text = BUILDER.replace("URL", server.url).replace("CONFIGS", "").replace("BODY", f"        {body}")
    (installed / f"{NAME}.py").write_text(text.replace("class Downloader", "class InstalledDownloader"))
    (installed / "checksums.tsv").write_text(tsv_line(f"{server.url}/a.bin", OLD))
    spec = importlib.util.spec_from_file_location(NAME, installed / f"{NAME}.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, NAME, module)
    spec.loader.exec_module(module)
    server.serve("/a.bin", WebFile(OLD))
    server.serve("/b.bin", WebFile(OTHER))
    root = tmp_path / "repository"
    (root / "artifacts").mkdir(parents=True)
    (root / "params.yaml").write_text(PARAMS)
    (root / "dvc.yaml").write_text(STAGE)
    yield root
    del registered._DATASET_REGISTRY[NAME]


def own(root):
    return root / f"datasets/standard/{NAME}/checksums.tsv"


def test_a_file_without_a_checksum_in_tfds_is_registered_here_and_the_stage_depends_on_it(root, server):
    with pytest.raises(ScriptError, match=rf"have no line for .*/b\.bin.*make build DATASET={NAME} REGISTER=1"):
        fetch_sources(NAME, root=root)
    register(NAME, root=root)
    assert own(root).read_text() == tsv_line(f"{server.url}/b.bin", OTHER)
    assert (root / "dvc.yaml").read_text() == WITH_DEPS
    assert [path.read_bytes() for _, path, _ in fetch_sources(NAME, root=root)] == [OLD, OTHER]
    assert register(NAME, root=root) == []
    (root / "dvc.yaml").write_text(STAGE)
    with pytest.raises(ScriptError, match=rf"its stage must depend on datasets/standard/{NAME}"):
        fetch_sources(NAME, root=root)
    assert register(NAME, root=root) == []  # but it repairs the stage
    assert (root / "dvc.yaml").read_text() == WITH_DEPS


def test_a_file_that_replaces_one_of_tfds_needs_a_yes(root, server, capsys):
    server.serve("/a.bin", WebFile(NEW))
    with pytest.raises(ScriptError, match=rf"has another file.*\n.*(.*\n)*.*make build DATASET={NAME} REGISTER=1"):
        register_b_only(root, server)
        fetch_sources(NAME, root=root)
    before = own(root).read_text()
    with pytest.raises(ScriptError, match="nothing was registered"):
        register(NAME, root=root, confirm=lambda: False)
    with pytest.raises(ScriptError, match="only a person can say whether the new one is right") as raised:
        register(NAME, root=root)
    shown = capsys.readouterr().err
    for data in (OLD, NEW):
        assert tsv_line("", data).split("\t")[2] in shown
    assert own(root).read_text() == before
    server.request_headers.clear()
    assert [source.filename for source in register(NAME, root=root, confirm=lambda: True)] == ["a.bin"]
    assert own(root).read_text() == tsv_line(f"{server.url}/a.bin", NEW) + before
    assert [path.read_bytes() for _, path, _ in fetch_sources(NAME, root=root)] == [NEW, OTHER]
    # without a terminal, the command of the message says yes
    own(root).write_text(before)
    command = next(line for line in str(raised.value).splitlines() if line.startswith("mkdir "))
    subprocess.run(command, shell=True, cwd=root, check=True)
    assert register(NAME, root=root) == []
    assert [path.read_bytes() for _, path, _ in fetch_sources(NAME, root=root)] == [NEW, OTHER]
    # a line of our own is not replaced: it can be removed
    server.serve("/a.bin", WebFile(OTHER))
    (root / f"sources/{NAME}/a.bin").unlink()
    with pytest.raises(
        ScriptError, match=rf"remove the line of .*/a\.bin from datasets/standard/{NAME}/checksums.tsv, and"
    ):
        register(NAME, root=root, confirm=lambda: True)


def register_b_only(root, server):
    own(root).parent.mkdir(parents=True)
    own(root).write_text(tsv_line(f"{server.url}/b.bin", OTHER))
    (root / "dvc.yaml").write_text(WITH_DEPS)


def test_checksums_without_tfds_format_are_named(root):
    own(root).parent.mkdir(parents=True)
    own(root).write_text("one two\n")
    (root / "dvc.yaml").write_text(WITH_DEPS)
    with pytest.raises(ScriptError, match=r"checksums\.tsv does not have TFDS's format"):
        fetch_sources(NAME, root=root)


def test_the_definition_of_a_dataset_of_tfds_includes_its_own_checksums(root, server):
    register_b_only(root, server)
    assert read_definition(NAME, root=root).folder == own(root).parent  # which the sandbox copies


@pytest.mark.parametrize(
    ("stage", "expected"),
    [
        ("    cmd: x\n    outs: [o]\n", "    cmd: x\n    deps:\n      - new\n    outs: [o]\n"),
        (
            "    deps:\n    - a: {cache: false}\n    # why\n\n    cmd: x\n",
            "    deps:\n    - a: {cache: false}\n    - new\n    # why\n\n    cmd: x\n",
        ),
        ("    deps: [a, b]\n    cmd: x\n", "    deps:\n      - a\n      - b\n      - new\n    cmd: x\n"),
        ("    cmd:\n      - x\n      - y\n", "    cmd:\n      - x\n      - y\n    deps:\n      - new\n"),
    ],
)
def test_a_dependency_is_added_without_changing_other_lines(stage, expected):
    around = "# top\nstages:\n  before: {cmd: x}\n  it:\nSTAGE\n  # of the next\n  after:\n    cmd: z\n"
    text = around.replace("STAGE\n", stage)
    assert add_dependency(text, "it", "new", path=Path("dvc.yaml")) == around.replace("STAGE\n", expected)


def test_a_stage_on_one_line_is_left_to_the_user():
    with pytest.raises(ScriptError, match="edit it by hand, it is unchanged"):
        add_dependency("stages:\n  it: {cmd: x}\n", "it", "new", path=Path("dvc.yaml"))
