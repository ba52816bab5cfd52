"""Manifests and index headers with values of other types than docs/format.md says are refused."""

import json

import pytest

import loader
from loader._format import index
from loader._format.manifest import parse_manifest
from tests.helpers.tampering import take_apart


@pytest.fixture
def manifest(small):
    return json.loads((small / "artifacts/small.json").read_text())


def parse(document):
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    return parse_manifest(data, name="small", label="small.json", fix="fix it")


def put(document, path, value):
    *parents, last = path
    for key in parents:
        document = document[key]
    document[last] = value


ENTRY = ("artifacts", "small.tar")
BAD_INTEGERS = [True, False, 1.0, 1e3, "1", -1, None, [], 1 << 63]
BAD_TEXTS = [True, 1, None, [], {}]
BAD_SHA256 = ["", "0" * 63, "0" * 65, "A" * 64, "g" * 64, 0, None, True]


@pytest.mark.parametrize("value", BAD_INTEGERS)
@pytest.mark.parametrize(
    "path", [("format",), (*ENTRY, "size"), (*ENTRY, "index", "offset"), (*ENTRY, "index", "size")]
)
def test_an_integer_of_a_manifest_is_an_integer(manifest, path, value):
    put(manifest, path, value)
    with pytest.raises(loader.ManifestError, match=f"{path[-1]!r} is not a whole number"):
        parse(manifest)


@pytest.mark.parametrize("value", BAD_TEXTS)
@pytest.mark.parametrize("path", [("name",), ("version",), ("default_config",), (*ENTRY, "config")])
def test_a_string_of_a_manifest_is_a_string(manifest, path, value):
    if value is None and path[-1] in ("default_config", "config"):
        return
    put(manifest, path, value)
    with pytest.raises(loader.ManifestError, match=f"{path[-1]!r} is not a string"):
        parse(manifest)


@pytest.mark.parametrize("value", BAD_SHA256)
@pytest.mark.parametrize("path", [(*ENTRY, "sha256"), (*ENTRY, "index", "sha256")])
def test_a_hash_of_a_manifest_is_a_hash(manifest, path, value):
    put(manifest, path, value)
    with pytest.raises(loader.ManifestError, match="is not a SHA-256"):
        parse(manifest)


@pytest.mark.parametrize("key", ["format", "name", "version", "artifacts"])
def test_a_needed_key_is_named_if_it_is_missing(manifest, key):
    del manifest[key]
    with pytest.raises(loader.ManifestError, match=f"'{key}' is missing"):
        parse(manifest)


def test_only_the_default_config_may_be_missing(manifest):
    manifest.pop("default_config", None)
    assert parse(manifest).default_config is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace(b'"name"', b'"version": "9.9.9", "name"', 1), "the key 'version' occurs twice"),
        (lambda text: text.replace(b'"format": 1', b'"format": NaN'), "NaN is not a number of JSON"),
        (lambda text: text.replace(b'"CC0"', b'"\\ud800"'), "surrogates not allowed"),
        (lambda text: text.replace(b'"CC0"', b'"' + b"x" * (65 << 20) + b'"'), "more than 67,108,864"),
        (lambda text: text.decode().encode("utf-16"), "can't decode"),
    ],
)
def test_json_that_others_read_differently_is_refused(small, change, message):
    text = (small / "artifacts/small.json").read_bytes()
    changed = change(text)
    assert changed != text
    with pytest.raises(loader.ManifestError, match=message):
        parse(changed)


@pytest.fixture
def header(small):
    forgery = take_apart(small)
    artifact = json.loads((small / "artifacts/small.json").read_text())["artifacts"]["small.tar"]
    data = (small / "artifacts/small.tar").read_bytes()
    start, size = artifact["index"]["offset"], artifact["index"]["size"]
    assert forgery.files
    return json.loads(data[start : start + size])


def parse_header(document):
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    return index.parse(data, tar_size=686_080)


@pytest.mark.parametrize("value", BAD_INTEGERS)
@pytest.mark.parametrize(
    "path", [("format",), ("block_records",), ("splits", "train"), ("members", 0, "size"), ("members", 0, "offset")]
)
def test_an_integer_of_an_index_header_is_an_integer(header, path, value):
    assert parse_header(header).splits == {"train": 5300, "test": 70}
    put(header, path, value)
    with pytest.raises(loader.IntegrityError, match="is not a whole number"):
        parse_header(header)


@pytest.mark.parametrize("value", BAD_SHA256)
@pytest.mark.parametrize("path", [("blocks", 0), ("members", 0, "sha256")])
def test_a_hash_of_an_index_header_is_a_hash(header, path, value):
    put(header, path, value)
    with pytest.raises(loader.IntegrityError, match="is not a SHA-256"):
        parse_header(header)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("members",), {}),
        (("members",), "members"),
        (("members", 0), []),
        (("members", 0, "path"), 3),
        (("splits",), []),
        (("blocks",), {}),
    ],
)
def test_other_types_in_an_index_header_are_refused(header, path, value):
    put(header, path, value)
    with pytest.raises(loader.IntegrityError, match="not in format 1"):
        parse_header(header)


def test_a_key_or_a_member_that_occurs_twice_is_refused(header):
    text = json.dumps(header).encode()
    with pytest.raises(loader.IntegrityError, match="the key 'train' occurs twice"):
        parse_header(text.replace(b'"test": 70', b'"test": 70, "train": 5300'))
    header["members"].append(header["members"][0])
    with pytest.raises(loader.IntegrityError, match="a member is listed twice"):
        parse_header(header)


def test_rows_outside_the_version_folder_are_refused(small):
    forgery = take_apart(small)
    forgery.file("record_index.bin").path = "small/2.0.0/record_index.bin"
    forgery.sign()
    with pytest.raises(loader.IntegrityError, match=r"which is not in small/1\.0\.0"):
        loader.load("small", repo=small)


@pytest.mark.parametrize("change", [{"offset": 1 << 63}, {"length": (1 << 32) - 1}, {"offset": (1 << 64) - 1}])
def test_a_record_outside_the_tar_is_refused_before_it_is_read(small, change):
    forgery = take_apart(small)
    row = forgery.rows[3]
    row.length = change.get("length", row.length)
    forgery.sign()
    if "offset" in change:
        from tests.fuzz.artifact import MutableArtifact

        mutable = MutableArtifact(small)
        rows = bytearray(mutable.file(index.ROWS_NAME))
        _, length, key, digest = index.ROW.unpack_from(rows, 3 * index.ROW.size)
        index.ROW.pack_into(rows, 3 * index.ROW.size, change["offset"], length, key, digest)
        mutable.write(files={index.ROWS_NAME: bytes(rows)})
    with pytest.raises(loader.IntegrityError, match="lists records outside the tar in block 0"):
        loader.load("small", repo=small)[1]["train"][3]
