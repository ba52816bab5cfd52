"""Files downloaded by hand: registered as files or trees, checked at each use, mirrored, and shown to the builder."""

import hashlib
import os
import shutil
import subprocess
import tarfile

import pytest

from scripts._build.prepare import prepare
from scripts._define.definition import read_definition
from scripts._process.errors import ScriptError, UnavailableError
from scripts._process.scratch import scratch_folder
from scripts._sources.checksums import manual_sources
from scripts._sources.extractions import Extractions
from scripts._sources.manual import LISTED_FILES, digest_tree, manual_path, manual_url, stored_name, unregistered, walk
from scripts._sources.trees import unpack_tree
from scripts._tfds.fetch import fetch_sources
from scripts.mirror import mirror
from scripts.register import register
from tests.conftest import ROOT
from tests.helpers.source_files_dataset import make_source_files_dataset, tsv_path

INSTRUCTIONS = "Log in at https://example.org, and download `train 1.zip` and tree/."
BODY = """
    manual = Path(dl_manager.manual_dir)
    seen = sorted(path.relative_to(manual).as_posix() for path in manual.rglob("*") if path.is_file())
    (Path(__file__).parent / "seen.txt").write_text("\\n".join(seen))
    archive = manual / "train 1.zip"
    return {"train": self._generate_examples([archive, Path(dl_manager.extract(archive)) / "x"])}
    """
NAMES = ("train 1.zip", "a\tb/ä\n.csv", "tree/0.txt")

pytestmark = [
    pytest.mark.usefixtures("upstream_only"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning"),
]


@pytest.fixture
def root(tmp_path):
    """A repository whose builder needs files that are downloaded by hand, and says how."""
    root = make_source_files_dataset(tmp_path / "repository", "", BODY, visibility="private")
    builder = root / "datasets/standard/downloader/downloader.py"
    text = builder.read_text().replace(
        "    VERSION", f"    MANUAL_DOWNLOAD_INSTRUCTIONS = {INSTRUCTIONS!r}\n    VERSION"
    )
    builder.write_text(f"from pathlib import Path\n{text}")
    return root


@pytest.fixture
def filled(root):
    """The repository with these files: an archive, one with an odd name, a large tree with an empty folder."""
    fill(root / "sources/downloader/manual")
    return root


def fill(folder):
    for number in range(LISTED_FILES + 1):
        write(folder / f"tree/{number}.txt", str(number))
    (folder / "tree/nothing").mkdir()
    write(folder / "a\tb/ä\n.csv", "1,2")
    write(folder / "x", "x")
    subprocess.run(["python", "-m", "zipfile", "-c", "train 1.zip", "x"], cwd=folder, check=True)
    (folder / "x").unlink()
    write(folder / ".DS_Store", "of a file manager")


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def prepared_in(scratch, definition):
    with Extractions(scratch / "extracted", dataset="downloader") as extractions, extractions.config(last=True):
        return prepare(definition, scratch=scratch, extractions=extractions)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def test_the_digest_of_a_tree_is_as_documented(tmp_path):
    write(tmp_path / "tree/b c", "1")
    write(tmp_path / "tree/a/ä", "22")
    write(tmp_path / "elsewhere/inner", "333")
    (tmp_path / "tree/0").symlink_to("../elsewhere")
    (tmp_path / "tree/empty/.hidden").mkdir(parents=True)
    text = f"{sha256(b'333')} 3 0/inner\n{sha256(b'22')} 2 a/%C3%A4\n{sha256(b'1')} 1 b%20c\n- 0 empty/\n"
    assert digest_tree(tmp_path / "tree") == (6, sha256(text.encode()))
    before = digest_tree(tmp_path / "tree")
    (tmp_path / "tree/a/ä").rename(tmp_path / "tree/a/o")
    assert digest_tree(tmp_path / "tree") != before


@pytest.mark.parametrize("path", [*NAMES, "100%/#?&=", "tree/", "./"])
def test_every_name_has_a_line_that_tfds_reads_and_writes(tmp_path, path):
    from etils import epath
    from tensorflow_datasets.core.download import checksums as tfds_checksums

    url = manual_url(path)
    assert manual_path(url) == path
    tsv = epath.Path(tmp_path / "checksums.tsv")
    tsv.write_text(f"{url}\t1\t{'0' * 64}\tmanual/x\n")
    infos = tfds_checksums.load_url_infos(tsv)
    assert list(infos) == [url]
    tfds_checksums.save_url_infos(tmp_path / "copy.tsv", infos)
    assert (tmp_path / "copy.tsv").read_text() == tsv.read_text()


@pytest.mark.parametrize(
    "url", ["manual:../x", "manual:/etc/passwd", "manual:a//b", "manual:", "manual:.x", "manual:%FF"]
)
def test_a_line_that_leads_out_of_the_folder_is_refused(root, url):
    tsv_path(root).write_text(f"{url}\t1\t{'0' * 64}\tx\n")
    with pytest.raises(ScriptError, match=r"is not the path of a file in the folder manual/"):
        manual_sources(read_definition("downloader", root=root))
    with pytest.raises(ScriptError):
        stored_name(url)


def test_very_many_files_are_registered_as_trees(tmp_path):
    for number in range(LISTED_FILES):
        write(tmp_path / f"few/{number}", "")
        write(tmp_path / f"many/{number}", "")
    write(tmp_path / "many/one more", "")
    (tmp_path / "nothing").mkdir()
    found = unregistered(tmp_path, [])
    assert found == ["./"]  # too many lines
    found = unregistered(tmp_path, ["few/0"])
    assert sorted(found) == sorted([*(f"few/{number}" for number in range(1, LISTED_FILES)), "many/", "nothing/"])
    assert len(unregistered(tmp_path, ["many/0"])) == 2 * LISTED_FILES + 1  # one of them has a line
    assert unregistered(tmp_path, ["./"]) == []


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: path.symlink_to("nowhere"), "cannot be read: No such file"),
        (lambda path: path.symlink_to("."), "is a link to a folder that it is in"),
        (os.mkfifo, "is neither a file nor a folder"),
        (lambda path: (path.parent / os.fsdecode(b"\xff")).touch(), "has a name that is not UTF-8"),
    ],
)
def test_what_cannot_be_registered_is_named(tmp_path, make, reason):
    make(tmp_path / "odd")
    with pytest.raises(ScriptError, match=reason):
        walk(tmp_path)


