"""Values that TFDS would store as others without a word: they are told when the dataset is built, or refused."""

import io
import json
import wave

import numpy as np
import pytest

import loader
from scripts._build.changes import describe_change
from scripts._build.stored import StoredValues
from scripts._process.errors import ScriptError
from scripts._tfds.audio import audio_loss
from scripts._tfds.names import check_class_names, check_split_names
from scripts.build import build
from tests.helpers.buildable_dataset import add_buildable

tfds = pytest.importorskip("tensorflow_datasets")
f = tfds.features
BFLOAT16 = pytest.importorskip("tensorflow").bfloat16
GIF = bytes.fromhex("47494638396101000100800000ff0000ffffff2c00000000010001000002024401003b")
EXACT = 'np.float64, encoding="bytes")'


def changes(feature, *values):
    """What is told of examples with one feature, after TFDS encoded them."""
    features = f.FeaturesDict({"x": feature})
    examples = [{"x": value} for value in values]
    with np.errstate(over="ignore", invalid="ignore"):  # NumPy warns of some of the values in TFDS's code
        encoded = [features.encode_example(each) for each in examples]
    return StoredValues(features).check(examples, encoded)


@pytest.mark.parametrize(
    ("feature", "values", "told"),
    [
        (f.Scalar(np.float64), [0.5, 0.1, 1e300], (1, "0.1", "0.1", 2)),
        (f.Scalar(np.float64), [0.5, 1e300], (1, "1e+300", "inf", 1)),
        (f.Tensor(shape=(2,), dtype=np.float64), [np.array([1.0, 1 / 3])], (0, "0.3333333333333333", "0.33333334", 1)),
        (f.Sequence(np.float64), [[], [1.0, 1e-300]], (1, "1e-300", "0.0", 1)),
        (f.Scalar(np.float32), [0.1, 1e300], (1, "1e+300", "inf", 1)),
        (f.Scalar(np.float32), [1, 16777217], (1, "16777217", "1.6777216e+07", 1)),
        (f.Scalar(np.float32), ["2.5", "1e99"], (1, "1e99", "inf", 1)),
        (f.Scalar(np.float32), [None], (0, "None", "nan", 1)),
        (f.Scalar(np.float16), [70000.0], (0, "70000.0", "inf", 1)),
        (f.Scalar(np.float16), [np.float32(2.5), np.float32(70000)], (1, "70000.0", "inf", 1)),
        (f.Tensor(shape=(2,), dtype=BFLOAT16, encoding="zlib"), [[3e38, 3.4e38], [0, 0]], (0, "3.4e+38", "inf", 1)),
        (f.Tensor(shape=(), dtype=BFLOAT16, encoding="bytes"), [np.float32(3.4e38)], (0, "3.4e+38", "inf", 1)),
        (f.Scalar(np.uint8), [3, 3.7], (1, "3.7", "3", 1)),
        (f.Scalar(np.uint8), [np.int64(300)], (0, "300", "44", 1)),
        (f.Scalar(np.bool_), [True, 5], (1, "5", "True", 1)),
        (f.Sequence(np.uint8), [np.array([1, 256, -1])], (0, "256", "0", 2)),
        (f.Sequence(f.Sequence(np.int32)), [[[1, 2], [3.5]]], (0, "3.5", "3", 1)),
        (f.ClassLabel(num_classes=3), ["1", 1.7], (1, "1.7", "1", 1)),
        (f.Audio(), [np.array([0.5, -0.25])], (0, "0.5", "0", 2)),
        (f.Tensor(shape=(2,), dtype=np.int16, encoding="zlib"), [[1, 2.5]], (0, "2.5", "2", 1)),
        (f.Tensor(shape=(), dtype=np.float64, encoding="bytes"), [2**62 + 1], (0, str(2**62 + 1), f"{2.0**62}", 1)),
        (f.Sequence(np.int8), [[1], [np.float64("nan"), np.float64(2.0)]], (1, "nan", "0", 1)),
        (f.Tensor(shape=(2,), dtype=np.uint8), [[np.array(1.0), np.array(-1.5)]], (0, "-1.5", "255", 1)),
    ],
)
def test_a_value_that_is_stored_as_another_is_told(feature, values, told):
    [change] = changes(feature, *values)
    assert (change.example, change.given, change.stored, change.total) == told


