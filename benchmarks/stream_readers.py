# ruff: noqa: D102 (the class `S3Reader` describes the methods)
"""The measured readers of data on S3: each reads its own format, through the slow wire, and keeps what it fetched."""

from __future__ import annotations

import configparser
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chunk_readers import Decode, import_mds
from data import locate
from generated import NAME, example
from reader import stack

SHARD_BYTES = 128 << 20
SHUFFLE_BUFFER = 1000
"""Of webdataset, the size that its guide shows."""
MOST_CACHED = "100GB"

Batch = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """Where the data is, and how it is to be read.

    Attributes
    ----------
    dataset
        `mnist`, or the generated dataset.
    repository
        The datasets repository that records the artifact.
    url
        The wire's address.
    credentials
        The file with the server's keys.
    shards
        The names of webdataset's shards.
    cache
        A folder for what is fetched.
    batch
        Examples in a batch.
    workers
        Worker processes of PyTorch's DataLoader, 0 for none.
    is_shuffled
        Whether the examples are shuffled, as the reader does it.
    """

    dataset: str
    repository: str
    url: str
    credentials: str
    shards: list[str]
    cache: str
    batch: int
    workers: int
    is_shuffled: bool

    def s3(self, reader: str) -> str:
        """Return the URL of what a reader reads."""
        return f"s3://public/{self.dataset}/{reader}"

    @property
    def keys(self) -> dict[str, str]:
        """The server's keys."""
        keys = configparser.ConfigParser(interpolation=None)
        keys.read(self.credentials)
        (section,) = keys.sections()
        return dict(keys[section])


def decode(dataset: str) -> Callable[[Sequence[Batch]], Batch]:
    """Return the function that makes a batch of encoded examples."""
    return noise if dataset == NAME else Decode(locate(dataset)).batch


def noise(examples: Sequence[Batch]) -> Batch:
    """Return a batch of generated examples, whose bytes are their values."""
    import numpy as np

    return stack([{"data": np.frombuffer(example["data"], np.uint8)} for example in examples])


class S3Reader:
    """A system that reads the train split from S3 as its guide says.

    Attributes
    ----------
    title
        The reader's name in the tables.
    """

    title: str

    @staticmethod
    def write(examples: Sequence[tuple[int, int]], folder: Path) -> None:
        """Write the generated examples in its format."""

    def prepare(self) -> None:
        """Import what it needs, which is not part of an epoch."""

    def open(self, place: Place) -> None:
        """Open the data."""

    def epoch(self, number: int) -> Iterable[Batch]:
        """Return the batches of an epoch."""
        raise NotImplementedError


class Loader(S3Reader):
    """The loader of this project."""

    title = "loader, streamed"
    is_streamed = True

    def prepare(self) -> None:
        import loader._fetch.s3  # noqa: F401  (botocore too, as the others import boto3)

    def open(self, place: Place) -> None:
        import loader

        self.place = place
        os.environ["DATASETS_CACHE"] = place.cache
        _, self.split = loader.load(
            place.dataset,
            split="train",
            repo=place.repository,
            stream=self.is_streamed,
            format="torch" if place.workers else "numpy",
        )
        self.batches = self.split.batches(place.batch, shuffle=place.is_shuffled, seed=0)

    def epoch(self, number: int) -> Iterable[Batch]:
        if not self.place.workers:
            return self.batches.epoch(number)
        from torch.utils.data import DataLoader

        order = self.split.shuffle(0, epoch=number) if self.place.is_shuffled else self.split
        return DataLoader(order, batch_size=self.place.batch, num_workers=self.place.workers)


class Local(Loader):
    """The same, after the artifact was fetched."""

    title = "loader, artifact on this machine"
    is_streamed = False


