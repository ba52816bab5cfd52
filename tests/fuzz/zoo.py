"""A handmade dataset with every feature, and the same features one by one with their stored fields."""

from __future__ import annotations

import json
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from loader._features.connectors import FeaturesDict, TfdsFeature
from loader._features.parse import parse_features
from loader._format.example import Example
from loader._format.index import digest
from loader._format.tfrecord import masked_crc, scan
from loader._info import read_info
from tests.helpers.parity import CORE, document, no_file, png, tensor
from tests.helpers.recorded_dataset import make_recorded
from tests.helpers.tampering import Row, take_apart

Fields = dict[str, tuple[str, list[Any]]]  # suffix of the feature's name -> kind of list, values


@dataclass(frozen=True)
class Stored:
    """A feature, and the fields that several examples store for it."""

    features: FeaturesDict  # with one feature, `x`
    examples: list[Fields]


def serialize(fields: Fields, name: str = "x") -> bytes:
    return bytes(_message({name: fields}).SerializeToString(deterministic=True))


def _message(features: dict[str, Fields]) -> Any:
    message = Example()
    for name, fields in features.items():
        for suffix, (kind, values) in fields.items():
            getattr(message.features.feature[name + suffix], kind).value.extend(values)
    return message


def node(connector: str, **content: Any) -> dict[str, Any]:
    return {"pythonClassName": f"{CORE}.x.{connector}", **content}


def integers(*values: int) -> Fields:
    return {"": ("int64_list", list(values))}


def floats(*values: float) -> Fields:
    return {"": ("float_list", list(values))}


def strings(*values: bytes) -> Fields:
    return {"": ("bytes_list", list(values))}


def shaped(data: bytes, *shape: int) -> Fields:
    return {"/value": ("bytes_list", [data]), "/shape": ("int64_list", list(shape))}


def ragged(kind: str, values: list[Any], *lengths: list[int]) -> Fields:
    levels: Fields = {f"/ragged_row_lengths_{level}": ("int64_list", rows) for level, rows in enumerate(lengths)}
    return {"/ragged_flat_values": (kind, values), **levels}


def nested_in(name: str, fields: Fields) -> Fields:
    return {f"/{name}{suffix}": values for suffix, values in fields.items()}


def _image(dtype: str, *shape: int) -> dict[str, Any]:
    return {"image": {"dtype": dtype, "shape": {"dimensions": [str(size) for size in shape]}, "encodingFormat": "png"}}


def _sequence(feature: dict[str, Any], length: int = -1) -> dict[str, Any]:
    return node("Sequence", sequence={"feature": feature, "length": str(length)})


def _encode(suffix: str, pixels: np.ndarray[Any, Any], *settings: int) -> bytes:
    return cv2.imencode(suffix, pixels, settings)[1].tobytes()


def _pixels(*shape: int, dtype: Any = np.uint8) -> np.ndarray[Any, Any]:
    return (np.arange(np.prod(shape)) * 37 % 251).reshape(shape).astype(dtype)


def _wav(samples: bytes, channels: int = 1, bits: int = 16) -> bytes:
    form = struct.pack(
        "<4sIHHIIHH", b"fmt ", 16, 1, channels, 8000, 8000 * channels * bits // 8, channels * bits // 8, bits
    )
    chunks = form + struct.pack("<4sI", b"data", len(samples)) + samples
    return struct.pack("<4sI4s", b"RIFF", 4 + len(chunks), b"WAVE") + chunks


