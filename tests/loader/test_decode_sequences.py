"""Sequences, videos and nested datasets decode to the values of `tfds.as_numpy`, ragged ones to nested lists."""

import io
import pickle
import time
import wave

import cv2
import numpy as np
import pytest

import loader
from loader._features.decode import make_decoder
from tests.helpers.parity import (
    CORE,
    arrays,
    assert_same,
    decode,
    feature,
    features,
    integers,
    png,
    tensor,
    write_cases,
)

pytestmark = pytest.mark.filterwarnings("ignore")  # TensorFlow warns

VIDEO = integers(3, 4, 5, 3)
EYE = np.eye(2, dtype=np.float32)


def wav(count):
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(8000)
        writer.writeframes(bytes(range(2 * count)))
    return io.BytesIO(file.getvalue())


def steps(f):
    return f.Dataset(
        {
            "action": f.ClassLabel(names=["left", "right"]),
            "box": f.BBoxFeature(),
            "bool": np.bool_,
            "uint64": np.uint64,
            "matrix": f.Tensor(shape=(2, 2), dtype=np.float32),
            "words": f.Tensor(shape=(2,), dtype=np.str_),
            "optional": f.Scalar(np.int32, optional=True),
            "zlib": f.Tensor(shape=(None,), dtype=np.int16, encoding="zlib"),
            "shaped": f.Tensor(shape=(None, None), dtype=np.int16, encoding="bytes"),
            "image": f.Image(),
            "video": f.Video(shape=(None, 4, 5, 3)),
            "sound": f.Audio(file_format="wav", lazy_decode=True),
            "rows": f.Sequence(np.int32),
            "ragged": f.Sequence(f.Sequence(np.int32)),
            "more ragged": f.Sequence(f.Sequence(f.Sequence(f.Text()))),
            "matrices": f.Sequence(f.Tensor(shape=(2, 2), dtype=np.float32)),
            "several": f.Sequence({"a": np.int64, "b": f.Sequence(f.Tensor(shape=(2,), dtype=np.int8))}),
            "inner": {"text": f.Text(), "inner": {"x": np.float64}},
            "dataset": f.Dataset({"a": np.int32, "b": f.Sequence(f.Text())}),
        }
    )


def step(number):
    return {
        "action": number % 2,
        "box": np.array([0, 0.25, 0.5, 1], np.float32),
        "bool": number == 1,
        "uint64": 2**64 - 1 - number,
        "matrix": number * EYE,
        "words": [f"a{number}", "ü"],
        "optional": number,
        "zlib": np.arange(number, dtype=np.int16),
        "shaped": np.ones((number, 2), np.int16),
        "image": VIDEO[number][: number + 1],
        "video": VIDEO[:number],
        "sound": wav(number),
        "rows": list(range(number)),
        "ragged": [list(range(k)) for k in range(number)],
        "more ragged": [[], [[f"{number}", "b"], []]][:number],
        "matrices": [EYE] * number,
        "several": [{"a": k, "b": np.ones((k, 2), np.int8)} for k in range(number)],
        "inner": {"text": f"step {number}", "inner": {"x": 0.5 * number}},
        "dataset": [{"a": k, "b": ["x"] * k} for k in range(number)],
    }


