"""Archives are extracted as by TFDS, never outside of their folder, once for all configs, and removed early."""

import tarfile
import threading
import zipfile

import pytest

from scripts._process.errors import ScriptError
from scripts._process.files import hash_file
from scripts._sources import archives
from scripts._sources.extractions import Extractions
from scripts.build import build
from tests.helpers.archives import COMPRESSORS, special, tar_of, zip_of
from tests.helpers.source_files_dataset import make_source_files_dataset, tsv_line, tsv_path

MEMBERS = {
    "top.txt": b"top",
    "sub/deep/inner.txt": b"inner",
    "./dot.txt": b"dot",
    "a/../up.txt": b"up",
    ".hidden": b"hidden",
    "sub/.hidden": b"hidden",
    ".folder/file": b"hidden",
    "sub/.folder/file": b"not hidden",
    "old~": b"old",
    "umlaut-ä €.txt": b"umlaut",
    "twice.txt": b"first",
}
LINKS = {
    "sub": special(tarfile.DIRTYPE),
    "link": special(tarfile.SYMTYPE, "top.txt"),
    "sub/link": special(tarfile.SYMTYPE, "../top.txt"),
    "hard": special(tarfile.LNKTYPE, "top.txt"),
    "folder": special(tarfile.SYMTYPE, "sub"),
    "dangling": special(tarfile.SYMTYPE, "missing"),
    "outside": special(tarfile.SYMTYPE, "/etc/hostname"),
    "device": special(tarfile.CHRTYPE),
    "pipe": special(tarfile.FIFOTYPE),
    "empty": special(tarfile.DIRTYPE),
}
TAR = tar_of({**MEMBERS, **LINKS})
KINDS = {
    "x.zip": ("ZIP", zip_of(MEMBERS)),
    **{f"x.tar{ending}": ("TAR", compress(TAR)) for ending, compress in COMPRESSORS.items()},
    **{f"s.tar{ending}": ("TAR_STREAM", compress(TAR)) for ending, compress in COMPRESSORS.items()},
    "x.tgz": ("TAR_GZ", COMPRESSORS[".gz"](TAR)),
    "x.csv.gz": ("GZIP", COMPRESSORS[".gz"](b"a,b") + COMPRESSORS[".gz"](b"c")),
    "x.csv.bz2": ("BZIP2", COMPRESSORS[".bz2"](b"a,b")),
}


@pytest.fixture
def extractions(tmp_path):
    with Extractions(tmp_path / "extracted", dataset="tiny") as each:
        yield each


@pytest.fixture
def make(tmp_path):
    """A function that writes an archive and returns its path."""

    def write(data, name="x.zip", folder="sources"):
        path = tmp_path / folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        return path

    return write


def content(path):
    if path.is_file():
        return path.read_bytes()
    return {str(each.relative_to(path)): each.read_bytes() for each in path.rglob("*") if each.is_file()}


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_archive_is_extracted_as_by_tfds(extractions, make, tmp_path, name):
    from tensorflow_datasets.core.download import extractor, resource

    method, data = KINDS[name]
    found = extractions.submit(make(data, name), method).result()
    assert found.name == f"{method}.{name}"
    theirs = extractor._Extractor()
    with theirs.tqdm():
        theirs.extract(make(data, name), resource.ExtractMethod[method], tmp_path / "theirs").get()
    assert content(found) == content(tmp_path / "theirs")
    assert not any(path.is_symlink() for path in found.rglob("*"))


def test_a_link_that_leads_nowhere_is_left_out_and_told(extractions, make, capsys):
    found = extractions.submit(make(TAR, "x.tar"), "TAR").result()
    assert not (found / "outside").exists()
    assert (
        "left out the link 'dangling' to 'missing' and 1 more, which leads to no file in it" in capsys.readouterr().err
    )


def encrypted():
    data = bytearray(zip_of({"a.txt": b"a" * 100}))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    return bytes(data)


