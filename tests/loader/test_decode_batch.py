"""Records that are decoded at once have the values that each has by itself."""

import zlib

import cv2
import numpy as np
import pytest
import simplejpeg
from hypothesis import given
from hypothesis import strategies as st

from loader._collate import make_collator, make_joiner
from loader._errors import DecodeError
from loader._features.batch import make_batch_decoder
from loader._features.connectors import Audio, ClassLabel, FeaturesDict, Image, Scalar, Sequence, Tensor, Text
from loader._features.decode import make_decoder
from loader._features.images import image_decoder
from loader._format.example import Example
from loader._format.example_batch import BYTES, INT64, DifferentError, find_values
from tests.helpers.parity import assert_same

COUNTS = (1, 127, 128, 300)
RANDOM = np.random.default_rng(0)
INTEGERS = st.one_of(st.integers(-(1 << 63), (1 << 63) - 1), st.integers(-2, 300))
RECORDS = st.lists(st.tuples(st.binary(max_size=300), INTEGERS), min_size=1, max_size=20)


def record(values):
    """The record of an example, as TFDS writes it."""
    message = Example()
    for name, value in values.items():
        lists = message.features.feature[name]
        values = value if isinstance(value, list) else [value]
        (lists.bytes_list if isinstance(values[0], bytes) else lists.int64_list).value.extend(values)
    return message.SerializeToString(deterministic=True)


def png(image):
    return cv2.imencode(".png", image)[1].tobytes()


@given(RECORDS)
def test_the_values_are_those_that_protobuf_finds(values):
    records = [record({"image": image, "label": label, "other": b"x"}) for image, label in values]
    found = find_values(records, {"image": BYTES, "label": INT64, "other": None})
    assert found["image"] == [image for image, _ in values]
    assert found["label"].tolist() == [label for _, label in values]


