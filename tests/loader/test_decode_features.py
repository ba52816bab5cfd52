"""`features.json` is parsed in every form that TFDS reads; any other content is a DecodeError or UnsupportedError."""

import json

import numpy as np
import pytest

import loader
from loader._features.connectors import (
    Audio,
    BBoxFeature,
    ClassLabel,
    Dataset,
    FeaturesDict,
    Image,
    LabeledImage,
    Sequence,
    Tensor,
    Text,
    TfdsFeature,
    Translation,
    TranslationVariableLanguages,
    Video,
)
from loader._features.parse import parse_features
from tests.helpers.parity import CORE, document, feature, features, no_file, tensor

UINT8, INT64 = np.dtype(np.uint8), np.dtype(np.int64)

# the class, the JSON that older versions of TFDS wrote for it, and the feature
OLD = [
    ("tensor_feature.Tensor", {"shape": [None, 3], "dtype": "int64"}, Tensor(shape=(None, 3), dtype=INT64)),
    ("feature.Tensor", {"shape": [], "dtype": "string"}, Tensor(shape=(), dtype=np.dtype(object))),
    (
        "tensor_feature.Tensor",
        {"shape": [2], "dtype": "uint8", "encoding": "zlib", "optional": False},
        Tensor(shape=(2,), dtype=UINT8, encoding="zlib"),
    ),
    ("text_feature.Text", {}, Text()),
    ("class_label_feature.ClassLabel", {"num_classes": 4}, ClassLabel(num_classes=4)),
    ("bounding_boxes.BBoxFeature", {"bbox_format": "XYWH"}, BBoxFeature(bbox_format="XYWH")),
    (
        "image_feature.Image",
        {"shape": [None, None, 3], "dtype": "uint8", "encoding_format": "jpeg", "use_colormap": False},
        Image(shape=(None, None, 3), dtype=UINT8, encoding_format="jpeg"),
    ),
    (
        "labeled_image.LabeledImage",
        {"labels": ["a", "b"], "shape": [2, 2, 1], "encoding_format": None},
        LabeledImage(shape=(2, 2, 1), dtype=UINT8, use_colormap=True, num_classes=2, given_names=("a", "b")),
    ),
    (
        "video_feature.Video",
        {"shape": [None, 4, 5, 3], "encoding_format": "png", "ffmpeg_extra_args": []},
        Video(Image(shape=(4, 5, 3), dtype=UINT8, encoding_format="png")),
    ),
    (
        "audio_feature.Audio",
        {"file_format": "wav", "shape": [None], "dtype": "int64", "sample_rate": 8000, "lazy_decode": True},
        Audio(shape=(None,), dtype=INT64, file_format="wav", sample_rate=8000, lazy_decode=True),
    ),
    ("translation_feature.Translation", {"languages": ["fr", "en"]}, Translation({"en": Text(), "fr": Text()})),
    (
        "translation_feature.TranslationVariableLanguages",
        {"languages": ["fr", "en"]},
        TranslationVariableLanguages(FeaturesDict({"language": Text(), "translation": Text()}), languages=["en", "fr"]),
    ),
    (
        "sequence_feature.Sequence",
        {"feature": {"type": f"{CORE}.text_feature.Text", "content": {}}, "length": 3},
        Sequence(Text(), 3),
    ),
    (
        "dataset_feature.Dataset",
        {"feature": {"type": f"{CORE}.text_feature.Text", "content": {}}, "length": None},
        Dataset(Text()),
    ),
    (
        "features_dict.FeaturesDict",
        {"a": {"type": f"{CORE}.text_feature.Text", "content": {}}},
        FeaturesDict({"a": Text()}),
    ),
]


@pytest.mark.filterwarnings("ignore")  # TensorFlow warns
@pytest.mark.parametrize(("connector", "content", "expected"), OLD)
def test_json_of_older_versions_is_parsed_as_in_tfds(connector, content, expected):
    tfds = pytest.importorskip("tensorflow_datasets")
    for node in (
        {"type": f"{CORE}.{connector}", "content": content},
        {"pythonClassName": f"{CORE}.{connector}", "jsonFeature": {"json": json.dumps(content)}},
    ):
        found = features(x=node)["x"]
        assert type(found) is type(expected)
        assert found == expected
        in_tfds = tfds.features.FeatureConnector.from_json(json.loads(json.dumps(node)))
        if isinstance(found, (Tensor, Image)):
            assert (found.shape, found.dtype) == (in_tfds.shape, in_tfds.np_dtype)


def test_a_message_inside_the_older_form_is_parsed():
    old = {"proto_cls": "tensorflow_datasets.ImageFeature", "type": f"{CORE}.image_feature.Image"}
    content = {"shape": {"dimensions": ["2", "-1", "1"]}, "dtype": "uint16"}
    expected = Image(shape=(2, None, 1), dtype=np.dtype(np.uint16))
    assert features(x={**old, "content": content})["x"] == expected
    assert features(x={**old, "content": json.dumps(content)})["x"] == expected