@pytest.mark.parametrize("command", [register, fetch_sources])
def test_without_files_the_error_gives_the_builders_instructions_and_the_place(root, command):
    with pytest.raises(ScriptError) as raised:
        command("downloader", root=root)
    for text in (INSTRUCTIONS, "put it at sources/downloader/manual/", "make build DATASET=downloader REGISTER=1"):
        assert text in str(raised.value)


def test_the_builder_sees_exactly_what_is_registered(filled, capsys):
    with pytest.raises(
        ScriptError, match=r"not registered in sources/downloader/manual/: .*tree/; review and register"
    ):
        fetch_sources("downloader", root=filled)
    registered = register("downloader", root=filled)
    assert {manual_path(source.url) for source in registered} == {"train 1.zip", "a\tb/ä\n.csv", "tree/"}
    shown = capsys.readouterr().err
    assert "sources/downloader/manual/train 1.zip" in shown
    assert (
        f"tree/\n    {sum(len(str(n)) for n in range(101))} bytes in 101 files, digest {registered[2].sha256}" in shown
    )
    assert register("downloader", root=filled) == []
    capsys.readouterr()
    write(filled / "sources/downloader/manual/late.csv", "")
    definition = read_definition("downloader", root=filled)
    with scratch_folder(filled, "test") as scratch:
        prepared = prepared_in(scratch, definition)
    seen = (filled / "datasets/standard/downloader/seen.txt").read_text()
    assert seen == "\n".join(sorted(["train 1.zip", "a\tb/ä\n.csv", *(f"tree/{n}.txt" for n in range(101))]))
    assert [source.url for source in prepared.sources] == [source.url for source in registered]
    assert "not registered in sources/downloader/manual/: late.csv" in capsys.readouterr().err
    assert not (filled / ".scratch/test").exists()  # although folders in it are read-only


@pytest.mark.parametrize("path", NAMES)
def test_a_changed_file_is_an_error_with_both_hashes_and_is_not_replaced(filled, monkeypatch, tmp_path, path):
    registered = {manual_path(source.url): source for source in register("downloader", root=filled)}
    shutil.copytree(filled / "sources", tmp_path / "mirror")
    monkeypatch.setenv("DATASETS_MIRROR", os.fspath(tmp_path / "mirror"))
    changed = filled / "sources/downloader/manual" / path
    changed.write_text("changed")
    with pytest.raises(ScriptError) as raised:
        fetch_sources("downloader", root=filled)
    source = registered.get(path) or registered["tree/"]
    other = digest_tree(changed.parent)[1] if path.startswith("tree/") else sha256(b"changed")
    for text in (
        source.sha256,
        other,
        f"remove the line of {source.url} from datasets/standard/downloader/checksums.tsv",
    ):
        assert text in str(raised.value)
    assert changed.read_text() == "changed"
    with pytest.raises(ScriptError, match="is another one"):
        register("downloader", root=filled)


