"""Every supported feature decodes to what `tfds.as_numpy` gives: type, dtype, shape, value."""

import json

import numpy as np
import pytest

import loader
from loader._decode import make_decoder
from loader._example import Example
from loader._features import parse_features

RNG = np.random.default_rng(0)


def image(*shape, dtype=np.uint8):
    return RNG.integers(0, np.iinfo(dtype).max, size=shape, dtype=dtype, endpoint=True)


def smooth(height, width, channels):
    """An image that JPEG keeps well, but for some hard edges: gradients that wrap around."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([(x + y * (c + 1)) % 256 for c in range(channels)], axis=-1).astype(np.uint8)


# name -> (the feature, given tfds.features; values to write)
EXACT = {
    "bool": (lambda f: f.Scalar(np.bool_), [True, False]),
    **{
        f"{dtype.__name__} scalar": (
            lambda f, dtype=dtype: f.Scalar(dtype),
            [np.iinfo(dtype).min, 0, np.iinfo(dtype).max],
        )
        for dtype in (np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64)
    },
    "float32 scalar": (lambda f: f.Scalar(np.float32), [0.1, -np.inf, 3.4e38]),
    "float64 scalar": (lambda f: f.Scalar(np.float64), [0.1, 1e30]),
    "string scalar": (lambda f: f.Scalar(np.str_), ["", "ü"]),
    "text": (lambda f: f.Text(), ["", "a", "größer", "\0x"]),
    "label": (lambda f: f.ClassLabel(num_classes=3), [0, 2]),
    "named label": (lambda f: f.ClassLabel(names=["a b", "ü", "c"]), ["ü", "c"]),
    "int32 tensor": (lambda f: f.Tensor(shape=(2, 3), dtype=np.int32), [np.arange(6, dtype=np.int32).reshape(2, 3)]),
    "uint64 tensor": (lambda f: f.Tensor(shape=(2,), dtype=np.uint64), [np.array([0, 2**64 - 1], np.uint64)]),
    "bool tensor": (lambda f: f.Tensor(shape=(2,), dtype=np.bool_), [np.array([True, False])]),
    "float32 tensor": (lambda f: f.Tensor(shape=(None, 2), dtype=np.float32), [image(3, 2).astype(np.float32)]),
    "empty tensor": (lambda f: f.Tensor(shape=(None,), dtype=np.int64), [np.zeros(0, np.int64)]),
    "float64 tensor": (lambda f: f.Tensor(shape=(2,), dtype=np.float64), [np.array([0.1, 2.0])]),
    "string tensor": (lambda f: f.Tensor(shape=(2,), dtype=np.str_), [np.array(["a", "ü"], dtype=object)]),
    "bytes tensor": (
        lambda f: f.Tensor(shape=(None, 2), dtype=np.int16, encoding="bytes"),
        [np.arange(6, dtype=np.int16).reshape(3, 2)],
    ),
    "zlib tensor": (lambda f: f.Tensor(shape=(4,), dtype=np.float64, encoding="zlib"), [np.linspace(0, 1, 4)]),
    "zlib tensor of unknown shape": (
        lambda f: f.Tensor(shape=(None, None, 2), dtype=np.uint16, encoding="zlib"),
        [image(3, 4, 2, dtype=np.uint16), image(1, 1, 2, dtype=np.uint16)],
    ),
    "uint64 bytes tensor": (
        lambda f: f.Tensor(shape=(2,), dtype=np.uint64, encoding="bytes"),
        [np.array([1, 2**64 - 1], np.uint64)],
    ),
    "audio": (lambda f: f.Audio(sample_rate=8000), [np.array([1, -1, 32767], np.int64)]),
    "int16 audio": (lambda f: f.Audio(dtype=np.int16), [np.array([1, -1, 32767], np.int16)]),
    "stereo audio": (lambda f: f.Audio(shape=(None, 2)), [np.arange(6, dtype=np.int64).reshape(3, 2)]),
    "grey PNG": (lambda f: f.Image(shape=(5, 4, 1)), [image(5, 4, 1)]),
    "grey PNG of unknown size": (lambda f: f.Image(shape=(None, None, 1)), [image(5, 4, 1), image(1, 1, 1)]),
    "RGB PNG": (lambda f: f.Image(shape=(None, None, 3)), [image(5, 4, 3)]),
    "RGBA PNG": (lambda f: f.Image(shape=(5, 4, 4)), [image(5, 4, 4)]),
    "16-bit grey PNG": (lambda f: f.Image(shape=(5, 4, 1), dtype=np.uint16), [image(5, 4, 1, dtype=np.uint16)]),
    "16-bit RGB PNG": (lambda f: f.Image(shape=(5, 4, 3), dtype=np.uint16), [image(5, 4, 3, dtype=np.uint16)]),
    "16-bit RGBA PNG": (lambda f: f.Image(shape=(5, 4, 4), dtype=np.uint16), [image(5, 4, 4, dtype=np.uint16)]),
    "float32 image": (
        lambda f: f.Image(shape=(5, 4, 1), dtype=np.float32),
        [RNG.normal(size=(5, 4, 1)).astype(np.float32)],
    ),
    "dict": (
        lambda f: {"a": np.int64, "b": {"c": f.Text(), "d": f.ClassLabel(names=["x", "y"])}},
        [{"a": 1, "b": {"c": "t", "d": "y"}}],
    ),
}

# JPEG decoders differ by rounding: the tolerance that the loader states
JPEG = {
    "grey JPEG": (lambda f: f.Image(shape=(None, None, 1), encoding_format="jpeg"), [smooth(37, 29, 1)]),
    "RGB JPEG": (lambda f: f.Image(encoding_format="jpeg"), [smooth(37, 29, 3), smooth(224, 224, 3)]),
}
JPEG_MOST, JPEG_MEAN = 16, 1.5


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Both readers over one dataset that TFDS writes, with all features side by side."""
    tfds = pytest.importorskip("tensorflow_datasets")
    cases = {**EXACT, **JPEG}
    features = tfds.features.FeaturesDict({name: make(tfds.features) for name, (make, _) in cases.items()})
    count = max(len(values) for _, values in cases.values())
    examples = [{name: values[i % len(values)] for name, (_, values) in cases.items()} for i in range(count)]
    folder = tmp_path_factory.mktemp("features")

    class Features(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            return tfds.core.DatasetInfo(builder=self, features=features, disable_shuffling=True)

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples()}

        def _generate_examples(self):
            yield from enumerate(examples)

    builder = Features(data_dir=str(folder), file_format="tfrecord")
    builder.download_and_prepare()
    _, ours = loader.from_directory(builder.data_dir, split="train")
    theirs = list(tfds.as_numpy(tfds.builder_from_directory(builder.data_dir).as_dataset(split="train")))
    assert len(theirs) == count
    return list(ours), theirs


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", EXACT)
def test_it_decodes_to_the_same_value(written, name):
    for ours, theirs in zip(*written, strict=True):
        assert_same(ours[name], theirs[name])


