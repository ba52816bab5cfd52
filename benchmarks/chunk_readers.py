# ruff: noqa: D102 (the class `Reader` describes the methods)
"""The measured readers that keep examples in chunks and leave decoding to their user: OpenCV decodes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from types import ModuleType
from typing import Any

from data import Data, image_format
from reader import BATCH, WORKERS, Reader, stack


class Decode:
    """Decode an image with OpenCV, or the images of a list of examples; worker processes unpickle it."""

    def __init__(self, data: Data) -> None:
        import cv2
        import numpy as np

        cv2.setNumThreads(1)
        self.flags = cv2.IMREAD_GRAYSCALE if image_format(data) == "png" else cv2.IMREAD_COLOR_RGB
        self.decode, self.frombuffer, self.uint8 = cv2.imdecode, np.frombuffer, np.uint8

    def image(self, encoded: Any) -> Any:
        return self.decode(self.frombuffer(encoded, self.uint8), self.flags)

    def example(self, example: dict[str, Any]) -> dict[str, Any]:
        return {**example, "image": self.image(example["image"])}

    def batch(self, examples: Sequence[dict[str, Any]]) -> dict[str, Any]:
        return stack([self.example(example) for example in examples])


class Streamed(Reader):
    """A StreamingDataset and its StreamingDataLoader; the function that collates decodes.

    Attributes
    ----------
    dataset
        The dataset, of local chunks.
    make_loader
        The class of the loader.
    decode
        The decoder of its examples.
    """

    only_images = True
    dataset: Any
    make_loader: Callable[..., Iterable[Any]]
    decode: Decode

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, number: int) -> Any:
        return self.decode.example(self.dataset[number])

    def examples(self) -> Iterable[Any]:
        return map(self.decode.example, self.dataset)

    def batches(self, threads: int) -> Iterable[Any]:
        return self._batches(0)

    def torch(self) -> Iterable[Any]:
        return self._batches(WORKERS)

    def _batches(self, workers: int) -> Iterable[Any]:
        return self.make_loader(
            self.dataset,
            batch_size=BATCH,
            num_workers=workers,
            persistent_workers=workers > 0,
            collate_fn=self.decode.batch,
        )


class LitData(Streamed):
    """litdata, which maps its chunks into memory."""

    title = "litdata"
    without = ("jax", "pandas", "polars", "tensorflow")

    def __init__(self, data: Data) -> None:
        os.environ["LITDATA_DISABLE_VERSION_CHECK"] = "1"  # it would ask the package index whether it is the newest
        import litdata

        self.dataset = litdata.StreamingDataset(str(data.litdata))
        self.make_loader = litdata.StreamingDataLoader
        self.decode = Decode(data)


class Lance(Reader):
    """A Lance dataset, scanned in batches of Arrow; `take` reads single rows, and the rows of worker processes."""

    title = "Lance"
    only_images = True
    threads = (1, 2)
    without = ("jax", "pandas", "polars", "tensorflow")

    @staticmethod
    def limits(threads: int) -> dict[str, str]:
        return {"LANCE_CPU_THREADS": str(threads), "LANCE_IO_THREADS": str(threads)}

    def __init__(self, data: Data) -> None:
        import lance

        self.path = str(data.lance)
        self.dataset = lance.dataset(self.path)
        self.decode = Decode(data)

    def __len__(self) -> int:
        return int(self.dataset.count_rows())

    def __getitem__(self, number: int) -> Any:
        return self.decode.example(self.dataset.take([number]).to_pylist()[0])

    def examples(self) -> Iterator[Any]:
        for rows in self.dataset.to_batches():
            yield from map(self.decode.example, rows.to_pylist())

    def batches(self, threads: int) -> Iterator[Any]:
        import numpy as np

        for rows in self.dataset.to_batches(batch_size=BATCH):
            images, (_, offsets, values) = rows.column("image"), rows.column("image").buffers()
            ends = np.frombuffer(offsets, np.int32)[images.offset :][: len(images) + 1]
            data = np.frombuffer(values, np.uint8)
            decoded = [self.decode.image(data[start:end]) for start, end in pairwise(ends)]
            yield {"image": np.stack(decoded), "label": rows.column("label").to_numpy()}

    def torch(self) -> Iterable[Any]:
        from lance.torch.data import SafeLanceDataset, get_safe_loader  # starts its processes anew

        dataset = SafeLanceDataset(self.path)
        return get_safe_loader(dataset, batch_size=BATCH, num_workers=WORKERS, collate_fn=self.decode.batch)


class Mds(Streamed):
    """mosaicml-streaming, of MDS shards."""

    title = "mosaicml-streaming"
    without = ("jax", "pandas", "tensorflow")

    def __init__(self, data: Data) -> None:
        streaming = import_mds()
        self.dataset = streaming.StreamingDataset(local=str(data.mds), shuffle=False, batch_size=BATCH)
        self.make_loader = streaming.StreamingDataLoader
        self.decode = Decode(data)


def import_mds() -> Any:
    """Return mosaicml-streaming without its ready-made datasets, because these import torchvision.

    The package index has no torchvision for PyTorch's CPU build. What is read here needs none.
    """
    for name in ("multimodal", "text", "vision"):
        sys.modules[f"streaming.{name}"] = ModuleType(f"streaming.{name}")
    import streaming

    return streaming
