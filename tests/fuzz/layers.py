"""The layers of an artifact that are fuzzed: how each is mutated, and how the result is checked.

A layer is created from the folder of seeds and a scratch folder. It has a strategy of mutations and a check. The check
returns if the result is right, does not catch a LoaderError, and raises AssertionError if the result is wrong.
"""

from __future__ import annotations

import json
import re
import shutil
import struct
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from hypothesis import strategies as st

import loader
from loader import LoaderError
from loader._collate import make_collator
from loader._features.decode import make_decoder
from loader._fetch.reference import find_artifact
from loader._fetch.stream import StreamedArtifact
from loader._format.extraction import extractable
from loader._format.index import ROW, ROWS_NAME, digest
from loader._format.tfrecord import masked_crc, scan
from loader._info import read_info
from tests.fuzz import difference, sparse_copy, values
from tests.fuzz.artifact import MutableArtifact, Remote
from tests.fuzz.edits import NUMBERS, Draw, Edit, Splice, apply, edit_json, json_edits, spliced, splices
from tests.fuzz.encoded import other_fields
from tests.fuzz.zoo import LEFT_TO_TFDS, ZOO, Stored, handmade_features, make_zoo, serialize, tfds_features
from tests.helpers.parity import CORE, document, no_file
from tests.helpers.recorded_dataset import SPLITS, make_recorded

WITH_TFDS = "features, TFDS"


@dataclass(frozen=True)
class Layer:
    """A strategy of mutations, and a function that checks the result of one."""

    mutations: st.SearchStrategy[Any]
    check: Callable[[Any], None]


def make_seeds(folder: Path) -> None:
    """Write the seeds that the layers mutate."""
    make_recorded(folder / "small")
    make_zoo(folder / "zoo")
    MutableArtifact(folder / "zoo").unpack(folder / "prepared")


def load(root: Path, **options: Any) -> Any:
    return loader.load("small", repo=root, offline=True, **options)


def tar(seeds: Path, scratch: Path) -> Layer:
    """The bytes of the tar: every example is right, or it is an error."""
    mutable, expected = _zoo(seeds, scratch)
    index = mutable.entry["index"]
    places = [(index["offset"], index["size"]), *((member.offset, member.size) for member in mutable.header.members)]

    @st.composite
    def mutations(draw: Draw) -> tuple[tuple[Splice, ...], bool]:
        offset, size = draw(st.sampled_from(places))
        found = draw(splices(mutable.base[offset : offset + size]))
        return tuple(Splice(offset + edit.at, edit.cut, edit.put) for edit in found), draw(st.booleans())

    def check(mutation: tuple[tuple[Splice, ...], bool]) -> None:
        edits, fill = mutation
        data = apply(mutable.base, edits)
        if fill:  # the size stays the same, so that more than the size is checked
            data = data[: len(mutable.base)].ljust(len(mutable.base), b"\0")
        mutable.write_raw(data)
        _assert_all(load(mutable.root)[1], expected)

    return Layer(mutations(), check)


def manifest(seeds: Path, scratch: Path) -> Layer:
    """The manifest: the artifact opens and every example is right, or it is an error."""
    mutable, expected = _zoo(seeds, scratch)
    text = mutable.manifest_path.read_bytes()

    def check(edits: tuple[Edit, ...]) -> None:
        mutable.write_manifest(edit_json(text, edits))
        info, ds = load(mutable.root)
        assert isinstance(info.license, str)
        _assert_all(ds, expected)

    return Layer(json_edits(text), check)


def index_header(seeds: Path, scratch: Path) -> Layer:
    """The index header, with the right hash in the manifest."""
    root = shutil.copytree(seeds / "small", scratch / "small")
    mutable, chosen = MutableArtifact(root), [0, 1, 4095, 4096, -1]
    _, whole = load(root)
    expected = {split: [whole[split][n] for n in chosen if n < len(whole[split])] for split in SPLITS}

    def check(edits: tuple[Edit, ...]) -> None:
        mutable.write(header=edit_json(mutable.header_text, edits))
        artifact = find_artifact("small", repo=root, offline=True).open()
        with suppress(LoaderError):
            for member in extractable(artifact):
                path = PurePosixPath(member.path)
                assert not path.is_absolute()
                assert ".." not in path.parts
                (scratch / member.path).is_file()  # raises if the path is not valid
        _, ds = load(root)
        for split, examples in expected.items():
            _assert_each(ds[split], [n for n in chosen if n < len(whole[split])], examples)

    return Layer(json_edits(mutable.header_text), check)


