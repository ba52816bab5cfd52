"""The cache can be listed, limited and cleared, without losing entries in use."""

import os

import pytest

import loader
from loader._fetch import store


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