@pytest.mark.parametrize(
    ("feature", "values"),
    [
        (f.Scalar(np.float32), [0.1, float("nan"), float("inf"), 0.0, 16777216, 2**70]),
        (f.Scalar(np.float64), [0.5, float("nan"), -float("inf")]),
        (f.Tensor(shape=(), dtype=np.float64, encoding="bytes"), [1e300, 0.1]),
        (f.Tensor(shape=(), dtype=np.float32, optional=True), [None, 0.1]),
        (f.Tensor(shape=(), dtype=BFLOAT16, encoding="bytes"), [0.1, float("inf"), np.float32(1e38), 3]),
        (f.Scalar(np.uint64), [2**64 - 1, 0]),
        (f.Scalar(np.int64), [-(2**63), True, np.uint8(3)]),
        (f.Scalar(np.bool_), [True, 0, np.True_]),
        (f.Sequence(np.uint8), [np.array([0, 255]), [1, 2], ()]),
        (f.ClassLabel(names=["a", "b"]), ["a", b"b", 1, np.int32(0), -1]),
        (f.BBoxFeature(), [f.BBox(0.1, 0.2, 0.3, 1 / 3)]),
        (f.Text(), ["a", b"\xff"]),
    ],
)
def test_of_other_values_nothing_is_told(feature, values):
    assert changes(feature, *values) == []


def test_nested_features_are_named_by_their_path():
    feature = {"a": f.Sequence({"b": np.int32, "c": f.Sequence(np.float32)})}
    both = changes(feature, {"a": {"b": [1, 2.5], "c": [[], [1e300]]}}, {"a": [{"b": 1.5, "c": []}]})
    assert [(each.feature, each.example, each.total) for each in both] == [("x/a/b", 0, 2), ("x/a/c", 0, 1)]


def test_an_own_class_may_change_a_value_but_what_it_returns_is_stored():
    class Length(f.Tensor):
        def encode_example(self, text):
            return super().encode_example(len(text) / 3)

    [change] = changes(Length(shape=(), dtype=np.float64), "abc", "abcd")
    assert (change.example, change.given) == (1, "1.3333333333333333")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (GIF, "it is a GIF of 35 bytes, which cannot be decoded as an image of shape (None, None, 3)"),
        (b"not an image", "its 12 bytes are b'not an image', which"),
        (b"", "it is empty, which"),
        (bytes.fromhex("ffd8ffe000104a46494600"), "it is a JPEG of 11 bytes, which"),
        (b"x" * 100, f"its 100 bytes begin with b'{'x' * 24}', which"),
    ],
)
def test_what_is_no_image_is_refused(data, message):
    for feature, value in ((f.Image(), io.BytesIO(data)), (f.Sequence(f.Image()), [data]), (f.Video(), [data])):
        with pytest.raises(ValueError) as raised:
            changes(feature, value)
        assert str(raised.value).startswith(f"feature 'x': {message}")


