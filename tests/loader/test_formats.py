"""Splits in PyTorch, JAX, Grain and TensorFlow: an epoch in each, with the same values as in NumPy."""

import subprocess
import sys

import numpy as np
import pytest

import loader

pytestmark = pytest.mark.filterwarnings("ignore")  # the frameworks warn


@pytest.fixture(scope="module")
def tiny(tiny_was_built):
    """A clone with a dataset of images, labels, numbers and text, written by TFDS."""
    return tiny_was_built.root


@pytest.fixture
def numpy_train(tiny):
    return loader.load("tiny", split="train", repo=tiny)[1]


class TestTorch:
    @pytest.fixture(autouse=True)
    def _torch(self):
        pytest.importorskip("torch")

    @pytest.fixture
    def train(self, tiny):
        return loader.load("tiny", split="train", repo=tiny, format="torch")[1]

    def test_values_are_tensors_and_text_stays_bytes(self, train, numpy_train):
        import torch

        for actual, expected in ((train[5], numpy_train[5]), (next(iter(train)), numpy_train[0])):
            for name in ("image", "label", "number"):
                assert isinstance(actual[name], torch.Tensor)
                np.testing.assert_array_equal(actual[name].numpy(), expected[name], strict=True)
            assert actual["text"] == expected["text"]

    @pytest.mark.slow
    @pytest.mark.parametrize(("workers", "method"), [(0, None), (1, "fork"), (1, "spawn"), (4, "fork"), (4, "spawn")])
    def test_a_data_loader_yields_an_epoch(self, train, numpy_train, workers, method):
        from torch.utils.data import DataLoader

        batches = list(DataLoader(train, batch_size=32, num_workers=workers, multiprocessing_context=method))
        assert [len(batch["label"]) for batch in batches] == [32] * 6 + [8]
        images = np.concatenate([batch["image"].numpy() for batch in batches])
        np.testing.assert_array_equal(images, np.stack([example["image"] for example in numpy_train]))
        assert [text for batch in batches for text in batch["text"]] == [e["text"] for e in numpy_train]

    def test_a_model_learns_from_it(self, train):
        import torch
        from torch.utils.data import DataLoader

        torch.manual_seed(0)
        model = torch.nn.Linear(192, 2)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        losses = []
        for _ in range(15):
            for batch in DataLoader(train, batch_size=50, shuffle=True):
                loss = torch.nn.functional.cross_entropy(model(batch["image"].flatten(1) % 2.0), batch["label"])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            losses.append(loss.item())
        assert losses[-1] < losses[0] / 2

    def test_batches_are_stacked_tensors(self, train, numpy_train):
        batch = next(iter(train.batches(64, workers=2)))
        assert tuple(batch["image"].shape) == (64, 8, 8, 3)
        assert batch["label"].tolist() == [example["label"] for example in numpy_train[:64]]
        assert batch["text"] == [example["text"] for example in numpy_train[:64]]

    def test_pickling_a_split_for_workers_does_not_copy_the_data(self, tiny, train):
        import pickle

        size = (tiny / "artifacts/tiny.tar").stat().st_size
        assert len(pickle.dumps(train)) < size / 5


class TestJax:
    @pytest.fixture(autouse=True)
    def _jax(self):
        pytest.importorskip("jax")

    def test_an_epoch_of_batches_trains_a_model(self, tiny, numpy_train):
        import jax
        import jax.numpy as jnp

        _, train = loader.load("tiny", split="train", repo=tiny, format="jax")
        example = train[7]
        assert isinstance(example["image"], jax.Array)
        np.testing.assert_array_equal(example["image"], numpy_train[7]["image"])
        assert example["text"] == numpy_train[7]["text"]

        def loss(weights, image, label):
            logits = (image.reshape(len(image), -1) % 2).astype(jnp.float32) @ weights
            return -jax.nn.log_softmax(logits)[jnp.arange(len(label)), label].mean()

        weights, losses = jnp.zeros((192, 2)), []
        for epoch in range(10):
            for batch in train.batches(50, shuffle=True, seed=epoch):
                value, gradient = jax.value_and_grad(loss)(weights, batch["image"], batch["label"])
                weights -= 0.1 * gradient
            losses.append(float(value))
        assert losses[-1] < losses[0] / 2


class TestGrain:
    @pytest.fixture(autouse=True)
    def _grain(self):
        pytest.importorskip("grain")

    def test_a_split_is_a_source_of_a_pipeline(self, numpy_train):
        import grain

        pipeline = grain.MapDataset.source(numpy_train)
        pipeline = pipeline.shuffle(seed=1).map(lambda example: example["label"]).batch(32)
        labels = np.concatenate(list(pipeline))
        assert sorted(labels) == sorted(example["label"] for example in numpy_train)

    def test_a_split_is_a_source_of_a_data_loader_with_workers(self, tiny):
        code = (
            "import sys, grain, loader, absl.flags\n"
            "absl.flags.FLAGS(sys.argv[:1])\n"  # Grain's workers read the flags
            "if __name__ == '__main__':\n"
            "    _, train = loader.load('tiny', split='train', repo=sys.argv[1], features=['number'])\n"
            "    sampler = grain.samplers.IndexSampler(len(train), shuffle=True, seed=0, num_epochs=1)\n"
            "    data = grain.DataLoader(data_source=train, sampler=sampler, worker_count=2)\n"
            "    print(len({float(example['number']) for example in data}))"
        )
        done = subprocess.run([sys.executable, "-c", code, tiny], capture_output=True, text=True)
        assert done.stdout.strip() == "200", done.stderr