# name -> (function from tfds.features to the feature, values to write)
CASES = {
    **{
        f"{np.dtype(t).name}": (lambda f, t=t: f.Sequence(t), [integers(3).astype(t), np.zeros(0, t)])
        for t in (np.int8, np.uint64, np.bool_, np.float16, np.float64)
    },
    "of known length": (lambda f: f.Sequence(np.int32, length=2), [[1, 2]]),
    "text": (lambda f: f.Sequence(f.Text()), [["a", "ü"], []]),
    "labels": (lambda f: f.Sequence(f.ClassLabel(names=["a", "b"])), [["a", "b", "a"], []]),
    "boxes": (lambda f: f.Sequence(f.BBoxFeature()), [np.array([[0.1, 0.2, 0.3, 0.4]]), []]),
    "tensors": (lambda f: f.Sequence(f.Tensor(shape=(2, 2), dtype=np.float32)), [[EYE, EYE, 2 * EYE], []]),
    "known length of tensors of unknown size": (
        lambda f: f.Sequence(f.Tensor(shape=(None,), dtype=np.int8), length=3),
        [integers(3, 2).astype(np.int8)],
    ),
    "audio": (lambda f: f.Sequence(f.Audio(shape=(2,))), [np.ones((3, 2), np.int64)]),
    "compressed": (lambda f: f.Sequence(f.Tensor(shape=(2,), dtype=np.int16, encoding="zlib")),
                   [np.ones((3, 2), np.int16), np.zeros((0, 2), np.int16)]),
    "compressed scalars": (lambda f: f.Sequence(f.Tensor(shape=(), dtype=np.int16, encoding="zlib")),
                           [np.ones(3, np.int16), np.zeros(0, np.int16)]),
    "bytes of unknown size": (lambda f: f.Sequence(f.Tensor(shape=(None,), dtype=np.int16, encoding="bytes")),
                              [np.ones((3, 2), np.int16), []]),
    "bytes of unknown sizes": (lambda f: f.Sequence(f.Tensor(shape=(None, None), dtype=np.int16, encoding="bytes")),
                               [np.ones((3, 2, 4), np.int16)]),
    "images": (lambda f: f.Sequence(f.Image(shape=(None, None, 3))), [VIDEO, VIDEO[:, :2], []]),
    "float32 images": (
        lambda f: f.Sequence(f.Image(shape=(None, 2, 1), dtype=np.float32)),
        [integers(2, 3, 2, 1).astype(np.float32), []],
    ),
    "labelled images": (
        lambda f: f.Sequence(f.LabeledImage(labels=["a", "b"], shape=(4, 5, 1))),
        [VIDEO[..., :1], []],
    ),
    "dicts": (
        lambda f: f.Sequence({"a": np.int64, "b": {"c": f.Text(), "d": f.Image(shape=(4, 5, 3))}}),
        [[{"a": k, "b": {"c": "x", "d": VIDEO[k]}} for k in range(3)], []],
    ),
    "translations": (lambda f: f.Sequence(f.Translation(languages=["en", "fr"])), [[{"en": "a", "fr": "b"}], []]),
    "nested": (lambda f: f.Sequence(f.Sequence(np.int32)), [[[1, 2], [], [3]], [], [[]]]),
    "nested text": (lambda f: f.Sequence(f.Sequence(f.Text())), [[["a", "ü"], []], []]),
    "three levels": (lambda f: f.Sequence(f.Sequence(f.Sequence(np.uint64))), [[[[1, 2**64 - 1], []], []], [], [[[]]]]),
    "three levels, one of known length": (
        lambda f: f.Sequence(f.Sequence(f.Sequence(np.int32), length=2)),
        [[[[1, 2], []], [[], [1]]], []],
    ),
    "nested tensors": (lambda f: f.Sequence(f.Sequence(f.Tensor(shape=(2,), dtype=np.int8))), [[[[1, 2]], []], []]),
    "nested compressed": (
        lambda f: f.Sequence(f.Sequence(f.Tensor(shape=(2,), dtype=np.int16, encoding="zlib"))),
        [[[np.ones(2, np.int16)], []], []],
    ),
    "nested bytes of unknown sizes": (
        lambda f: f.Sequence(f.Sequence(f.Tensor(shape=(None, None), dtype=np.int16, encoding="bytes"))),
        [[[np.ones((2, 1), np.int16)] * 2, [np.ones((2, 1), np.int16)]]],
    ),
    "nested images": (lambda f: f.Sequence(f.Sequence(f.Image(shape=(4, 5, 3)))), [[VIDEO[:2], [], VIDEO[:1]], []]),
    "nested in dicts": (
        lambda f: f.Sequence({"a": f.Sequence(np.int32), "b": f.Sequence({"c": f.Text()}), "d": np.int8}),
        [[{"a": [1, 2], "b": [{"c": "x"}], "d": 1}, {"a": [], "b": [], "d": 2}], []],
    ),
    "video": (lambda f: f.Video(shape=(None, 4, 5, 3)), [VIDEO, VIDEO[:1], VIDEO[:0]]),
    "video of unknown size": (lambda f: f.Video(), [VIDEO, VIDEO[:, :2, :3], VIDEO[:0]]),
    "video of known length": (lambda f: f.Video(shape=(3, 4, 5, 3)), [VIDEO]),
    "uint16 video": (
        lambda f: f.Video(shape=(None, 4, 5, 1), dtype=np.uint16),
        [integers(2, 4, 5, 1, dtype=np.uint16)],
    ),
    "videos": (lambda f: f.Sequence(f.Video(shape=(None, 4, 5, 3))), [[VIDEO, VIDEO[:1], VIDEO[:0]], []]),
    "dataset": (steps, [[step(0), step(1), step(2)], [], [step(2)]]),
    "dataset of scalars": (lambda f: f.Dataset(np.int64), [[1, 2], []]),
    "dataset of images": (lambda f: f.Dataset(f.Image()), [[VIDEO[0], VIDEO[1][:2]], []]),
    "dataset of sequences": (lambda f: f.Dataset(f.Sequence(f.Text())), [[["a", "b"], []], []]),
    "dataset of known length": (lambda f: f.Dataset({"a": np.int64}, length=2), [[{"a": 1}, {"a": 2}]]),
}  # fmt: skip


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return write_cases(tmp_path_factory.mktemp("sequences"), CASES)


