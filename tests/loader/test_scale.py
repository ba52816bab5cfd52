"""Opening an artifact and reading its first and last example reads equally much of a large and of a small one."""

import pytest

import loader
from loader._format.artifact import LocalArtifact
from loader._format.index import BLOCK_BYTES
from tests.helpers.large_artifact import make_large
from tests.helpers.recorded_dataset import example


@pytest.mark.parametrize("count", [5_000, pytest.param(10_000_000, marks=pytest.mark.slow)])
def test_the_first_and_the_last_example_need_two_blocks(tmp_path, monkeypatch, count):
    root = make_large(tmp_path / "repository", count)
    read, sizes = LocalArtifact.read, []

    def log(self, offset, size):
        sizes.append(size)
        return read(self, offset, size)

    monkeypatch.setattr(LocalArtifact, "read", log)
    info, train = loader.load("large", split="train", repo=root)
    assert info.splits["train"].num_examples == len(train) == count
    for number in (0, count - 1):
        assert train[number]["text"] == example("train", number % 1000)["text"]
    header = sizes[0]
    assert header < 1000 + count / 4096 * 70  # 70 bytes for every 4,096 records
    assert sum(sizes[1:]) < 2 * BLOCK_BYTES + 10_000
    assert isinstance(train._positions, range)
    assert isinstance(train[10:]._positions, range)