def test_a_message_may_use_snake_case_names_and_omit_defaults():
    image = {"python_class_name": f"{CORE}.image_feature.Image", "value_range": "0 to 1", "description": "An image."}
    content = {"shape": {}, "dtype": "uint8", "encoding_format": "jpeg"}
    expected = Image(shape=(None, None, 3), dtype=UINT8, encoding_format="jpeg")
    assert features(x={**image, "image": content})["x"] == expected
    assert feature("ClassLabel", classLabel={})["x"] == ClassLabel(num_classes=0)
    assert feature("FeaturesDict", featuresDict={})["x"] == FeaturesDict({})
    text = {"pythonClassName": f"{CORE}.x.Text", "text": {}}
    assert feature("Sequence", sequence={"feature": text})["x"] == Sequence(Text(), 0)


@pytest.mark.parametrize(
    ("connector", "content"),
    [
        ("NoSuchThing", {"text": {}}),
        ("Text", {"jsonFeature": {"json": '{"use_encoder": true}'}}),
        ("Tensor", tensor("float8_e4m3fn", 2, encoding="bytes")),
        ("Tensor", tensor("datetime64", 2)),
        ("Tensor", tensor("V100000000", 2)),
        ("Tensor", tensor("int8", 2, encoding="gzip")),
        ("Image", {"image": {"dtype": "uint8", "shape": {"dimensions": ["-1", "-1", "2"]}}}),
        ("Image", {"image": {"dtype": "uint8", "shape": {"dimensions": ["-1", "-1", "-1", "3"]}}}),
        ("Image", {"image": {"dtype": "int32", "shape": {"dimensions": ["-1", "-1", "3"]}}}),
        ("Image", {"image": {"dtype": "float32", "shape": {"dimensions": ["-1", "-1", "3"]}}}),
        ("Video", {"video": {"dtype": "int32", "shape": {"dimensions": ["-1", "-1", "-1", "3"]}}}),
        ("Audio", {"audio": {"dtype": "int16", "shape": {"dimensions": ["-1"]}, "lazyDecode": True}}),
        ("Audio", {"audio": {"dtype": "int16", "fileFormat": "flac", "lazyDecode": True}}),
    ],
)
def test_a_feature_that_the_loader_cannot_decode_is_left_to_tfds(connector, content):
    found = feature(connector, **content)["x"]
    assert isinstance(found, TfdsFeature)
    assert found.python_class_name == f"{CORE}.x.{connector}"


def files(**content):
    def read_file(name):
        try:
            return content[name.removesuffix(".labels.txt").replace("-", "__")].encode()
        except KeyError:
            raise FileNotFoundError(name) from None

    return read_file


def test_class_names_are_found_at_any_depth():
    label = {"pythonClassName": f"{CORE}.x.ClassLabel", "classLabel": {"numClasses": "2"}}
    labelled = {"dtype": "uint8", "shape": {"dimensions": ["2", "2", "1"]}, "label": {"numClasses": "2"}}
    image = {"pythonClassName": f"{CORE}.x.LabeledImage", "image": labelled}
    inner = {"pythonClassName": f"{CORE}.x.FeaturesDict", "featuresDict": {"features": {"b": label, "i": image}}}
    many = {"pythonClassName": f"{CORE}.x.Sequence", "sequence": {"feature": inner, "length": "-1"}}
    read_file = files(top="x\ny\n", many__b="p\n\n q \n", many__i="m\nn")
    parsed = parse_features(document(top=label, many=many), read_file)
    assert parsed["top"].names == ("x", "y")
    assert parsed["many"]["b"].names == ("p", "q")
    assert parsed["many"]["i"].names == ("m", "n")


def test_class_names_are_only_read_from_the_version_folder():
    requested = []

    def read_file(name):
        requested.append(name)
        raise OSError(name)

    label = {"pythonClassName": f"{CORE}.x.ClassLabel", "classLabel": {"numClasses": "2"}}
    parse_features(document(**{"../../secret": label, "/etc/passwd": label}), read_file)
    assert sorted(requested) == ["......secret.labels.txt", ".etc.passwd.labels.txt"]


def test_a_label_converts_names_to_numbers_and_back():
    named, unnamed = ClassLabel(num_classes=2, given_names=("cat", "dog")), ClassLabel(num_classes=2)
    assert (named.str2int("dog"), named.int2str(1), unnamed.str2int("1"), unnamed.int2str(1)) == (1, "dog", 1, "1")
    for label, name in ((named, "1"), (unnamed, "2"), (unnamed, "dog"), (unnamed, "-1"), (unnamed, "²")):
        with pytest.raises(loader.NotFoundError, match="there is no class"):
            label.str2int(name)
    for label, number in ((named, 2), (named, -1), (unnamed, 2), (unnamed, -1)):
        with pytest.raises(loader.NotFoundError, match="there is no class"):
            label.int2str(number)


