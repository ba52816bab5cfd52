"""Audio as HTML: a waveform, a spectrogram and a player, with everything in the page."""

from __future__ import annotations

import base64
import struct

import numpy as np

from loader._display.images import apply_colormap, data_uri
from loader._display.markup import name_html, note
from loader._display.raster import resize
from loader._features.values import Array

_COLUMNS, _ROWS = 240, 80
_DECIBELS = 60
_HIGHEST = 8000  # Hz, of the spectrogram
_USUAL_RATE = 16_000
_LEAST_BYTES = 9_000  # the drawings alone; less shows no audio


def audio_html(samples: Array, sample_rate: int | None, *, label: str = "", budget: int = 150_000) -> str:
    """Return a recording as HTML.

    Parameters
    ----------
    samples
        Array of shape (length,) or (length, channels), of integers or floats.
    sample_rate
        Samples per second; None if unknown, and then it is played at 16 kHz, and a note says so.
    label
        What a screen reader calls it.
    budget
        The most bytes; of a longer recording, the player has the beginning only, and a note says so.
    """
    if samples.ndim == 1:
        samples = samples[:, None]
    length, channels = samples.shape
    rate = sample_rate or _USUAL_RATE
    facts = f"{length / rate:.2f} s, {rate / 1000:g} kHz" + (f", {channels} channels" if channels > 1 else "")
    if not sample_rate:
        facts = f"{length:,} samples, sample rate not recorded, played at {rate / 1000:g} kHz"
    if not samples.size:
        return note("no samples")
    if budget < _LEAST_BYTES:
        return note(f"audio, {facts}")
    mono = np.nan_to_num(samples.mean(axis=1, dtype=np.float64), posinf=0, neginf=0)
    playable = max(budget - _LEAST_BYTES, 4000) * 3 // 4 // 2
    if length > playable:
        facts += f", the first {playable / rate:.2f} s can be played"
    full_scale = 1 if samples.dtype.kind == "f" else 32767  # integers of 16 bits stay what they are
    name = name_html(label or "recording")
    picture, sound = data_uri(spectrogram(mono, rate), as_jpeg=True), _wav_uri(mono[:playable], rate, full_scale)
    return (
        f'<span class="dv-audio">{_waveform(mono)}<img src="{picture}" alt="spectrogram of {name}">'
        f'<audio controls preload="metadata" aria-label="{name}" src="{sound}"></audio>{note(facts)}</span>'
    )


def spectrogram(mono: Array, rate: int) -> Array:
    """Return the spectrogram of a recording as an RGB image: time from left to right, frequencies from the bottom up.

    Those end at half of the sample rate, and at 8 kHz at most. The strongest value is the brightest, and 60 dB less is
    the darkest.
    """
    window = 1 << int(np.clip(np.log2(rate * 0.025), 6, 11))
    padded = np.pad(mono, (0, max(window - len(mono), 0)))
    starts = np.linspace(0, len(padded) - window, min(_COLUMNS, len(padded) - window + 1)).astype(np.int64)
    frames = padded[starts[:, None] + np.arange(window)] * np.hanning(window)
    wanted = max(window // 2 * _HIGHEST * 2 // max(rate, 2 * _HIGHEST), 1) + 1
    power = 20 * np.log10(np.abs(np.fft.rfft(frames, axis=1)[:, :wanted]) + 1e-12)
    scaled = (power - power.max()) / _DECIBELS + 1
    grey = (scaled.clip(0, 1) * 255).astype(np.uint8).T[::-1]
    return apply_colormap(resize(grey, (_ROWS, _COLUMNS)), "magma")


def _waveform(mono: Array) -> str:
    edges = np.linspace(0, len(mono), min(_COLUMNS, len(mono)), endpoint=False).astype(np.int64)
    peak = np.abs(mono).max() or 1.0
    top = 50 - 47 * np.maximum.reduceat(mono, edges) / peak
    bottom = 50 - 47 * np.minimum.reduceat(mono, edges) / peak
    there = [f"{x} {y:.0f}" for x, y in enumerate(top - 0.7)]
    back = [f"{x} {y:.0f}" for x, y in enumerate(bottom + 0.7)]
    return (
        f'<svg viewBox="0 0 {max(len(edges) - 1, 1)} 100" preserveAspectRatio="none" aria-hidden="true">'
        f'<path d="M{"L".join(there + back[::-1])}Z"/></svg>'
    )


def _wav_uri(mono: Array, rate: int, full_scale: int) -> str:
    """Return a WAV of 16-bit samples; `full_scale` becomes the largest one, unless louder samples need it."""
    scale = 32767 / max(np.abs(mono).max(), full_scale)
    data = (mono * scale).astype("<i2").tobytes()
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(data), b"WAVE", b"fmt ", 16, 1, 1, rate, rate * 2, 2, 16,
                       b"data", len(data))  # fmt: skip
    return f"data:audio/wav;base64,{base64.b64encode(head + data).decode()}"