def index_rows(seeds: Path, scratch: Path) -> Layer:
    """The rows, with the right hash in the index header; some point anywhere, even with the right digest."""
    root = shutil.copytree(seeds / "small", scratch / "small")
    mutable = MutableArtifact(root)
    rows = mutable.file(ROWS_NAME)
    count = len(rows) // ROW.size
    places = st.sampled_from([*NUMBERS, len(mutable.base), len(mutable.base) - 1]).map(lambda number: number % 2**64)

    @st.composite
    def mutations(draw: Draw) -> list[tuple[int, int, int, bool]]:
        found = []
        for _ in range(draw(st.integers(1, 3))):
            number, other = (draw(st.integers(0, count - 1)) for _ in range(2))
            offset, length, _, _ = ROW.unpack_from(rows, draw(st.sampled_from((number, other))) * ROW.size)
            offset = draw(st.one_of(st.just(offset), places, st.integers(0, len(mutable.base))))
            length = draw(st.one_of(st.just(length), places.map(lambda number: number % 2**32), st.integers(0, 200)))
            found.append((number, offset, length, draw(st.booleans())))
        return found

    def check(changes: list[tuple[int, int, int, bool]]) -> None:
        data = bytearray(rows)
        for number, offset, length, is_digest_right in changes:
            _, _, key, recorded = ROW.unpack_from(rows, number * ROW.size)
            recorded = digest(mutable.base[offset : offset + length]) if is_digest_right else recorded
            ROW.pack_into(data, number * ROW.size, offset, length, key, recorded)
        mutable.write(files={ROWS_NAME: bytes(data)})
        artifact = find_artifact("small", repo=root, offline=True).open()
        streamed = StreamedArtifact(Remote(mutable.tar), artifact.manifest, artifact.entry)  # type: ignore[arg-type]
        numbers = sorted({number for number, *_ in changes} | {0, count - 1})

        def verify(number: int, record: bytes) -> None:
            assert digest(record) == ROW.unpack_from(data, number * ROW.size)[3]

        errors: list[LoaderError] = []
        for records in (artifact.records(), streamed.records()):
            read, order = records.reader(), np.array(numbers)
            _call_each(errors, (lambda n=n, read=read: verify(n, read(n)) for n in numbers))
            _call_each(
                errors, [lambda r=records, o=order: [verify(n, d) for n, d in zip(numbers, r.in_order(o), strict=True)]]
            )
        _, ds = load(root)
        first = len(ds["train"])
        _call_each(errors, (lambda n=n: ds["train"][n] if n < first else ds["test"][n - first] for n in numbers))
        if errors:
            raise errors[0]

    return Layer(mutations(), check)


def metadata(name: str) -> Callable[[Path, Path], Layer]:
    """A metadata file, read from a tar with the right hashes and from a folder."""

    def make(seeds: Path, scratch: Path) -> Layer:
        mutable, _ = _zoo(seeds, scratch)
        folder = shutil.copytree(seeds / "prepared", scratch / "prepared")
        text = mutable.file(name)
        mutations: st.SearchStrategy[tuple[Edit, ...]] = splices(text) if name.endswith(".txt") else json_edits(text)

        def check(edits: tuple[Edit, ...]) -> None:
            data = apply(text, edits) if name.endswith(".txt") else edit_json(text, edits)  # type: ignore[arg-type]
            mutable.write(files={name: data})
            (folder / name).write_bytes(data)
            errors: list[LoaderError] = []
            for options in ({}, {"split": ["train[:50%]+test", "train[1shard]", *loader.even_splits("all", 2)]}):
                _call_each(errors, [lambda o=options: use(*load(mutable.root, **o))])
                _call_each(errors, [lambda o=options: use(*loader.from_directory(folder, **o))])
            if errors:
                raise errors[0]

        return Layer(mutations, check)

    return make


def tfrecord(seeds: Path, scratch: Path) -> Layer:
    """A TFRecord file in a folder: its raw bytes, whose checksums find any change, and records with right checksums."""
    _, expected = _zoo(seeds, scratch)
    folder = shutil.copytree(seeds / "prepared", scratch / "prepared")
    path = folder / "small-train.tfrecord-00000-of-00002"
    data = path.read_bytes()
    records = [data[at : at + length] for at, length in scan(data, 0, len(data))]

    @st.composite
    def framed(draw: Draw) -> tuple[str, bytes]:
        lengths, made = [len(record) for record in records], list(records)
        at = draw(st.integers(0, len(records) - 1))
        if draw(st.booleans()):
            made[at] = draw(spliced(made[at]))
            lengths[at] = len(made[at])
        else:
            lengths[at] = draw(st.sampled_from(NUMBERS)) % 2**64
        heads = (struct.pack("<Q", length) for length in lengths)
        return "framed", b"".join(
            head + struct.pack("<I", masked_crc(head)) + record + struct.pack("<I", masked_crc(record))
            for head, record in zip(heads, made, strict=True)
        )

    def check(mutation: tuple[str, bytes]) -> None:
        kind, made = mutation
        path.write_bytes(made)
        _, ds = loader.from_directory(folder)
        if kind == "raw":
            _assert_all(ds, expected)
        else:
            _assert_each(ds["train"], range(len(ds["train"])))

    return Layer(st.tuples(st.just("raw"), spliced(data)) | framed(), check)