@pytest.mark.parametrize("name", CASES)
def test_a_feature_decodes_to_the_same_value_as_in_tfds(written, name):
    for actual, expected in zip(*written[:2], strict=True):
        assert_same(actual[name], expected[name])


@pytest.mark.parametrize("name", CASES)
def test_a_feature_is_described_as_in_tfds(written, name):
    actual, expected = (features[name] for features in written[2:])
    assert type(actual).__name__ == type(expected).__name__
    assert type(actual.feature).__name__ == type(expected.feature).__name__
    if not isinstance(expected.shape, dict):
        length = (None,) if name.startswith("dataset") and actual.length is None else ()
        length = (actual.length,) if actual.length and name.startswith("dataset") else length
        assert (actual.shape, actual.dtype) == ((*length, *expected.shape), expected.np_dtype)


def test_the_attributes_of_an_inner_feature_are_available_on_its_sequence(written):
    actual, expected = written[2:]
    assert list(actual["labels"].names) == expected["labels"].names == ["a", "b"]
    assert actual["labels"].int2str(1) == "b"
    assert list(actual["dataset"]["action"].names) == expected["dataset"]["action"].names
    assert actual["nested in dicts"]["b"]["c"].shape == ()
    assert actual["dicts"].shape is None
    assert actual["video"].encoding_format == "png"
    assert pickle.loads(pickle.dumps(actual["labels"])) == actual["labels"]
    assert not hasattr(actual["labels"], "nothing")


def test_the_innermost_rows_of_a_ragged_sequence_are_arrays(written):
    value = written[0][0]["three levels"]
    assert [[row.tolist() for row in rows] for rows in value] == [[[1, 2**64 - 1], []], []]
    assert {array.dtype for array in arrays(value)} == {np.dtype(np.uint64)}


def test_a_nested_dataset_decodes_to_a_sequence(written):
    examples = written[0][0]["dataset"]
    assert len(examples) == 3
    assert examples[-1]["inner"]["text"] == examples[2]["inner"]["text"] == b"step 2"
    assert [example["action"] for example in examples[1:]] == [1, 0]
    with pytest.raises(IndexError):
        examples[3]
    with pytest.raises(ValueError):  # iteration stops at the end of the dataset
        _, _ = iter(examples)
    copied = pickle.loads(pickle.dumps(examples))
    assert [example["inner"]["text"] for example in copied] == [b"step 0", b"step 1", b"step 2"]


def test_an_example_of_a_nested_dataset_is_decoded_on_access():
    frames = feature("Dataset", sequence={"feature": image(-1, -1, 3), "length": "-1"})
    examples = decode(frames, lambda f: f["x"].bytes_list.value.extend([png(2, 8), b"damaged"]))["x"]
    assert examples[0].shape == (5, 7, 3)
    with pytest.raises(loader.DecodeError, match="feature 'x'"):
        examples[1]


def node(connector, **content):
    return {"pythonClassName": f"{CORE}.x.{connector}", **content}


def image(*sizes):
    return node("Image", image={"dtype": "uint8", "shape": {"dimensions": [str(size) for size in sizes]}})


def sequence(inner, length=-1):
    return node("Sequence", sequence={"feature": inner, "length": str(length)})


def dataset(inner, length=-1):
    return node("Dataset", sequence={"feature": inner, "length": str(length)})


INT = node("Tensor", **tensor("int32"))
RAGGED, DEEPER = sequence(sequence(INT)), sequence(sequence(sequence(INT)))
SHAPED = node("Tensor", **tensor("int8", -1, -1, encoding="bytes"))


