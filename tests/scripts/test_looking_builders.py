"""Builders that look into what they downloaded are registered and built without a change, as with TFDS.

Each part of the first builder is one of the cases that once failed: the file was handed over without its ending, or two
archives of one name became one.
"""

import hashlib
import json

import pytest

import loader
from scripts._process.errors import ScriptError
from scripts._tfds.fetch import fetch_sources
from scripts.build import build
from scripts.register import register
from tests.helpers.archives import COMPRESSORS, zip_of
from tests.helpers.source_files_dataset import make_source_files_dataset
from tests.helpers.web_server import WebFile

pytestmark = [
    pytest.mark.usefixtures("upstream_only"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning"),
]
SHUTIL = zip_of({"top.txt": b"t", "sub/f.txt": b"f"})
FILES = {
    "listed.zip": SHUTIL,
    "iterated.zip": SHUTIL,
    "later.zip": SHUTIL,
    "typed": SHUTIL,
    "one.csv.gz": COMPRESSORS[".gz"](b"a,b\n1,2\n"),
    "two.csv.bz2": COMPRESSORS[".bz2"](b"c,d\n"),
    "dataset0.zip": zip_of({"train.zip": zip_of({"t.txt": b"zero"})}),
    "dataset1.zip": zip_of({"train.zip": zip_of({"t.txt": b"one"})}),
    "urls.txt": b"computed.txt",
    "computed.txt": b"computed",
    "late.txt": b"late",
    "listed.txt": b"is listed",
}
LOOKING = """
import hashlib
import os

names = sorted(os.listdir(dl_manager.download_and_extract(f"{BASE}/listed.zip")))
assert names == ["sub", "top.txt"], names
archive = dl_manager.download(f"{BASE}/iterated.zip")
assert str(archive).endswith(".zip")
names = sorted(str(name) for name, file in dl_manager.iter_archive(archive))
assert names == ["sub/f.txt", "top.txt"], names
later = dl_manager.extract({"x": [dl_manager.download(f"{BASE}/later.zip")]})["x"][0]
assert sorted(path.name for path in later.iterdir()) == ["sub", "top.txt"]
typed = tfds.download.Resource(url=f"{BASE}/typed", extract_method=tfds.download.ExtractMethod.ZIP)
assert (dl_manager.download_and_extract(typed) / "sub/f.txt").read_text() == "f"
local = tfds.download.Resource(path=archive, extract_method=tfds.download.ExtractMethod.ZIP)
assert (dl_manager.extract(local) / "top.txt").read_text() == "t"
one, two = dl_manager.download_and_extract((f"{BASE}/one.csv.gz", f"{BASE}/two.csv.bz2"))
assert open(one).read() + open(two).read() == "a,b\\n1,2\\nc,d\\n"
assert hashlib.sha256(archive.read_bytes()).hexdigest() == SHA256
outer = dl_manager.download_and_extract([f"{BASE}/dataset{number}.zip" for number in range(2)])
inner = [dl_manager.extract(folder / "train.zip") for folder in outer]
assert [(folder / "t.txt").read_text() for folder in inner] == ["zero", "one"]
computed = dl_manager.download(f"{BASE}/{dl_manager.download(f'{BASE}/urls.txt').read_text()}")
dl_manager.download_checksums(f"{BASE}/checksums.txt")
listed = dl_manager.download(f"{BASE}/listed.txt")
texts = [folder / "t.txt" for folder in inner] + [computed, listed]


def examples():
    for number, path in enumerate(texts):
        yield number, {"size": len(path.read_text())}
    yield "late", {"size": len(dl_manager.download(f"{BASE}/late.txt").read_text())}


return {"train": examples()}
"""


@pytest.fixture(scope="module")
def sha256():
    return hashlib.sha256(SHUTIL).hexdigest()


def test_a_builder_that_looks_into_its_files_is_registered_and_built(tmp_path, server, sha256, capsys):
    for name, data in FILES.items():
        server.serve(f"/{name}", WebFile(data))
    digest = hashlib.sha256(FILES["listed.txt"]).hexdigest()
    server.respond("/checksums.txt", f"{server.url}/listed.txt {len(FILES['listed.txt'])} {digest}\n".encode())
    body = LOOKING.replace("SHA256", repr(sha256))
    root = make_source_files_dataset(tmp_path / "repository", server.url, body)
    registered = register("downloader", root=root)
    assert {source.filename for source in registered} == {*FILES, "checksums.txt"}
    assert "running its generators, which download files themselves" in capsys.readouterr().err
    assert len(fetch_sources("downloader", root=root)) == len(registered)
    assert register("downloader", root=root) == []
    build("downloader", root=root)
    first = (root / "artifacts/downloader.tar").read_bytes()
    sizes = sorted(loader.load("downloader", repo=root)[1]["train"]["size"].tolist())
    assert sizes == sorted(map(len, ("zero", "one", "computed", "is listed", "late")))
    build("downloader", root=root)
    assert (root / "artifacts/downloader.tar").read_bytes() == first
    assert len(json.loads((root / "artifacts/downloader.json").read_text())["sources"]) == len(registered)
    assert not (root / ".scratch/build-downloader").exists()


OLD_FORM = """
return [
    tfds.core.SplitGenerator(name="train", gen_kwargs={"paths": Late(dl_manager)}),
]
"""


def test_generators_of_the_older_form_may_download_too(tmp_path, server):
    server.respond("/late.bin", b"late")
    root = make_source_files_dataset(tmp_path / "repository", server.url, OLD_FORM)
    path = root / "datasets/standard/downloader/downloader.py"
    path.write_text(
        path.read_text().replace("for path in tf.nest.flatten(paths)", "for path in paths.paths()")
        + """

class Late:
    def __init__(self, manager):
        self.manager = manager

    def paths(self):
        return [self.manager.download(f"{BASE}/late.bin")]
"""
    )
    assert [source.filename for source in register("downloader", root=root)] == ["late.bin"]
    build("downloader", root=root)


LOOKS = {
    "os.path.exists": 'names = ["a.txt"] if os.path.exists(os.path.join(folder, "top.txt")) else []',
    "os.path.isdir": 'names = ["a.txt"] if os.path.isdir(str(folder)) else []',
    "glob": 'names = ["a.txt" for _ in glob.glob(f"{folder}/*.txt")]',
    "tf glob": 'names = ["a.txt" for _ in tf.io.gfile.glob(f"{folder}/*.txt")]',
    "tf exists": 'names = ["a.txt"] if tf.io.gfile.exists(f"{folder}/top.txt") else []',
    "os.walk": 'names = ["a.txt" for _, _, files in os.walk(folder) for name in files if name == "top.txt"]',
}


def test_looking_for_a_file_that_is_not_fetched_yet_is_noticed(tmp_path, server):
    server.respond("/x.zip", SHUTIL)
    for number in range(len(LOOKS)):
        server.respond(f"/{number}-a.txt", b"a")
    lines = ["import glob, os", "import tensorflow as tf", "found = []"]
    for number, look in enumerate(LOOKS.values()):
        lines += ['folder = dl_manager.download_and_extract(f"{BASE}/x.zip")', look]
        lines += [f'found += dl_manager.download([f"{{BASE}}/{number}-{{name}}" for name in names])']
    lines += ['return {"train": self._generate_examples(found)}']
    root = make_source_files_dataset(tmp_path / "repository", server.url, "\n".join(lines))
    names = {source.filename for source in register("downloader", root=root)}
    assert names == {"x.zip", *(f"{number}-a.txt" for number in range(len(LOOKS)))}


def test_an_archive_whose_member_points_outside_is_one_sentence(tmp_path, server):
    server.respond("/slip.zip", zip_of({"../../../slipped.txt": b"slip"}))
    body = 'return {"train": self._generate_examples([dl_manager.download_and_extract(f"{BASE}/slip.zip")])}'
    root = make_source_files_dataset(tmp_path / "repository", server.url, body)
    register("downloader", root=root)
    with pytest.raises(ScriptError, match=r"slip\.zip cannot be extracted: its member '.*slipped\.txt' points outside"):
        build("downloader", root=root)
    assert list(tmp_path.rglob("slipped.txt")) == []
