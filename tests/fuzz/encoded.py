"""Mutations of the lists of a record, and of its encoded values, whose outermost checksums stay valid."""

from __future__ import annotations

import struct
import zlib
from functools import cache
from typing import Any

from hypothesis import strategies as st

from tests.fuzz.edits import NUMBERS, TEXTS, Draw, spliced
from tests.fuzz.zoo import Fields
from tests.helpers.parity import chunk

PNG = b"\x89PNG\r\n\x1a\n"
SIDES = (0, 1, 5, 7, 4096, 16384, 65535, 65536, 2**30, 2**31 - 1, 2**31, 2**32 - 1)
KINDS = ("bytes_list", "float_list", "int64_list")
INT64S = [number for number in NUMBERS if -(2**63) <= number < 2**63]
FLOATS = (
    0.0,
    -0.0,
    0.5,
    65504.0,
    65520.0,
    1e30,
    -3.4028234663852886e38,
    1e-45,
    float("inf"),
    float("-inf"),
    float("nan"),
)


@cache
def bombs() -> tuple[bytes, ...]:
    """Small inputs that claim to be large, or decompress to large data."""
    return (
        zlib.compress(bytes(1 << 26)),
        zlib.compress(zlib.compress(bytes(1 << 26))),
        PNG + chunk(b"IHDR", struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, 8, 6, 0, 0, 0)),
        PNG
        + b"".join(
            (
                chunk(b"IHDR", struct.pack(">IIBBBBB", 8192, 8192, 1, 0, 0, 0, 0)),
                chunk(b"IDAT", zlib.compress(bytes(8192 * 1025))),
                chunk(b"IEND", b""),
            )
        ),
        PNG
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 5, 7, 8, 2, 0, 0, 0))
        + chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(1 << 24))),
        b"\xff\xd8\xff\xc0\0\x11\x08\xff\xff\xff\xff\3\1\x22\0\2\x11\1\3\x11\1",
        b"BM" + bytes(16) + struct.pack("<iiHH", 2**31 - 1, -(2**31), 1, 24) + bytes(30),
        b"RIFF" + bytes(8) + b"fmt " + struct.pack("<IHHIIHH", 16, 1, 65535, 0, 0, 0, 16) + b"data\xff\xff\xff\xff",
    )


def values(data: bytes) -> st.SearchStrategy[bytes]:
    """Mutations of an encoded value."""
    found = [spliced(data), spliced(data), st.sampled_from(bombs())]
    if data.startswith(PNG) and len(data) > 20:
        found += [pngs(data)] * 3
    elif data[:1] == b"\x78":
        found += [spliced(_inflated(data)).map(zlib.compress)] * 2
    elif data.startswith(b"\xff\xd8"):
        found += [jpegs(data)] * 2
    return st.one_of(found)


@st.composite
def pngs(draw: Draw, data: bytes) -> bytes:
    """A PNG with other chunks and valid checksums."""
    chunks = []
    position = len(PNG)
    while position + 8 < len(data):
        [size] = struct.unpack_from(">I", data, position)
        chunks.append((data[position + 4 : position + 8], data[position + 8 : position + 8 + size]))
        position += size + 12
    for _ in range(draw(st.integers(1, 2))):
        at = draw(st.integers(0, len(chunks) - 1))
        name, content = chunks[at]
        kind = draw(st.sampled_from(("head", "pixels", "content", "name", "drop", "copy", "add")))
        if kind == "head":
            width, height, *rest = struct.unpack(">IIBBBBB", chunks[0][1].ljust(13, b"\0")[:13])
            width, height = draw(st.sampled_from((width, *SIDES))), draw(st.sampled_from((height, *SIDES)))
            rest = [draw(st.sampled_from((value, value, 0, 1, 2, 3, 4, 6, 8, 16, 255))) for value in rest]
            chunks[0] = chunks[0][0], struct.pack(">IIBBBBB", width, height, *rest)
        elif kind == "pixels" and name == b"IDAT":
            chunks[at] = name, zlib.compress(draw(spliced(_inflated(content))))
        elif kind == "name":
            chunks[at] = draw(st.sampled_from((b"IDAT", b"PLTE", b"tRNS", b"acTL", b"fcTL", b"fdAT", b"IEND"))), content
        elif kind == "drop" and len(chunks) > 1:
            del chunks[at]
        elif kind == "copy":
            chunks.insert(draw(st.integers(0, len(chunks))), (name, content))
        elif kind == "add":
            names = st.sampled_from(
                (b"tRNS", b"PLTE", b"acTL", b"fcTL", b"fdAT", b"eXIf", b"gAMA", b"sBIT", b"bKGD", b"xxxx")
            )
            chunks.insert(at, (draw(names), draw(st.binary(max_size=40))))
        else:
            chunks[at] = name, draw(spliced(content))
    return PNG + b"".join(chunk(name, content) for name, content in chunks)


