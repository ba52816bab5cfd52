"""The reported differences between two artifacts that should be the same."""

import hashlib
import json

import cv2
import numpy as np
import pytest

from loader._format.artifact import LocalArtifact
from loader._format.example import Example
from loader._format.manifest import Manifest
from scripts._build.package import pack
from scripts._build.prepare import Prepared
from scripts._tfds.shards import ShardWriter
from scripts._verify.compare import MAX_RECORDS, compare
from tests.helpers.recorded_dataset import FEATURES, NAME, VERSION, example


def encode(values, *, deterministic=True):
    """An example as a record; its fields have the given order unless the bytes are to be deterministic."""
    if not deterministic:
        parts = [encode({name: value}) for name, value in values.items()]
        # concatenated messages are one message with the fields of all
        return b"".join(parts)
    message = Example()
    for name, value in values.items():
        feature = message.features.feature[name]
        if isinstance(value, bytes):
            feature.bytes_list.value.append(value)
        elif isinstance(value, np.ndarray):
            feature.bytes_list.value.append(value.tobytes())
        elif isinstance(value, float):
            feature.float_list.value.append(value)
        else:
            feature.int64_list.value.append(int(value))
    return bytes(message.SerializeToString(deterministic=True))


class Maker:
    """Creates artifacts of few records."""

    def __init__(self, folder):
        self._folder = folder
        self._made = 0

    def __call__(self, splits=None, *, features=FEATURES, files=None, keys=None):
        """Write an artifact with records (by split), features, and further metadata files (by name)."""
        self._made += 1
        scratch = self._folder / str(self._made)
        folder = scratch / "data" / NAME / VERSION
        folder.mkdir(parents=True)
        (scratch / "rows").mkdir()
        described = []
        for split, records in (splits or records_of(train=20, test=5)).items():
            shard = f"{NAME}-{split}.tfrecord-00000-of-00001"
            numbers = (keys or {}).get(split, range(len(records)))
            ShardWriter(scratch / "rows", {}).write_records(folder / shard, zip(numbers, records, strict=True))
            described.append({"name": split, "shardLengths": [str(len(records))], "numBytes": "1"})
        info = {"name": NAME, "version": VERSION, "splits": described}
        (folder / "dataset_info.json").write_text(json.dumps(info))
        (folder / "features.json").write_text(json.dumps(features))
        for name, content in (files or {}).items():
            (folder / name).write_text(content)
        tar = scratch / "small.tar"
        packed = pack(Prepared(scratch / "data", folder, scratch / "rows", None, None, ()), tar, scratch=scratch)
        assert packed.entry.sha256 == hashlib.sha256(tar.read_bytes()).hexdigest()
        return LocalArtifact(tar, Manifest("small.json", NAME, VERSION, (packed.entry,), None, {}), packed.entry)


def records_of(**counts):
    return {split: [encode(example(split, number)) for number in range(count)] for split, count in counts.items()}


def changed(number, split="train", **values):
    """The records of both splits, one of them with other values."""
    records = records_of(train=20, test=5)
    records[split][number] = encode(example(split, number) | values)
    return records


@pytest.fixture
def make(tmp_path):
    return Maker(tmp_path)


def test_artifacts_of_the_same_bytes_have_no_difference(make):
    assert compare(make(), make()) == []


def test_a_changed_value_is_reported_with_split_record_feature_and_both_values(make):
    lines = compare(make(), make(changed(7, label=2)))
    assert lines == [
        "member small/1.0.0/small-train.tfrecord-00000-of-00001 differs: 1,574 and 1,574 bytes",
        "split train: 1 of 20 records differ, in label (1)",
        "  record 7: label 1 and 2",
    ]


def test_a_change_in_the_second_split_is_counted_from_its_own_first_record(make):
    lines = compare(make(), make(changed(0, split="test", text=b"other")))
    assert lines[1:] == [
        "split test: 1 of 5 records differ, in text (1)",
        "  record 0: text b'test 0' and b'other'",
    ]


def test_every_changed_feature_is_reported(make):
    lines = compare(make(), make(changed(3, label=1, text=b"new")))
    assert lines[-1] == "  record 3: label 0 and 1; text b'train 3' and b'new'"


def test_another_shape_of_an_array_is_reported(make):
    lines = compare(make(), make(changed(3, samples=np.arange(100, dtype=np.int16))))
    assert lines[-1] == "  record 3: samples has the shape (3,) and (100,)"


def test_a_changed_array_is_reported_with_the_number_position_and_size_of_the_changes(make):
    before = example("train", 7)["samples"]
    after = before + np.array([0, 0, 5, 0, 0, -9, 0], np.int16)
    lines = compare(make(), make(changed(7, samples=after)))
    assert lines[-1] == "  record 7: samples 2 of 7 elements, first [2]: 9 and 14, at most by 9"