def damaged(data):
    return data[: len(data) // 2] + b"damaged!" + data[len(data) // 2 + 8 :]


@pytest.mark.parametrize(
    ("method", "data", "reason"),
    [
        (
            "ZIP",
            zip_of({"good.txt": b"", "../../../slipped.txt": b"x"}),
            "its member '../../../slipped.txt' points outs",
        ),
        ("ZIP", zip_of({"a/../../x": b"x"}), "its member 'a/../../x' points outside of it"),
        ("ZIP", zip_of({"..\\..\\x": b"x"}), "points outside of it"),
        ("TAR", tar_of({"/tmp/slipped.txt": b"x"}), "its member '/tmp/slipped.txt' points outside of it"),
        ("TAR_STREAM", tar_of({"../x": b"x"}), "its member '../x' points outside of it"),
        ("TAR", tar_of({"../x": special(tarfile.SYMTYPE, "y")}), "its member '../x' points outside of it"),
        ("TAR", tar_of({"l": special(tarfile.SYMTYPE, "/etc")}), "there is no file in it, only the link 'l' to '/etc'"),
        ("TAR", tar_of({"l": special(tarfile.SYMTYPE, "l")}), "there is no file in it, only the link 'l' to 'l'"),
        ("TAR", tar_of({"null": special(tarfile.CHRTYPE)}), "there is no file in it"),
        ("ZIP", zip_of({}), "there is no file in it"),
        ("ZIP", zip_of({"n" * 30_000: b"x"}), "(30,000 characters) cannot be written: File name too long"),
        ("ZIP", zip_of({"d/" * 5_000 + "x": b"x"}), "cannot be written: File name too long"),
        ("ZIP", zip_of({"a": b"x", "a/b": b"x"}), "its member 'a/b' cannot be written: "),
        ("ZIP", zip_of({"a/b": b"x", "a": b"x"}), "its member 'a' cannot be written: Is a directory"),
        ("ZIP", encrypted(), "is encrypted"),
        ("ZIP", b"no zip", "File is not a zip file"),
        ("ZIP", damaged(zip_of({"a": bytes(1000)})), "Bad CRC-32"),
        ("TAR", b"no tar" * 100, "file could not be opened successfully"),
        ("TAR", tar_of({"a": bytes(100_000)})[:50_000], "unexpected end of data"),
        ("TAR", COMPRESSORS[".gz"](TAR)[:-20], "end-of-stream"),
        ("GZIP", COMPRESSORS[".gz"](b"x" * 1000)[:-9], "end-of-stream"),
        ("GZIP", b"no gzip", "Not a gzipped file"),
        ("BZIP2", b"no bzip2", "Invalid data stream"),
    ],
)
def test_an_archive_that_cannot_be_extracted_is_one_sentence_and_leaves_nothing(
    extractions, make, tmp_path, method, data, reason
):
    path = make(data)
    with pytest.raises(ScriptError) as raised:
        extractions.submit(path, method).result()
    message = str(raised.value)
    assert message.startswith(f"tiny: {path} cannot be extracted: ")
    assert reason in message
    assert "\n" not in message
    assert len(message) < 500
    assert list((tmp_path / "extracted").iterdir()) == []


def test_archives_of_one_name_stay_apart_and_one_content_is_extracted_once(extractions, make, monkeypatch):
    zero, one = make(zip_of({"t": b"zero"}), folder="0"), make(zip_of({"t": b"one"}), folder="1")
    again = make(zip_of({"t": b"zero"}), folder="2")
    unpacked = count_unpacked(monkeypatch)
    found = [extractions.submit(path, "ZIP") for path in (zero, one, again, zero)]
    assert [content(each.result()) for each in found] == [{"t": b"zero"}, {"t": b"one"}, {"t": b"zero"}, {"t": b"zero"}]
    assert len(unpacked) == 2


def count_unpacked(monkeypatch):
    """Record the archives that are unpacked."""
    unpacked = []

    def counting(archive, *arguments, **options):
        unpacked.append(archive.name)
        return archives.unpack(archive, *arguments, **options)

    monkeypatch.setattr("scripts._sources.extractions.unpack", counting)
    return unpacked


def test_configs_share_an_extraction_and_it_is_removed_when_it_is_not_used(extractions, make, tmp_path, monkeypatch):
    unpacked = count_unpacked(monkeypatch)
    outer = make(zip_of({"inner.zip": zip_of({"t": b"t"})}), "outer.zip")
    other = make(zip_of({"o": b"o"}), "other.zip")

    def extracted():
        return sorted(path.name for path in (tmp_path / "extracted").glob("*/*"))

    def use_outer():
        folder = extractions.submit(outer, "ZIP").result()
        return extractions.submit(folder / "inner.zip", "ZIP").result()

    with extractions.config(last=False):
        first = use_outer()
    with extractions.config(last=False):
        assert use_outer() == first
    assert unpacked == ["outer.zip", "inner.zip"]
    with extractions.config(last=False):
        assert extracted() == ["ZIP.inner.zip", "ZIP.outer.zip"]
        extractions.submit(other, "ZIP").result()
        assert extracted() == ["ZIP.other.zip"]  # the others were removed before there were two
    with extractions.config(last=False):
        pass
    assert extracted() == []
    with extractions.config(last=True):
        assert content(use_outer()) == {"t": b"t"}
    assert not (tmp_path / "extracted").exists()


def test_what_a_config_has_asked_for_is_not_removed_before_it_is_extracted(extractions, make, monkeypatch):
    unpacked = count_unpacked(monkeypatch)
    one, two = make(zip_of({"t": b"1"}), "one.zip"), make(zip_of({"t": b"2"}), "two.zip")
    with extractions.config(last=False):
        extractions.submit(one, "ZIP").result()
    with extractions.config(last=False):
        extractions.expect(hash_file(one))
        extractions.submit(two, "ZIP").result()
        extractions.submit(one, "ZIP").result()
    assert unpacked == ["one.zip", "two.zip"]


@pytest.mark.parametrize("change", ["write", "remove", "add"])
def test_files_that_a_builder_has_changed_are_extracted_again_for_the_next_config(extractions, make, change, capsys):
    path = make(zip_of({"a": b"a", "b": b"b"}))
    with extractions.config(last=False):
        found = extractions.submit(path, "ZIP").result()
        if change == "write":
            (found / "a").write_bytes(b"A")
        elif change == "remove":
            (found / "a").unlink()
        else:
            (found / "c").write_bytes(b"c")
    with extractions.config(last=False):
        assert content(extractions.submit(path, "ZIP").result()) == {"a": b"a", "b": b"b"}
    assert "tiny: its builder has changed what it extracted from x.zip; doing it again" in capsys.readouterr().err


def test_an_archive_that_is_replaced_is_another_one(extractions, make):
    path = make(zip_of({"t": b"1"}))
    extractions.submit(path, "ZIP").result()
    with extractions.config(last=False):
        assert content(extractions.submit(make(zip_of({"t": b"2"})), "ZIP").result()) == {"t": b"2"}


def test_leaving_stops_an_extraction(make, tmp_path, monkeypatch):
    started = threading.Event()
    path = make(zip_of({"t": bytes(50 << 20)}))
    monkeypatch.setattr(archives, "CHUNK_BYTES", 1 << 10)
    write = zipfile.ZipExtFile.read

    def read(self, size):
        started.set()
        return write(self, size)

    monkeypatch.setattr(zipfile.ZipExtFile, "read", read)
    with Extractions(tmp_path / "extracted", dataset="tiny") as extractions:
        future = extractions.submit(path, "ZIP")
        assert started.wait(10)
    with pytest.raises(ScriptError, match="cancelled"):
        future.result()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.usefixtures("upstream_only")
def test_a_build_extracts_an_archive_once_for_its_configs_and_removes_it_before_it_packs(tmp_path, server, monkeypatch):
    unpacked, at_packing = count_unpacked(monkeypatch), []
    data = {"shared.zip": zip_of({"a.bin": b"aa", "b.bin": b"bbb"}), "own.zip": zip_of({"c.bin": b"c"})}
    root = make_source_files_dataset(
        tmp_path / "repository",
        server.url,
        """
        names = ["own.zip"] if self.builder_config.name == "c" else ["shared.zip"]
        folders = dl_manager.download_and_extract([f"{BASE}/{name}" for name in names])
        return {"train": self._generate_examples(sorted(path for folder in folders for path in folder.iterdir()))}
        """,
        configs=("a", "b", "c"),
    )
    tsv_path(root).write_text(
        "".join(tsv_line(server.respond(f"/{name}", each), each) for name, each in sorted(data.items()))
    )
    extracted = root / ".scratch/build-downloader/extracted"

    def pack(*arguments, **options):
        at_packing.append(sorted(path.name for path in extracted.glob("*/*")))
        return original(*arguments, **options)

    original = build.__globals__["pack"]
    monkeypatch.setitem(build.__globals__, "pack", pack)
    build("downloader", root=root)
    assert unpacked == ["shared.zip", "own.zip"]
    assert at_packing == [["ZIP.shared.zip"], ["ZIP.shared.zip"], []]
    assert not extracted.exists()
