"""What PyTorch needs: channels first, padded batches, parts for distributed processes."""

import pickle
import subprocess
import sys

import numpy as np
import pytest

import loader
from loader._formats import _channels_first
from tests.helpers.nested_dataset import COUNT, image, nested_example, write_nested

torch = pytest.importorskip("torch")
from torch.utils.data import DataLoader, Subset, random_split  # noqa: E402

WORKERS = pytest.mark.parametrize(("workers", "method"), [(0, None), (2, "fork"), (2, "spawn")])
pytestmark = pytest.mark.filterwarnings("ignore")  # after a fork, if another test imported JAX


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    pytest.importorskip("tensorflow_datasets")
    return write_nested(tmp_path_factory.mktemp("nested"))


@pytest.fixture
def small_train(small):
    return loader.load("small", "train", repo=small, format="torch")[1]


def first(number):
    return image(number).transpose(2, 0, 1)


class TestChannelsFirst:
    @pytest.fixture
    def train(self, folder):
        return loader.from_directory(folder, "train", format="torch", chw=True)[1]

    def test_images_have_their_channels_first(self, train):
        for number, example in enumerate(train):
            given = nested_example(number)
            for found, expected in (
                (example["image"], first(number)),
                (example["inner"]["image"], first(number)),
                (example["photo"], given["photo"].transpose(2, 0, 1)),
                (example["film"], given["film"].transpose(0, 3, 1, 2)),
                (example["pictures"], np.stack(given["pictures"]).transpose(0, 3, 1, 2)),
                (example["moves"][0]["image"], first(0)),
            ):
                np.testing.assert_array_equal(found.numpy(), expected, strict=True)
                assert found.is_contiguous()  # so that `view` works
            assert example["audio"].shape == given["audio"].shape

    def test_one_channel_has_the_strides_of_a_new_tensor(self):
        # otherwise convolutions take it for channels last
        for found in (_channels_first(torch.zeros(3, 28, 28, 1)), _channels_first(torch.zeros(28, 28, 1))):
            assert found.stride() == torch.empty(found.shape).stride()

    def test_so_do_batches_of_them(self, train):
        batch = next(iter(train.batches(4)))
        assert batch["image"].shape == batch["inner"]["image"].shape == (4, 3, 4, 5)
        np.testing.assert_array_equal(batch["image"].numpy(), np.stack([first(number) for number in range(4)]))
        assert [film.shape for film in batch["film"]] == [(1, 3, 4, 5), (2, 3, 4, 5), (3, 3, 4, 5), (1, 3, 4, 5)]
        assert [len(moves) for moves in batch["moves"]] == [1, 2, 3, 1]
        assert batch["moves"][0][0]["image"].shape == (3, 4, 5)

    @WORKERS
    def test_a_data_loader_yields_them(self, folder, workers, method):
        _, train = loader.from_directory(folder, "train", format="torch", chw=True, features=["image", "label"])
        data = DataLoader(train, batch_size=COUNT, num_workers=workers, multiprocessing_context=method)
        (batch,) = data
        np.testing.assert_array_equal(batch["image"].numpy(), np.stack([first(number) for number in range(COUNT)]))

    @pytest.mark.parametrize("format", ["numpy", "jax", "tf"])
    def test_it_is_for_pytorch_only(self, folder, format):
        with pytest.raises(loader.ArgumentError, match=r'^chw=True needs format="torch"'):
            loader.from_directory(folder, chw=True, format=format)


class TestPadding:
    def test_the_default_collation_cannot_join_them(self, small_train):
        with pytest.raises(RuntimeError, match="equal size"):
            next(iter(DataLoader(small_train, batch_size=8)))

    @WORKERS
    def test_values_are_padded_with_zeros_and_their_lengths_are_returned(self, small_train, workers, method):
        part = small_train[1000:1040]
        data = DataLoader(
            part,
            batch_size=16,
            num_workers=workers,
            multiprocessing_context=method,
            collate_fn=part.pad_collate,
        )
        number = 0
        for batch in data:
            assert set(batch) == {"label", "samples", "samples_length", "text"}
            assert (batch["samples"].dtype, batch["samples_length"].dtype) == (torch.int16, torch.int64)
            for row, length, text in zip(batch["samples"], batch["samples_length"], batch["text"], strict=True):
                expected = part[number]
                assert torch.equal(row[:length], expected["samples"])
                assert not row[length:].any()
                assert text == expected["text"]
                number += 1
        assert number == 40

    def test_lengths_are_returned_for_equal_shapes_too(self, small_train):
        batch = small_train.pad_collate([small_train[3], small_train[3]])
        assert batch["samples"].shape == (2, 3)
        assert batch["samples_length"].tolist() == [3, 3]

    @pytest.mark.parametrize("chw", [False, True])
    def test_every_size_that_varies_is_padded(self, folder, chw):
        _, train = loader.from_directory(folder, "train", format="torch", chw=chw)
        batch = train.pad_collate([train[number] for number in range(COUNT)])
        assert batch["photo"].shape == ((6, 3, 3, 5) if chw else (6, 3, 5, 3))
        assert batch["photo_length"].tolist() == [[number % 3 + 1, 5] for number in range(COUNT)]
        assert batch["film"].shape == ((6, 3, 3, 4, 5) if chw else (6, 3, 4, 5, 3))
        assert batch["film_length"].tolist() == batch["boxes"]["side_length"].tolist() == [1, 2, 3, 1, 2, 3]
        assert batch["boxes"]["side"].tolist() == [[0, 0, 0], [0, 1, 0], [0, 1, 2]] * 2
        assert batch["words"][1] == [word.encode() for word in ("ö0", "ö1")]
        assert len(batch["moves"][2]) == 3
        assert batch["inner"]["text"][3] == "naïve 3".encode()
        assert "image_length" not in batch

    def test_tuples_are_padded_without_lengths(self, folder):
        _, train = loader.from_directory(folder, "train", format="torch", supervised=True)
        ((audio, label),) = DataLoader(train, batch_size=COUNT, collate_fn=train.pad_collate)
        assert audio.shape == (6, 30)
        assert label.tolist() == [0, 1, 0, 1, 0, 1]
        assert audio[0, :10].tolist() == list(range(10))
        assert not audio[0, 10:].any()

    def test_it_takes_examples_of_parts_and_of_transforms(self, small_train):
        for part in (Subset(small_train, [5, 6, 7]), random_split(small_train, [5290, 10])[1]):
            (batch,) = DataLoader(part, batch_size=10, collate_fn=small_train.pad_collate)
            assert batch["samples_length"].tolist() == [len(example["samples"]) for example in part]
        batch = small_train.pad_collate([{"samples": small_train[n]["samples"].float(), "new": n} for n in (3, 4)])
        assert batch["samples"].dtype == torch.float32
        assert batch["samples_length"].tolist() == [3, 4]
        assert batch["new"] == [3, 4]

    def test_numpy_values_become_tensors(self, small):
        _, train = loader.load("small", "train", repo=small)
        batch = train.pad_collate([train[3], train[5]])
        assert batch["samples"].shape == (2, 5)
        assert batch["label"].tolist() == [0, 2]

    def test_audio_of_the_digits(self, built, monkeypatch):
        monkeypatch.chdir(built("digit").root)
        _, digits = loader.load("digit", "train", format="torch")
        batch = next(iter(DataLoader(digits, batch_size=4, collate_fn=digits.pad_collate)))
        assert batch["audio_length"].tolist() == [4008, 5103, 4970, 5092]
        assert batch["audio"].shape == (4, 5103)