def test_of_a_long_text_only_the_changed_part_is_shown(make):
    long = bytes(range(65, 91)) * 10
    left = make(changed(3, text=long))
    right = make(changed(3, text=long[:150] + b"*" + long[151:200]))
    assert compare(left, right)[-1] == (
        "  record 3: text from byte 150 on, of 260 and 200: "
        "...b'KLMNOPQRSTUVWXYZABCDEFGHIJKLMNOPQRSTUVWX' and ...b'KLMNOPQRST*VWXYZABCDEFGHIJKLMNOPQRSTUVWX'"
    )


def test_of_many_records_only_the_first_are_listed(make):
    records = records_of(train=20, test=5)
    for number in range(4, 20):
        records["train"][number] = encode(example("train", number) | {"text": b"x"})
    lines = compare(make(), make(records))
    assert lines[1] == "split train: 16 of 20 records differ, in text (16)"
    assert [line.split()[1] for line in lines[2:]] == ["4:", "5:", "6:"]
    assert len(lines) == 2 + MAX_RECORDS


def test_differences_in_both_splits_are_reported(make):
    records = changed(2, label=0)
    records["test"][4] = encode(example("test", 4) | {"text": b"x"})
    lines = compare(make(), make(records))
    assert "split train: 1 of 20 records differ, in label (1)" in lines
    assert "split test: 1 of 5 records differ, in text (1)" in lines


@pytest.mark.parametrize(
    ("count", "where"), [(19, "20 records are only in the recorded artifact"), (21, "21 records are only in the fresh")]
)
def test_another_number_of_records_is_reported_with_the_records(make, count, where):
    lines = compare(make(), make(records_of(train=count, test=5)))
    first = lines.index(f"split train has 20 records, the fresh build {count}")
    assert lines[first + 1].startswith(f"split train: 1 of {where}")
    number = max(20, count) - 1
    assert lines[first + 2].startswith(f"  record {number}: label {number % 3}, samples array([")
    assert lines[first + 2].endswith(f"text b'train {number}'")
    assert len(lines) == first + 3


def test_records_are_matched_by_their_keys_and_not_by_their_positions(make):
    """One record is lost and one has changed; those after the lost one do not count as different."""
    records = changed(15, text=b"new")
    del records["train"][4]
    lines = compare(make(), make(records, keys={"train": [n for n in range(20) if n != 4]}))
    assert "split train: 1 of 20 records are only in the recorded artifact" in lines
    assert lines[-2:] == [
        "split train: 1 of 20 records differ, in text (1)",
        "  record 15 (14 in the fresh build): text b'train 15' and b'new'",
    ]


def test_another_order_of_the_same_records_is_reported(make):
    order = [*range(8), *reversed(range(8, 20))]
    records = records_of(train=20, test=5)
    records["train"] = [records["train"][n] for n in order]
    lines = compare(make(), make(records, keys={"train": order}))
    assert lines[1:] == ["split train: the records are in another order from record 8 on"]


def test_a_split_that_only_one_artifact_has_is_reported(make):
    both, one = make(), make(records_of(train=20))
    assert "split test has 5 records, the fresh build 0" in compare(both, one)
    assert "split test has 0 records, the fresh build 5" in compare(one, both)


def test_a_member_that_only_one_artifact_has_is_reported(make):
    without, with_it = make(), make(files={"label.labels.txt": "zero\none\ntwo\n"})
    assert compare(without, with_it) == ["member small/1.0.0/label.labels.txt is only in the fresh build"]
    assert compare(with_it, without) == ["member small/1.0.0/label.labels.txt is only in the recorded artifact"]


def test_a_changed_metadata_file_is_reported(make):
    lines = compare(make(files={"notes.txt": "one"}), make(files={"notes.txt": "three"}))
    assert lines == ["member small/1.0.0/notes.txt differs: 3 and 5 bytes", "  @@ -1 +1 @@", "  -one", "  +three"]


def test_the_difference_of_json_files_does_not_depend_on_their_formatting(make):
    left = json.dumps({"a": 1, "b": {"deep": [1, 2, 3]}})
    right = json.dumps({"b": {"deep": [1, 2, 4]}, "a": 1}, indent=4)
    lines = compare(make(files={"metadata.json": left}), make(files={"metadata.json": right}))
    assert [line for line in lines if line.startswith(("  -", "  +"))] == ["  -   3", "  +   4"]


def test_the_same_json_in_another_formatting_is_reported_as_such(make):
    lines = compare(make(files={"x.json": '{"a":1}'}), make(files={"x.json": '{"a": 1}'}))
    assert lines == ["member small/1.0.0/x.json differs: 7 and 8 bytes", "  the same JSON in other bytes"]


