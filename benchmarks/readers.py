# ruff: noqa: D102 (the class `Reader` describes the methods)
"""The measured readers, by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from chunk_readers import Lance, LitData, Mds
from data import Data, files, image_format
from reader import BATCH, WORKERS, Reader, pad, stack, torch_loader
from tfds_readers import DataSource, Grain, Tfds


class Loader(Reader):
    """The loader of this project, which reads the artifact and checks the SHA-256 of every record."""

    title = "loader"
    threads = (1, 2)

    def __init__(self, data: Data) -> None:
        import loader

        self.data = data
        _, self.split = loader.load(data.name, split="train", repo=data.repository)

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, number: int) -> Any:
        return self.split[number]

    def examples(self) -> Iterable[Any]:
        return self.split

    def batches(self, threads: int) -> Iterable[Any]:
        return self.split.batches(BATCH, workers=threads)

    def torch(self) -> Iterable[Any]:
        import loader

        _, dataset = loader.load(self.data.name, split="train", repo=self.data.repository, format="torch")
        return torch_loader(dataset, self.data)


class HuggingFace(Reader):
    """Hugging Face datasets from memory-mapped Arrow files, in the format NumPy; Pillow decodes."""

    title = "HF datasets, `numpy`"

    def __init__(self, data: Data) -> None:
        import datasets

        self.data = data
        self.dataset = datasets.load_from_disk(str(data.arrow)).with_format("numpy")

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, number: int) -> Any:
        return self.dataset[number]

    def examples(self) -> Iterable[Any]:
        return self.dataset

    def batches(self, threads: int) -> Iterable[Any]:
        return self.dataset.iter(BATCH)

    def torch(self) -> Iterable[Any]:
        return torch_loader(self.dataset.with_format("torch"), self.data)


class HuggingFacePlain(Reader):
    """The same without a format; the user converts Pillow's images to NumPy, which is faster for images."""

    title = "HF datasets, plain"

    def __init__(self, data: Data) -> None:
        import numpy as np

        import datasets

        self.as_array = np.asarray
        self.dataset = datasets.load_from_disk(str(data.arrow))
        self.array = "image" if "image" in self.dataset.column_names else "audio"

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, number: int) -> Any:
        return self._convert(self.dataset[number])

    def examples(self) -> Iterable[Any]:
        return map(self._convert, self.dataset)

    def _convert(self, example: dict[str, Any]) -> dict[str, Any]:
        return {**example, self.array: self.as_array(example[self.array])}


class WebDataset(Reader):
    """webdataset from tar shards; Pillow decodes."""

    title = "webdataset"
    without = ("torch",)

    def __init__(self, data: Data) -> None:
        import webdataset

        self.webdataset = webdataset
        shards = sorted(map(str, data.shards.glob("*.tar")))
        dataset = webdataset.WebDataset(shards, shardshuffle=False)
        self.dataset = dataset.decode("l8" if image_format(data) == "png" else "rgb8")
        self.collate = pad if data.name == "digit" else stack

    def examples(self) -> Iterable[Any]:
        return self.dataset

    def batches(self, threads: int) -> Iterable[Any]:
        return self.dataset.map(self._named).batched(BATCH, collation_fn=stack)

    def torch(self) -> Iterable[Any]:
        batches = self.dataset.map(self._named).batched(BATCH, collation_fn=self.collate)
        return self.webdataset.WebLoader(batches, batch_size=None, num_workers=WORKERS, persistent_workers=True)

    @staticmethod
    def _named(sample: dict[str, Any]) -> dict[str, Any]:
        return {name.partition(".")[0]: value for name, value in sample.items() if not name.startswith("__")}


class PillowFiles(Reader):
    """One file per example, decoded by Pillow as in torchvision's ImageFolder; `wave` decodes recordings."""

    title = "files and Pillow"

    def __init__(self, data: Data) -> None:
        self.data = data
        self.paths = list(files(data.files))
        self.mode = "L" if image_format(data) == "png" else "RGB"
        self.read = self._recording if data.name == "digit" else self._image

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, number: int) -> Any:
        return self.read(number)

    def examples(self) -> Iterable[Any]:
        return map(self.read, range(len(self)))

    def batches(self, threads: int) -> Iterator[Any]:
        for start in range(0, len(self), BATCH):
            yield stack([self[number] for number in range(start, min(start + BATCH, len(self)))])

    def torch(self) -> Iterable[Any]:
        return torch_loader(self, self.data)

    def _image(self, number: int) -> Any:
        import numpy as np
        from PIL import Image

        path = self.paths[number]
        with path.open("rb") as file:
            return {"image": np.array(Image.open(file).convert(self.mode)), "label": int(path.parent.name)}

    def _recording(self, number: int) -> Any:
        import wave

        import numpy as np

        path = self.paths[number]
        with wave.open(str(path), "rb") as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), np.int16)
        filename = path.name.partition("_")[2]
        user = filename.split("_")[1]
        return {"audio": samples, "label": int(path.parent.name), "user": user, "filename": filename}


READERS: dict[str, Any] = {
    reader.__name__.lower(): reader
    for reader in (
        Loader,
        LitData,
        Lance,
        Mds,
        Tfds,
        DataSource,
        HuggingFace,
        HuggingFacePlain,
        WebDataset,
        Grain,
        PillowFiles,
    )
}
