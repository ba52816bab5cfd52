"""Every feature with one value decodes to the type, dtype, shape and value of `tfds.as_numpy`."""

import io
import struct
import tracemalloc
import warnings
import wave
import zlib

import numpy as np
import pytest

import loader
from loader._features.decode import make_decoder
from tests.helpers.parity import (
    assert_same,
    decode,
    feature,
    integers,
    tensor,
    write_and_read,
    write_cases,
)

INTEGERS = (np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64)
FLOATS = (np.float16, np.float32, np.float64)


def limits(dtype):
    return [np.iinfo(dtype).min, 0, np.iinfo(dtype).max]


def wav(samples, *, channels=1):
    """A WAV file of samples, given as bytes or integers."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(samples.itemsize if isinstance(samples, np.ndarray) else 3)
        writer.setframerate(8000)
        writer.writeframes(samples if isinstance(samples, bytes) else samples.tobytes())
    return file.getvalue()


class File(io.BytesIO):
    """A file that can be read again for every example."""

    def read(self, *arguments):
        return self.getvalue()


def lazy_wav(**kwargs):
    return lambda f: f.Audio(file_format="wav", lazy_decode=True, **kwargs)


MONO, STEREO = np.array([1, -2, 300, -32768], np.int16), np.array([1, -2, 300, -32768, 7, 8], np.int16)

# name -> (function from tfds.features to the feature, values to write)
CASES = {
    "bool": (lambda f: f.Scalar(np.bool_), [True, False]),
    **{f"{t.__name__} scalar": (lambda f, t=t: f.Scalar(t), limits(t)) for t in INTEGERS},
    "float16 scalar": (lambda f: f.Scalar(np.float16), [0.1, 65504]),
    "float32 scalar": (lambda f: f.Scalar(np.float32), [0.1, -np.inf, 3.4e38]),
    "float64 scalar": (lambda f: f.Scalar(np.float64), [0.1, 1e30]),
    "string scalar": (lambda f: f.Scalar(np.str_), ["", "ü"]),
    "text": (lambda f: f.Text(), ["", "a", "größer", "\0x"]),
    "label": (lambda f: f.ClassLabel(num_classes=3), [0, 2, -1]),
    "named label": (lambda f: f.ClassLabel(names=["a b", "ü", "c"]), ["ü", "c"]),
    **{
        f"{t.__name__} tensor": (lambda f, t=t: f.Tensor(shape=(3,), dtype=t), [np.array(limits(t), t)])
        for t in INTEGERS
    },
    **{
        f"{t.__name__} tensor": (lambda f, t=t: f.Tensor(shape=(None, 2), dtype=t), [integers(3, 2).astype(t)])
        for t in FLOATS
    },
    "bool tensor": (lambda f: f.Tensor(shape=(2,), dtype=np.bool_), [np.array([True, False])]),
    "tensor of three dimensions": (
        lambda f: f.Tensor(shape=(2, None, 2), dtype=np.int32),
        [np.arange(12, dtype=np.int32).reshape(2, 3, 2), np.arange(4, dtype=np.int32).reshape(2, 1, 2)],
    ),
    "empty tensor": (lambda f: f.Tensor(shape=(None,), dtype=np.int64), [np.zeros(0, np.int64)]),
    "tensor of size 0": (lambda f: f.Tensor(shape=(2, 0), dtype=np.int64), [np.zeros((2, 0), np.int64)]),
    "string tensor": (lambda f: f.Tensor(shape=(2,), dtype=np.str_), [np.array(["a", "ü"], dtype=object)]),
    **{
        f"{np.dtype(t).name} as {encoding}": (
            lambda f, t=t, encoding=encoding: f.Tensor(shape=(None, 2), dtype=t, encoding=encoding),
            [np.arange(6).reshape(3, 2).astype(t), np.zeros((0, 2), t)],
        )
        for encoding in ("bytes", "zlib")
        for t in (*INTEGERS[:4], *INTEGERS[4:6], np.uint64, *FLOATS, np.bool_, np.complex64, np.complex128)
    },
    "scalar as bytes": (lambda f: f.Tensor(shape=(), dtype=np.int16, encoding="bytes"), [np.array(-3, np.int16)]),
    "fixed shape as zlib": (
        lambda f: f.Tensor(shape=(2, 2), dtype=np.float64, encoding="zlib"),
        [np.linspace(0, 1, 4).reshape(2, 2)],
    ),
    "several unknown dimensions as zlib": (
        lambda f: f.Tensor(shape=(None, None, 2), dtype=np.uint16, encoding="zlib"),
        [integers(3, 4, 2, dtype=np.uint16), integers(1, 1, 2, dtype=np.uint16), integers(0, 1, 2, dtype=np.uint16)],
    ),
    "several unknown dimensions as bytes": (
        lambda f: f.Tensor(shape=(None, None), dtype=np.uint64, encoding="bytes"),
        [integers(3, 4, dtype=np.uint64)],
    ),
    **{
        f"optional {np.dtype(t).name}": (lambda f, t=t: f.Scalar(t, optional=True), [None, np.array(1, t)])
        for t in (*INTEGERS, *FLOATS, np.bool_)
    },
    "optional string": (lambda f: f.Scalar(np.str_, optional=True), [None, "a"]),
    "optional tensor": (
        lambda f: f.Tensor(shape=(2,), dtype=np.float64, optional=True),
        [None, np.array([1.0, 2.0])],
    ),
    "optional strings": (lambda f: f.Tensor(shape=(2,), dtype=np.str_, optional=True), [None, ["a", "b"]]),
    "bounded tensor": (lambda f: f.Tensor(shape=(2,), dtype=np.int8, minimum=-1, maximum=5), [np.zeros(2, np.int8)]),
    "box": (lambda f: f.BBoxFeature(), [np.array([0.1, 0.2, 0.3, 0.4], np.float32)]),
    "box in pixels": (lambda f: f.BBoxFeature(bbox_format="XYWH"), [np.array([1, 2, 3, 4], np.float32)]),
    "box without a format": (lambda f: f.BBoxFeature(bbox_format=None), [np.array([1, 2, 3, 4], np.float32)]),
    "audio": (lambda f: f.Audio(sample_rate=8000), [MONO.astype(np.int64)]),
    "int16 audio": (lambda f: f.Audio(dtype=np.int16), [MONO]),
    "stereo audio": (lambda f: f.Audio(shape=(None, 2)), [STEREO.astype(np.int64).reshape(3, 2)]),
    "audio from a file": (lambda f: f.Audio(file_format="wav"), [File(wav(MONO))]),
    "audio as bytes": (lambda f: f.Audio(file_format="wav", dtype=np.int16, encoding="bytes"), [File(wav(MONO))]),
    "audio as zlib": (lambda f: f.Audio(file_format="wav", dtype=np.int32, encoding="zlib"), [File(wav(MONO))]),
    "WAV file": (lazy_wav(), [File(wav(MONO)), File(wav(MONO[:0]))]),
    "WAV file to float32": (lazy_wav(dtype=np.float32), [File(wav(MONO))]),
    "WAV file of known length": (lazy_wav(shape=(4,), dtype=np.int16), [File(wav(MONO))]),
    "stereo WAV file": (lazy_wav(shape=(None, 2)), [File(wav(STEREO, channels=2))]),
    "stereo WAV file to mono": (lazy_wav(), [File(wav(STEREO, channels=2))]),
    "mono WAV file to stereo": (lazy_wav(shape=(None, 2)), [File(wav(MONO))]),
    "WAV file of three channels to mono": (lazy_wav(), [File(wav(STEREO, channels=3))]),
    "8-bit WAV file": (lazy_wav(), [File(wav(np.array([0, 127, 128, 255], np.uint8)))]),
    "24-bit WAV file": (lazy_wav(), [File(wav(bytes([1, 0, 0, 255, 255, 255, 0, 0, 128])))]),
    "32-bit WAV file": (lazy_wav(), [File(wav(np.array([1, -(2**31)], np.int32)))]),
    "dict": (
        lambda f: {"a": np.int64, "b": {"c": f.Text(), "d": f.ClassLabel(names=["x", "y"])}},
        [{"a": 1, "b": {"c": "t", "d": "y"}}],
    ),
    "translation": (lambda f: f.Translation(languages=["fr", "en"]), [{"en": "a", "fr": "ü"}]),
    "translation of variable languages": (
        lambda f: f.TranslationVariableLanguages(languages=["en", "fr"]),
        [{"en": "a", "fr": ["ü", "b"]}, {"fr": "c"}],
    ),
    "translation of any languages": (lambda f: f.TranslationVariableLanguages(), [{"en": "a", "de": ["ü", "b"]}]),
}
pytestmark = pytest.mark.filterwarnings("ignore")  # TensorFlow warns


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return write_cases(tmp_path_factory.mktemp("features"), CASES)


@pytest.mark.parametrize("name", CASES)
def test_a_feature_decodes_to_the_same_value_as_in_tfds(written, name):
    for actual, expected in zip(*written[:2], strict=True):
        assert_same(actual[name], expected[name])


@pytest.mark.parametrize("name", CASES)
def test_a_feature_is_described_as_in_tfds(written, name):
    actual, expected = (features[name] for features in written[2:])
    assert type(actual).__name__ == type(expected).__name__
    if not isinstance(expected.shape, dict):
        assert (actual.shape, actual.dtype) == (expected.shape, expected.np_dtype)
    for attribute in ("names", "num_classes", "sample_rate", "languages", "num_languages"):
        if getattr(actual, attribute, None):
            assert list(np.atleast_1d(getattr(actual, attribute))) == list(np.atleast_1d(getattr(expected, attribute)))


def test_bfloat16_decodes_if_ml_dtypes_is_installed(tmp_path):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    values = np.array([0.5, -2], ml_dtypes.bfloat16)
    actual, expected, *_ = write_cases(
        tmp_path, {"x": (lambda f: f.Tensor(shape=(2,), dtype=ml_dtypes.bfloat16, encoding="zlib"), [values])}
    )
    assert actual[0]["x"].dtype == expected[0]["x"].dtype == values.dtype
    assert actual[0]["x"].tolist() == expected[0]["x"].tolist() == [0.5, -2]


@pytest.mark.parametrize(
    ("make", "example"),
    [
        (lambda f: f.Translation(languages=["en", "fr"]), {"en": "a", "fr": "b"}),
        (lambda f: f.TranslationVariableLanguages(), {"en": "a", "fr": ["b", "c"]}),
        (lambda f: f.Sequence({"a": np.int64, "b": {"c": f.Text()}, "d": f.Sequence(np.int8)}),
         [{"a": 1, "b": {"c": "x"}, "d": [1, 2]}, {"a": 2, "b": {"c": "y"}, "d": []}]),
    ],
)  # fmt: skip
def test_the_top_level_need_not_be_a_features_dict(tmp_path, make, example):
    tfds = pytest.importorskip("tensorflow_datasets")
    actual, expected, *_ = write_and_read(tmp_path, make(tfds.features), [example])
    assert_same(actual[0], expected[0])


ZLIB4 = tensor("int32", 4, encoding="zlib")
SHAPED = tensor("int32", -1, -1, encoding="zlib")


def set_list(kind, *values, key="x"):
    return lambda f: getattr(f[key], kind).value.extend(values)


def shaped(data, *shape):
    def fill(fields):
        fields["x/value"].bytes_list.value.append(data)
        fields["x/shape"].int64_list.value.extend(shape)

    return fill


@pytest.mark.parametrize(
    ("declared", "fill"),
    [
        (feature("Text", text={}), lambda f: None),
        (feature("Text", text={}), set_list("bytes_list", b"a", b"b")),
        (feature("Text", text={}), set_list("int64_list", 1)),
        (feature("ClassLabel", classLabel={"numClasses": "2"}), set_list("float_list", 1.0)),
        (feature("Tensor", **tensor("int8")), set_list("int64_list", 300)),
        (feature("Tensor", **tensor("uint8", 3)), set_list("int64_list", 1, 2)),
        (feature("Tensor", **tensor("uint8", -1, 3)), set_list("int64_list", 1, 2)),
        (feature("Tensor", **tensor("uint8", -1)), set_list("bytes_list", b"a")),
        (feature("Tensor", **tensor("uint8", 2**40, 2**40)), set_list("int64_list", 1, 2)),
        (feature("Tensor", **tensor("uint8", *[1] * 200)), set_list("int64_list", 1)),
        (feature("Tensor", **tensor("int16", -1, encoding="bytes")), set_list("bytes_list", b"odd")),
        (feature("Tensor", **tensor("int16", -1, encoding="zlib")), set_list("bytes_list", b"not zlib")),
        (feature("Tensor", **tensor("int8", -1, encoding="zlib")), set_list("bytes_list", zlib.compress(b"abc")[:-2])),
        (feature("Tensor", **tensor("int8", 2**62, encoding="zlib")), set_list("bytes_list", zlib.compress(b"abc"))),
        (feature("Tensor", **ZLIB4), set_list("bytes_list", zlib.compress(bytes(12)))),
        (feature("Tensor", **ZLIB4), set_list("bytes_list", zlib.compress(bytes(20)))),
        (feature("Tensor", **SHAPED), shaped(zlib.compress(bytes(8)), 1, 3)),
        (feature("Tensor", **SHAPED), shaped(zlib.compress(bytes(8)), -1, -2)),
        (feature("Tensor", **tensor("int32", -1, -1, encoding="bytes")), shaped(bytes(8), -1, 2)),
        (feature("Tensor", **SHAPED), shaped(zlib.compress(bytes(8)), 2**40, 2**40)),
        (feature("Tensor", **SHAPED), shaped(zlib.compress(bytes(8)), 2)),
        (feature("Tensor", **SHAPED), set_list("bytes_list", zlib.compress(bytes(8)), key="x/value")),
    ],
)  # fmt: skip
def test_a_record_that_does_not_match_its_features_is_an_error_that_names_the_feature(declared, fill):
    with pytest.raises(loader.DecodeError, match="feature 'x'"):
        decode(declared, fill)


@pytest.mark.parametrize("dtype", FLOATS)
def test_a_signalling_nan_decodes_without_a_warning(dtype):
    stored = struct.pack("<II", 0x7F800001, 0xFFA00000)  # not as floats, which Python makes quiet
    declared = feature("Tensor", **tensor(dtype.__name__, 2))
    with warnings.catch_warnings(action="error"):
        found = decode(declared, lambda f: f["x"].float_list.MergeFromString(b"\n\x08" + stored))
    assert found["x"].dtype == dtype
    assert np.isnan(found["x"]).all()


@pytest.mark.parametrize(
    ("declared", "change"),
    [
        ({"shape": {"dimensions": ["4"]}}, None),
        ({"shape": {"dimensions": ["-1", "3"]}}, None),
        ({}, (20, b"\x03\x00")),  # 32-bit floats
        ({}, (22, b"\x00\x00")),  # no channels
        ({}, (34, b"\x05\x00")),  # 5 bits
        ({}, (40, b"\x03\x00\x00\x00")),  # half a sample
        ({}, (12, b"junk")),
        ({}, (0, bytes(100))),
    ],
)
def test_a_wav_file_that_does_not_match_its_feature_is_an_error(declared, change):
    data = bytearray(wav(STEREO, channels=2))
    if change:
        data[change[0] : change[0] + len(change[1])] = change[1]
    audio = {
        "dtype": "int16",
        "fileFormat": "wav",
        "lazyDecode": True,
        "shape": {"dimensions": ["-1", "2"]},
        **declared,
    }
    with pytest.raises(loader.DecodeError, match="feature 'x'"):
        decode(feature("Audio", audio=audio), set_list("bytes_list", bytes(data)))


@pytest.mark.parametrize(
    ("declared", "fill"),
    [
        (feature("Tensor", **ZLIB4), set_list("bytes_list", zlib.compress(bytes(1 << 26)))),
        (feature("Tensor", **SHAPED), shaped(zlib.compress(bytes(1 << 26)), 2, 2)),
    ],
)
def test_decompression_stops_at_the_declared_size(declared, fill):
    tracemalloc.start()
    with pytest.raises(loader.DecodeError, match="feature 'x': the value decompresses to more than 16 bytes"):
        decode(declared, fill)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20


@pytest.mark.slow
def test_a_value_without_a_declared_size_is_decompressed_to_at_most_one_gibibyte():
    compressor = zlib.compressobj(1)
    bomb = b"".join([*(compressor.compress(bytes(1 << 20)) for _ in range(1025)), compressor.flush()])
    with pytest.raises(loader.DecodeError, match="feature 'x': the value decompresses to more than 1,073,741,824 b"):
        decode(feature("Tensor", **tensor("int8", -1, encoding="zlib")), set_list("bytes_list", bomb))


@pytest.mark.parametrize("data", [b"\xff", b"\x0a\x05abc", b"\x0a" * 100])
def test_bytes_that_are_not_an_example_are_an_error(data):
    with pytest.raises(loader.DecodeError, match=r"not a tf\.train\.Example"):
        make_decoder(feature("Text", text={}))(data)


def test_an_error_names_a_nested_feature_by_its_path():
    inner = {"pythonClassName": "tensorflow_datasets.core.features.text_feature.Text", "text": {}}
    outer = feature("FeaturesDict", featuresDict={"features": {"y": inner}})
    with pytest.raises(loader.DecodeError, match="feature 'x/y'"):
        decode(outer, lambda fields: None)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (tensor("int32", -1, -1), "more than one unknown dimension"),
        (tensor("complex64", 2), "needs an encoding"),
        (tensor("string", 2, encoding="zlib"), "strings"),
    ],
)
def test_a_tensor_that_tfds_cannot_write_either_is_unsupported(content, match):
    with pytest.raises(loader.UnsupportedError, match=f"feature 'x': .*{match}"):
        make_decoder(feature("Tensor", **content))


def test_a_float_too_small_for_a_normal_one_is_the_one_that_is_stored():
    stored = np.float32(1e-40)
    example = decode(feature("Tensor", **tensor("float32")), lambda fields: fields["x"].float_list.value.append(stored))
    assert (example["x"], example["x"].dtype) == (stored, np.float32)
    assert example["x"] != 0  # what TensorFlow gives