def test_a_damaged_image_or_one_of_another_size_is_refused_and_others_pass():
    import tensorflow as tf

    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    png, jpeg = tf.io.encode_png(pixels).numpy(), tf.io.encode_jpeg(pixels).numpy()
    for good in (png, jpeg, jpeg + b"\0\0", jpeg + b"more", io.BytesIO(png), pixels):
        assert changes(f.Image(shape=(20, None, 3)), good) == []
    flipped = bytearray(png)
    flipped[60] ^= 1
    for bad in (png[:-30], bytes(flipped), jpeg[: len(jpeg) // 2]):
        with pytest.raises(ValueError, match="cannot be decoded"):
            changes(f.Image(), bad)
    for image in (png, jpeg):
        with pytest.raises(ValueError, match="30 x 20 pixels, which cannot be decoded as an image of shape"):
            changes(f.Image(shape=(30, 20, 3)), image)
    assert changes(f.Image(shape=(None, 1, 1, 3)), GIF) == []


def image(kind, dtype=np.uint8, channels=3):
    import tensorflow as tf

    pixels = np.random.default_rng(0).integers(0, 256, (40, 40, channels)).astype(dtype)
    return (tf.io.encode_png if kind == "png" else tf.io.encode_jpeg)(pixels).numpy()


def test_what_an_image_loses_when_it_is_read_is_told():
    deep, alpha = image("png", np.uint16), image("png", channels=4)
    for feature, values, told in (
        (f.Image(), [image("png"), deep, deep], (1, "a PNG of 16 bits", "uint8", 2)),
        (f.Sequence(f.Image(dtype=np.uint8)), [[deep]], (0, "a PNG of 16 bits", "uint8", 1)),
        (f.Video(), [[deep]], (0, "a PNG of 16 bits", "uint8", 1)),
        (f.Image(), [io.BytesIO(alpha)], (0, "a PNG with an alpha channel", "one of 3", 1)),
        (f.Image(shape=(None, None, 1)), [image("png")], (0, "a colour PNG", "grey", 1)),
        (f.Image(shape=(40, 40, 1)), [image("jpeg")], (0, "a colour JPEG", "grey", 1)),
    ):
        [change] = changes(feature, *values)
        assert (change.example, change.given, change.stored, change.total) == told
        assert "1 value is not read as given, first a" in describe_change("k", change._replace(total=1))
    for feature, value in (
        (f.Image(dtype=np.uint16), deep),
        (f.Image(shape=(None, None, 4)), alpha),
        (f.Image(shape=(None, None, 1)), image("png", channels=1)),
        (f.Image(shape=(None, None, 1)), image("jpeg", channels=1)),
        (f.Image(shape=(4, 4, 1), dtype=np.float32), np.zeros((4, 4, 1), np.float32)),
    ):
        assert changes(feature, value) == []


def test_a_jpeg_with_a_damaged_block_is_told_or_refused():
    good = image("jpeg")
    middle = len(good) // 2

    def damaged(block):
        return good[:middle] + block + good[middle + len(block) :]

    for block in (bytes(64), b"\xff\xd9"):
        [change] = changes(f.Image(), good, damaged(block))
        assert (change.example, change.total) == (1, 1)
        assert change.given.startswith("a damaged JPEG (")
    with pytest.raises(ValueError, match="cannot be decoded"):  # TensorFlow does not either
        changes(f.Image(), damaged(b"\xff\x5b"))


def wav(bits, channels=1, *, extra=b""):
    data = io.BytesIO()
    with wave.open(data, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(bits // 8)
        file.setframerate(8000)
        file.writeframes(np.arange(4 * channels, dtype=np.int64).tobytes()[: 4 * channels * bits // 8])
    text = data.getvalue()
    return text[:12] + extra + text[12:]


@pytest.mark.filterwarnings("ignore:'audioop':DeprecationWarning")
def test_what_an_audio_file_loses_is_told(tmp_path):
    path = tmp_path / "deep.wav"
    path.write_bytes(wav(24, extra=b"LIST\x04\0\0\0abcd"))
    for feature, values, told in (
        (f.Audio(dtype=np.int16), [io.BytesIO(wav(16)), path, path], (1, "a WAV file of 24 bits", "int16", 2)),
        (f.Audio(dtype=np.int16, lazy_decode=True), [io.BytesIO(wav(24))], (0, "a WAV file of 24 bits", "int16", 1)),
        (f.Sequence(f.Audio(dtype=np.uint8)), [[], [str(path)]], (1, "a WAV file of 24 bits", "uint8", 1)),
        (f.Audio(dtype=np.float32), [io.BytesIO(wav(32))], (0, "a WAV file of 32 bits", "float32", 1)),
        (f.Audio(), [io.BytesIO(wav(16, 2))], (0, "a WAV file of 2 channels", "1", 1)),
    ):
        [change] = changes(feature, *values)
        assert (change.example, change.given, change.stored, change.total) == told
    for feature, value in (
        (f.Audio(), path),
        (f.Audio(dtype=np.float32), path),
        (f.Sequence(f.Audio(dtype=np.float32)), [str(path), path, io.BytesIO(wav(16))]),
        (f.Audio(shape=(None, 2), dtype=np.int16), io.BytesIO(wav(16, 2))),
        (f.Audio(dtype=np.int16), np.array([1, 2], np.int16)),
    ):
        assert changes(feature, value) == []
    flac = b"fLaC\0\0\0\x22" + bytes(10) + (44100 << 12 | 1 << 9 | 23 << 4).to_bytes(4, "big") + bytes(20)
    assert audio_loss(io.BytesIO(flac), f.Audio(dtype=np.int16))[:2] == ("a FLAC file of 24 bits", "int16")


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (["", "a"], "class 0 of the feature 'x' is called '', which is empty"),
        (["a", "  "], "class 1 .* has nothing but white space"),
        (["a", "b "], "begins or ends with white space"),
        (["a\nb", "c"], "has more than one line"),
        (["a\rb", "c"], "has more than one line"),
        (["a", "\ud800"], "half of a surrogate pair"),
        ([1, 2], "is no string"),
    ],
)
def test_class_names_that_their_file_cannot_keep_are_refused(names, problem):
    for feature in (f.ClassLabel(names=names), f.Sequence(f.ClassLabel(names=names)), f.LabeledImage(labels=names)):
        with pytest.raises(ScriptError, match=f"^tiny: .*{problem}"):
            check_class_names(f.FeaturesDict({"x": feature}), "tiny")


def test_features_whose_class_names_have_one_file_are_refused(tmp_path):
    one, other = f.ClassLabel(names=["a", "b"]), f.ClassLabel(names=["c", "d"])
    features = f.FeaturesDict({"x-y": one, "x": {"y": other}})
    with pytest.raises(ScriptError, match=r"'x-y' and 'x/y' have different class names, .* x-y\.labels\.txt"):
        check_class_names(features, "tiny")
    check_class_names(f.FeaturesDict({"x/y": one, "x": {"z": other}, "n": f.ClassLabel(num_classes=2)}), "tiny")


def test_split_names_that_no_split_string_has_are_refused():
    check_split_names(["train", "train-2013", "train.v2", "_all", "TRAIN", "1", "dev clean", tfds.Split.TEST], "tiny")
    for name in ("train[x", "a+b", "a]", "", " ", "a ", "a\tb", "a\nb", "a/b", "{SPLIT}"):
        with pytest.raises(ScriptError, match=r"^tiny: the split .* could not be read"):
            check_split_names(["train", name], "tiny")


BUILDER = """
import numpy as np
import tensorflow_datasets as tfds


class Pair(tfds.features.Tensor):
    "A tensor of two values."


class RunLengths(tfds.features.Tensor):
    def __init__(self, **options):
        super().__init__(shape=(), dtype=np.object_)

    def encode_example(self, mask):
        return super().encode_example(" ".join(map(str, mask.ravel())))


class Word(tfds.features.FeatureConnector):
    def get_tensor_info(self):
        return tfds.features.TensorInfo(shape=(), dtype=np.object_)

    def encode_example(self, words):
        return words[0]

    def to_json_content(self):
        return {}

    @classmethod
    def from_json_content(cls, value):
        return cls()


class Doubled(tfds.features.Tensor):
    def decode_example(self, value):
        return super().decode_example(value) * 2


class Tiny(tfds.core.GeneratorBasedBuilder):
    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = {
            "cut": np.float64,
            "exact": tfds.features.Tensor(shape=(), dtype=np.float64, encoding="bytes"),
            "many": tfds.features.Sequence(np.uint8),
            # OWN
        }
        metadata = tfds.core.MetadataDict({"rate": 8000})
        features = tfds.features.FeaturesDict(features)
        return tfds.core.DatasetInfo(builder=self, features=features, metadata=metadata)

    def _split_generators(self, dl_manager):
        return {"dev clean": self._generate_examples(1000), "train.v2": self._generate_examples(3)}

    def _generate_examples(self, count):
        for number in range(count):
            value = 1e300 if number == 700 else number / 2
            example = {"cut": value, "exact": value, "many": np.array([number])}
            yield f"key {number}", {**example, **self.own()}

    def own(self):
        return dict()
"""
OWN = {
    "            # OWN\n": """
            "pair": Pair(shape=(2,), dtype=np.float32),
            "runs": tfds.features.Sequence({"of": RunLengths()}),
            "word": Word(),
""",
    "        return dict()\n": """
        runs = [{"of": np.eye(2, dtype=np.uint8)}]
        return {"pair": [1.0, 2.0], "runs": runs, "word": ["first", "second"]}
""",
}


def define(clone, changes):
    text = BUILDER
    for before, after in changes.items():
        text = text.replace(before, after)
    add_buildable(clone.root, builder=text)


def test_a_build_tells_once_per_feature_with_the_first_key_and_the_number_of_values(clone):
    define(clone, {})
    told = [line for line in clone.scripts("build", "tiny").splitlines() if "stored as given" in line]
    assert len(told) == 2
    assert told[0].startswith("tiny: feature 'cut': 1 value is not stored as given, first 1e+300 as inf in the example")
    assert "with key 'key 700'; TFDS stores float64 as float32" in told[0]
    assert told[0].endswith(f"declare tfds.features.Tensor(shape=(), dtype={EXACT}")
    assert (
        "feature 'many': 744 values are not stored as given, first 256 as 0 in the example with key 'key 256'"
        in told[1]
    )
    info, ds = loader.load("tiny", repo=clone.root)
    assert info.metadata == {"rate": 8000}
    assert {name: len(split) for name, split in ds.items()} == {"dev clean": 1000, "train.v2": 3}
    for name, split in ds.items():
        assert len(loader.load("tiny", name, repo=clone.root)[1]) == len(split)
    assert max(float(example["exact"]) for example in ds["dev clean"]) == 1e300


@pytest.mark.slow
def test_own_feature_classes_that_only_encode_are_read_without_them(clone):
    define(clone, OWN)
    build("tiny", root=clone.root)
    read = "import loader; print(loader.load('tiny', 'train.v2')[1][0])"
    shown = clone.python(read)
    assert "'pair': array([1., 2.], dtype=float32)" in shown
    assert "'word': b'first'" in shown
    assert "b'1 0 0 1'" in shown
    document = json.loads((clone.root / "artifacts/tiny.json").read_text())["artifacts"]["tiny.tar"]["features"]
    assert "_dataset_builder" not in json.dumps(document)

    path = clone.root / "datasets/standard/tiny/tiny.py"
    path.write_text(path.read_text().replace('"pair": Pair(', '"pair": Doubled('))
    build("tiny", root=clone.root)
    assert_the_advice_of_the_error_works(clone, read, "tiny_dataset_builder.Doubled", "tiny/tiny.py")

    # in a helper file
    builder = path.read_text()
    start, stop = builder.index("class Doubled"), builder.index("class Tiny")
    head = builder[: builder.index("\nclass ")]
    (path.parent / "connectors.py").write_text(head + "\n\n" + builder[start:stop])
    path.write_text(builder[:start] + "from .connectors import Doubled\n\n\n" + builder[stop:])
    build("tiny", root=clone.root)
    assert_the_advice_of_the_error_works(clone, read, "dataset_folders.tiny.connectors.Doubled", "tiny/connectors.py")


def assert_the_advice_of_the_error_works(clone, read, class_name, file):
    failed = clone.python(read, check=False)
    assert f"feature 'pair' is a {class_name}, which only TFDS can decode" in failed
    assert f"datasets/*/{file} of the repository; import that file first" in failed
    advice = failed.partition("as with: ")[2].splitlines()[0].replace("<repository>", str(clone.root))
    assert "'pair': array([2., 4.], dtype=float32)" in clone.python(f"import sys; {advice}; {read}")
