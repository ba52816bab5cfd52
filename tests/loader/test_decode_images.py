"""Images decode to exactly the values of `tfds.as_numpy`."""

import base64
import pickle
import struct
import subprocess
import sys
import zlib

import cv2
import numpy as np
import pytest

import loader
from tests.helpers.parity import RNG, assert_same, chunk, decode, feature, integers, png, write_cases

pytestmark = pytest.mark.filterwarnings("ignore")  # TensorFlow warns

GREY = np.array([[7, 8, 7, 9, 255, 0, 7]] * 5, np.uint8)
FRAME = chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, 7, 5, 0, 0, 1, 10, 0, 0))[8:-4]

PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def interlaced():
    """A PNG whose pixels are stored in the seven passes of Adam7."""
    pixels = integers(5, 7, 3)
    rows = (row for x, y, dx, dy in PASSES for row in pixels[y::dy, x::dx] if row.size)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 7, 5, 8, 2, 0, 0, 1))
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def in_two_chunks(data):
    """The PNG with its pixels in two chunks."""
    at = data.find(b"IDAT")
    pixels = data[at + 4 : -16]
    return data[: at - 4] + chunk(b"IDAT", pixels[:9]) + chunk(b"IDAT", pixels[9:]) + data[-12:]


EXIF = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06" + bytes(6)  # turned by a quarter

PNGS = {
    **{f"grey of {bits} bits": png(0, bits) for bits in (1, 2, 4, 8, 16)},
    **{f"palette of {bits} bits": png(3, bits) for bits in (1, 2, 4, 8)},
    **{f"RGB of {bits} bits": png(2, bits) for bits in (8, 16)},
    **{f"grey and alpha of {bits} bits": png(4, bits) for bits in (8, 16)},
    **{f"RGBA of {bits} bits": png(6, bits) for bits in (8, 16)},
    "grey with a transparent one": png(0, 8, rows=GREY, more=[(b"tRNS", b"\0\x07")]),
    "grey of 16 bits with a transparent one": png(0, 16, rows=GREY.astype(">u2"), more=[(b"tRNS", b"\0\x07")]),
    "grey of 4 bits with a transparent one": png(0, 4, more=[(b"tRNS", b"\0\x07")]),
    "RGB with a transparent one": png(2, 8, rows=np.repeat(GREY, 3, 1), more=[(b"tRNS", b"\0\x07" * 3)]),
    "palette with alpha": png(3, 8, more=[(b"tRNS", bytes(range(200)))]),
    "interlaced": interlaced(),
    "of a gamma": png(2, 8, more=[(b"gAMA", struct.pack(">I", 45455))]),
    "of a gamma above 1": png(6, 8, more=[(b"gAMA", struct.pack(">I", 105_001))]),
    "of sRGB": png(2, 8, more=[(b"sRGB", b"\0")]),
    "with a gamma after the palette": png(3, 4, more=[(b"gAMA", struct.pack(">I", 45455))]),
    "RGB of 16 bits with a transparent one": png(
        2, 16, rows=np.repeat(GREY, 3, 1).astype(">u2"), more=[(b"tRNS", b"\0\x07" * 3)]
    ),
    "with too long a transparent one": png(0, 8, rows=GREY, more=[(b"tRNS", b"\0\x07" * 3)]),
    "in two chunks": in_two_chunks(png(4, 8)),
    "turned by EXIF": png(2, 8, more=[(b"eXIf", EXIF[6:])]),
    "animated": png(2, 8, more=[(b"acTL", struct.pack(">II", 1, 0))]).replace(
        chunk(b"IEND", b""),
        chunk(b"fcTL", FRAME)
        + chunk(b"fdAT", struct.pack(">I", 1) + zlib.compress(integers(5, 22).tobytes()))
        + chunk(b"IEND", b""),
    ),
}  # fmt: skip


