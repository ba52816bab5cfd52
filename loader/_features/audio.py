"""WAV files, decoded as TFDS does for `Audio(lazy_decode=True)`, which stores the files themselves.

Source of the format: the RIFF chunks "fmt " and "data" of WAVE_FORMAT_PCM. Samples and channel mixing match pydub,
which TFDS uses: 8-bit samples start at -128, 24-bit samples fill the upper three bytes of an int32.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np

from loader._features.connectors import Audio
from loader._features.values import Array, fits

_PCM = (1, 0xFFFE)
_MAX_CHUNKS = 10  # as many as pydub reads


def wav_decoder(feature: Audio) -> Callable[[bytes], Array]:
    """Return a function from a WAV file to its samples, of the declared shape and dtype.

    It raises ValueError if the file is not a WAV of integers, or cannot be mixed to the declared channels.
    """
    channels = feature.shape[1] if len(feature.shape) > 1 else 1

    def decode(data: bytes) -> Array:
        samples = _mix(_samples(data), channels or 1)
        if not fits(samples.shape, feature.shape):
            raise ValueError(f"the audio has shape {samples.shape}, but {feature.shape} is declared")
        with np.errstate(over="ignore"):  # a value too large for float16 becomes infinite
            return samples.astype(feature.dtype)

    return decode


def _samples(data: bytes) -> Array:
    """Return the samples, of shape (length, channels)."""
    position, channels, bits = 12, 0, 0
    for _ in range(_MAX_CHUNKS):
        head = data[position : position + 8]
        if len(head) < 8:
            break
        name, size = struct.unpack("<4sI", head)
        body = data[position + 8 : position + 8 + size]
        if name == b"fmt " and len(body) >= 16:
            kind, channels, bits = struct.unpack("<HH10xH", body[:16])
            if kind not in _PCM:
                raise ValueError(f"the WAV file has format {kind}, not integer PCM")
        if name == b"data":
            if not channels or bits not in _INTEGERS:
                raise ValueError(f"a WAV file with {channels} channels of {bits} bits cannot be decoded")
            return _INTEGERS[bits](body).reshape(-1, channels)
        position += 8 + size
    raise ValueError("the audio is not a WAV file")


def _from_24_bits(body: bytes) -> Array:
    low, middle, high = np.frombuffer(body, np.uint8).reshape(-1, 3).astype(np.int64).T
    padding = np.where(high > 0x7F, 0xFF, 0)
    return np.asarray(padding | low << 8 | middle << 16 | high << 24, np.int64).astype(np.int32)


_INTEGERS: dict[int, Callable[[bytes], Array]] = {
    8: lambda body: np.frombuffer(body, np.uint8).astype(np.int32) - 128,
    16: lambda body: np.frombuffer(body, "<i2").astype(np.int32),
    24: _from_24_bits,
    32: lambda body: np.frombuffer(body, "<i4").astype(np.int32),
}


def _mix(samples: Array, channels: int) -> Array:
    found = samples.shape[1]
    if channels not in (1, found) and found != 1:
        raise ValueError(f"the audio has {found} channels, but {channels} are declared")
    if channels != 1:
        return np.repeat(samples, channels, axis=1) if found == 1 else samples
    if found == 2:  # pydub averages two channels, but divides each of more channels before adding them
        return np.asarray(samples.sum(axis=1, dtype=np.int64) // 2)
    return np.asarray((samples // found).sum(axis=1))