def test_there_are_few_lines_however_much_differs(make):
    files = [json.dumps({str(n): n + side for n in range(5000)}) for side in (0, 1)]
    many = {"train": [encode(example("train", n)) for n in range(3000)]}
    other = {"train": [encode(example("train", n) | {"text": b"x" * 9999}) for n in range(3000)]}
    lines = compare(make(many, files={"x.json": files[0]}), make(other, files={"x.json": files[1]}))
    assert len(lines) < 40
    assert max(map(len, lines)) < 300
    assert "split train: 3,000 of 3,000 records differ, in text (200) of the first 200" in lines


def test_the_same_values_in_other_bytes_are_reported_as_such(make):
    records = records_of(train=20, test=5)
    values = example("train", 9)
    records["train"][9] = encode(dict(reversed(values.items())), deterministic=False)
    lines = compare(make(), make(records))
    assert lines[1:] == [
        "split train: 1 of 20 records differ, in serialization (1)",
        "  record 9: serialization differs, with the same fields (another version of protobuf?)",
    ]


def test_another_key_is_reported(make):
    keys = {"train": [*range(19), 500]}
    lines = compare(make(), make(keys=keys))
    assert lines == ["split train: 1 of 20 records have the same bytes and another key: the builder yields other keys"]


def test_tars_that_differ_only_outside_their_members_are_reported(make):
    one, other = make(), make()
    data = bytearray(other.path.read_bytes())
    data[-1] ^= 1  # after the last member
    other.path.write_bytes(data)
    sha256 = hashlib.sha256(data).hexdigest()
    entry = other.entry._replace(sha256=sha256)
    lines = compare(one, LocalArtifact(other.path, other.manifest, entry))
    assert lines == [f"the tars' own headers differ: sha256 {one.entry.sha256} and {sha256}"]


def with_feature(name, feature):
    features = json.loads(json.dumps(FEATURES))
    features["featuresDict"]["features"][name] = feature
    return features


FLOAT = {
    "pythonClassName": "tensorflow_datasets.core.features.scalar.Scalar",
    "tensor": {"dtype": "float32", "encoding": "none", "shape": {}},
}


def test_a_feature_that_only_the_recorded_artifact_has_is_reported(make):
    more = [encode(example("train", 0) | {"score": 0.5})]
    recorded = make({"train": more}, features=with_feature("score", FLOAT))
    lines = compare(recorded, make(records_of(train=1)))
    assert lines[-1] == "  record 0: score is only in the recorded artifact"


def test_a_feature_that_only_the_fresh_build_has_is_reported(make):
    more = [encode(example("train", 0) | {"score": 0.5})]
    fresh = make({"train": more}, features=with_feature("score", FLOAT))
    lines = compare(make(records_of(train=1)), fresh)
    assert lines[-1] == "  record 0: score is only in the fresh build"


def test_a_nan_in_both_is_no_difference(make):
    features = with_feature("score", FLOAT)
    left = encode(example("train", 0) | {"score": float("nan")})
    right = encode(example("train", 0) | {"score": float("nan"), "text": b"new"})
    lines = compare(make({"train": [left]}, features=features), make({"train": [right]}, features=features))
    assert lines[-1] == "  record 0: text b'train 0' and b'new'"


def test_the_same_pixels_from_another_encoder_are_reported_as_such(make):
    image = {
        "pythonClassName": "tensorflow_datasets.core.features.image_feature.Image",
        "image": {"dtype": "uint8", "encodingFormat": "png", "shape": {"dimensions": ["16", "16", "3"]}},
    }
    pixels = np.arange(768, dtype=np.int64).astype(np.uint8).reshape(16, 16, 3)
    made = []
    for level in (1, 9):
        data = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, level])[1].tobytes()
        record = encode(example("train", 0) | {"image": data})
        made.append(make({"train": [record]}, features=with_feature("image", image)))
    lines = compare(*made)
    assert lines[1] == "split train: 1 of 1 records differ, in image (1)"
    assert lines[2].startswith("  record 0: image has the same value in another encoding: ")


def test_a_changed_value_in_a_nested_feature_is_reported(make):
    nested = {
        "pythonClassName": "tensorflow_datasets.core.features.features_dict.FeaturesDict",
        "featuresDict": {
            "features": {
                "box": {
                    "pythonClassName": "tensorflow_datasets.core.features.tensor_feature.Tensor",
                    "tensor": {"dtype": "int16", "encoding": "bytes", "shape": {"dimensions": ["2"]}},
                }
            }
        },
    }
    made = [
        make(
            {"train": [encode(example("train", 0) | {"objects/box": np.array(box, np.int16)})]},
            features=with_feature("objects", nested),
        )
        for box in ([1, 2], [1, 3])
    ]
    lines = compare(*made)
    assert lines[-1] == "  record 0: objects/box 1 of 2 elements, first [1]: 2 and 3, at most by 1"