class TestTensorFlow:
    @pytest.fixture(autouse=True)
    def _tensorflow(self):
        pytest.importorskip("tensorflow_datasets")

    def test_the_dataset_is_in_record_order(self, tiny, numpy_train):
        import tensorflow_datasets as tfds

        info, train = loader.load("tiny", split="train", repo=tiny, format="tf", batch_size=64)
        assert info.full_name == "tiny/1.0.0"
        images = np.concatenate([batch["image"] for batch in tfds.as_numpy(train)])
        np.testing.assert_array_equal(images, np.stack([example["image"] for example in numpy_train]))

    def test_an_artifact_is_extracted_into_the_cache_once(self, tiny):
        loader.load("tiny", split="test", repo=tiny, format="tf")
        (entry,) = loader.cache.entries()
        assert (entry.kind, entry.name) == ("extracted", "tiny")
        marker = entry.path / "marker"
        marker.touch()
        loader.load("tiny", split="test", repo=tiny, format="tf")
        assert marker.exists()

    def test_splits_and_keywords_are_passed_to_tfds(self, tiny):
        import tensorflow_datasets as tfds

        decoders = tfds.decode.PartialDecoding(["label"])
        _, (first, second) = loader.load(
            "tiny", split=loader.even_splits("train+test", 2), repo=tiny, format="tf", decoders=decoders
        )
        assert (len(first), len(second)) == (115, 115)
        assert set(first.element_spec) == {"label"}
        _, every = loader.load("tiny", repo=tiny, format="tf", shuffle_files=True)
        assert set(every) == {"train", "test"}
        _, part = loader.load("tiny", split="train[:10%]", repo=tiny, format="tf")
        assert len(part) == 20

    def test_a_folder_that_tfds_prepared_works_too(self, tiny, tmp_path):
        subprocess.run(["tar", "xf", tiny / "artifacts/tiny.tar", "-C", tmp_path], check=True)
        _, test = loader.load("tiny", split="test", data_dir=tmp_path, format="tf")
        assert len(test) == 30
        _, test = loader.from_directory(tmp_path / "tiny/1.0.0", split="test", format="tf")
        assert len(test) == 30

    def test_damage_is_found_before_tfds_reads_it(self, tiny, tmp_path):
        root = tmp_path / "copy"
        subprocess.run(["cp", "-r", tiny, root], check=True)
        path = root / "artifacts/tiny.tar"
        data = path.read_bytes()
        path.unlink()
        path.write_bytes(data.replace(b"three", b"THREE"))
        with pytest.raises(loader.IntegrityError, match="is damaged in its member"):
            loader.load("tiny", repo=root, format="tf")
        assert loader.cache.entries() == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "pandas"}, "there is no format 'pandas'; the formats are numpy, tf, torch, jax"),
        ({"batch_size": 3}, "unknown keyword batch_size=; here it is split.batches"),
        ({"decoders": {}}, 'unknown keyword decoders=; keywords of as_dataset need format="tf"'),
        ({"format": "tf", "stream": True}, "do not work with format"),
        ({"format": "tf", "features": ["label"]}, "do not work with format"),
    ],
)
def test_invalid_combinations_of_arguments_are_an_error_in_one_sentence(small, options, message):
    with pytest.raises(loader.ArgumentError, match=message):
        loader.load("small", repo=small, **options)


MISSING = """
import importlib.util, sys, loader
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name in sys.argv[4:] else find(name, *rest)
target, how, format = sys.argv[1:4]
if how == "load":
    loader.load("small", repo=target, format=format)
elif how == "data_dir":
    loader.load("small", data_dir=target, format=format)
else:
    getattr(loader, how)(target, format=format)
"""


@pytest.mark.parametrize(
    ("format", "modules", "needs", "install"),
    [
        ("torch", ["torch"], "torch, which is", "it with: pip install torch"),
        ("jax", ["jax"], "jax, which is", "it with: pip install jax"),
        ("tf", ["tensorflow_datasets"], "tensorflow-datasets, which is", "it with: pip install tensorflow-datasets"),
        (
            "tf",
            ["tensorflow_datasets", "tensorflow"],
            "tensorflow-datasets and tensorflow, which are",
            "them with: pip install tensorflow-datasets tensorflow",
        ),
    ],
)
@pytest.mark.parametrize("how", ["load", "data_dir", "open", "from_directory"])
def test_a_missing_framework_is_told_before_anything_is_looked_for(tmp_path, how, format, modules, needs, install):
    command = [sys.executable, "-c", MISSING, tmp_path / "nothing", how, format, *modules]
    done = subprocess.run(command, capture_output=True, text=True)
    last = done.stderr.strip().rpartition("\n")[2]
    assert last == f'loader.UnsupportedError: format="{format}" needs {needs} not installed; install {install}'
