"""Images and audio files that are read as others than they are, or that cannot be decoded."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import numpy as np

from scripts._build.changes import Change
from scripts._build.leaves import Leaf, flat, value_at, values_at
from scripts._tfds.audio import audio_loss
from scripts._tfds.images import image_loss


def compare_images(leaf: Leaf, examples: list[Any], encoded: list[Any]) -> Change | None:
    """Return what is read of encoded images as something else; ValueError if one cannot be decoded."""
    losses = []
    for number, (given, made) in enumerate(zip(examples, encoded, strict=True)):
        if isinstance(value_at(leaf.path, given), np.ndarray):  # an array was encoded just now
            continue
        for data in flat(value_at(leaf.path, made)):
            if not isinstance(data, bytes):
                continue
            try:
                losses.append((number, image_loss(data, leaf.feature)))
            except ValueError as error:
                raise ValueError(f"feature {leaf.name!r}: {error}") from error
    return _first(leaf, losses, "read")


def compare_audio_files(leaf: Leaf, examples: list[Any], _: list[Any]) -> Change | None:
    """Return what is stored of audio files as something else; samples are compared as numbers."""
    files = (
        (number, file)
        for number, example in enumerate(examples)
        for value in values_at(example, leaf.path)
        for file in flat(value)
        if is_audio_file(file)
    )
    losses = ((number, audio_loss(file, leaf.feature)) for number, file in files)
    return _first(leaf, losses, "stored")


def is_audio_file(value: Any) -> bool:
    """Return whether a value of an audio feature is a file, or a list of files, and not samples."""
    file = next(flat(value), None)
    return isinstance(file, str | os.PathLike) or hasattr(file, "read")


def _first(leaf: Leaf, losses: Iterable[tuple[int, tuple[str, str, str] | None]], verb: str) -> Change | None:
    """Return the first loss and the number of all, each with the number of its example."""
    found = [(number, loss) for number, loss in losses if loss is not None]
    if not found:
        return None
    number, (given, stored, advice) = found[0]
    return Change(leaf.name, number, given, stored, len(found), advice, verb)