def test_the_builder_cannot_write_to_the_files_nor_when_they_are_registered(filled):
    builder = filled / "datasets/standard/downloader/downloader.py"
    before, file = builder.read_text(), filled / "sources/downloader/manual/train 1.zip"
    original = file.read_bytes()

    def writing(code):
        builder.write_text(before.replace("    seen =", f"    {code}\n        seen ="))

    writing('(manual / "train 1.zip").write_text("")')
    with pytest.raises(
        ScriptError, match=r"^downloader: .*train 1\.zip is opened for writing; manual_dir is read-only"
    ):
        register("downloader", root=filled)
    writing(f'import os, contextlib; exec("with contextlib.suppress(Exception): os.truncate({str(file)!r}, 1)")')
    with pytest.raises(ScriptError, match="manual_dir is read-only"):
        register("downloader", root=filled)
    assert not tsv_path(filled).exists()
    writing("pass")
    register("downloader", root=filled)
    writing('(manual / "train 1.zip").open("ab")')
    for use in (fetch_sources, lambda _, root: prepared_in(scratch, read_definition("downloader", root=root))):
        with scratch_folder(filled, "test") as scratch, pytest.raises(ScriptError, match="manual_dir is read-only"):
            use("downloader", root=filled)
    assert file.read_bytes() == original
    file.write_bytes(b"x")  # which the user may, afterwards


def test_what_the_builder_misses_is_named_by_its_place_with_the_instructions(filled):
    (filled / "sources/downloader/manual/train 1.zip").unlink()
    with pytest.raises(ScriptError) as raised:
        register("downloader", root=filled)
    for text in ("sources/downloader/manual/train 1.zip", INSTRUCTIONS):
        assert text in str(raised.value)


def test_files_and_trees_are_mirrored_and_found_again(filled, remote, server, monkeypatch, tmp_path):
    (filled / "sources/downloader/manual/tree").rename(tmp_path / "tree")
    (filled / "sources/downloader/manual/tree").symlink_to(tmp_path / "tree")
    registered = register("downloader", root=filled)
    for name in (".gitignore", ".dvcignore", ".dvc/config", ".dvc/.gitignore"):
        (filled / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, filled / name)
    subprocess.run(["git", "init", "--quiet"], cwd=filled, check=True)
    remote.point(filled)
    assert len(mirror("downloader", public=False, root=filled)) == len(registered)
    assert len(remote.keys("private")) == len(registered)  # a tree is one object
    copy = shutil.copytree(filled / "sources/downloader", tmp_path / "mirror/downloader")
    for path in copy.iterdir():
        if path.is_file() and not path.name.startswith("."):
            server.respond(f"/downloader/{path.name}", path.read_bytes())
    for source in registered:
        if not source.url.endswith("/"):
            server.respond(
                "/downloader/" + manual_url(source.filename).partition(":")[2], (copy / source.filename).read_bytes()
            )

    def found_again():
        return {source.url: location for source, _, location in fetch_sources("downloader", root=filled)}

    def clear():
        shutil.rmtree(filled / "sources/downloader")
        shutil.rmtree(filled / ".dvc/cache", ignore_errors=True)

    clear()
    assert {*found_again().values()} == {"DVC (sources/downloader.dvc)"}
    (filled / "sources/downloader.dvc").unlink()
    clear()
    monkeypatch.setenv("DATASETS_MIRROR", server.url)
    assert all(location.startswith("mirror http://") for location in found_again().values())
    shutil.rmtree(filled / "sources/downloader")
    monkeypatch.setenv("DATASETS_MIRROR", os.fspath(tmp_path / "mirror"))
    assert found_again()["manual:tree/"] == f"mirror {copy / 'manual/tree'}"
    shutil.rmtree(copy / "manual/tree")  # the tar is left
    assert found_again()["manual:tree/"].endswith(".tar")
    assert walk(filled / "sources/downloader/manual/tree") == walk(tmp_path / "tree")


@pytest.mark.slow
def test_a_dataset_of_tfds_is_built_from_files_downloaded_by_hand_and_rebuilt_in_the_sandbox(clone):
    import numpy as np
    import simplejpeg

    clone.scripts("add", "resisc45")
    folder = clone.root / "sources/resisc45/manual/NWPU-RESISC45"
    for number in range(LISTED_FILES + 1):
        path = folder / ("beach", "forest")[number % 2] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(simplejpeg.encode_jpeg(np.full((256, 256, 3), number, np.uint8)))
    shown = clone.scripts("register", "resisc45")
    assert "now depends on datasets/standard/resisc45" in shown
    assert "resisc45: registered manual:NWPU-RESISC45/" in shown
    clone.run("dvc", "repro", "resisc45")
    assert "gives the same bytes" in clone.scripts("verify", "--rebuild", "resisc45")
    assert "manual:NWPU-RESISC45/" in clone.run("python", "-m", "loader", "info", "resisc45").stdout


@pytest.mark.parametrize("member", ["../outside", "/outside", "link"])
def test_a_tar_that_is_not_that_of_a_folder_is_not_extracted(tmp_path, member):
    info = tarfile.TarInfo(member)
    if member == "link":
        info.type, info.linkname = tarfile.SYMTYPE, "/"
    with tarfile.open(tmp_path / "tree.tar", "w") as tar:
        tar.addfile(info)
    with pytest.raises(UnavailableError, match=rf"is not the tar of a folder \('{member}' is neither"):
        unpack_tree(tmp_path / "tree.tar", tmp_path / "tree")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["tree", "tree.tar"]
