"""What the readers that are measured have in common."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from data import Data

BATCH = 256
WORKERS = 2


class Reader:
    """A system that reads the train split of a dataset, at its best documented setting.

    It has what the system offers: `examples()` goes through an epoch one by one, `[i]` takes any example,
    `batches(threads)` goes through an epoch in batches of 256, `torch()` does so with two worker processes. All give
    decoded NumPy arrays (`torch()` tensors, where the system makes them). What a reader needs is imported when it is
    made, because that is part of the time to the first example.

    Attributes
    ----------
    title
        What the tables call it.
    threads
        The numbers of threads that its batches can be read with.
    without
        What it would import by the way because it is installed here, and a user of this reader alone does not have.
    """

    title: str
    threads: tuple[int, ...] = (1,)
    without: tuple[str, ...] = ()


def stack(examples: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return a batch, as NumPy users make one: recordings of any length stay a list."""
    import numpy as np

    batch: dict[str, Any] = {name: [example[name] for example in examples] for name in examples[0]}
    return {name: values if name == "audio" else np.stack(values) for name, values in batch.items()}


def pad(examples: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return a batch as PyTorch users make one: recordings padded with zeros to the longest."""
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
    return DataLoader(dataset, batch_size=BATCH, num_workers=WORKERS, collate_fn=collate)