def bmp(bits, *, top_down=False, size=(5, 7)):
    height, width = size
    rows = RNG.integers(0, 256, (height, (bits // 8 * width + 3) // 4 * 4), dtype=np.uint8).tobytes()
    palette = RNG.integers(0, 256, 1024, dtype=np.uint8).tobytes() if bits == 8 else b""
    start = 54 + len(palette)
    head = struct.pack("<2sIII", b"BM", start + len(rows), 0, start)
    head += struct.pack("<IiiHHIIIIII", 40, width, -height if top_down else height, 1, bits, 0, len(rows), 0, 0, 0, 0)
    return head + palette + rows


BMPS = {"grey": bmp(8), "RGB": bmp(24), "RGBA": bmp(32), "RGB from the top down": bmp(24, top_down=True)}


def photograph(height, width, channels=3):
    """Noise whose low frequencies are stronger than its high ones, like a photograph's."""
    noise = sum(
        cv2.resize(RNG.normal(size=(2**k, 2**k, 3)), (width, height), interpolation=cv2.INTER_CUBIC) / 2**k
        for k in range(1, 8)
    )
    image = np.clip((noise - noise.min()) / np.ptp(noise) * 255, 0, 255).astype(np.uint8)
    return image if channels == 3 else image[:, :, :1]


def jpeg(image, quality=90, sampling=cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420, progressive=0, restart=0):
    settings = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
    settings += [cv2.IMWRITE_JPEG_PROGRESSIVE, progressive, cv2.IMWRITE_JPEG_RST_INTERVAL, restart]
    return cv2.imencode(".jpg", image, settings)[1].tobytes()


def sampled(*factors):
    """A JPEG of three components with these (horizontal, vertical) sampling factors; every block has one value."""
    most_h, most_v = (max(factor[k] for factor in factors) for k in (0, 1))
    blocks, bits, before = (2, 3), "", [0] * 3
    for _ in range(blocks[0] * blocks[1]):
        for component, (h, v) in enumerate(factors):
            for _ in range(h * v):
                value = int(RNG.integers(-128, 128))
                difference, before[component] = value - before[component], value
                size = abs(difference).bit_length()  # a 4-bit code, then `size` bits, then one bit that ends the block
                bits += (
                    f"{size:04b}" + (f"{difference + (difference < 0) * (2**size - 1):0{size}b}" if size else "") + "0"
                )
    bits += "1" * (-len(bits) % 8)
    scan = int(bits, 2).to_bytes(len(bits) // 8).replace(b"\xff", b"\xff\0")
    size = struct.pack(">HH", 8 * most_v * blocks[0], 8 * most_h * blocks[1])
    segments = {
        0xDB: bytes([0]) + bytes([8] * 64),
        0xC0: b"\x08" + size + b"\x03" + b"".join(bytes([k + 1, h << 4 | v, 0]) for k, (h, v) in enumerate(factors)),
        0xC4: bytes([0, 0, 0, 0, 12, *[0] * 12, *range(12)]) + bytes([0x10, 1, *[0] * 15, 0]),
        0xDA: b"\x03" + bytes([1, 0, 2, 0, 3, 0]) + bytes([0, 63, 0]),
    }
    return (
        b"\xff\xd8"
        + b"".join(bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body for marker, body in segments.items())
        + scan
        + b"\xff\xd9"
    )


# 8 x 8 pixels of four channels, which Adobe's marker says are inverted
INVERTED = base64.b64decode(
    "/9j/7gAOQWRvYmUAZAAAAAAA/9sAQwADAgIDAgIDAwMDBAMDBAUIBQUEBAUKBwcGCAwKDAwLCgsLDQ4SEA0OEQ4LCxAWEBETFBUVFQwPFxgWFBgS"
    "FBUU/8AAFAgACAAIBEMRAE0RAFkRAEsRAP/EABYAAQEBAAAAAAAAAAAAAAAAAAkHCP/EABQQAQAAAAAAAAAAAAAAAAAAAAD/2gAOBEMATQBZAEsA"
    "AD8AThfWPCBv/9k="
)
ADOBE = INVERTED.find(b"\xff\xee")
CMYK = INVERTED[:ADOBE] + INVERTED[ADOBE + 16 :]
YCCK = INVERTED[: ADOBE + 15] + b"\x02" + INVERTED[ADOBE + 16 :]
SAMPLINGS = {
    "4:4:4": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    "4:2:2": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422,
    "4:2:0": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
    "4:1:1": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_411,
}
PHOTOGRAPH = photograph(224, 200)

# name -> (function from tfds.features to the feature, values to write)
CASES = {
    **{
        f"{name} to {channels} channels of {dtype.__name__}": (
            lambda f, channels=channels, dtype=dtype: f.Image(shape=(None, None, channels), dtype=dtype),
            [data],
        )
        for name, data in PNGS.items()
        for channels in (None, 1, 3, 4)
        for dtype in (np.uint8, np.uint16)
    },
    **{
        f"BMP, {name}, to {channels} channels of {dtype.__name__}": (
            lambda f, channels=channels, dtype=dtype: f.Image(shape=(None, 7, channels), dtype=dtype),
            [data],
        )
        for name, data in BMPS.items()
        for channels in (None, 3, 4)
        for dtype in (np.uint8, np.uint16)
        if not (name.endswith("down") and dtype == np.uint16)  # TensorFlow crashes
    },
    **{
        f"array of {channels} channels of {dtype.__name__}": (
            lambda f, channels=channels, dtype=dtype: f.Image(shape=(5, 4, channels), dtype=dtype),
            [integers(5, 4, channels, dtype=dtype), integers(5, 4, channels, dtype=dtype)],
        )
        for channels in (1, 3, 4)
        for dtype in (np.uint8, np.uint16)
    },
    "arrays of several sizes": (lambda f: f.Image(shape=(None, None, 1)), [integers(5, 4, 1), integers(1, 1, 1)]),
    "default": (lambda f: f.Image(), [integers(5, 4, 3)]),
    "float32": (
        lambda f: f.Image(shape=(None, 4, 1), dtype=np.float32),
        [RNG.normal(size=(5, 4, 1)).astype(np.float32), RNG.normal(size=(1, 4, 1)).astype(np.float32)],
    ),
    "with colours of a map": (lambda f: f.Image(shape=(5, 4, 1), use_colormap=True), [integers(5, 4, 1)]),
    "labelled": (lambda f: f.LabeledImage(labels=["a", "b"], shape=(5, 4, 1)), [integers(5, 4, 1)]),
    "labelled without names": (lambda f: f.LabeledImage(labels=7), [integers(5, 4, 1)]),
    "labelled without a number": (lambda f: f.LabeledImage(labels=None), [integers(5, 4, 1)]),
}  # fmt: skip
PHOTO = jpeg(PHOTOGRAPH)
SCAN = PHOTO.find(b"\xff\xda") + 500
JPEGS = {
    **{
        f"{sampling} of quality {quality}": jpeg(PHOTOGRAPH, quality, factor)
        for sampling, factor in SAMPLINGS.items()
        for quality in (30, 90, 100)
    },
    "progressive": jpeg(PHOTOGRAPH, progressive=1),
    "with restarts": jpeg(PHOTOGRAPH, restart=2),
    "small": jpeg(photograph(37, 29)),
    "of one pixel": jpeg(photograph(1, 1)),
    "grey": jpeg(photograph(37, 29, 1)),
    "with edges of full colours": jpeg(np.kron(RNG.integers(0, 2, (16, 20, 3)) * 255, np.ones((8, 8, 1))), 30),
    "turned by EXIF": PHOTO[:2] + b"\xff\xe1\0" + bytes([len(EXIF) + 2]) + EXIF + PHOTO[2:],
    "with trailing bytes": PHOTO + b"which are ignored",
    "with pixels missing": PHOTO[:SCAN] + b"\xff\xd9",
    "with a damaged scan": PHOTO[:SCAN] + bytes(8) + PHOTO[SCAN + 8 :],
    "of unusual sampling": sampled((2, 1), (2, 1), (1, 1)),
    "of other unusual sampling": sampled((3, 1), (1, 1), (1, 1)),
}  # fmt: skip
CASES |= {
    f"JPEG {name} to {channels} channels of {dtype.__name__}": (
        lambda f, channels=channels, dtype=dtype: f.Image(shape=(None, None, channels), dtype=dtype),
        [data],
    )
    for name, data in JPEGS.items()
    for channels in (None, 1, 3)
    for dtype in (np.uint8, np.uint16)
}
CASES |= {
    f"JPEG {name} to {channels} channels": (
        lambda f, channels=channels: f.Image(shape=(8, 8, channels)),
        [data],
    )
    for name, data in {"of CMYK": CMYK, "of inverted CMYK": INVERTED, "of YCCK": YCCK}.items()
    for channels in (None, 3)
}
CASES["JPEG from an array"] = (lambda f: f.Image(shape=(224, 200, 3), encoding_format="jpeg"), [PHOTOGRAPH])


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return write_cases(tmp_path_factory.mktemp("images"), CASES)


@pytest.mark.parametrize("name", CASES)
def test_a_feature_decodes_to_the_same_value_as_in_tfds(written, name):
    for actual, expected in zip(*written[:2], strict=True):
        assert_same(actual[name], expected[name])


@pytest.mark.parametrize("name", ["default", "float32", "with colours of a map", "labelled", "labelled without names"])
def test_a_feature_is_described_as_in_tfds(written, name):
    actual, expected = (features[name] for features in written[2:])
    assert type(actual).__name__ == type(expected).__name__
    assert (actual.shape, actual.dtype) == (expected.shape, expected.np_dtype)
    assert (actual.encoding_format, actual.use_colormap) == (expected.encoding_format, expected.use_colormap)
    if name.startswith("labelled"):
        assert actual.num_classes == expected.num_classes
        assert actual.given_names == (("a", "b") if name == "labelled" else ())


IMAGE = {"image": {"dtype": "uint8", "shape": {"dimensions": ["-1", "-1", "3"]}}}
GREY_IMAGE = {"image": {"dtype": "uint8", "shape": {"dimensions": ["5", "7", "1"]}}}
RGB_IMAGE = {"image": {"dtype": "uint8", "shape": {"dimensions": ["5", "7", "3"]}}}
HUGE_IMAGE = {"image": {"dtype": "uint8", "shape": {"dimensions": ["100000", "100000", "1"]}}}
NORMAL = png(2, 8)
HUGE = png(0, 8, size=(100_000, 100_000), rows=GREY)
FRAME_AT = PHOTO.find(b"\xff\xc0")


def sized(height, width):
    """A JPEG whose header claims this size."""
    return PHOTO[: FRAME_AT + 5] + struct.pack(">HH", height, width) + PHOTO[FRAME_AT + 9 :]


def flip(data, position):
    return data[:position] + bytes([data[position] ^ 0xFF]) + data[position + 1 :]


@pytest.mark.parametrize(
    ("content", "data"),
    [
        (IMAGE, b""),
        (IMAGE, b"no image"),
        *((IMAGE, NORMAL[:size]) for size in (8, 20, 30, 40, len(NORMAL) // 2, len(NORMAL) - 13)),
        *((IMAGE, flip(NORMAL, position)) for position in (9, 13, 24, 25, 30, 45)),
        *((IMAGE, png(color, bits)) for color, bits in ((0, 3), (0, 125), (2, 4), (3, 16), (6, 0))),
        *((IMAGE, PHOTO[:size]) for size in (2, 3, 4, FRAME_AT + 3, FRAME_AT + 20, len(PHOTO) // 2, len(PHOTO) - 1)),
        *((IMAGE, BMPS["RGB"][:size]) for size in (2, 20, 54, len(BMPS["RGB"]) - 1)),
        (IMAGE, BMPS["RGB"][:18] + bytes(4) + BMPS["RGB"][22:]),
        (IMAGE, BMPS["RGB"][:28] + b"\x10" + BMPS["RGB"][29:]),
        (IMAGE, b"GIF89a" + bytes(20)),
        (IMAGE, b"\xff\xd8\xff\xd9"),
        (IMAGE, b"\xff\xd8" + b"\xff\xe0\0\2" * 20_000),
        (IMAGE, b"\xff\xd8" + b"\xff" * 1_000_000),
        (IMAGE, INVERTED[:-20]),
        (GREY_IMAGE, CMYK),
        (GREY_IMAGE, png(0, 8, size=(7, 5))),
        (GREY_IMAGE, BMPS["grey"]),
        (GREY_IMAGE, flip(png(0, 8), 45)),
        ({"image": {"dtype": "uint8", "shape": {"dimensions": ["-1", "-1", "4"]}}}, PHOTO),
        ({"image": {"dtype": "float32", "shape": {"dimensions": ["-1", "-1", "1"]}}}, PHOTO),
    ],
)
def test_an_image_that_tensorflow_refuses_is_an_error(content, data):
    with pytest.raises(loader.DecodeError, match="feature 'x'"):
        decode(feature("Image", **content), lambda f: f["x"].bytes_list.value.append(data))


TOO_LONG = b"\x7f\xff\xff\xff"
CLAIMS = [
    (IMAGE, HUGE),
    (GREY_IMAGE, HUGE),
    (HUGE_IMAGE, HUGE),
    (IMAGE, png(0, 8, size=(1, 2**31 - 1), rows=GREY)),
    (IMAGE, png(6, 16, size=(20_000, 20_000), rows=GREY)),
    (IMAGE, png(0, 8, size=(20_000, 20_000), rows=GREY)),
    *((content, NORMAL[:33] + TOO_LONG + NORMAL[37:]) for content in (IMAGE, RGB_IMAGE)),
    *((content, NORMAL[:-12] + TOO_LONG + NORMAL[-8:]) for content in (IMAGE, RGB_IMAGE)),
    (IMAGE, sized(65_500, 65_500)),
    (IMAGE, sized(15_000, 15_000)),
    (IMAGE, sized(0, 65_500)),
    (IMAGE, bmp(24)[:18] + struct.pack("<ii", 2**31 - 1, -(2**31)) + bytes(40)),
]
MEASURE = """
import pickle, resource, sys
import cv2
from loader._features.images import image_decoder

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

for feature, data in pickle.load(sys.stdin.buffer):
    decode, before = image_decoder(feature), peak()
    try:
        print("decoded", decode(data).shape)
    except ValueError:
        print(peak() - before)
"""


def test_images_that_claim_to_be_huge_are_refused_before_memory_is_allocated():
    claims = [(feature("Image", **content)["x"], data) for content, data in CLAIMS]
    done = subprocess.run([sys.executable, "-c", MEASURE], input=pickle.dumps(claims), capture_output=True, check=True)
    kilobytes = done.stdout.decode().split("\n")[:-1]
    assert len(kilobytes) == len(CLAIMS)
    assert max(map(int, kilobytes)) < 10_000
