"""The base class and helpers of the measured readers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from data import Data

BATCH = 256
WORKERS = 2


class Reader:
    """A system that reads the train split of a dataset, with its best documented settings.

    A reader has the methods that the system supports: `examples()` iterates over the examples of an epoch, `[i]`
    returns any example, `batches(threads)` iterates over batches of 256 examples, and `torch()` does so with two worker
    processes. All return decoded NumPy arrays (`torch()` returns tensors if the system creates them). A reader imports
    its packages when it is created, because this is part of the time to the first example.

    Attributes
    ----------
    title
        The reader's name in the tables.
    threads
        The numbers of threads with which its batches can be read.
    without
        Packages that it would import only because they are installed here; a user of this reader alone lacks them.
    only_images
        Whether it is measured on images only.
    """

    title: str
    threads: tuple[int, ...] = (1,)
    without: tuple[str, ...] = ()
    only_images = False

    @staticmethod
    def limits(threads: int) -> dict[str, str]:
        """Return the environment variables by which the system is limited to a number of threads."""
        return {}


def stack(examples: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return a batch as NumPy users create it: recordings, which differ in length, stay a list."""
    import numpy as np

    batch: dict[str, Any] = {name: [example[name] for example in examples] for name in examples[0]}
    return {name: values if name == "audio" else np.stack(values) for name, values in batch.items()}


def pad(examples: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return a batch as PyTorch users create it: recordings are padded with zeros to the longest one."""
    import torch

    recordings = [torch.as_tensor(example["audio"]) for example in examples]
    rest = [{name: value for name, value in example.items() if name != "audio"} for example in examples]
    return {
        "audio": torch.nn.utils.rnn.pad_sequence(recordings, batch_first=True),
        **torch.utils.data.default_collate(rest),
    }


def torch_loader(dataset: Any, data: Data) -> Iterable[Any]:
    """Return PyTorch's DataLoader with two workers."""
    from torch.utils.data import DataLoader

    collate = pad if data.name == "digit" else None
    return DataLoader(dataset, batch_size=BATCH, num_workers=WORKERS, persistent_workers=True, collate_fn=collate)
