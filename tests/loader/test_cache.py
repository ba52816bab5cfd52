"""The cache is listed, limited and cleared, and what is in use is not lost."""

import os

import pytest

import loader
from loader._fetch import store


def keep(name, size, *, used, kind="artifacts"):
    folder = loader.cache.folder() / kind / f"hash-of-{name}"
    folder.mkdir(parents=True)
    (folder / f"{name}.tar").write_bytes(bytes(size))
    os.utime(folder, (used, used))
    return folder


def names():
    return [entry.name for entry in loader.cache.entries()]


@pytest.fixture
def three():
    return [keep(name, 1000, used=used) for name, used in (("b", 200), ("a", 100), ("c", 300))]


def test_it_lies_where_the_variable_says_or_in_the_platforms_folder(monkeypatch, tmp_path):
    assert loader.cache.folder() == tmp_path / "loader-cache"
    monkeypatch.delenv("DATASETS_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert loader.cache.folder() == tmp_path / "xdg/versioned-datasets"


def test_what_is_not_there_has_no_entries():
    assert loader.cache.entries() == []
    loader.cache.clear()


def test_it_lists_the_longest_unused_first(three):
    first = loader.cache.entries()[0]
    assert names() == ["a.tar", "b.tar", "c.tar"]
    assert (first.size, first.used, first.kind, first.path) == (1000, 100, "artifacts", three[1])


def test_using_one_makes_it_the_last(three):
    store.mark_used(three[1])
    assert names() == ["b.tar", "c.tar", "a.tar"]


def test_a_limit_removes_the_longest_unused_now_and_later(three):
    loader.cache.limit(2500)
    assert names() == ["b.tar", "c.tar"]
    new = keep("d", 2000, used=50)
    store.trim(keep=new)
    assert names() == ["d.tar"]
    loader.cache.limit(None)
    keep("e", 10_000, used=400)
    store.trim()
    assert names() == ["d.tar", "e.tar"]


def test_what_was_just_fetched_stays_even_if_it_is_larger_than_the_limit(three):
    loader.cache.limit(10)
    assert names() == []
    new = keep("d", 2000, used=1)
    store.trim(keep=new)
    assert names() == ["d.tar"]


@pytest.mark.parametrize("size", [-1, "5GB", float("nan"), float("inf")])
def test_a_limit_that_is_no_number_of_bytes_is_one_sentence(size):
    with pytest.raises(loader.ArgumentError, match="cannot be limited to"):
        loader.cache.limit(size)


def test_a_limit_may_be_written_with_an_exponent(three):
    loader.cache.limit(2.5e3)
    assert names() == ["b.tar", "c.tar"]


def test_clearing_leaves_what_is_being_made(three):
    with store.lock("x"), store.scratch("x") as made:
        made.mkdir()
        loader.cache.clear()
        assert made.is_dir()
    assert not made.exists()


def test_clearing_removes_all_but_what_another_writes(three):
    (loader.cache.folder() / "repositories/hash").mkdir(parents=True)
    with store.lock(three[0].name):
        loader.cache.clear()
        assert names() == ["b.tar"]
    loader.cache.clear()
    assert names() == []
    assert not any((loader.cache.folder() / "repositories").iterdir())


def test_damaged_bookkeeping_limits_nothing(three):
    (loader.cache.folder() / "limit").write_text("much")
    store.trim()
    assert len(names()) == 3


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_cache_of_someone_else_is_read(three):
    for folder in three:
        folder.chmod(0o555)
    store.mark_used(three[0])
    assert len(names()) == 3
