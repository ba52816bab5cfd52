"""A build refuses what its builder reads without declaring it, and nothing else."""

import re
import sqlite3
import sys
import textwrap
import time

import numpy as np
import pytest

import loader
from scripts._process.errors import ScriptError
from scripts.build import build
from tests.helpers.buildable_dataset import BUILDER, add_buildable

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
HOST = "data.invalid"  # never exists, and is not even looked up here


def define(clone, code, *, top="", builder=BUILDER):
    """Add the dataset `tiny`, whose builder runs `code` before it generates examples."""
    code = textwrap.indent(textwrap.dedent(code).strip(), " " * 8)
    builder = builder.replace("        words = ", f"{code}\n        words = ")
    add_buildable(clone.root, builder=f"{textwrap.dedent(top)}{builder}")


def refusal(clone):
    """Return the message with which the build is refused; nothing is left of the build."""
    with pytest.raises(ScriptError) as raised:
        build("tiny", root=clone.root)
    assert not list((clone.root / "artifacts").glob("tiny*"))
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.fixture
def outside(tmp_path):
    """A folder with files that no definition declares."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "labels.csv").write_text("a,b\n")
    np.save(folder / "labels.npy", np.arange(3))
    sqlite3.connect(folder / "labels.db").close()
    (folder / "labels.db").write_bytes(b"")
    time.sleep(0.05)  # so that the files are older than the build, however coarse the file system's clock is
    return folder


@pytest.mark.parametrize(
    ("code", "target"),
    [
        (f"import urllib.request; urllib.request.urlopen('http://{HOST}/labels.csv')", f"http://{HOST}/labels.csv"),
        (
            f"import urllib.request; urllib.request.urlopen('http://me:secret@{HOST}/labels.csv?token=secret')",
            f"http://{HOST}/labels.csv?token=***",
        ),
        (f"import requests; requests.get('http://{HOST}/labels.csv')", f"{HOST}:80"),
        (f"import http.client; http.client.HTTPSConnection('{HOST}').connect()", f"{HOST}:443"),
        (f"import socket; socket.create_connection(('{HOST}', 5432))", f"{HOST}:5432"),
        ("import socket; socket.create_connection(('192.0.2.1', 5432), timeout=1)", "192.0.2.1:5432"),
        (
            "import socket\nwith socket.socket(type=socket.SOCK_DGRAM) as udp: udp.sendto(b'', ('192.0.2.1', 53))",
            "192.0.2.1:53",
        ),
        (
            f"""
            from concurrent.futures import ThreadPoolExecutor
            from urllib.request import urlopen

            def fetch(name):
                return urlopen(f"http://{HOST}/{{name}}").read()

            list(ThreadPoolExecutor(2).map(fetch, ["labels.csv"]))
            """,
            f"http://{HOST}/labels.csv",
        ),
    ],
)
def test_a_builder_that_opens_a_connection_by_itself_is_refused(clone, code, target):
    define(clone, code)
    assert re.fullmatch(
        rf"tiny: datasets/standard/tiny/tiny\.py:\d+ connects to {re.escape(target)}, which is not one of its source "
        r"files; download it with dl_manager\.download and register it with: make build DATASET=tiny REGISTER=1, "
        r"or put a small file into datasets/standard/tiny",
        refusal(clone),
    )


def test_a_web_server_on_this_machine_is_refused_before_it_is_asked(clone, server):
    url = server.respond("/labels.csv", b"a")
    define(clone, f"import urllib.request; urllib.request.urlopen({url!r})")
    assert f"connects to {url}, which is not one of its source files" in refusal(clone)
    assert server.max_open_requests == 0


@pytest.mark.parametrize(
    ("command", "program"),
    [
        ("subprocess.run(['curl', '--version'])", "curl"),
        ("subprocess.run('cd /tmp && X=1 git clone x', shell=True)", "git"),
        ("os.system('true; /usr/bin/wget x')", "wget"),
    ],
)
def test_a_builder_that_starts_a_program_that_downloads_is_refused(clone, command, program):
    define(clone, f"import os, subprocess; {command}")
    assert re.search(rf"tiny\.py:\d+ starts {program}, which may read what nothing records", refusal(clone))


@pytest.mark.parametrize("command", ["subprocess.run(['tr', 'a', 'b'], input=b'')", "os.system('tr a b < /dev/null')"])
def test_another_program_is_mentioned_once(clone, capfd, command):
    define(clone, f"import os, subprocess; {command}; {command}")
    build("tiny", root=clone.root)
    assert re.findall(r"tiny\.py:\d+ starts (\w+), which no lock file pins", capfd.readouterr().err) == ["tr"]


@pytest.mark.parametrize(
    ("code", "file"),
    [
        ("open('{outside}/labels.csv').read()", "labels.csv"),
        ("from pathlib import Path; Path('{outside}/labels.csv').read_bytes()", "labels.csv"),
        ("import os; os.open('{outside}/labels.csv', os.O_RDWR)", "labels.csv"),
        ("from etils import epath; epath.Path('{outside}/labels.csv').read_text()", "labels.csv"),
        ("tfds.features.ClassLabel(names_file='{outside}/labels.csv')", "labels.csv"),
        ("import gzip; gzip.open('{outside}/labels.csv').read()", "labels.csv"),
        ("np.load('{outside}/labels.npy')", "labels.npy"),
        ("np.loadtxt('{outside}/labels.csv', dtype=str)", "labels.csv"),
        ("import sqlite3; sqlite3.connect('{outside}/labels.db')", "labels.db"),
        ("import urllib.request; urllib.request.urlopen('file://{outside}/labels.csv')", "labels.csv"),
        ("import glob; glob.glob('{outside}/*')", ""),
        ("import os; os.listdir('{outside}')", ""),
        ("import os; os.chdir('{outside}'); list(os.walk('.'))", ""),
        ("from pathlib import Path; Path('link').symlink_to('{outside}/labels.csv'); open('link')", "link"),
    ],
)
def test_a_builder_that_reads_an_undeclared_file_is_refused(clone, outside, tmp_path, monkeypatch, code, file):
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    define(clone, code.format(outside=outside))
    message = refusal(clone)
    path = tmp_path / "cwd/link" if file == "link" else outside / file
    assert re.match(rf"tiny: datasets/standard/tiny/tiny\.py:\d+ reads {re.escape(str(path))}, which is not", message)


def test_a_file_that_is_read_when_the_module_is_imported_is_refused(clone, outside):
    define(clone, "", top=f"LABELS = open('{outside}/labels.csv').read()\n")
    assert f"tiny.py:1 reads {outside}/labels.csv, which is not part of its definition" in refusal(clone)


def test_an_undeclared_read_is_refused_even_if_the_builder_catches_the_error(clone, outside):
    define(
        clone,
        f"""
        try:
            open("{outside}/labels.csv")
        except Exception:
            pass
        """,
    )
    assert f"reads {outside}/labels.csv, which is not part of its definition" in refusal(clone)


@pytest.mark.parametrize(
    ("feature", "value"),
    [
        ("tfds.features.Image(shape=(8, 8, 3))", "file"),
        ("tfds.features.Sequence(tfds.features.Image(shape=(8, 8, 3)))", "[image, file]"),
        ("tfds.features.Sequence({'a': tfds.features.Image(shape=(8, 8, 3))})", "{'a': [file]}"),
        ("{'a': tfds.features.Image(shape=(8, 8, 3))}", "{'a': file}"),
    ],
)
@pytest.mark.parametrize("file", ["{outside}/labels.csv", "gs://bucket/a.png"])
def test_an_example_that_names_an_undeclared_file_is_refused(clone, outside, feature, value, file):
    file = file.format(outside=outside)
    builder = BUILDER.replace("tfds.features.Image(shape=(8, 8, 3))", feature).replace(
        '"image": image', f'"image": {value}'
    )
    define(clone, f"file = {file!r}", builder=builder)
    assert f"tiny: the example with key '0' names {file}, which is not part of its definition" in refusal(clone)


DECLARED = """
import importlib.metadata, io, locale, logging, multiprocessing, os, platform, socket, sqlite3, tempfile, threading
import traceback, zoneinfo
from pathlib import Path

