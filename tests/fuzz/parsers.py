"""The parsers that `tests.fuzz.guided` gives bytes to: what it starts from, how it mutates it, how a result is checked.

A check returns if the result is right, does not catch a LoaderError, and raises AssertionError if the result is wrong.
Where there are several features, the first byte chooses one.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from loader._collate import make_collator
from loader._features.connectors import Image, Tensor
from loader._features.decode import make_decoder
from loader._features.encoded import encoded_keys, is_encoded
from loader._format import index
from loader._format.example import Example
from loader._format.manifest import parse_manifest
from loader._info import read_info
from tests.fuzz import edits, layers, values
from tests.fuzz.artifact import MutableArtifact
from tests.fuzz.encoded import FLOATS, INT64S, PNG
from tests.fuzz.zoo import LEFT_TO_TFDS, ZOO, make_zoo, serialize, strings
from tests.helpers.parity import chunk, document, no_file

Mutate = Callable[[bytes], bytes]
VALUES = [text for text in edits.VALUES if len(text) < 6000]
INFO, FEATURES = b'{"name": "x", "version": "1.0.0", "splits": []}', json.dumps(document(x=ZOO["label"][0])).encode()


@dataclass(frozen=True)
class Parser:
    """Bytes to start from, a mutation of bytes given atheris's own, and a function that parses bytes and checks it."""

    seeds: list[bytes]
    mutate: Callable[[bytes, Random, Mutate], bytes]
    check: Callable[[bytes], None]


def index_header(scratch: Path) -> Parser:
    zoo = MutableArtifact(make_zoo(scratch / "zoo"))

    def check(data: bytes) -> None:
        header, said = index.parse(data, tar_size=len(zoo.base)), json.loads(data)
        assert index.parse(header.render(), tar_size=len(zoo.base)) == header
        assert header.splits == said["splits"]
        assert [{**raw, **found._asdict()} for found, raw in zip(header.members, said["members"], strict=True)] == said[
            "members"
        ]
        assert all(0 <= member.offset <= member.offset + member.size <= len(zoo.base) for member in header.members)

    return Parser([zoo.header_text], mutate_json, check)


def manifest(scratch: Path) -> Parser:
    zoo = MutableArtifact(make_zoo(scratch / "zoo"))

    def check(data: bytes) -> None:
        found = parse_manifest(data, name="small", label="small.json", fix="restore it")
        for entry in found.artifacts:
            said = found.raw["artifacts"][entry.filename]
            at = {"offset": entry.index_offset, "size": entry.index_size, "sha256": entry.index_sha256}
            assert {**said, "config": entry.config, "size": entry.size, "sha256": entry.sha256} == said
            assert {**said["index"], **at} == said["index"]
            assert Path(entry.filename).name == entry.filename
            assert entry.index_offset + entry.index_size <= entry.size
        found.artifact()

    return Parser([zoo.manifest_path.read_bytes()], mutate_json, check)


def dataset_info(scratch: Path) -> Parser:
    def check(data: bytes) -> None:
        found = _read_info(data, FEATURES)
        for split in found.splits.values():
            assert min(split.num_bytes, split.num_examples, *split.shard_lengths) >= 0
            assert all(Path(name).name == name for name in split.shard_names(found.name))

    return Parser([MutableArtifact(make_zoo(scratch / "zoo")).file("dataset_info.json")], mutate_json, check)


def features_json(_: Path) -> Parser:
    zoo = [*ZOO.values(), *LEFT_TO_TFDS.values()]
    records = [serialize(examples[0]) for _, examples in zoo]

    def check(data: bytes) -> None:
        record, text = _choose(records, data)
        features = _read_info(INFO, text).features
        decode, collate = make_decoder(features), make_collator(features)
        example = decode(record)
        values.check(features, example)
        collate([example, example])

    seeds = [bytes([number]) + json.dumps(document(x=content)).encode() for number, (content, _) in enumerate(zoo)]
    return Parser(seeds, after_choice(mutate_json), check)


def example(scratch: Path) -> Parser:
    """Whole records: nested features, sequences, and encoded values."""
    stored, check = layers.stored_features(scratch)
    seeds = [(number, fields) for number, found in enumerate(stored.values()) for fields in found.examples]
    return Parser(
        [bytes([number]) + serialize(fields) for number, fields in seeds],
        after_choice(mutate_example),
        lambda data: check(_choose(list(stored), data)),
    )