def example_bytes(seeds: Path, scratch: Path) -> Layer:
    """The bytes of an Example."""
    stored, check = stored_features(seeds)
    places = [(name, serialize(example)) for name, found in stored.items() for example in found.examples]
    return Layer(st.sampled_from(places).flatmap(lambda place: st.tuples(st.just(place[0]), spliced(place[1]))), check)


def example_fields(seeds: Path, scratch: Path) -> Layer:
    """The lists of an Example, and the images, arrays and audio files in them."""
    stored, check = stored_features(seeds)
    places = [(name, example) for name, found in stored.items() for example in found.examples]
    return Layer(
        st.sampled_from(places).flatmap(
            lambda place: st.tuples(st.just(place[0]), other_fields(place[1]).map(serialize))
        ),
        check,
    )


def left_to_tfds(seeds: Path, scratch: Path) -> Layer:
    """A feature in features.json, with TFDS installed to decode what the loader leaves to it."""
    from tensorflow_datasets.core.features.feature import FeatureConnector

    classes = {name.rpartition(".")[2]: name for name in FeatureConnector._registered_features}
    places = []
    for content, examples in (*LEFT_TO_TFDS.values(), *ZOO.values()):
        text = re.sub(f"{CORE}.x.(\\w+)", lambda match: classes[match[1]], json.dumps(content))
        places += [(text.encode(), serialize(example)) for example in examples[:2]]
    base = json.dumps(document(x=None)).encode()

    def check(mutation: tuple[bytes, tuple[Edit, ...], bytes]) -> None:
        text, edits, record = mutation
        whole = base.replace(b"null", edit_json(text, edits))
        files = {"dataset_info.json": b'{"name": "x", "version": "1.0.0", "splits": []}', "features.json": whole}
        make_decoder(read_info(lambda name: files[name] if name in files else no_file(name)).features)(record)

    check((places[0][0], (), places[0][1]))  # so that everything is imported before memory is measured
    return Layer(
        st.sampled_from([*places, *places[: len(LEFT_TO_TFDS)] * 10]).flatmap(
            lambda place: st.tuples(st.just(place[0]), json_edits(place[0]), st.just(place[1]))
        ),
        check,
    )


def split_strings(seeds: Path, scratch: Path) -> Layer:
    """Split strings: a part of the split, or an error."""
    mutable, expected = _zoo(seeds, scratch)
    number = st.sampled_from(
        ("", "0", "1", "-1", "2", "50", "100", "-100", "1_0", "1.5", ".", "٣", "9" * 5000, "1e3", "nan")
    )
    boundary = st.tuples(number, st.sampled_from(("", "", "%", "shard", "%%", " "))).map("".join)
    part = st.tuples(
        st.sampled_from(("train", "test", "all", "")), st.just("["), boundary, st.just(":"), boundary, st.just("]")
    )
    text = st.lists(part.map("".join), min_size=1, max_size=3).map("+".join)
    odd = st.sampled_from(
        ("train" + " " * 200_000 + "x", "train" + "+train" * 2000, "[" * 100_000, "train[" + ":" * 100_000 + "]")
    )
    broken = text.flatmap(lambda whole: spliced(whole.encode(), most=2)).map(lambda data: data.decode(errors="replace"))

    def check(spec: str) -> None:
        _, found = load(mutable.root, split=spec)
        known = [json.dumps(_plain(example)) for examples in expected.values() for example in examples]
        for example in found[:3]:
            assert json.dumps(_plain(example)) in known

    return Layer(st.one_of(text, broken, odd, st.text(max_size=10)), check)


