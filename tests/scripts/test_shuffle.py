"""Examples are sorted as TFDS sorts them, in memory and on disk."""

import random

import pytest
from tensorflow_datasets.core import shuffle as tfds_shuffle

from scripts._tfds import shuffle
from scripts._tfds.shuffle import Shuffler

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")

RECORDS = [(f"images\\{number}.png", bytes([number % 256]) * (number % 50)) for number in range(3000)]


@pytest.fixture(params=["in memory", "on disk"])
def where(request, monkeypatch):
    if request.param == "on disk":
        monkeypatch.setattr(shuffle, "MEMORY_BYTES", 40_000)


def fill(shuffler, records):
    for key, data in records:
        shuffler.add(key, data)
    return shuffler


@pytest.mark.usefixtures("where")
def test_the_order_is_that_of_tfds(tmp_path):
    ours, theirs = (fill(each(tmp_path, "train"), RECORDS) for each in (Shuffler, tfds_shuffle.Shuffler))
    assert (ours.size, ours.num_examples) == (theirs.size, theirs.num_examples)
    assert list(ours) == list(theirs)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("where")
@pytest.mark.parametrize("shuffled", [False, True])
def test_keys_that_are_the_order_may_come_in_any_order(tmp_path, shuffled):
    records = [(number, data) for number, (_, data) in enumerate(RECORDS)]
    given = random.Random(0).sample(records, len(records)) if shuffled else records
    assert list(fill(Shuffler(tmp_path, "train", disable_shuffling=True), given)) == records
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("where")
def test_a_key_that_is_given_twice_is_refused_or_ignored(tmp_path):
    twice = [*RECORDS, (RECORDS[7][0], b"other")]
    with pytest.raises(tfds_shuffle.DuplicatedKeysError):
        list(fill(Shuffler(tmp_path, "train"), twice))
    once = list(fill(Shuffler(tmp_path, "train", ignore_duplicates=True), twice))
    assert sorted(data for _, data in once) == sorted(data for _, data in RECORDS)
