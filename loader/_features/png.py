"""Decode the kinds of PNG that kornia-rs does not, to what libpng makes of them for TensorFlow.

Filters of PNG work on bytes, whatever the pixels mean. So the pixels are decoded by kornia-rs from a PNG with another
header, whose pixels have as many bytes, and NumPy makes the channels of them. Pixels of less than a byte are decoded as
grey of 8 bits, and each of the seven passes of an interlaced image is a PNG of its own.

Sources: PNG, RFC 2083; the transformations of libpng, pngrtran.c.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator

import numpy as np
from kornia_rs import io as kornia

from loader._features.image_header import Header, png_file, png_head
from loader._features.values import Array

_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_CARRIERS: dict[int, tuple[int, int, str]] = {  # bytes per pixel -> bits per channel, colour type, mode
    1: (8, 0, "mono"), 2: (16, 0, "mono"), 3: (8, 2, "rgb"), 4: (8, 6, "rgba"), 6: (16, 2, "rgb"), 8: (16, 6, "rgba"),
}  # fmt: skip
_NOT_AFTER = {  # chunks that do not count after others
    **dict.fromkeys((b"gAMA", b"sRGB", b"sBIT"), (b"PLTE", b"IDAT")),
    **dict.fromkeys((b"PLTE", b"tRNS"), (b"IDAT",)),
}
_COLORS_OF_TRANSPARENT = {0: 1, 2: 3}  # by colour type, the numbers in tRNS
_SRGB_GAMMA, _LINEAR = 45455, 100_000  # in units of 1 / 100,000
_RED, _GREEN = 9797, 19234  # of 32768, as libpng rounds 0.299 and 0.587


def decode_png(data: bytes, header: Header, channels: int | None) -> Array:
    """Return the pixels of a PNG, with the channels that are asked for, or with those that are stored.

    Of a palette, colours are stored, with alpha if one of them is transparent. Pixels have 16 bits if they are stored
    in 16, and otherwise 8.

    Raises
    ------
    ValueError
        The PNG is damaged.
    """
    color, interlace = data[25], data[28]
    chunks: dict[bytes, list[bytes]] = {}
    for name, content in _chunks(data):
        if chunks.keys().isdisjoint(_NOT_AFTER.get(name, ())):
            chunks.setdefault(name, []).append(content)
    stored = 1 if color == 3 else header.channels
    samples = _samples(
        chunks.get(b"IDAT", []), header.height, header.width, stored, header.bits, interlaced=bool(interlace)
    )
    transparent = chunks.get(b"tRNS", [b""])[0]
    if color == 3:
        if b"PLTE" not in chunks:
            raise ValueError("the PNG has no palette")
        image, has_alpha = _colors(samples[:, :, 0], chunks[b"PLTE"][0], transparent)
    else:
        image, has_alpha = samples, color in (4, 6)
    most = (1 << header.bits) - 1
    if color == 0 and header.bits < 8:
        image = image * np.uint8(255 // most)
    if channels == 4 and not has_alpha:
        # TensorFlow fills alpha with the largest value of the *file's* bit depth: opaque is 1 if pixels have one bit
        alpha = np.full_like(image[:, :, :1], most)
        if len(transparent) == 2 * _COLORS_OF_TRANSPARENT.get(color, 0) > 0:
            key = np.frombuffer(transparent, ">u2") & most
            alpha = np.where((samples == key).all(2, keepdims=True), 0, np.iinfo(image.dtype).max).astype(image.dtype)
        image, has_alpha = np.concatenate([image, alpha], 2), True
    if channels == 1 and image.shape[2] - has_alpha == 3:
        return _grey(image[:, :, :3], _gamma(chunks), max(chunks.get(b"sBIT", [b""])[0][:3], default=0))
    return _with_channels(image, channels, has_alpha)


def _with_channels(image: Array, channels: int | None, has_alpha: bool) -> Array:
    if channels is None:
        return image
    colors, alpha = (image[:, :, :-1], image[:, :, -1:]) if has_alpha else (image, None)
    if channels > 1 and colors.shape[2] == 1:
        colors = np.repeat(colors, 3, 2)
    return colors if channels < 4 or alpha is None else np.concatenate([colors, alpha], 2)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the chunks in order; as in libpng, a damaged one that is not critical does not count."""
    position = 8
    while position < len(data):
        length, name = struct.unpack_from(">I4s", data, position)
        content = data[position + 8 : position + 8 + length]
        checksum = data[position + 8 + length : position + 12 + length]
        position += length + 12
        is_critical = not name[0] & 0x20
        if checksum == zlib.crc32(name + content).to_bytes(4):
            if is_critical and name not in (b"IHDR", b"PLTE", b"IDAT", b"IEND"):
                raise ValueError(f"the PNG has a chunk of an unknown kind, {name!r}")
            yield name, content
        elif is_critical:
            raise ValueError(f"the PNG is damaged (the checksum of its chunk {name!r})")
        if name == b"IEND":
            return


