"""What TFDS loses of an audio file that a builder gave: bits of its samples, or channels."""

from __future__ import annotations

import os
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np


class _Format(NamedTuple):
    """What the header of a file says: its kind, and the number of channels and of bits of a sample."""

    kind: str
    channels: int
    bits: int


def audio_loss(file: Any, feature: Any) -> tuple[str, str, str] | None:
    """Return what an audio file is, what it is stored as, and how to keep it; None if nothing of it is lost.

    TFDS casts samples to the feature's dtype without a check, and mixes channels. Only the header is read, of WAV and
    FLAC; other formats have no more than 16 bits, or are refused.

    Parameters
    ----------
    file
        The path of the file, or the file opened.
    feature
        The feature, an `Audio` of TFDS.
    """
    with suppress(OSError, ValueError):  # it is closed, or cannot be read twice
        with Path(file).open("rb") if isinstance(file, str | os.PathLike) else nullcontext(file) as opened:
            opened.seek(0)
            found = _wav_format(opened) or _flac_format(opened)
        if found is None:
            return None
        kind, channels, bits = found
        dtype, declared = np.dtype(feature.np_dtype), feature.shape[1] if len(feature.shape) > 1 else 1
        if not _holds(dtype, bits):
            return f"a {kind} file of {bits} bits", str(dtype), "declare np.int32 or np.int64, which have every sample"
        if channels > (declared or channels):
            exact = f"tfds.features.Audio(shape=(None, {channels}))"
            return f"a {kind} file of {channels} channels", f"{declared}", f"to keep them, declare {exact}"
    return None


def _holds(dtype: np.dtype[Any], bits: int) -> bool:
    """Return whether a dtype has all signed samples of some bits; those of 24 fill the upper bytes of 32."""
    if dtype.kind == "f":  # stored as float32 at most
        return min(np.finfo(dtype).nmant, np.finfo(np.float32).nmant) + 2 >= bits
    return dtype.kind == "i" and dtype.itemsize * 8 >= (32 if bits == 24 else bits)


def _wav_format(file: BinaryIO) -> _Format | None:
    head = file.read(12)
    while head[:4] == b"RIFF" and len(chunk := file.read(8)) == 8:
        size = int.from_bytes(chunk[4:], "little")
        if chunk[:4] == b"fmt ":
            body = file.read(16)
            return _Format("WAV", int.from_bytes(body[2:4], "little"), int.from_bytes(body[14:16], "little"))
        file.seek(size, os.SEEK_CUR)
    return None


def _flac_format(file: BinaryIO) -> _Format | None:
    """Read the block STREAMINFO, in which 3 bits for the channels and 5 for the bits follow a rate of 20."""
    file.seek(0)
    head = file.read(22)
    if head[:4] != b"fLaC" or len(head) < 22:
        return None
    fields = int.from_bytes(head[18:22], "big")
    return _Format("FLAC", (fields >> 9 & 7) + 1, (fields >> 4 & 31) + 1)