def assert_same(ours, theirs):
    if isinstance(theirs, dict):
        assert ours.keys() == theirs.keys()
        for key in theirs:
            assert_same(ours[key], theirs[key])
        return
    assert type(ours) is type(theirs)
    np.testing.assert_array_equal(ours, theirs, strict=True)
    if isinstance(theirs, np.ndarray):
        assert ours.flags.writeable == theirs.flags.writeable


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", JPEG)
def test_jpeg_decodes_to_within_the_tolerance(written, name):
    for ours, theirs in zip(*written, strict=True):
        assert ours[name].dtype == theirs[name].dtype
        assert ours[name].shape == theirs[name].shape
        difference = np.abs(ours[name].astype(int) - theirs[name].astype(int))
        assert difference.max() <= JPEG_MOST
        assert difference.mean() <= JPEG_MEAN


def feature(connector, **content):
    document = {
        "pythonClassName": "x.FeaturesDict",
        "featuresDict": {"features": {"x": {"pythonClassName": f"tensorflow_datasets.{connector}", **content}}},
    }
    return parse_features(json.loads(json.dumps(document)), _no_file)


def _no_file(name):
    raise FileNotFoundError(name)


@pytest.mark.parametrize("connector", ["Video", "Sequence", "Dataset", "BBoxFeature", "NoSuchThing"])
def test_an_unknown_feature_is_named(connector):
    with pytest.raises(loader.UnsupportedError, match=f"feature x is a {connector}"):
        feature(connector)


IMAGE = {"image": {"dtype": "uint8", "shape": {"dimensions": ["2", "2", "1"]}}}


@pytest.mark.parametrize(
    ("declared", "fill"),
    [
        (feature("Text", text={}), lambda f: None),
        (feature("Text", text={}), lambda f: f["x"].bytes_list.value.extend([b"a", b"b"])),
        (feature("Text", text={}), lambda f: f["x"].int64_list.value.append(1)),
        (feature("Image", **IMAGE), lambda f: f["x"].bytes_list.value.append(b"")),
        (feature("Image", **IMAGE), lambda f: f["x"].bytes_list.value.append(b"no image")),
        (feature("ClassLabel", classLabel={"numClasses": "2"}), lambda f: f["x"].float_list.value.append(1.0)),
        (
            feature("Tensor", tensor={"dtype": "uint8", "shape": {"dimensions": ["3"]}}),
            lambda f: f["x"].int64_list.value.extend([1, 2]),
        ),
        (
            feature("Tensor", tensor={"dtype": "int16", "encoding": "bytes", "shape": {"dimensions": ["-1"]}}),
            lambda f: f["x"].bytes_list.value.append(b"odd"),
        ),
        (
            feature("Tensor", tensor={"dtype": "int16", "encoding": "zlib", "shape": {"dimensions": ["-1"]}}),
            lambda f: f["x"].bytes_list.value.append(b"not zlib"),
        ),
    ],
)
def test_a_record_that_does_not_hold_what_is_declared_is_an_error_that_names_the_feature(declared, fill):
    message = Example()
    fill(message.features.feature)
    with pytest.raises(loader.DecodeError, match="feature 'x'"):
        make_decoder(declared)(message.SerializeToString())


@pytest.mark.parametrize("data", [b"\xff", b"\x0a\x05abc", b"\x0a" * 100])
def test_bytes_that_are_no_example_are_an_error(data):
    with pytest.raises(loader.DecodeError, match=r"no tf\.train\.Example"):
        make_decoder(feature("Text", text={}))(data)