def _inflated(data: bytes) -> bytes:
    try:
        return zlib.decompress(data)
    except zlib.error:
        return data


@st.composite
def jpegs(draw: Draw, data: bytes) -> bytes:
    """A JPEG with another size, other channels, or a segment that is changed, removed or repeated."""
    segments = [data[:2]]
    position = 2
    while position + 4 < len(data) and data[position + 1] != 0xDA:
        size = 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        segments.append(data[position : position + size])
        position += size
    at = draw(st.integers(0, len(segments) - 1))
    kind = draw(st.sampled_from(("frame", "frame", "drop", "copy", "content", "marker")))
    frames = [n for n, segment in enumerate(segments) if segment[1] in (0xC0, 0xC1, 0xC2) and len(segment) > 9]
    if kind == "frame" and frames:
        frame = frames[0]
        sides = st.sampled_from((0, 1, 9, 20, 24, 2000, 65535))
        head = segments[frame]
        channels = draw(st.sampled_from((head[9], 0, 1, 2, 3, 4, 255)))
        rest = draw(st.just(head[10:]) | spliced(head[10:], most=1))
        segments[frame] = head[:5] + struct.pack(">HHB", draw(sides), draw(sides), channels) + rest
    elif kind == "drop":
        del segments[at]
    elif kind == "copy":
        segments.insert(draw(st.integers(0, len(segments))), segments[at])
    elif kind == "marker":
        segments[at] = (
            b"\xff"
            + draw(st.sampled_from((0xC0, 0xC1, 0xC2, 0xC3, 0xC4, 0xC9, 0xDB, 0xDD, 0xEE))).to_bytes()
            + segments[at][2:]
        )
    else:
        segments[at] = segments[at][:4] + draw(spliced(segments[at][4:], most=1))
    return b"".join(segments) + data[position:]


@st.composite
def other_fields(draw: Draw, fields: Fields) -> Fields:
    """Mutations of the lists in `fields`."""
    made = {suffix: (kind, list(found)) for suffix, (kind, found) in fields.items()}
    for _ in range(draw(st.integers(1, 2))):
        suffix = draw(st.sampled_from(sorted(made) or [""]))
        kind, found = made.pop(suffix, ("bytes_list", []))
        change = draw(st.sampled_from(("value", "value", "value", "put", "put", "count", "kind", "drop", "rename")))
        if change == "value" and found:
            at = draw(st.integers(0, len(found) - 1))
            made[suffix] = kind, [*found[:at], draw(_item(kind, found[at])), *found[at + 1 :]]
        elif change == "put":
            made[suffix] = kind, [*found, *draw(st.lists(_item(kind, b""), min_size=1, max_size=3))]
        elif change == "count":
            count = draw(st.sampled_from((0, 1, 2, 3, 7, 1000)))
            made[suffix] = kind, (found * count)[:count]
        elif change == "kind":
            kind = draw(st.sampled_from(KINDS))
            made[suffix] = kind, draw(st.lists(_item(kind, b""), max_size=3))
        elif change == "rename":
            ends = (
                "",
                "/value",
                "/shape",
                "/ragged_flat_values",
                "/ragged_row_lengths_0",
                "/ragged_row_lengths_1",
                "/a",
            )
            made[draw(st.sampled_from(ends))] = kind, found
    return made


def _item(kind: str, original: Any) -> st.SearchStrategy[Any]:
    if kind == "int64_list":
        return st.sampled_from(INT64S) | st.integers(-3, 7)
    if kind == "float_list":
        return st.sampled_from(FLOATS) | st.floats(width=32)
    texts = st.sampled_from([text.encode(errors="surrogatepass") for text in TEXTS])
    return values(original) if original else st.binary(max_size=20) | texts