@given(RECORDS, st.data())
def test_damaged_records_are_found_different_or_have_the_values_that_protobuf_finds(values, data):
    records = [record({"image": image, "label": label}) for image, label in values]
    number = data.draw(st.integers(0, len(records) - 1))
    damaged = bytearray(records[number])
    start = data.draw(st.integers(0, len(damaged) - 1))
    damaged[start : start + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    records[number] = bytes(damaged)
    try:
        found = find_values(records, {"image": BYTES, "label": INT64})
    except DifferentError:
        return
    parsed = [Example.FromString(each).features.feature for each in records]
    assert [[image] for image in found["image"]] == [list(each["image"].bytes_list.value) for each in parsed]
    assert [[label] for label in found["label"].tolist()] == [list(each["label"].int64_list.value) for each in parsed]


@pytest.mark.parametrize(
    "other",
    [
        {"a": b"x"},
        {"a": b"x", "b": [1, 2]},
        {"a": 1, "b": 1},
        {"a": b"x", "b": 1, "c": 1},
        {"a": b"x", "c": 1},
        {"a": [b"x", b"y"], "b": 1},
    ],
)
def test_records_that_are_not_alike_are_found_different(other):
    with pytest.raises(DifferentError):
        find_values([record({"a": b"x", "b": 1}), record(other)], {"a": BYTES, "b": INT64})


CASES = {
    "label": (ClassLabel(num_classes=10), lambda n: n % 10 - 1),
    **{
        f"{dtype.__name__}": (Scalar(dtype=np.dtype(dtype)), lambda n, top=top: n % top)
        for dtype, top in ((np.int8, 128), (np.uint8, 256), (np.int32, 999), (np.uint64, 999), (np.bool_, 2))
    },
    "text": (Text(), lambda n: b"text" * (n % 5)),
    "small PNG": (
        Image(shape=(28, 28, 1), dtype=np.dtype(np.uint8)),
        lambda n: png(RANDOM.integers(0, 256, (28, 28, 1), np.uint8)),
    ),
    "large PNG": (
        Image(shape=(60, 50, 3), dtype=np.dtype(np.uint16)),
        lambda n: png(RANDOM.integers(0, 1 << 16, (60, 50, 3), np.uint16)),
    ),
    "JPEG": (
        Image(shape=(64, 48, 3), dtype=np.dtype(np.uint8)),
        lambda n: simplejpeg.encode_jpeg(RANDOM.integers(0, 256, (64, 48, 3), np.uint8)),
    ),
    "images of any size": (
        Image(shape=(None, None, 1), dtype=np.dtype(np.uint8)),
        lambda n: png(RANDOM.integers(0, 256, (n % 3 + 90, 70, 1), np.uint8)),
    ),
    "zlib": (
        Tensor(shape=(40, 40), dtype=np.dtype(np.float32), encoding="zlib"),
        lambda n: zlib.compress(np.full((40, 40), n, np.float32).tobytes()),
    ),
    "number as bytes": (Scalar(dtype=np.dtype(np.float64), encoding="bytes"), lambda n: np.float64(n).tobytes()),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("count", COUNTS)
def test_a_batch_is_that_of_the_examples(name, count):
    feature, write = CASES[name]
    features = FeaturesDict({"x": feature})
    records = [record({"another": n, "x": write(n)}) for n in range(count)]
    batch = make_joiner(features)(make_batch_decoder(features)(records))
    expected = make_collator(features)(list(map(make_decoder(features), records)))
    assert_same(batch, expected)
    assert not isinstance(batch["x"], np.ndarray) or batch["x"].flags.writeable


def test_a_large_jpeg_is_decoded_where_it_belongs_in_the_batch():
    feature, write = CASES["JPEG"]
    decode, data, place = image_decoder(feature), write(0), np.zeros((64, 48, 3), np.uint8)
    assert decode(data, place) is place
    assert_same(place, decode(data))
    with pytest.raises(ValueError, match="the JPEG is truncated"):
        decode(data[:-1], place)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize(
    ("feature", "good", "bad"),
    [
        (Scalar(dtype=np.dtype(np.int8)), 1, 128),
        (Scalar(dtype=np.dtype(np.uint8)), 1, -1),
        (ClassLabel(num_classes=2), 1, [1, 1]),
        (ClassLabel(num_classes=2), 1, b"1"),
        (Image(shape=(2, 2, 1), dtype=np.dtype(np.uint8)), png(np.zeros((2, 2, 1), np.uint8)), b"PNG"),
        (
            Image(shape=(90, 90, 1), dtype=np.dtype(np.uint8)),
            png(np.zeros((90, 90, 1), np.uint8)),
            png(np.zeros((1, 90))),
        ),
    ],
)
def test_records_with_a_value_that_cannot_be_decoded_are_left_to_the_decoder_of_each(count, feature, good, bad):
    features = FeaturesDict({"x": feature})
    records = [record({"x": good})] * (count - 1) + [record({"x": bad})]
    assert make_batch_decoder(features)(records) is None
    with pytest.raises(DecodeError, match="feature 'x'"):
        make_decoder(features)(records[-1])


@pytest.mark.parametrize("count", COUNTS)
def test_features_that_records_have_now_and_then_do_not_keep_others_from_being_decoded(count):
    features = FeaturesDict({"x": ClassLabel(num_classes=300)})
    records = [record({"x": n} | ({"a": b"here"} if n % 2 else {})) for n in range(count)]
    assert make_batch_decoder(features)(records)["x"].tolist() == list(range(count))


def test_a_record_that_is_none_is_left_to_the_decoder_of_each():
    assert make_batch_decoder(FeaturesDict({"x": Text()}))([b"\xff"] * 200) is None


@pytest.mark.parametrize(
    "feature",
    [
        Scalar(dtype=np.dtype(np.float32)),
        Scalar(dtype=np.dtype(np.int64), optional=True),
        Tensor(shape=(2,), dtype=np.dtype(np.int64)),
        Tensor(shape=(None, None), dtype=np.dtype(np.int64), encoding="bytes"),
        Sequence(Text()),
        FeaturesDict({"y": Text()}),
        Audio(shape=(None,), dtype=np.dtype(np.int64)),
    ],
)
def test_other_features_are_left_to_the_decoder_of_each(feature):
    assert make_batch_decoder(FeaturesDict({"x": feature})) is None