def fill(**lists):
    """Return a function that fills fields with integers or bytes; __ in a name stands for /."""

    def into(fields):
        for name, values in lists.items():
            message = fields[name.replace("__", "/")]
            kind = "bytes_list" if values and isinstance(values[0], bytes) else "int64_list"
            getattr(message, kind).value.extend(values)

    return into


def ragged(flat, *lengths):
    return fill(x__ragged_flat_values=flat, **{f"x__ragged_row_lengths_{k}": row for k, row in enumerate(lengths)})


@pytest.mark.parametrize(
    ("declared", "into"),
    [
        (sequence(INT, 2), fill(x=[1])),
        (sequence(INT), fill(x=[b"a"])),
        (sequence(node("Tensor", **tensor("int32", 2))), fill(x=[1, 2, 3])),
        (sequence(node("Tensor", **tensor("int32", 0))), fill(x=[])),
        (sequence(image(5, 7, 3), 2), fill(x=[png(2, 8)])),
        (sequence(image(-1, -1, 3)), fill(x=[png(2, 8), png(2, 8, size=(4, 7))])),
        (sequence(image(-1, -1, 3)), fill(x=[png(2, 8), b"no image"])),
        (sequence(image(-1, -1, 3)), fill(x=[1])),
        (sequence(SHAPED), fill(x__value=[b"ab", b"cd"], x__shape=[1, 2])),
        (sequence(SHAPED), fill(x__value=[b"ab", b"cd"], x__shape=[1, 2, 2, 1])),
        (sequence(SHAPED), fill(x__value=[b"ab"], x__shape=[-1, -2])),
        (RAGGED, ragged([1, 2, 3], [1, 1])),
        (RAGGED, ragged([1, 2, 3], [4, -1])),
        (RAGGED, ragged([1, 2, 3])),
        (RAGGED, ragged([], [2**62, 2**62, 2**62, 2**62])),
        (RAGGED, ragged([1], [2**63 - 1, -(2**63), 2])),
        (sequence(sequence(INT, 2)), ragged([1, 2, 3], [2, 1])),
        (sequence(sequence(INT), 3), ragged([1, 2, 3], [2, 1])),
        (DEEPER, ragged([1, 2, 3], [2], [1, 1])),
        (DEEPER, ragged([1, 2, 3], [3], [1, 2])),
        (DEEPER, ragged([1, 2, 3], [2], [1, 3])),
        (dataset(INT, 2), fill(x=[1])),
        (dataset(node("Tensor", **tensor("int32", 2))), fill(x=[1, 2, 3])),
        (dataset(INT), fill(x=[b"a"])),
        (dataset(sequence(INT)), ragged([1, 2, 3], [1, 1])),
        (dataset(sequence(INT)), ragged([1, 2, 3], [4, -1])),
        (dataset(sequence(INT)), ragged([], [2**62, 2**62, 2**62, 2**62])),
        (dataset(RAGGED), ragged([1, 2, 3], [2], [1, 1])),
        (dataset(RAGGED), ragged([1, 2, 3], [1], [1, 2])),
        (dataset(node("FeaturesDict", featuresDict={"features": {"a": INT, "b": INT}})), fill(x__a=[1], x__b=[1, 2])),
    ],
)
def test_lists_that_contradict_each_other_are_an_error_that_names_the_feature(declared, into):
    with pytest.raises(loader.DecodeError, match="feature 'x'"):
        decode(features(x=declared), into)


def test_a_sequence_of_images_that_needs_too_much_memory_is_refused():
    blank = cv2.imencode(".png", np.zeros((4096, 4096), np.uint8))[1].tobytes()
    started = time.perf_counter()
    with pytest.raises(loader.DecodeError, match="feature 'x': 300 values of 16,777,216 bytes are too many"):
        decode(features(x=sequence(image(-1, -1, 1))), fill(x=[blank] * 300))
    assert time.perf_counter() - started < 5


@pytest.mark.parametrize(
    ("declared", "match"),
    [
        (sequence(node("Tensor", **tensor("int32", -1))), "more than one unknown dimension"),
        (dataset(node("Tensor", **tensor("int32", -1))), "needs an encoding"),
        (dataset(node("Tensor", **tensor("int32", 0))), "needs an encoding"),
    ],
)
def test_a_sequence_that_tfds_cannot_read_either_is_unsupported(declared, match):
    with pytest.raises(loader.UnsupportedError, match=f"feature 'x': .*{match}"):
        make_decoder(features(x=declared))