RGB, GREY = _pixels(5, 7, 3), _pixels(5, 7, 1)
PNG, JPEG = _encode(".png", RGB), _encode(".jpg", _pixels(24, 20, 3))
PNGS = [
    png(color, bits, rows=_pixels(5, (7 * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color] * bits + 7) // 8))
    for color, bits in ((0, 1), (0, 16), (2, 16), (4, 8), (6, 8), (6, 16))
]
PALETTE = png(3, 8, rows=_pixels(5, 7), more=[(b"tRNS", bytes(range(200)))])
JPEGS = [JPEG, _encode(".jpg", _pixels(24, 20, 3), cv2.IMWRITE_JPEG_PROGRESSIVE, 1), _encode(".jpg", _pixels(9, 9, 1))]
BMP = _encode(".bmp", RGB)
GIF = b"GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\1\0\1\0\0\2\2D\1\0;"
LABEL = node("ClassLabel", classLabel={"numClasses": "3"})
TEXT = node("Text", text={})
INT8S = np.arange(6, dtype=np.int8).tobytes()

ZOO: dict[str, tuple[dict[str, Any], list[Fields]]] = {
    "text": (TEXT, [strings(b"a"), strings("größer".encode())]),
    "label": (LABEL, [integers(0), integers(2)]),
    **{
        dtype: (node("Tensor", **tensor(dtype)), [integers(1)])
        for dtype in ("bool", "int8", "uint16", "int64", "uint64")
    },
    **{dtype: (node("Tensor", **tensor(dtype)), [floats(0.5)]) for dtype in ("float16", "float32", "float64")},
    "int32 rows": (node("Tensor", **tensor("int32", -1, 2)), [integers(1, 2, 3, 4), integers()]),
    "float16s": (node("Tensor", **tensor("float16", 3)), [floats(1, 2, 3)]),
    "uint64s": (node("Tensor", **tensor("uint64", -1)), [integers(1, -1)]),
    "bools": (node("Tensor", **tensor("bool", 2)), [integers(0, 1)]),
    "strings": (node("Tensor", **tensor("string", -1)), [strings(b"a", b"")]),
    "optional": (node("Tensor", **tensor("float64", 2, optional=True)), [floats(1, 2), {}]),
    "box": (
        node("BBoxFeature", boundingBox={"shape": {"dimensions": ["4"]}, "dtype": "float32"}),
        [floats(0, 0.5, 1, 1)],
    ),
    "bytes": (node("Tensor", **tensor("int16", -1, encoding="bytes")), [strings(INT8S)]),
    "bytes of a shape": (node("Tensor", **tensor("complex64", 2, encoding="bytes")), [strings(bytes(16))]),
    "zlib": (node("Tensor", **tensor("int8", 2, 3, encoding="zlib")), [strings(zlib.compress(INT8S))]),
    "zlib of any length": (node("Tensor", **tensor("bool", -1, encoding="zlib")), [strings(zlib.compress(INT8S))]),
    "shaped zlib": (node("Tensor", **tensor("uint8", -1, -1, encoding="zlib")), [shaped(zlib.compress(INT8S), 3, 2)]),
    "shaped bytes": (node("Tensor", **tensor("float64", -1, 2, -1, encoding="bytes")), [shaped(bytes(32), 1, 2, 2)]),
    "audio": (node("Audio", audio={"dtype": "int64", "shape": {"dimensions": ["-1"]}}), [integers(1, -2)]),
    "WAV": (
        node(
            "Audio", audio={"dtype": "int16", "shape": {"dimensions": ["-1"]}, "fileFormat": "wav", "lazyDecode": True}
        ),
        [
            strings(_wav(bytes(range(12)))),
            strings(_wav(bytes(range(12)), 2, 24)),
            strings(_wav(bytes(range(12)), 3, 8)),
        ],
    ),
    "stereo WAV": (
        node(
            "Audio",
            audio={"dtype": "float32", "shape": {"dimensions": ["-1", "2"]}, "fileFormat": "wav", "lazyDecode": True},
        ),
        [strings(_wav(bytes(range(16)), 2, 32)), strings(_wav(bytes(range(16))))],
    ),
    "image": (node("Image", **_image("uint8", -1, -1, 3)), [*map(strings, (PNG, BMP, *PNGS, PALETTE, *JPEGS))]),
    "image of a size": (node("Image", **_image("uint8", 5, 7, 3)), [strings(PNG), strings(PALETTE)]),
    "grey": (node("Image", **_image("uint8", 5, 7, 1)), [strings(_encode(".png", GREY))]),
    "RGBA": (node("Image", **_image("uint8", -1, 7, 4)), [*map(strings, (PNG, BMP, *PNGS, PALETTE))]),
    "any image": (node("Image", **_image("uint8", -1, -1, -1)), [*map(strings, (PNG, BMP, *PNGS, PALETTE, *JPEGS))]),
    "uint16 image": (node("Image", **_image("uint16", -1, -1, 3)), [*map(strings, (PNG, BMP, *PNGS, *JPEGS))]),
    "float32 image": (node("Image", **_image("float32", -1, -1, 1)), [strings(PNGS[4])]),
    "labelled image": (node("LabeledImage", **_image("uint8", 5, 7, 1)), [strings(_encode(".png", GREY))]),
    "video": (node("Video", video={"shape": {"dimensions": ["-1", "5", "7", "3"]}}), [strings(PNG, PNG)]),
    "numbers": (_sequence(node("Tensor", **tensor("int32"))), [integers(1, 2), integers()]),
    "two labels": (_sequence(LABEL, 2), [integers(1, 2)]),
    "texts": (_sequence(TEXT), [strings(b"a", b"")]),
    "images": (_sequence(node("Image", **_image("uint8", -1, -1, 3))), [strings(PNG, PNG), strings()]),
    "zlibs": (_sequence(node("Tensor", **tensor("int8", -1, encoding="zlib"))), [strings(*[zlib.compress(INT8S)] * 2)]),
    "nested": (_sequence(_sequence(node("Tensor", **tensor("int32")))), [ragged("int64_list", [1, 2, 3], [2, 0, 1])]),
    "nested texts": (_sequence(_sequence(_sequence(TEXT, 2))), [ragged("bytes_list", [b"a", b"b"], [1, 0], [2])]),
    "nested images": (
        _sequence(_sequence(node("Image", **_image("uint8", 5, 7, 3)))),
        [ragged("bytes_list", [PNG, PNG], [2, 0])],
    ),
    "dicts": (
        _sequence(document(a=LABEL, b=TEXT)),
        [{**nested_in("a", integers(1, 2)), **nested_in("b", strings(b"x", b"y"))}],
    ),
    "dict": (
        document(a=LABEL, b=document(c=TEXT)),
        [{**nested_in("a", integers(1)), **nested_in("b/c", strings(b"x"))}],
    ),
    "steps": (
        node(
            "Dataset",
            sequence={
                "feature": document(
                    a=node("Tensor", **tensor("float32", 2)),
                    b=_sequence(LABEL),
                    c=node("Image", **_image("uint8", -1, -1, 3)),
                    d=node("Tensor", **tensor("uint8", -1, -1, encoding="zlib")),
                    e=_sequence(_sequence(TEXT)),
                ),
                "length": "-1",
            },
        ),
        [
            {
                **nested_in("a", floats(1, 2, 3, 4)),
                **nested_in("b", ragged("int64_list", [0, 1, 2], [1, 2])),
                **nested_in("c", strings(PNG, PNG)),
                "/d/value": ("bytes_list", [zlib.compress(INT8S)] * 2),
                "/d/shape": ("int64_list", [2, 3, 3, 2]),
                **nested_in("e", ragged("bytes_list", [b"a", b"b", b"c"], [1, 1], [1, 2])),
            }
        ],
    ),
    "translation": (
        node("Translation", translation={"languages": ["en", "fr"]}),
        [{**nested_in("en", strings(b"a")), **nested_in("fr", strings(b"b"))}],
    ),
    "translations": (
        node("TranslationVariableLanguages", translation={"languages": ["en", "fr"]}),
        [{**nested_in("language", strings(b"en")), **nested_in("translation", strings(b"a"))}],
    ),
    "older": ({"type": f"{CORE}.x.Tensor", "content": '{"shape": [null, 2], "dtype": "int8"}'}, [integers(1, 2)]),
    "as JSON": (
        {"pythonClassName": f"{CORE}.x.Tensor", "jsonFeature": {"json": '{"shape": [], "dtype": "int8"}'}},
        [integers(1)],
    ),
}
LEFT_TO_TFDS: dict[str, tuple[dict[str, Any], list[Fields]]] = {
    "GIF": (node("Image", **_image("uint8", -1, -1, -1, 3)), [strings(GIF)]),
    "FLAC": (
        node(
            "Audio",
            audio={
                "dtype": "int16",
                "shape": {"dimensions": ["-1"]},
                "fileFormat": "flac",
                "lazyDecode": True,
                "encoding": "none",
            },
        ),
        [strings(b"fLaC")],
    ),
    "steps of steps": (
        _sequence(node("Dataset", sequence={"feature": document(a=LABEL), "length": "-1"})),
        [{**nested_in("a", ragged("int64_list", [0, 1, 2], [1, 2]))}],
    ),
}
DOCUMENT = document(**{name: content for name, (content, _) in ZOO.items()})


def handmade_features() -> dict[str, Stored]:
    """Return the features of the zoo one by one."""
    return {
        name: Stored(parse_features(document(x=content), no_file), examples)
        for name, (content, examples) in ZOO.items()
    }


def tfds_features(folder: Path) -> dict[str, Stored]:
    """Return the features of a folder that TFDS prepared one by one, without those that only TFDS decodes."""
    info = read_info(lambda name: (folder / name).read_bytes())
    found = {}
    [split] = info.splits.values()
    [shard] = split.shard_names(info.name)
    data = (folder / shard).read_bytes()
    records = [Example.FromString(data[at : at + size]).features.feature for at, size in scan(data, 0, len(data))]
    for name, feature in info.features.items():
        if isinstance(feature, TfdsFeature):
            continue
        examples = []
        for record in records:
            kinds = {key[len(name) :]: record[key] for key in record if key == name or key.startswith(f"{name}/")}
            lists = {suffix: (field.WhichOneof("kind"), field) for suffix, field in kinds.items()}
            examples.append(
                {suffix: (kind, list(getattr(field, kind).value)) for suffix, (kind, field) in lists.items() if kind}
            )
        found[name] = Stored(FeaturesDict({"x": feature}), examples)
    return found


def write_with_tfds(folder: Path) -> None:
    """Let TFDS write the cases of the tests of decoding; call it in a separate process, because it silences output."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for output in (1, 2):
        os.dup2(nowhere, output)
    from tests.helpers.parity import write_cases
    from tests.loader import test_decode, test_decode_images, test_decode_sequences

    folder.mkdir()
    modules = {"": test_decode, "image, ": test_decode_images, "sequence, ": test_decode_sequences}
    write_cases(folder, {kind + name: case for kind, module in modules.items() for name, case in module.CASES.items()})


def make_zoo(root: Path) -> Path:
    """Make a repository like that of `recorded_dataset`, with every feature; train has two shards and test has one."""
    make_recorded(root)
    artifact = take_apart(root)
    artifact.file("features.json").data = json.dumps(DOCUMENT).encode()
    lengths = {"train": (4, 2), "test": (2,)}
    shards = [file for split in lengths for file in artifact.files if f"-{split}.tfrecord" in file.path]
    artifact.rows, artifact.splits = [], {split: sum(counts) for split, counts in lengths.items()}
    number = 0
    for shard, count in zip(shards, (count for counts in lengths.values() for count in counts), strict=True):
        shard.data = b""
        for _ in range(count):
            data = record(number)
            length = struct.pack("<Q", len(data))
            place = len(shard.data) + 12
            shard.data += b"".join(
                (length, struct.pack("<I", masked_crc(length)), data, struct.pack("<I", masked_crc(data)))
            )
            artifact.rows.append(Row(shard, place, len(data), number.to_bytes(16, "big"), digest(data)))
            number += 1
    info = json.loads(artifact.file("dataset_info.json").data)
    for split in info["splits"]:
        split["shardLengths"] = [str(count) for count in lengths[split["name"]]]
    artifact.file("dataset_info.json").data = json.dumps(info).encode()
    artifact.sign()
    return root


def record(number: int) -> bytes:
    """Return the record of the zoo with this number."""
    chosen = {name: examples[number % len(examples)] for name, (_, examples) in ZOO.items()}
    return bytes(_message(chosen).SerializeToString(deterministic=True))