class LitData(S3Reader):
    """litdata, which fetches whole chunks, with obstore; OpenCV decodes."""

    title = "litdata"

    @staticmethod
    def write(examples: Sequence[tuple[int, int]], folder: Path) -> None:
        import litdata

        # the size of a chunk is the one that litdata's guide shows
        litdata.optimize(_named, list(examples), str(folder), chunk_bytes="64MB", num_workers=1, verbose=False)

    def prepare(self) -> None:
        os.environ["LITDATA_DISABLE_VERSION_CHECK"] = "1"  # it would ask the package index whether it is the newest
        import litdata
        from litdata.streaming import downloader

        # it fetches with obstore, which refuses a server without TLS unless it is told not to
        downloader._OBSTORE_CLIENT_OPTIONS["allow_http"] = "true"
        self.litdata = litdata

    def open(self, place: Place) -> None:
        dataset = self.litdata.StreamingDataset(
            place.s3("litdata"),
            cache_dir=place.cache,
            shuffle=place.is_shuffled,
            max_cache_size=MOST_CACHED,
            storage_options={"endpoint_url": place.url, **place.keys},
        )
        self.batches = self.litdata.StreamingDataLoader(dataset, **_options(place))

    def epoch(self, number: int) -> Iterable[Batch]:
        return self.batches  # each time in another order


class Mds(S3Reader):
    """mosaicml-streaming, which fetches whole shards; OpenCV decodes."""

    title = "mosaicml-streaming"

    @staticmethod
    def write(examples: Sequence[tuple[int, int]], folder: Path) -> None:
        with import_mds().MDSWriter(out=str(folder), columns={"data": "bytes"}) as writer:
            for each in examples:
                writer.write(_named(each))

    def prepare(self) -> None:
        self.streaming = import_mds()
        import boto3  # noqa: F401

    def open(self, place: Place) -> None:
        os.environ["S3_ENDPOINT_URL"] = place.url
        os.environ.update({name.upper(): value for name, value in place.keys.items()})
        dataset = self.streaming.StreamingDataset(
            remote=place.s3("mds"), local=place.cache, shuffle=place.is_shuffled, batch_size=place.batch
        )
        self.batches = self.streaming.StreamingDataLoader(dataset, worker_init_fn=_connect_anew, **_options(place))

    def epoch(self, number: int) -> Iterable[Batch]:
        return self.batches  # each time in another order


class WebDataset(S3Reader):
    """webdataset, which fetches whole shards, with curl, and reads one after the other; OpenCV decodes."""

    title = "webdataset"

    @staticmethod
    def write(examples: Sequence[tuple[int, int]], folder: Path) -> None:
        import webdataset

        folder.mkdir()
        with webdataset.ShardWriter(str(folder / "train-%05d.tar"), maxsize=SHARD_BYTES, verbose=0) as writer:
            for number, each in enumerate(examples):
                writer.write({"__key__": f"{number:08d}", "data.bin": _named(each)["data"]})

    def prepare(self) -> None:
        import webdataset

        self.webdataset = webdataset

    def open(self, place: Place) -> None:
        dataset = self.webdataset.WebDataset(
            [f"{place.url}/public/{place.dataset}/shards/{name}" for name in place.shards],
            shardshuffle=len(place.shards) if place.is_shuffled else False,
            cache_dir=place.cache,
            seed=0,
        )
        if place.is_shuffled:
            dataset = dataset.shuffle(SHUFFLE_BUFFER)
        batches = dataset.map(_unnamed).batched(place.batch, collation_fn=decode(place.dataset))
        if place.workers:
            batches = self.webdataset.WebLoader(batches, batch_size=None, num_workers=place.workers)
        self.batches = batches

    def epoch(self, number: int) -> Iterable[Batch]:
        return self.batches  # each time in another order


def _options(place: Place) -> dict[str, Any]:
    return {
        "batch_size": place.batch,
        "num_workers": place.workers,
        "persistent_workers": place.workers > 0,
        "collate_fn": decode(place.dataset),
    }


def _connect_anew(worker: int) -> None:
    """Give a worker of mosaicml-streaming connections of its own.

    Forked workers share that of their parent and wait a minute for answers that another one has read.
    """
    from torch.utils.data import get_worker_info

    for stream in get_worker_info().dataset.streams:
        stream._downloader._s3_client = None


def _named(each: tuple[int, int]) -> Batch:
    return {"data": example(*each)}


def _unnamed(sample: Batch) -> Batch:
    """Return a sample of webdataset as the other readers have it."""
    values = {name.partition(".")[0]: value for name, value in sample.items() if not name.startswith("__")}
    return values if "label" not in values else {**values, "label": int(values["label"])}


READERS: dict[str, type[S3Reader]] = {
    "loader": Loader,
    "local": Local,
    "litdata": LitData,
    "mds": Mds,
    "shards": WebDataset,
}