def _samples(parts: list[bytes], height: int, width: int, stored: int, bits: int, *, interlaced: bool) -> Array:
    """Return the stored numbers, of shape (height, width, stored)."""
    if not interlaced:
        return _pass(b"".join(parts), height, width, stored, bits)
    image = np.empty((height, width, stored), np.uint16 if bits == 16 else np.uint8)
    shapes = [(len(range(y, height, dy)), len(range(x, width, dx))) for x, y, dx, dy in _PASSES]
    sizes = [(down * (1 + (across * stored * bits + 7) // 8)) if across else 0 for down, across in shapes]
    try:
        pixels = zlib.decompressobj().decompress(b"".join(parts), sum(sizes))
    except zlib.error as error:
        raise ValueError(f"the PNG is damaged ({error})") from error
    start = 0
    for (x, y, dx, dy), (down, across), size in zip(_PASSES, shapes, sizes, strict=True):
        if size:
            part = zlib.compress(pixels[start : start + size], 0)
            image[y::dy, x::dx] = _pass(part, down, across, stored, bits)
        start += size
    return image


def _pass(deflated: bytes, height: int, width: int, stored: int, bits: int) -> Array:
    pixel = stored * bits
    carried, color, mode = _CARRIERS[max(pixel // 8, 1)]
    across = width if pixel >= 8 else (width * pixel + 7) // 8
    file = png_file(png_head(height, across, carried, color), deflated)
    decode: Callable[..., Array] = kornia.decode_image_png_u8 if carried == 8 else kornia.decode_image_png_u16
    try:
        found = decode(file, (height, across), mode)
    except Exception as error:  # kornia-rs raises this class
        raise ValueError(f"the PNG is damaged ({error})") from error
    if bits < 8:
        shifts = np.arange(8 - bits, -1, -bits, dtype=np.uint8)
        numbers = (found.reshape(height, across, 1) >> shifts) & ((1 << bits) - 1)
        return numbers.reshape(height, -1, 1)[:, :width]
    wanted = np.dtype(">u2" if bits == 16 else "u1")
    if carried != bits:
        found = found.astype(">u2" if carried == 16 else "u1").view(wanted)
    return found.reshape(height, width, stored).astype(wanted.newbyteorder("="), copy=False)


def _colors(numbers: Array, palette: bytes, transparent: bytes) -> tuple[Array, bool]:
    """Return the colours of a palette's numbers, and whether they have alpha; a number without a colour is black."""
    known = np.zeros((256, 4), np.uint8)
    known[:, 3] = 255
    count = min(len(palette) // 3, 256)
    known[:count, :3] = np.frombuffer(palette, np.uint8, 3 * count).reshape(count, 3)
    has_alpha = 0 < len(transparent) <= count
    if has_alpha:
        known[: len(transparent), 3] = np.frombuffer(transparent, np.uint8)
    colors = np.ascontiguousarray(known[:, : 4 if has_alpha else 3])
    return colors.take(numbers, axis=0, mode="clip"), has_alpha  # a mode that does not check each number


def _gamma(chunks: dict[bytes, list[bytes]]) -> int:
    """Return the gamma of the file times 100,000; 0 if it has none."""
    return _SRGB_GAMMA if b"sRGB" in chunks else int.from_bytes(chunks.get(b"gAMA", [b""])[0][:4])


def _grey(colors: Array, gamma: int, significant: int) -> Array:
    """Return the grey of colours: libpng weighs the light if it knows the file's gamma, and otherwise the numbers.

    Only the `significant` bits of pixels of 16 bits become light, if their number is known.
    """
    most = int(np.iinfo(colors.dtype).max)
    red, green, blue = np.moveaxis(colors.astype(np.uint32), 2, 0)
    has_gamma = _is_significant(gamma)
    if has_gamma:
        shift = min(16 - significant, 8) if most > 255 and 0 < significant < 16 else 0
        to_light, from_light = (_curve(power, most, shift) for power in (int(1e10 / gamma + 0.5), gamma))
        red, green, blue = to_light[red], to_light[green], to_light[blue]
    half = 0 if most == 255 and not has_gamma else 1 << 14
    grey = (_RED * red + _GREEN * green + ((1 << 15) - _RED - _GREEN) * blue + half) >> 15
    if has_gamma:
        is_grey = np.ptp(colors, axis=2) == 0
        grey = np.where(is_grey, _curve(_LINEAR, most, shift)[colors[:, :, 0]], from_light[grey])
    return np.asarray(grey.astype(colors.dtype)[:, :, None])


def _curve(power: int, most: int, shift: int) -> Array:
    """Return the table of libpng that raises numbers from 0 to `most` to a power, which is in units of 1 / 100,000."""
    numbers = np.arange(most + 1) >> shift
    if _is_significant(power):
        curve = np.floor(most * (numbers / (most >> shift)) ** (power * 1e-5) + 0.5)
    else:
        curve = (numbers * most + (most >> shift) // 2) // (most >> shift)
    return np.asarray(curve.astype(np.uint32))


def _is_significant(gamma: int) -> bool:
    return gamma > 0 and abs(gamma - _LINEAR) > 5_000