# its source file, by TFDS and by itself; its folder; what its stage depends on
path.read_bytes(), io.open(path).close(), np.fromfile(path, np.uint8)
(Path(__file__).parent / "names.txt").read_text(), list(Path(__file__).parent.iterdir())
(Path(__file__).parents[3] / "extra/labels.csv").read_text()
# files that it has made
with tempfile.TemporaryDirectory() as folder:
    Path(folder, "new").write_text("a"), Path(folder, "new").read_text(), os.listdir(folder)
    database = sqlite3.connect(Path(folder, "database"))
    database.execute("create table a (b)"), database.close()
# the system, its environment, and other processes of the build
zoneinfo.ZoneInfo("Europe/Zurich"), locale.getlocale(), platform.freedesktop_os_release(), os.urandom(1)
open("/proc/self/status").close(), open(os.devnull).close(), importlib.metadata.version("numpy")
try:
    1 / 0
except ZeroDivisionError:
    traceback.format_exc()
sqlite3.connect(":memory:").close()
with multiprocessing.get_context("fork").Pool(1) as pool:
    pool.map(abs, [1])
with socket.create_server(("localhost", 0)) as listening:
    socket.create_connection(listening.getsockname()).close()
# a package's own settings, which lie outside
import requests
requests.utils.get_netrc_auth("http://data.invalid")
"""


def test_everything_else_may_be_read(clone, outside, monkeypatch):
    (outside / ".netrc").write_text("machine data.invalid login a password b")
    monkeypatch.setenv("HOME", str(outside))
    time.sleep(0.05)
    define(clone, DECLARED)
    (clone.root / "datasets/standard/tiny/names.txt").write_text("a")
    (clone.root / "extra").mkdir()
    (clone.root / "extra/labels.csv").write_text("a")
    stages = clone.root / "dvc.yaml"
    stages.write_text(
        stages.read_text().replace("- datasets/standard/tiny\n", "- datasets/standard/tiny\n      - extra\n")
    )
    time.sleep(0.05)
    build("tiny", root=clone.root)
    assert len(loader.load("tiny", split="train", repo=clone.root)[1]) == 200


def test_only_the_source_files_that_it_asked_for_may_be_read(clone):
    define(clone, "(path.parent / 'other.json').read_text()")
    (clone.root / "sources/tiny/other.json").write_text("a")
    time.sleep(0.05)
    assert "sources/tiny/other.json, which is not part of its definition" in refusal(clone)


def test_nothing_is_watched_after_a_build(clone, outside):
    define(clone, "", top="def read(path):\n    return open(path).read()\n")
    build("tiny", root=clone.root)
    assert sys.modules["tiny_dataset_builder"].read(outside / "labels.csv") == "a,b\n"


def test_a_module_that_no_lock_file_pins_is_refused(clone, tmp_path):
    package = tmp_path / "elsewhere"
    package.mkdir()
    (package / "unlisted_helper.py").write_text("")
    define(clone, "", top="import unlisted_helper\n")
    output = clone.scripts("build", "tiny", check=False, env={"PYTHONPATH": str(package)})
    assert output.strip() == (
        f"tiny: building 1.0.0\nerror: tiny: its builder imports unlisted_helper from {package}/unlisted_helper.py, "
        f"which no lock file pins; add its package to datasets/standard/tiny/requirements.txt and run: "
        f"make lock DATASET=tiny"
    )


def test_a_module_that_is_imported_late_or_in_a_namespace_is_refused(clone, tmp_path):
    package = tmp_path / "elsewhere/unlisted/inner"
    package.mkdir(parents=True)
    (package / "late.py").write_text("")
    define(clone, "import unlisted.inner.late")
    output = clone.scripts("build", "tiny", check=False, env={"PYTHONPATH": str(tmp_path / "elsewhere")})
    assert f"its builder imports unlisted.inner.late from {package}/late.py, which no lock file pins" in output
    assert not list((clone.root / "artifacts").glob("tiny*"))


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), [(r"^editables==", "other=="), (r"^editables==", "editables==0.0.")])
def test_an_installed_package_that_is_not_in_a_lock_file_is_refused(clone, before, after):
    define(clone, "", top="import editables\n")
    clone.scripts("build", "tiny")
    lock = clone.root / "requirements.lock"
    lock.write_text(re.sub(before, after, lock.read_text(), flags=re.MULTILINE))
    output = clone.scripts("build", "tiny", check=False)
    assert re.search(
        r"its builder imports editables from \S+/editables/__init__\.py \(editables \d\S+\), which", output
    )


@pytest.mark.slow
def test_a_module_of_the_repository_outside_the_definition_is_refused(clone):
    define(clone, "", top="import benchmarks_helper\n")
    (clone.root / "benchmarks_helper.py").write_text("")
    output = clone.scripts("build", "tiny", check=False)
    assert (
        f"its builder imports benchmarks_helper from {clone.root}/benchmarks_helper.py, which is not part of its "
        f"definition; move it into the builder's folder, or name it among the deps of tiny in dvc.yaml"
    ) in output
    stages = clone.root / "dvc.yaml"
    stages.write_text(
        stages.read_text().replace(
            "- datasets/standard/tiny\n", "- datasets/standard/tiny\n      - benchmarks_helper.py\n"
        )
    )
    clone.scripts("build", "tiny")
