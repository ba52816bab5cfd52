"""TFDS decodes the features that only it can decode, and no module is imported because a dataset names it."""

import json
import subprocess
import sys

import cv2
import numpy as np
import pytest

import loader
from loader._features.connectors import Image, TfdsFeature
from loader._features.decode import make_decoder
from tests.helpers.parity import CORE, assert_same, decode, document, features, integers, tensor, write_cases

tfds = pytest.importorskip("tensorflow_datasets")
pytestmark = pytest.mark.filterwarnings("ignore")  # TensorFlow warns


class Celsius(tfds.features.FeatureConnector):
    """A custom connector: degrees Celsius, stored in tenths of a kelvin. It is saved as JSON."""

    def __init__(self, unit="C", doc=None):
        super().__init__(doc=doc)
        self.unit = unit

    def get_tensor_info(self):
        return tfds.features.TensorInfo(shape=(), dtype=np.float32)

    def get_serialized_info(self):
        return tfds.features.TensorInfo(shape=(), dtype=np.int64)

    def encode_example(self, value):
        return round((value + 273.15) * 10)

    def decode_example(self, stored):
        import tensorflow as tf

        return tf.cast(stored, tf.float32) / 10 - 273.15

    def to_json_content(self):
        return {"unit": self.unit}


class Pair(tfds.features.FeaturesDict):
    """A custom container."""


def gif():
    animation = cv2.Animation()
    animation.frames = [integers(9, 11, 3) for _ in range(3)]
    animation.durations = [50] * 3
    done, data = cv2.imencodeanimation(".gif", animation)
    assert done
    return data.tobytes()


# name -> (function from tfds.features to the feature, values to write)
CASES = {
    "custom": (lambda f: Celsius("F"), [21.5, -40.0]),
    "custom in a dict": (lambda f: {"a": Celsius(), "b": np.int64}, [{"a": 1.0, "b": 2}]),
    "custom in a sequence": (lambda f: f.Sequence(Celsius()), [[1.0, 2.0], []]),
    "custom in a nested sequence": (lambda f: f.Sequence(f.Sequence(Celsius())), [[[1.0, 2.0], []], []]),
    "custom in a sequence of dicts": (
        lambda f: f.Sequence({"a": Celsius(), "b": f.Text()}),
        [[{"a": 1.0, "b": "x"}], []],
    ),
    "custom in a dataset": (lambda f: f.Dataset({"a": Celsius(), "b": f.Text()}), [[{"a": 1.0, "b": "x"}], []]),
    "custom container": (lambda f: Pair({"a": np.int64, "b": f.Text()}), [{"a": 1, "b": "x"}]),
    "animation": (lambda f: f.Image(shape=(None, None, None, 3)), [gif()]),
    "dataset in a sequence": (lambda f: f.Sequence(f.Dataset({"a": np.int32})), [[[{"a": 1}, {"a": 2}], []]]),
    "text next to them": (lambda f: f.Text(), ["a"]),
}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return write_cases(tmp_path_factory.mktemp("custom"), CASES)


@pytest.mark.parametrize("name", CASES)
def test_a_feature_decodes_to_the_same_value_as_in_tfds(written, name):
    for actual, expected in zip(*written[:2], strict=True):
        assert_same(actual[name], expected[name])


def test_a_feature_left_to_tfds_names_its_class(written):
    described = written[2]
    custom = f"{__name__}.Celsius"
    assert repr(described["custom"]) == f"TfdsFeature(python_class_name={custom!r})"
    assert described["custom in a dict"]["a"].python_class_name == custom
    assert described["custom in a dict"]["b"].dtype == np.int64
    assert described["custom in a sequence of dicts"].python_class_name == custom
    assert described["custom container"].python_class_name == f"{__name__}.Pair"
    assert described["animation"].python_class_name == f"{CORE}.image_feature.Image"
    assert not isinstance(described["text next to them"], TfdsFeature)


def test_a_class_with_the_name_of_a_tfds_class_in_another_module_is_left_to_tfds():
    custom = {
        "pythonClassName": f"{__name__}.Image",
        "image": {"dtype": "uint8", "shape": {"dimensions": ["2", "2", "3"]}},
    }
    assert isinstance(features(x=custom)["x"], TfdsFeature)
    assert isinstance(features(x={**custom, "pythonClassName": f"{CORE}.image_feature.Image"})["x"], Image)