def states(seeds: Path, scratch: Path) -> Layer:
    """The states of iterators, stored as JSON: iteration resumes in the right place, or it is an error."""
    mutable, expected = _zoo(seeds, scratch)
    train = load(mutable.root, split="train")[1]
    iterator = iter(train)
    next(iterator)
    batches = train.batches(2, shuffle=True)
    shuffled = iter(batches)
    next(shuffled)
    texts = [json.dumps(state.state()).encode() for state in (iterator, shuffled)]

    def check(mutation: tuple[int, tuple[Edit, ...]]) -> None:
        which, edits = mutation
        try:
            state = json.loads(edit_json(texts[which], edits))
        except (ValueError, RecursionError):  # not JSON, so not a state
            return
        if which:
            for batch in batches.iterator(state=state):
                assert len(batch["label"]) == 2
        else:
            rest = list(train.iterator(state=state))
            assert values.same(rest, expected["train"][len(train) - len(rest) :])

    return Layer(st.sampled_from((0, 1)).flatmap(lambda n: st.tuples(st.just(n), json_edits(texts[n]))), check)


LAYERS: dict[str, Callable[[Path, Path], Layer]] = {
    "tar": tar,
    "manifest": manifest,
    "index header": index_header,
    "index rows": index_rows,
    "dataset_info.json": metadata("dataset_info.json"),
    "features.json": metadata("features.json"),
    "labels": metadata("label.labels.txt"),
    "TFRecord": tfrecord,
    "Example, bytes": example_bytes,
    "Example, values": example_fields,
    "split strings": split_strings,
    "iterator states": states,
    "sparse copy": lambda seeds, scratch: Layer(*sparse_copy.make(seeds, scratch)),
    "difference": lambda seeds, scratch: Layer(*difference.make(seeds, scratch)),
    WITH_TFDS: left_to_tfds,
}


def _zoo(seeds: Path, scratch: Path) -> tuple[MutableArtifact, dict[str, list[Any]]]:
    root = shutil.copytree(seeds / "zoo", scratch / "zoo")
    _, ds = load(root)
    return MutableArtifact(root), {name: list(split) for name, split in ds.items()}


def _call_each(errors: list[LoaderError], calls: Iterable[Callable[[], Any]]) -> None:
    """Make every call, and collect the errors."""
    for call in calls:
        try:
            call()
        except LoaderError as error:
            errors.append(error)


def _assert_each(split: Any, numbers: Iterable[int], expected: list[Any] | None = None) -> None:
    """Read examples one by one, and compare them with their features, and with `expected` if given."""
    errors: list[LoaderError] = []

    def check(place: int, number: int) -> None:
        found = split[number]
        values.check(split.features, found)
        assert expected is None or values.same(found, expected[place])

    _call_each(errors, (lambda p=place, n=number: check(p, n) for place, number in enumerate(numbers)))
    if errors:
        raise errors[0]


def _assert_all(ds: dict[str, Any], expected: dict[str, list[Any]]) -> None:
    assert {name: len(split) for name, split in ds.items()} == {name: len(found) for name, found in expected.items()}
    errors: list[LoaderError] = []
    _call_each(
        errors, (lambda n=name, f=found: _assert_each(ds[n], range(len(f)), f) for name, found in expected.items())
    )
    if errors:
        raise errors[0]


def use(info: Any, ds: Any) -> None:
    """Print a dataset's description, look up labels, and read the first example and batch of every split."""
    f"{info} {[*info.features]} {info.description}".encode()
    for feature in info.features.values():
        if names := getattr(feature, "names", ()):
            assert feature.str2int(feature.int2str(len(names) - 1)) < len(names)
    splits = ds.values() if isinstance(ds, dict) else ds
    errors: list[LoaderError] = []
    for split in splits:
        repr(split)
        _call_each(errors, [lambda s=split: _assert_each(s, range(len(s))[:1])])
        _call_each(errors, [lambda s=split: next(iter(s.batches(2)), None)])
    if errors:
        raise errors[0]


def stored_features(seeds: Path) -> tuple[dict[str, Stored], Callable[[tuple[str, bytes]], None]]:
    """Return features by name, and a function that checks how the features of a name decode a record."""
    stored = handmade_features()
    if (seeds / "tfds").exists():
        [folder] = (seeds / "tfds").glob("features/*")
        stored |= {f"TFDS: {name}": found for name, found in tfds_features(folder).items()}
    decoders = {name: make_decoder(found.features) for name, found in stored.items()}
    collators = {name: make_collator(found.features) for name, found in stored.items()}
    originals = {
        (name, record): decoders[name](record)
        for name, found in stored.items()
        for record in map(serialize, found.examples)
    }

    def check(mutation: tuple[str, bytes]) -> None:
        name, record = mutation
        found = decoders[name](record)
        values.check(stored[name].features, found)
        collators[name]([found, found])
        if mutation in originals:
            assert values.same(found, originals[mutation])

    return stored, check


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, bytes):
        return value.hex()
    if hasattr(value, "dtype") and value.dtype != object:
        return [str(value.dtype), value.shape, value.tobytes().hex()]
    return [_plain(item) for item in value]
