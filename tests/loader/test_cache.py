"""The cache can be listed, limited and cleared, without losing entries in use."""

import os

import pytest

import loader
from loader._fetch import store
from loader._fetch.cache_entry import write_note
from loader._fetch.sparse import SparseCopy
from loader._format.manifest import ArtifactEntry, Manifest


def add_entry(name, size, *, used, kind="artifacts"):
    folder = loader.cache.folder() / kind / f"hash-of-{name}"
    folder.mkdir(parents=True)
    (folder / f"{name}.tar").write_bytes(bytes(size))
    os.utime(folder, (used, used))
    return folder


def names():
    return [entry.name for entry in loader.cache.entries()]


@pytest.fixture
def three():
    return [add_entry(name, 1000, used=used) for name, used in (("b", 200), ("a", 100), ("c", 300))]


def test_its_folder_is_that_of_the_variable_or_the_platforms_cache_folder(monkeypatch, tmp_path):
    assert loader.cache.folder() == tmp_path / "loader-cache"
    monkeypatch.delenv("DATASETS_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert loader.cache.folder() == tmp_path / "xdg/versioned-datasets"


def test_a_missing_cache_has_no_entries():
    assert loader.cache.entries() == []
    loader.cache.clear()


def test_entries_are_listed_least_recently_used_first(three):
    first = loader.cache.entries()[0]
    assert names() == ["a.tar", "b.tar", "c.tar"]
    assert (first.size, first.used, first.kind, first.path) == (1000, 100, "artifacts", three[1])


def note(folder, *, size=None):
    """Say of an entry what a fetch does."""
    entry = ArtifactEntry("b.tar", None, size or 1000, "", 0, 0, "")
    manifest = Manifest("", "b", "1.0.0", (entry,), None, {})
    write_note(folder, manifest, entry, find_revision=lambda: "f" * 40)


def test_an_entry_says_which_artifact_it_is(three):
    note(three[0])
    entry = loader.cache.entries()[-1]
    assert entry[5:] == ("b", "1.0.0", "f" * 40, 1.0)
    assert (entry.name, entry.size) == ("b.tar", 1000)


@pytest.mark.parametrize("damage", [b"", b"[1]", b'{"dataset": 1, "version": ["x"], "size": "many"}', b"\xff"])
def test_without_a_note_the_tar_says_which_artifact_it_is(three, damage):
    (three[0] / "b.tar").write_bytes(b"b/config/2.1.0/record_index.json".ljust(512, b"\0"))
    (three[0] / ".dataset.json").write_bytes(damage)  # an older entry has none, like the two others
    found = {(entry.dataset, entry.version, entry.revision) for entry in loader.cache.entries()}
    assert found == {("a", None, None), ("b", "2.1.0", None), ("c", None, None)}
    note(three[0])
    assert any(entry[5:8] == ("b", "1.0.0", "f" * 40) for entry in loader.cache.entries())


def test_a_copy_with_holes_counts_with_what_it_takes_on_the_disk(three):
    folder = loader.cache.folder() / "artifacts/hash-of-d"
    sparse = SparseCopy(folder, "d.tar", size=10 << 20)
    sparse.write(4 << 20, bytes(1 << 20))
    sparse.mark(0, 300)
    os.utime(folder, (400, 400))
    entry = loader.cache.entries()[-1]
    assert (entry.name, entry.dataset, entry.used) == ("d.tar", "d", 400)
    assert 1 << 20 < entry.size < 2 << 20
    assert entry.arrived == pytest.approx(0.1, abs=0.01)
    loader.cache.limit(entry.size + 1500)
    assert names() == ["c.tar", "d.tar"]
    loader.cache.limit(0)
    assert names() == ["d.tar"]  # in use
    loader.cache.clear()
    assert names() == ["d.tar"]
    del sparse
    loader.cache.clear()
    assert names() == []


def test_an_interrupted_fetch_has_arrived_in_part(three):
    for folder, size in ((three[0], 4000), (three[2], None)):
        path = next(folder.iterdir())
        path.rename(f"{path}.part")
        if size:
            note(folder, size=size)
        os.utime(folder, (500, 500))
    found = {entry.name: (entry.size, entry.arrived) for entry in loader.cache.entries()}
    assert found == {
        "a.tar": (1000, 1.0),
        "b.tar": (1000, 0.25),
        "c.tar": (1000, 0.0),
    }  # nothing says how large c.tar is


def test_extracted_and_decoded_datasets_are_named(tmp_path):
    for path in (
        "extracted/h/small/theo/1.2.0/features.json",
        "extracted/h/small/.config/metadata.json",
        "decoded/h/digit/0",
    ):
        (loader.cache.folder() / path).parent.mkdir(parents=True)
        (loader.cache.folder() / path).write_bytes(b"1234")
    found = {(entry.kind, entry.dataset, entry.version, entry.size) for entry in loader.cache.entries()}
    assert found == {("extracted", "small", "1.2.0", 8), ("decoded", "digit", None, 4)}


def test_using_an_entry_moves_it_to_the_end(three):
    store.mark_used(three[1])
    assert names() == ["b.tar", "c.tar", "a.tar"]


def test_a_limit_removes_the_least_recently_used_entries_now_and_later(three):
    loader.cache.limit(2500)
    assert names() == ["b.tar", "c.tar"]
    new = add_entry("d", 2000, used=50)
    store.keep(new)
    store.trim()
    assert names() == ["d.tar"]
    loader.cache.limit(None)
    add_entry("e", 10_000, used=400)
    store.trim()
    assert names() == ["d.tar", "e.tar"]


def test_a_new_entry_stays_even_if_it_is_larger_than_the_limit(three):
    loader.cache.limit(10)
    assert names() == []
    new = add_entry("d", 2000, used=1)
    store.keep(new)
    store.trim()
    assert names() == ["d.tar"]


@pytest.mark.parametrize("size", [-1, "5GB", float("nan"), float("inf")])
def test_a_limit_that_is_not_a_number_of_bytes_is_an_error(size):
    with pytest.raises(loader.ArgumentError, match="cannot be limited to"):
        loader.cache.limit(size)


def test_a_limit_may_be_a_float(three):
    loader.cache.limit(2.5e3)
    assert names() == ["b.tar", "c.tar"]


def test_clearing_keeps_scratch_folders_in_use(three):
    with store.lock("x"), store.scratch("x") as folder:
        folder.mkdir()
        loader.cache.clear()
        assert folder.is_dir()
    assert not folder.exists()


def test_clearing_removes_all_entries_except_locked_ones(three):
    (loader.cache.folder() / "repositories/hash").mkdir(parents=True)
    with store.lock(three[0].name):
        loader.cache.clear()
        assert names() == ["b.tar"]
    loader.cache.clear()
    assert names() == []
    assert not any((loader.cache.folder() / "repositories").iterdir())


def test_a_damaged_limit_file_is_ignored(three):
    (loader.cache.folder() / "limit").write_text("much")
    store.trim()
    assert len(names()) == 3


@pytest.mark.skipif(os.geteuid() == 0, reason="root can write anywhere")
def test_a_read_only_cache_can_be_read(three):
    for folder in three:
        folder.chmod(0o555)
    store.mark_used(three[0])
    assert len(names()) == 3