def custom(name, content=None):
    return {"pythonClassName": name, "jsonFeature": {"json": json.dumps(content or {})}}


def in_sequence(child):
    """A Sequence of `child` as older versions wrote it, inside the current message."""
    return custom(f"{CORE}.sequence_feature.Sequence", {"feature": child, "length": None})


@pytest.mark.parametrize(
    "node",
    [
        custom("evil_connector.Feature"),
        {"pythonClassName": "evil_connector.Feature", "tensor": tensor("int32")["tensor"]},
        {"python_class_name": "evil_connector.Feature", "text": {}},
        {"type": "evil_connector.Feature", "content": {}},
        {"type": "evil_connector.Feature", "content": "{}", "proto_cls": "tensorflow_datasets.TextFeature"},
        in_sequence({"type": "evil_connector.Feature", "content": {}}),
        in_sequence(custom("evil_connector.Feature")),
        in_sequence(in_sequence({"type": "evil_connector.Feature", "content": {}})),
        custom("tensorflow_datasets.evil_connector.Feature"),
    ],
)
def test_no_module_is_imported_because_a_dataset_names_it(tmp_path, monkeypatch, node):
    (tmp_path / "evil_connector.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'w')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(loader.UnsupportedError, match=r"feature 'x' is .*evil_connector.Feature.*import the module"):
        make_decoder(features(x=node))
    assert not (tmp_path / "imported").exists()
    assert "evil_connector" not in sys.modules


@pytest.mark.parametrize(
    "node",
    [
        custom(f"{__name__}.Celsius", {"no": "such argument"}),
        custom(f"{__name__}.Celsius", ["no", "dict"]),
        custom(f"{__name__}.Celsius", {"shape": "no", "dtype": ["shape"]}),
        {"pythonClassName": f"{CORE}.audio_feature.Audio", "audio": {"dtype": "int16", "encoding": "gzip"}},
    ],
)
def test_a_feature_that_tfds_refuses_is_unsupported(node):
    with pytest.raises(loader.UnsupportedError, match=r"feature 'x' is a .*, and TFDS refuses it"):
        make_decoder(features(x=node))


def test_a_value_that_tfds_cannot_decode_is_an_error_that_names_the_feature():
    declared = features(x={"pythonClassName": f"{__name__}.Celsius", "jsonFeature": {"json": "{}"}})
    with pytest.raises(loader.DecodeError, match="feature 'x': TFDS cannot decode it"):
        decode(declared, lambda fields: fields["x"].bytes_list.value.append(b"no number"))


@pytest.mark.parametrize("missing", ["tensorflow_datasets", "tensorflow"])
def test_without_tfds_the_error_says_what_to_install(missing):
    code = f"""
import sys
sys.modules["{missing}"] = None  # as if it were not installed
import loader
from loader._features.decode import make_decoder
from loader._features.parse import parse_features

parsed = parse_features({document(x=custom("my.Feature"), y={"pythonClassName": f"{CORE}.x.Text", "text": {}})}, open)
print(parsed["x"], any(sys.modules.get(name) for name in ("tensorflow", "tensorflow_datasets")))
try:
    make_decoder(parsed)
except loader.UnsupportedError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    described, error = done.stdout.splitlines()
    assert described == "TfdsFeature(python_class_name='my.Feature') False"
    assert error == (
        "feature 'x' is a my.Feature, which only TFDS can decode; "
        "install it with: pip install tensorflow-datasets tensorflow"
    )


def test_creating_a_decoder_does_not_import_tensorflow():
    code = f"""
import sys
from loader._features.decode import make_decoder
from loader._features.parse import parse_features

image = {{"dtype": "uint8", "shape": {{"dimensions": ["-1", "-1", "-1", "3"]}}}}
document = {document()}
document["featuresDict"]["features"]["x"] = {{"pythonClassName": "{CORE}.image_feature.Image", "image": image}}
decode = make_decoder(parse_features(document, open))
print("tensorflow" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