def encoded(scratch: Path) -> Parser:
    """An image, an audio file or an encoded tensor, as the only value of a record."""
    stored, check_record = layers.stored_features(scratch)
    single = {name: found for name, found in stored.items() if _is_encoded(found.features["x"])}
    seeds = [(number, fields) for number, found in enumerate(single.values()) for fields in found.examples]

    def check(data: bytes) -> None:
        name, value = _choose(list(single), data)
        check_record((name, serialize(strings(value))))

    return Parser([bytes([number]) + fields[""][1][0] for number, fields in seeds], after_choice(mutate_value), check)


PARSERS: dict[str, Callable[[Path], Parser]] = {
    "index header": index_header,
    "manifest": manifest,
    "dataset_info.json": dataset_info,
    "features.json": features_json,
    "Example": example,
    "encoded values": encoded,
}


def _read_info(info: bytes, features: bytes) -> Any:
    files = {"dataset_info.json": info, "features.json": features}
    found = read_info(lambda name: files[name] if name in files else no_file(name))
    layers.use(found, {})
    return found


def _choose(items: list[Any], data: bytes) -> tuple[Any, bytes]:
    return items[data[0] % len(items)] if data else items[0], data[1:]


def _is_encoded(feature: Any) -> bool:
    return isinstance(feature, (Tensor, Image)) and is_encoded(feature) and encoded_keys(feature, "x") == ("x", None)


def after_choice(mutate_rest: Callable[[bytes, Random, Mutate], bytes]) -> Callable[[bytes, Random, Mutate], bytes]:
    return lambda data, random, mutate: data[:1] + mutate_rest(data[1:], random, mutate)


def mutate_json(data: bytes, random: Random, mutate: Mutate) -> bytes:
    """Change one value of a JSON text, or its name."""
    nodes = list(edits.walk(edits.parse(data)))
    path, node = random.choice(nodes)
    mutated = mutate(edits.render(node).encode()).decode(errors="surrogateescape")
    text = random.choice((mutated, mutated, edits.render(random.choice(nodes)[1]), random.choice(VALUES)))
    put = edits.Put(path, text, double=random.random() < 0.1)
    edit = random.choice((put, put, put, edits.Drop(path), edits.Rename(path, random.choice(edits.TEXTS))))
    return edits.edit_json(data, (edit,))


def mutate_example(data: bytes, random: Random, mutate: Mutate) -> bytes:
    """Change one value of a record, or the list that it is in."""
    message = Example.FromString(data)
    fields = message.features.feature
    key = random.choice(sorted(fields))
    kind = fields[key].WhichOneof("kind") or "bytes_list"
    found = getattr(fields[key], kind).value
    at, change = random.randrange(len(found) + 1), random.choice(("value", "value", "value", "put", "drop", "kind"))
    if change == "kind":
        getattr(fields[key], random.choice(("bytes_list", "float_list", "int64_list"))).SetInParent()
    elif change == "drop":
        del found[at:]
    else:
        old = found[at : at + 1] or [b""]
        new = {"int64_list": random.choice((*INT64S, *range(7))), "float_list": random.choice(FLOATS)}
        value = mutate_value(old[0], random, mutate) if kind == "bytes_list" else new[kind]
        found[:] = [*found[:at], value, *found[at + (change == "value") :]]
    return bytes(message.SerializeToString(deterministic=True))


def mutate_value(data: bytes, random: Random, mutate: Mutate) -> bytes:
    """Change an encoded value, so that the checksums of a PNG stay valid, or change what zlib compressed."""
    if data[:1] == b"\x78" and random.random() < 0.5:
        return zlib.compress(mutate(zlib.decompress(data)))
    data = mutate(data)
    if not data.startswith(PNG):
        return data
    position, chunks = len(PNG), []
    while position + 12 <= len(data):
        [size] = struct.unpack_from(">I", data, position)
        chunks.append(chunk(data[position + 4 : position + 8], data[position + 8 : position + 8 + size]))
        position += size + 12
    return PNG + b"".join(chunks)