class TestShards:
    @pytest.mark.parametrize("format", ["numpy", "torch", "jax"])
    def test_parts_have_equal_sizes_and_are_those_of_even_splits(self, small, format):
        pytest.importorskip("jax") if format == "jax" else None
        _, train = loader.load("small", "train", repo=small, format=format)
        _, parts = loader.load("small", loader.even_splits("train", 7, drop_remainder=True), repo=small)
        shards = [train.shard(rank, 7) for rank in range(7)]
        assert [len(shard) for shard in shards] == [757] * 7
        for shard, part in zip(shards, parts, strict=True):
            assert [example["text"] for example in shard] == [example["text"] for example in part]

    def test_the_remainder_may_be_kept(self, small_train):
        shards = [small_train.shard(rank, 7, drop_remainder=False) for rank in range(7)]
        assert [len(shard) for shard in shards] == [758] + [757] * 6
        texts = [example["text"] for shard in shards for example in shard]
        assert texts == [example["text"] for example in small_train]

    def test_a_shuffled_split_gives_parts_in_its_order(self, small_train):
        shuffled = small_train.shuffle(3)
        assert shuffled.shard(1, 2)[0]["text"] == shuffled[2650]["text"]
        assert len(small_train[:3].shard(1, 4)) == 0

    @pytest.mark.parametrize("arguments", [(4, 4), (-1, 4), (0, 0), ("0", 4), (0, 1.5), (True, 2)])
    def test_other_numbers_are_an_error(self, small_train, arguments):
        with pytest.raises(loader.ArgumentError, match=r"rank|world"):
            small_train.shard(*arguments)


DISTRIBUTED = """
import sys, torch, loader
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler

def main(rank, repo, file):
    dist.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=2)
    train_on_parts(rank, repo, "sampler")
    train_on_parts(rank, repo, "shard")
    dist.destroy_process_group()

def train_on_parts(rank, repo, how):
    _, train = loader.load("small", "train[:1001]", repo=repo, format="torch", features=["label", "text"], text="str")
    model = DistributedDataParallel(torch.nn.Linear(1, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    seen = []
    if how == "sampler":
        sampler = DistributedSampler(train, shuffle=True, seed=1)
        batches = DataLoader(train, batch_size=50, sampler=sampler, num_workers=1)
    else:
        batches = train.shard(rank, 2).batches(50, shuffle=True, seed=1)
    for epoch in range(2):
        if how == "sampler":
            sampler.set_epoch(epoch)
        for batch in batches:
            loss = torch.nn.functional.cross_entropy(model(batch["label"][:, None].float()), batch["label"])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            seen += batch["text"]
    everything = [None, None]
    dist.all_gather_object(everything, seen)
    weights = [None, None]
    dist.all_gather_object(weights, model.module.weight.tolist())
    if rank == 0:
        print([len(texts) for texts in everything], len(set(everything[0]) | set(everything[1])),
              weights[0] == weights[1], everything[0][:500] != everything[0][-500:])

if __name__ == "__main__":
    torch.multiprocessing.spawn(main, sys.argv[1:], nprocs=2)
"""


@pytest.mark.slow
def test_two_processes_train_on_their_parts(small, tmp_path):
    script = tmp_path / "train.py"
    script.write_text(DISTRIBUTED)
    command = [sys.executable, script, small, tmp_path / "rendezvous"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    seen = ["[1002, 1002] 1001 True True", "[1000, 1000] 1000 True True"]  # of the sampler, and of `shard`
    assert done.stdout.splitlines() == seen, done.stderr


def test_a_split_with_all_options_can_be_pickled(folder):
    _, train = loader.from_directory(folder, "train", format="torch", chw=True, text="str", supervised=True)
    audio, label = pickle.loads(pickle.dumps(train.shuffle(1)[:2]))[0]
    assert torch.equal(audio, train.shuffle(1)[0][0])
    assert label == train.shuffle(1)[0][1]
