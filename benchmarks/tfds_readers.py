# ruff: noqa: D102 (the class `Reader` describes the methods)
"""The measured readers that use TFDS, Grain included."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from data import Data
from reader import BATCH, WORKERS, Reader, pad, stack, torch_loader


class Tfds(Reader):
    """`tfds.as_numpy` of the TFRecord folder; tf.data decodes ahead, on every core by default."""

    title = "TFDS `as_numpy`"
    threads = (1, 2)
    without = ("jax", "pandas", "scipy")

    def __init__(self, data: Data) -> None:
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
        import tensorflow_datasets as tfds

        self.tfds = tfds
        self.builder = tfds.builder_from_directory(data.tfds)

    def examples(self) -> Iterable[Any]:
        return self._read()

    def batches(self, threads: int) -> Iterable[Any]:
        import tensorflow as tf

        options = tf.data.Options()
        options.threading.private_threadpool_size = threads
        return self._read(batch_size=BATCH, read_config=self.tfds.ReadConfig(options=options))

    def _read(self, **options: Any) -> Iterable[Any]:
        dataset = self.builder.as_dataset(split="train", shuffle_files=False, **options)
        return self.tfds.as_numpy(dataset)


class DataSource(Reader):
    """TFDS's data_source over array_record, which decodes with OpenCV and needs no tf.data."""

    title = "TFDS `data_source`"
    without = ("jax", "pandas", "scipy")

    def __init__(self, data: Data) -> None:
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
        import tensorflow_datasets as tfds

        self.data = data
        self.source = tfds.builder_from_directory(data.array_record).as_data_source(split="train")

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, number: int) -> Any:
        return self.source[number]

    def examples(self) -> Iterable[Any]:
        return self.source

    def batches(self, threads: int) -> Iterator[Any]:
        for start in range(0, len(self), BATCH):
            yield stack(self.source.__getitems__(range(start, min(start + BATCH, len(self)))))

    def torch(self) -> Iterable[Any]:
        return torch_loader(self.source, self.data)


class Grain(Reader):
    """Grain over TFDS's data_source on array_record, as its guide shows.

    Single examples are read without threads, which only slow it down here. Batches are read by `__getitems__`, which is
    several times faster in array_record than as many single reads.
    """

    title = "Grain"
    threads = (1, 2)
    without = ("jax", "pandas", "scipy")

    def __init__(self, data: Data) -> None:
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
        import grain

        self.grain = grain
        self.source = DataSource(data).source
        self.collate = pad if data.name == "digit" else stack
        self.dataset = grain.MapDataset.source(self.source)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, number: int) -> Any:
        return self.dataset[number]

    def examples(self) -> Iterable[Any]:
        return self.dataset.to_iter_dataset(self.grain.ReadOptions(num_threads=0))

    def batches(self, threads: int) -> Iterable[Any]:
        return self._read(threads, stack)

    def torch(self) -> Iterable[Any]:
        from absl import flags

        flags.FLAGS.mark_as_parsed()  # Grain's workers ask for its flags
        options = self.grain.MultiprocessingOptions(num_workers=WORKERS)
        return self._read(1, self.collate).mp_prefetch(options)

    def _read(self, threads: int, collate: Callable[[Any], Any]) -> Any:
        def batch(start: int) -> Any:
            return collate(self.source.__getitems__(range(start, min(start + BATCH, len(self)))))

        options = self.grain.ReadOptions(num_threads=threads, prefetch_buffer_size=2 * threads)
        return self.grain.MapDataset.range(0, len(self), BATCH).map(batch).to_iter_dataset(options)
