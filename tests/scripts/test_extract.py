"""Extracting: into the right folder, completely or not at all, and safe against a malicious artifact."""

import ctypes
import os
import shutil
import stat
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

import loader
from loader._format import exchange
from loader._format.artifact import LocalArtifact
from loader._format.index import HEADER_NAME, ROWS_NAME
from scripts import extract as module
from scripts._process.errors import ScriptError
from scripts.extract import extract
from tests.helpers.recorded_dataset import SPLITS, example
from tests.helpers.tampering import flip, take_apart

VERSION = "small/1.0.0"


def tree(folder):
    """Everything below a folder: its type and mode, and its content or the target of the link."""
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(status.st_mode) else None
        content = os.fspath(path.readlink()) if stat.S_ISLNK(status.st_mode) else content
        found[path.relative_to(folder).as_posix()] = (oct(status.st_mode), content)
    return found


def files(folder):
    return {name: content for name, (_, content) in tree(folder).items() if content is not None}


def damage(root, name):
    """Flip a bit in the middle of a member."""
    tar = root / "artifacts/small.tar"
    with tarfile.open(tar) as opened:
        info = next(info for info in opened.getmembers() if info.name.endswith(name))
    tar.write_bytes(flip(tar.read_bytes(), info.offset_data + info.size // 2))


@pytest.fixture
def prepared(small):
    """The files that were packed."""
    return files(small / ".scratch-small/data/small/1.0.0")


def test_the_folder_holds_what_was_packed_and_the_record_index(small, prepared, tmp_path):
    target = extract("small", root=small, to=tmp_path / "to")
    assert target == tmp_path / "to" / VERSION
    found = files(target)
    shards = {name for name in found if ".tfrecord-" in name}  # which moved into the artifact
    assert len(shards) == 3
    assert found.keys() == {*prepared, *shards, HEADER_NAME, ROWS_NAME}
    assert {name: found[name] for name in prepared} == prepared


def test_the_files_are_those_that_tar_extracts(small, tmp_path):
    target = extract("small", root=small, to=tmp_path / "to")
    (tmp_path / "tar").mkdir()
    subprocess.run(["tar", "xf", small / "artifacts/small.tar", "-C", tmp_path / "tar"], check=True)
    assert files(target) == files(tmp_path / "tar" / VERSION)


def test_other_users_may_read_it(small, tmp_path):
    before = os.umask(0o022)
    try:
        to = extract("small", root=small, to=tmp_path / "to").parent.parent
    finally:
        os.umask(before)
    modes = {name: mode for name, (mode, _) in tree(to).items()}
    assert {mode for name, mode in modes.items() if (to / name).is_dir()} == {oct(stat.S_IFDIR | 0o755)}
    assert {mode for name, mode in modes.items() if (to / name).is_file()} == {oct(stat.S_IFREG | 0o644)}


def test_the_loader_reads_it(small, tmp_path):
    _, ds = loader.from_directory(extract("small", root=small, to=tmp_path / "to"))
    assert {name: len(split) for name, split in ds.items()} == {name: sum(n) for name, n in SPLITS.items()}
    for split in SPLITS:
        for number, found in enumerate(ds[split]):
            assert found["text"] == example(split, number)["text"]


def test_the_default_folder_is_in_the_repository(small):
    assert extract("small", root=small) == small / "extracted" / VERSION


def test_nothing_else_is_left_in_the_folder(small, tmp_path):
    to = tmp_path / "to"
    extract("small", root=small, to=to)
    assert [path.name for path in to.iterdir()] == ["small"]
    extract("small", root=small, to=to, overwrite=True)
    assert [path.name for path in to.iterdir()] == ["small"]
    assert [path.name for path in (to / "small").iterdir()] == ["1.0.0"]


def test_other_datasets_and_versions_stay(small, tmp_path):
    to = tmp_path / "to"
    for other in ("other/1.0.0", "small/0.9.0"):
        (to / other).mkdir(parents=True)
        (to / other / "mine").write_text("mine")
    extract("small", root=small, to=to)
    extract("small", root=small, to=to, overwrite=True)
    assert {name: files(to)[name] for name in ("other/1.0.0/mine", "small/0.9.0/mine")} == {
        "other/1.0.0/mine": b"mine",
        "small/0.9.0/mine": b"mine",
    }


def make_folder(target):
    target.mkdir(parents=True)
    (target / "mine").write_text("mine")


def make_file(target):
    target.parent.mkdir(parents=True)
    target.write_text("mine")


def make_link(target):
    target.parent.mkdir(parents=True)
    (target.parent / "elsewhere").mkdir()
    (target.parent / "elsewhere/mine").write_text("mine")
    target.symlink_to("elsewhere")


def make_broken_link(target):
    target.parent.mkdir(parents=True)
    target.symlink_to("nowhere")


@pytest.mark.parametrize("make", [make_folder, make_file, make_link, make_broken_link])
def test_an_existing_target_is_refused_by_default(small, tmp_path, make):
    to = tmp_path / "to"
    make(to / VERSION)
    before = tree(to)
    with pytest.raises(ScriptError, match="is already there; replace it with OVERWRITE=1"):
        extract("small", root=small, to=to)
    assert tree(to) == before


@pytest.mark.parametrize("make", [make_folder, make_file, make_link, make_broken_link])
def test_an_existing_target_is_replaced_with_overwrite(small, prepared, tmp_path, make):
    to = tmp_path / "to"
    make(to / VERSION)
    target = extract("small", root=small, to=to, overwrite=True)
    assert target.is_dir()
    assert not target.is_symlink()
    assert files(target).items() >= prepared.items()
    assert "mine" not in files(target)
    if make is make_link:
        assert (to / "small/elsewhere/mine").read_text() == "mine"


def test_a_target_is_replaced_on_a_system_that_cannot_exchange_two_folders(small, prepared, tmp_path, monkeypatch):
    to = tmp_path / "to"
    make_folder(to / VERSION)
    monkeypatch.setattr(exchange.ctypes, "CDLL", lambda *_, **__: object())
    target = extract("small", root=small, to=to, overwrite=True)
    assert files(target).items() >= prepared.items()
    assert [path.name for path in to.rglob("*") if path.name == "mine" or path.name.startswith(".")] == []


def test_a_replacement_that_fails_on_such_a_system_keeps_the_old_folder(small, tmp_path, monkeypatch):
    to = tmp_path / "to"
    make_folder(to / VERSION)
    monkeypatch.setattr(exchange.ctypes, "CDLL", lambda *_, **__: object())
    rename = Path.rename

    def fail_onto_target(path, new):
        if Path(new) == to / VERSION and path.name == "1.0.0":
            raise OSError(5, "Input/output error")
        return rename(path, new)

    monkeypatch.setattr(Path, "rename", fail_onto_target)
    with pytest.raises(OSError, match="Input/output error"):
        extract("small", root=small, to=to, overwrite=True)
    assert files(to) == {f"{VERSION}/mine": b"mine"}


def exchange_works(folder):
    """Whether this file system can exchange two folders in one step; on others the folder is missing for a moment."""
    (folder / "a").mkdir()
    (folder / "b").mkdir()
    renameat2 = getattr(ctypes.CDLL(None), "renameat2", None)
    return renameat2 is not None and not renameat2(-100, bytes(folder / "a"), -100, bytes(folder / "b"), 2)


LOOK = """
import os, sys
target, stop = sys.argv[1:]
inside = os.path.join(target, "dataset_info.json")
looks = missing = 0
print("ready", flush=True)
while not os.path.exists(stop):
    for _ in range(1000):
        looks += 1
        missing += not (os.path.isdir(target) and os.path.isfile(inside))
print(looks, missing)
"""


def test_a_folder_that_is_replaced_is_never_missing(small, tmp_path):
    if not exchange_works(tmp_path):
        pytest.skip("this file system cannot exchange two folders in one step")
    to, stop = tmp_path / "to", tmp_path / "stop"
    target = extract("small", root=small, to=to)
    looker = subprocess.Popen(
        [sys.executable, "-c", LOOK, target, stop], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with looker:
        try:
            assert looker.stdout.readline() == "ready\n"
            for _ in range(100):
                extract("small", root=small, to=to, overwrite=True)
        finally:
            stop.touch()
        output, errors = looker.communicate(timeout=60)
    assert errors == ""
    looks, missing = map(int, output.split())
    assert looks >= 1000
    assert missing == 0


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize(
    "name",
    [
        HEADER_NAME,
        ROWS_NAME,
        "features.json",
        "small-test.tfrecord-00000-of-00001",
        "small-train.tfrecord-00001-of-00002",
    ],
)
def test_a_damaged_artifact_is_refused_and_the_target_kept(small, tmp_path, name, overwrite):
    to = tmp_path / "to"
    if overwrite:
        make_folder(to / VERSION)
    before = files(tmp_path / "to")
    damage(small, name)
    with pytest.raises(loader.LoaderError, match="small") as raised:
        extract("small", root=small, to=to, overwrite=overwrite)
    assert "artifacts/small.tar" in str(raised.value)
    assert files(to) == before
    assert list(to.rglob(".*")) == []
    assert (to / VERSION).exists() == overwrite


@pytest.mark.parametrize("kept", [0, 100, 511, 4000, 0.5, 0.999])
def test_a_truncated_artifact_is_refused(small, tmp_path, kept):
    tar = small / "artifacts/small.tar"
    size = tar.stat().st_size
    os.truncate(tar, kept if isinstance(kept, int) else int(size * kept))
    with pytest.raises(loader.LoaderError, match=r"(remove it, .*: |or )rm .*small\.tar"):
        extract("small", root=small, to=tmp_path / "to")
    assert files(tmp_path / "to") == {}


def test_a_missing_artifact_says_how_to_get_it(small, tmp_path):
    (small / "artifacts/small.tar").unlink()
    with pytest.raises(ScriptError, match="make pull DATASET=small"):
        extract("small", root=small, to=tmp_path / "to")


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_disk_that_is_too_small_is_reported_before_anything_is_written(small, tmp_path, monkeypatch, overwrite):
    to = tmp_path / "to"
    if overwrite:
        make_folder(to / VERSION)
    before = files(to)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(ScriptError, match=r"needs [\d,]{7,} bytes and has 1,000 left; make room .*TO="):
        extract("small", root=small, to=to, overwrite=overwrite)
    assert files(to) == before


def test_a_write_that_fails_leaves_nothing(small, tmp_path, monkeypatch):
    to = tmp_path / "to"
    make_folder(to / VERSION)
    before = tree(to)
    chunks = LocalArtifact.chunks

    def fail(artifact, member):
        if member.name.endswith("00001-of-00002"):
            raise OSError(28, "No space left on device")
        yield from chunks(artifact, member)

    monkeypatch.setattr(LocalArtifact, "chunks", fail)
    with pytest.raises(OSError, match="No space left"):
        extract("small", root=small, to=to, overwrite=True)
    assert tree(to) == before


def forged(root, path):
    """Add a member `path` to the tar and to the index header, with correct hashes."""
    forgery = take_apart(root)
    forgery.file("label.labels.txt").path = path
    forgery.sign()
    with tarfile.open(root / "artifacts/small.tar") as tar:
        assert path in tar.getnames()


OUTSIDE = [
    "../evil.txt",
    "small/../../evil.txt",
    "small/1.0.0/../../../../evil.txt",
    "small/1.0.0/../evil.txt",
    "small/..",
    "..",
    "/evil.txt",
    "//evil.txt",
    "other/1.0.0/evil.txt",
    "evil.txt",
    ".small/evil.txt",
    "./small/../../evil.txt",
    "small/" + "deep/" * 40 + "../" * 60 + "evil.txt",
]


@pytest.mark.parametrize("path", OUTSIDE)
def test_a_member_outside_its_folder_is_refused_by_name(small, tmp_path, path):
    forged(small, path)
    before = tree(tmp_path)
    with pytest.raises(loader.LoaderError) as raised:
        extract("small", root=small, to=tmp_path / "deep/er/to")
    assert path in str(raised.value)
    assert "outside its folder" in str(raised.value)
    assert tree(tmp_path) == before


def test_a_member_at_an_absolute_path_is_refused_by_name(small, tmp_path):
    path = str(tmp_path / "evil.txt")
    forged(small, path)
    before = tree(tmp_path)
    with pytest.raises(loader.LoaderError, match="evil"):
        extract("small", root=small, to=tmp_path / "to")
    assert tree(tmp_path) == before


@pytest.mark.parametrize("path", ["", ".", "./."])
def test_a_member_without_a_name_is_refused(small, tmp_path, path):
    forged(small, path)
    before = tree(tmp_path)
    with pytest.raises(loader.LoaderError):
        extract("small", root=small, to=tmp_path / "to")
    assert tree(tmp_path) == before


@pytest.mark.parametrize("path", ["small", "small/1.0.0", "small/1.0.0/features.json/x"])
def test_a_member_whose_path_conflicts_with_that_of_another_is_refused(small, tmp_path, path):
    forged(small, path)
    with pytest.raises(loader.LoaderError):
        extract("small", root=small, to=tmp_path / "to")
    assert files(tmp_path / "to") == {}


@pytest.mark.parametrize(
    "path", ["small/1.0.0/features.json", "small/1.0.0//features.json", "small/./1.0.0/features.json"]
)
def test_a_path_that_occurs_twice_is_refused(small, tmp_path, path):
    forged(small, path)
    with pytest.raises(loader.LoaderError):
        extract("small", root=small, to=tmp_path / "to")
    assert files(tmp_path / "to") == {}


def test_a_member_in_another_versions_folder_never_overwrites_it(small, tmp_path):
    to = tmp_path / "to"
    (to / "small/0.9.0").mkdir(parents=True)
    (to / "small/0.9.0/dataset_info.json").write_text("mine")
    forged(small, "small/0.9.0/dataset_info.json")
    with pytest.raises(loader.LoaderError, match=r"small/0\.9\.0/dataset_info\.json"):
        extract("small", root=small, to=to)
    assert files(to) == {"small/0.9.0/dataset_info.json": b"mine"}


def extra(kind, name="small/1.0.0/extra", **attributes):
    info = tarfile.TarInfo(name)
    info.type, info.mode = kind, 0o644
    for attribute, value in attributes.items():
        setattr(info, attribute, value)
    return info


EXTRAS = {
    "a symlink": extra(tarfile.SYMTYPE, linkname="/etc/passwd"),
    "a symlink in the place of a member": extra(tarfile.SYMTYPE, "small/1.0.0/features.json", linkname="/etc/passwd"),
    "a symlink in the place of the folder": extra(tarfile.SYMTYPE, "small/1.0.0", linkname="/tmp"),
    "a hard link": extra(tarfile.LNKTYPE, linkname="small/1.0.0/features.json"),
    "a character device": extra(tarfile.CHRTYPE, devmajor=1, devminor=3),
    "a block device": extra(tarfile.BLKTYPE, devmajor=8, devminor=0),
    "a fifo": extra(tarfile.FIFOTYPE),
    "a folder": extra(tarfile.DIRTYPE, mode=0o755),
    "a file": extra(tarfile.REGTYPE),
    "a file outside": extra(tarfile.REGTYPE, "../evil.txt"),
    "a second file of a name": extra(tarfile.REGTYPE, "small/1.0.0/features.json"),
    "a second header": extra(tarfile.REGTYPE, f"small/1.0.0/{HEADER_NAME}"),
}


@pytest.mark.parametrize("what", EXTRAS)
def test_a_tar_with_more_than_its_header_lists_is_refused(small, tmp_path, what):
    forgery = take_apart(small)
    forgery.extra.append(EXTRAS[what])
    forgery.sign()
    before = tree(tmp_path)
    with pytest.raises(loader.LoaderError, match=r"not plain files of format 1|does not hold the members") as raised:
        extract("small", root=small, to=tmp_path / "to")
    if EXTRAS[what].type != tarfile.REGTYPE:
        assert EXTRAS[what].name in str(raised.value)
    assert tree(tmp_path) == before


def test_a_tar_with_a_malformed_sparse_entry_is_refused(small, tmp_path):
    forgery = take_apart(small)
    forgery.extra.append(extra(tarfile.REGTYPE, pax_headers={"GNU.sparse.map": "no,number"}))
    forgery.sign()
    with pytest.raises(loader.LoaderError):
        extract("small", root=small, to=tmp_path / "to")
    assert not (tmp_path / "to").exists()


def test_a_tar_that_lacks_a_listed_member_is_refused(small, tmp_path):
    tar = small / "artifacts/small.tar"
    with tarfile.open(tar) as opened:
        last = opened.getmembers()[-1]
    data = bytearray(tar.read_bytes())
    data[last.offset : last.offset + 512] = bytes(512)
    tar.write_bytes(data)
    with pytest.raises(loader.LoaderError, match="does not hold the members"):
        extract("small", root=small, to=tmp_path / "to")
    assert not (tmp_path / "to").exists()


def test_a_relative_folder_is_relative_to_the_working_directory(small, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert extract("small", root=small, to=Path("to")) == tmp_path / "to" / VERSION
    assert (tmp_path / "to" / VERSION / "features.json").is_file()


def test_clones_that_extract_into_one_folder_exclude_each_other(small, tmp_path, monkeypatch):
    shutil.copytree(small, tmp_path / "other", symlinks=True)
    to = tmp_path / "to"

    def extract_both(*arguments):
        with pytest.raises(ScriptError, match=f"extract small: another one is at work in {to}; wait"):
            extract("small", root=tmp_path / "other", to=to)
        extract_members(*arguments)

    extract_members = module.extract_members
    monkeypatch.setattr(module, "extract_members", extract_both)
    extract("small", root=small, to=to)
    monkeypatch.undo()
    assert files(to) == files(extract("small", root=small, to=tmp_path / "alone").parents[1])
    assert [path.name for path in to.iterdir()] == ["small"]


@pytest.mark.parametrize("kind", ["link", "file"])
def test_a_link_or_file_at_the_name_of_the_working_folder_is_refused_and_kept(small, tmp_path, kind):
    to, mine = tmp_path / "to", tmp_path / "mine"
    to.mkdir()
    mine.mkdir()
    working = to / ".small.extracting"
    working.symlink_to(mine) if kind == "link" else working.write_text("mine")
    before = tree(tmp_path)
    with pytest.raises(ScriptError, match=rf"\.small\.extracting is a {kind}, .*; remove it with: rm '{working}'"):
        extract("small", root=small, to=to)
    assert tree(tmp_path / "mine") == {} and tree(tmp_path) == before