def test_the_repr_of_a_feature_shows_its_attributes():
    assert repr(feature("Tensor", **tensor("int8", -1, encoding="zlib"))["x"]) == (
        "Tensor(shape=(None,), dtype=int8, encoding='zlib')"
    )
    assert repr(FeaturesDict({"a": Text(), "b": ClassLabel(num_classes=3, given_names=("x", "y", "z"))})) == (
        "FeaturesDict({'a': Text(shape=(), dtype=string), 'b': ClassLabel(shape=(), dtype=int64, num_classes=3)})"
    )


def nested(depth, connector="FeaturesDict"):
    node = {"pythonClassName": f"{CORE}.x.Text", "text": {}}
    for _ in range(depth):
        content = {"featuresDict": {"features": {"x": node}}}
        if connector != "FeaturesDict":
            content = {"sequence": {"feature": node, "length": "-1"}}
        node = {"pythonClassName": f"{CORE}.x.{connector}", **content}
    return document(x=node)


@pytest.mark.parametrize(
    "json_document",
    [
        None,
        [],
        {},
        {"pythonClassName": 3, "text": {}},
        {"pythonClassName": f"{CORE}.x.FeaturesDict"},
        {"pythonClassName": f"{CORE}.x.FeaturesDict", "featuresDict": []},
        {"pythonClassName": f"{CORE}.x.FeaturesDict", "featuresDict": {}, "text": {}},
        {"type": f"{CORE}.x.FeaturesDict"},
        {"type": f"{CORE}.x.FeaturesDict", "content": "no JSON"},
        document(x=None),
        document(x={"pythonClassName": f"{CORE}.x.Text"}),
        document(x={"pythonClassName": f"{CORE}.x.Sequence", "sequence": {}}),
        document(x={"pythonClassName": f"{CORE}.x.Sequence", "jsonFeature": {"json": "no JSON"}}),
        document(x={"pythonClassName": f"{CORE}.x.ClassLabel", "classLabel": {"numClasses": "many"}}),
        *(
            document(x={"pythonClassName": f"{CORE}.x.Tensor", "tensor": content})
            for content in (
                {},
                {"dtype": 3},
                {"dtype": "int8", "shape": {"dimensions": ["-2"]}},
                {"dtype": "int8", "shape": {"dimensions": [str(2**63)]}},
                {"dtype": "int8", "shape": {"dimensions": ["9" * 5000]}},
                {"dtype": "int8", "shape": {"dimensions": [float("inf")]}},
                {"dtype": "int8", "shape": {"dimensions": 3}},
                {"dtype": "int8", "shape": 3},
                {"dtype": "int8", "encoding": 1},
            )
        ),
        nested(60),
        nested(60, "Sequence"),
        nested(60, "Dataset"),
        nested(20_000),
    ],
)
def test_an_invalid_features_json_is_an_error(json_document):
    with pytest.raises(loader.DecodeError, match=r"features\.json is not valid"):
        parse_features(json_document, no_file)


@pytest.mark.parametrize(
    ("json_document", "match"),
    [
        ({"pythonClassName": "my.Features", "jsonFeature": {"json": "{}"}}, "my.Features"),
        ({"pythonClassName": f"{CORE}.x.Text", "text": {}}, "not dicts"),
        ({"pythonClassName": f"{CORE}.x.Dataset", "sequence": {"feature": document(), "length": "-1"}}, "not dicts"),
    ],
)
def test_a_top_level_that_cannot_be_read_is_unsupported(json_document, match):
    with pytest.raises(loader.UnsupportedError, match=match):
        parse_features(json_document, no_file)


def test_class_numbers_become_names_one_by_one_and_all_at_once():
    label, named = ClassLabel(num_classes=3), ClassLabel(num_classes=2, given_names=("cat", "dog"))
    assert label.names == ("0", "1", "2") and named.names == ("cat", "dog")
    for numbers in ([1, 0], (1, 0), np.array([1, 0])):
        assert named.int2str(numbers) == ["dog", "cat"]
    assert named.int2str(np.int64(1)) == named.int2str(np.array(1)) == "dog"
    assert label.int2str(np.array([[2], [0]])) == [["2"], ["0"]]
    for wrong in ("cat", 1.0, None, b"1"):
        with pytest.raises(loader.ArgumentError, match=r"int2str\(\) takes the number of a class"):
            named.int2str(wrong)
    with pytest.raises(loader.ArgumentError, match=r"str2int\(\) takes the name of a class, not 3"):
        named.str2int(3)
    torch = pytest.importorskip("torch")
    assert named.int2str(torch.tensor(1)) == "dog" and named.int2str(torch.tensor([1])) == ["dog"]
