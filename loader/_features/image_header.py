"""Read the header of an encoded image: its format, size and pixel type; and write that of a PNG.

Sources of the formats: PNG, RFC 2083; JPEG, ITU-T T.81 annex B, and Adobe's marker APP14; BMP, the BITMAPINFOHEADER.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR"  # the signature, then the length and name of the mandatory first chunk
PNG_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"
PNG_COLOR_TYPES = {1: 0, 3: 2, 4: 6}
"""The colour types of grey, RGB and RGBA pixels, by the number of their channels."""
_PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}  # by colour type; 3 is a palette of RGB colours
_PNG_BITS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}  # that a colour type may have
_MARKER = re.compile(rb"\xff[^\xff\x00]")
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = frozenset((0x01, *range(0xD0, 0xD8)))
_MAX_SEGMENTS = 10_000
_MAX_CHUNKS = 1 << 20
_MAX_SCANNED = 1 << 34  # pixels times scans, which takes some seconds; encoders write about ten scans


@dataclass(frozen=True, slots=True)
class Header:
    """The format ("png", "jpeg" or "bmp"), the size in pixels, the stored channels and the bits per channel.

    For a PNG, `is_plain` means grey, RGB or RGBA pixels, not interlaced, without a transparent colour or an animation;
    `chunks` maps the name of a chunk to where the data of the first one begins. For a JPEG, `is_inverted` means that
    its four channels are inverted, as Adobe's are.
    """

    format: str
    height: int
    width: int
    channels: int
    bits: int
    has_palette: bool = False
    is_plain: bool = False
    chunks: Mapping[bytes, int] = field(default_factory=dict)
    is_inverted: bool = False

    def can_be_in(self, data: bytes) -> bool:
        """Return whether `data` is large enough for this image at the best possible compression.

        A JPEG must not have too many scans either. A scan header takes eight bytes and every scan may visit all pixels,
        so a small file could keep a decoder busy for hours.
        """
        size, pixels = len(data), self.height * self.width
        if self.format == "jpeg":  # at least one bit for each block of 8 x 8 pixels
            few_scans = pixels * size <= 8 * _MAX_SCANNED or pixels * data.count(b"\xff\xda") <= _MAX_SCANNED
            return few_scans and pixels <= 512 * size
        pixel = self.bits * (1 if self.has_palette else self.channels)
        rows = self.height * ((self.width * pixel + 7) // 8)
        return rows <= (1032 * size if self.format == "png" else size)  # deflate takes two bits for 258 bytes


def read_header(data: bytes) -> Header:
    """Read the header of an image.

    Raises
    ------
    ValueError
        The image is not a PNG, JPEG or BMP, or its header is damaged.
    """
    try:
        if data.startswith(PNG):
            return _read_png(data)
        if data.startswith(b"\xff\xd8\xff"):
            return _read_jpeg(data)
        if data.startswith(b"BM"):
            width, height, bits = struct.unpack_from("<ii2xH", data, 18)
            return Header("bmp", abs(height), width, bits // 8, 8)
    except (struct.error, LookupError) as error:
        raise ValueError(f"the header of the image is damaged ({error!r})") from error
    raise ValueError("the image is not a PNG, JPEG or BMP")


def _read_png(data: bytes) -> Header:
    width, height, bits, color, interlace = struct.unpack_from(">IIBBxxB", data, 16)
    if bits not in _PNG_BITS[color]:
        raise ValueError(f"the header of the PNG is damaged ({bits} bits per channel in colour type {color})")
    chunks = _png_chunks(data)
    is_plain = color in (0, 2, 6) and not interlace and chunks.keys().isdisjoint((b"tRNS", b"acTL"))
    return Header("png", height, width, _PNG_CHANNELS[color], bits, color == 3, is_plain, chunks)


def _png_chunks(data: bytes) -> dict[bytes, int]:
    """Return the chunks of a PNG; all of their lengths are checked, because a decoder may allocate what one claims."""
    position = 8
    found: dict[bytes, int] = {}
    for _ in range(_MAX_CHUNKS):
        length, name = struct.unpack_from(">I4s", data, position)
        found.setdefault(name, position + 8)
        position += length + 12
        if position > len(data) or name == b"IEND":
            break
    if data[position - 12 : position] != PNG_END:
        raise ValueError("the PNG is truncated")
    return found


def _read_jpeg(data: bytes) -> Header:
    position, frame, is_adobe = 2, None, False
    for _ in range(_MAX_SEGMENTS):
        found = _MARKER.search(data, position)
        if found is None:
            break
        marker, position = data[found.end() - 1], found.end()
        if marker in _WITHOUT_LENGTH:
            continue
        if marker in _FRAMES and frame is None:
            frame = struct.unpack_from(">xxBHHB", data, position)
        if marker in (0xD9, 0xDA) or (frame is not None and frame[3] != 4):  # pixels begin, or nothing more is needed
            break
        is_adobe = is_adobe or (marker == 0xEE and data[position + 2 : position + 7] == b"Adobe")
        position += struct.unpack_from(">H", data, position)[0]
    if frame is None:
        raise ValueError("the JPEG has no frame")
    bits, height, width, channels = frame
    return Header("jpeg", height, width, channels, bits, is_inverted=is_adobe)


def png_head(height: int, width: int, bits: int, color_type: int) -> bytes:
    """Return the beginning of a PNG that is not interlaced, to the end of its first chunk without the checksum."""
    return PNG + struct.pack(">IIBBBBB", width, height, bits, color_type, 0, 0, 0)


def png_file(head: bytes, deflated: bytes) -> bytes:
    """Return a PNG that begins with `head` and has its compressed pixels in one chunk."""
    checksums = [zlib.crc32(part).to_bytes(4) for part in (head[12:], b"IDAT" + deflated)]
    return b"".join((head, checksums[0], len(deflated).to_bytes(4), b"IDAT", deflated, checksums[1], PNG_END))
