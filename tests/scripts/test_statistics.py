"""The statistics of a dataset: those of its values, the same bytes however they are computed."""

import json
import math
import os
import random
import re
import shutil
import subprocess
import sys
from collections import Counter
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import loader
from loader._format.example import Example
from loader._format.manifest import read_manifest
from scripts._build.manifest import describe
from scripts._build.package import pack
from scripts._build.prepare import Prepared
from scripts._build.statistics import reading
from scripts._build.statistics.compute import Statistician, write_statistics
from scripts._build.statistics.leaves import Column, Leaf
from scripts._build.statistics.values import Tally
from scripts._define.definition import read_definition
from scripts._tfds.shards import ShardWriter
from tests.helpers.recorded_dataset import NAME, SPLITS, example, make_recorded

ROOT = Path(__file__).resolve().parents[2]
CORE = "tensorflow_datasets.core.features"


def compute(root, name, scratch, *, workers=1, task_examples=2048):
    """The statistics of a dataset of a repository, as `stats.json` holds them."""
    manifest = read_manifest(root / f"artifacts/{name}.json").raw
    scratch.mkdir()
    with Statistician(workers=workers, task_examples=task_examples) as statistician:
        found = statistician.statistics(manifest, root / "artifacts", scratch=scratch)
    path = scratch / "stats.json"
    write_statistics(path, found)
    return path.read_bytes()


def table(data, key):
    """The rows of a table, as objects."""
    header, *rows = json.loads(data)[key]
    return [dict(zip(header, row, strict=True)) for row in rows]


def by_leaf(data):
    return {(row["split"], row["feature"]): row for row in table(data, "values")}


def node(connector, **content):
    return {"pythonClassName": f"{CORE}.x.{connector}", **content}


def tensor(dtype, *sizes, **more):
    return node("Tensor", tensor={"dtype": dtype, "shape": {"dimensions": [str(size) for size in sizes]}, **more})


def make_dataset(root, features, splits):
    """A repository of a dataset of hand-made records: split -> records, each a dict key -> (kind of list, values)."""
    make_recorded(root)
    folder, rows = root / "data" / NAME / "1.0.0", root / "rows"
    folder.mkdir(parents=True)
    rows.mkdir()
    described = []
    for split, records in splits.items():
        messages = []
        for fields in records:
            message = Example()
            for key, (kind, values) in fields.items():
                getattr(message.features.feature[key], kind).value.extend(values)
            messages.append(bytes(message.SerializeToString(deterministic=True)))
        shard = f"{NAME}-{split}.tfrecord-00000-of-00001"
        ShardWriter(rows, {}).write_records(folder / shard, enumerate(messages))
        described.append(
            {"name": split, "shardLengths": [str(len(messages))], "numBytes": str(sum(map(len, messages)))}
        )
    info = {"name": NAME, "version": "1.0.0", "fileFormat": "tfrecord", "description": "", "splits": described}
    (folder / "dataset_info.json").write_text(json.dumps(info))
    document = {"pythonClassName": f"{CORE}.features_dict.FeaturesDict", "featuresDict": {"features": features}}
    (folder / "features.json").write_text(json.dumps(document))
    prepared = Prepared(root / "data", folder, rows, None, None, ())
    packed = pack(prepared, root / "artifacts/small.tar", scratch=root)
    manifest = describe(read_definition(NAME, root=root), [(prepared, packed)])
    (root / "artifacts/small.json").write_text(json.dumps(manifest))
    return root


def integers(*values):
    return ("int64_list", values)


def strings(*values):
    return ("bytes_list", values)


def floats(*values):
    return ("float_list", values)


def test_the_recorded_statistics_are_those_of_the_values(small, tmp_path):
    found = json.loads((small / "artifacts/small.stats.json").read_bytes())
    examples = {split: [example(split, number) for number in range(sum(n))] for split, n in SPLITS.items()}
    assert found["examples"] == sum(map(len, examples.values()))
    rows = by_leaf((small / "artifacts/small.stats.json").read_bytes())
    for split, values in examples.items():
        samples = np.concatenate([each["samples"] for each in values])
        lengths = [len(each["samples"]) for each in values]
        row = rows[split, "samples"]
        assert (row["count"], row["min"], row["max"]) == (samples.size, samples.min(), samples.max())
        assert row["mean"] == int(samples.astype(int).sum()) / samples.size
        assert row["shape"] == [[min(lengths), max(lengths)]]
        assert row["empty"] == lengths.count(0)
        texts = [len(each["text"]) for each in values]
        assert rows[split, "text"]["length"] == {"min": min(texts), "max": max(texts), "mean": sum(texts) / len(texts)}
        counts = Counter(int(each["label"]) for each in values)
        lines = [line for line in found["class_counts"] if line["split"] == split]
        assert [line["class"] for line in lines] == ["zero", "one", "two"]
        assert [line["examples"] for line in lines] == [counts[number] for number in range(3)]


@pytest.mark.filterwarnings("ignore")  # TensorFlow warns
@pytest.mark.parametrize("name", ["digit", pytest.param("mnist", marks=pytest.mark.slow)])
def test_they_are_those_that_numpy_computes_from_what_tfds_reads(built, tmp_path, name):
    import tensorflow_datasets as tfds

    root = built(name).root
    subprocess.run(["tar", "xf", root / f"artifacts/{name}.tar", "-C", tmp_path], check=True)
    data = (root / f"artifacts/{name}.stats.json").read_bytes()
    version = json.loads(data)["version"]
    builder = tfds.builder_from_directory(str(tmp_path / name / version))
    for split, info in builder.info.splits.items():
        columns = {}
        for one in tfds.as_numpy(builder.as_dataset(split=split)):
            for feature, value in one.items():
                columns.setdefault(feature, []).append(value)
        for feature, values in columns.items():
            row = by_leaf(data)[split, feature]
            assert row["examples"] == len(values) == info.num_examples
            if feature == "label":
                counted = {
                    line["class"]: line["examples"]
                    for line in json.loads(data)["class_counts"]
                    if line["split"] == split
                }
                names = builder.info.features["label"].names
                assert counted == {names[number]: count for number, count in sorted(Counter(map(int, values)).items())}
            elif isinstance(values[0], bytes):
                lengths = list(map(len, values))
                assert row["length"] == {"min": min(lengths), "max": max(lengths), "mean": sum(lengths) / len(lengths)}
                assert row["min"] is None
            else:
                total = sum(int(value.astype(np.int64).sum()) for value in values)
                count = sum(value.size for value in values)
                assert (row["count"], row["mean"]) == (count, total / count)
                assert row["min"] == min(int(value.min()) for value in values)
                assert row["max"] == max(int(value.max()) for value in values)
                shapes = np.array([value.shape for value in values])
                assert row["shape"] == np.stack([shapes.min(0), shapes.max(0)], axis=1).tolist()


def test_the_bytes_do_not_depend_on_workers_and_tasks(small, tmp_path, monkeypatch):
    expected = (small / "artifacts/small.stats.json").read_bytes()
    for number, (workers, task, batch) in enumerate([(1, 1, 1), (2, 100, 7), (4, 999, 256), (3, 6000, 1000)]):
        monkeypatch.setattr(reading, "BATCH_EXAMPLES", batch)
        assert compute(small, "small", tmp_path / str(number), workers=workers, task_examples=task) == expected


def test_every_feature_of_the_zoo_passes_through(tmp_path):
    from tests.fuzz.zoo import ZOO, make_zoo

    root = make_zoo(tmp_path / "zoo")
    one = compute(root, "small", tmp_path / "one")
    assert compute(root, "small", tmp_path / "two", workers=2, task_examples=1) == one
    rows = by_leaf(one)
    assert {feature.partition("/")[0] for _, feature in rows} == set(ZOO)
    assert all(row["count"] is not None for row in rows.values())
    assert rows["train", "optional"]["missing"] == 3
    assert rows["train", "optional"]["min"] == 1.0  # not the number that stands for a missing value
    assert rows["train", "nested"]["shape"] == [[3, 3], [0, 2]]
    assert rows["train", "steps/a"]["type"] == "Dataset(Tensor)"
    assert rows["train", "steps/a"]["length"] == {"min": 2, "max": 2, "mean": 2.0}
    assert rows["train", "bytes of a shape"]["mean"] is None  # complex numbers
    assert rows["train", "text"]["length"]["max"] == 8
    assert rows["train", "text"]["characters"]["max"] == 6
    assert rows["train", "uint64s"]["max"] == 2**64 - 1


def test_the_bytes_do_not_depend_on_the_instructions_of_the_processor(tmp_path):
    from tests.fuzz.zoo import make_zoo

    root = make_zoo(tmp_path / "zoo")
    code = (
        "import sys; from pathlib import Path; from tests.scripts.test_statistics import compute; "
        "sys.stdout.buffer.write(compute(Path(sys.argv[1]), 'small', Path(sys.argv[2])))"
    )
    without = {"NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3 AVX512F AVX512CD AVX512_SKX", "JSIMD_FORCENONE": "1"}
    found = []
    for name, more in (("all", {}), ("few", without)):
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code, root, tmp_path / name],
            cwd=ROOT,
            env={**os.environ, **more},
            check=True,
            capture_output=True,
        )
        found.append(done.stdout)
    assert found[0] == found[1] != b""


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_means_are_correctly_rounded_whatever_the_order(dtype):
    rng = np.random.default_rng(0)
    scale = 2.0 ** rng.integers(-20 if dtype == np.float16 else -140, 15 if dtype == np.float16 else 120, 5000)
    values = (rng.normal(size=5000) * scale).astype(dtype)
    values = values[np.isfinite(values)]
    values[:3] = [-0.0, np.finfo(dtype).smallest_subnormal, np.finfo(dtype).max]
    leaf = Leaf(("x",), loader._features.connectors.Tensor(shape=(None,), dtype=np.dtype(dtype)), "Tensor")
    expected = float(sum(Fraction(float(value)) for value in values) / len(values))
    for seed in range(3):
        mixed = values.copy()
        random.Random(seed).shuffle(mixed)
        parts, tally = np.array_split(mixed, 1 + 7 * seed), Tally()
        for part in parts:
            other = Tally()
            other.add(Column(leaf, [part], None))
            tally.merge(other)
        found = tally.json(leaf)
        assert found["mean"] == expected
        assert (found["min"], found["max"]) == (float(str(values.min())), float(str(values.max())))


def test_nan_infinities_and_negative_zero_are_told_apart(tmp_path):
    values = [float("nan"), float("inf"), float("-inf"), -0.0, 0.1]
    root = make_dataset(tmp_path / "r", {"x": tensor("float32")}, {"train": [{"x": floats(value)} for value in values]})
    data = compute(root, "small", tmp_path / "s")
    row = by_leaf(data)["train", "x"]
    assert (row["count"], row["nan"], row["infinite"], row["max"]) == (5, 1, 2, 0.1)
    assert math.copysign(1, row["min"]) == 1  # 0.0 and -0.0 are equal: which of them is the least depends on the order


def test_values_that_are_missing_or_empty_are_counted(tmp_path):
    features = {
        "label": node("ClassLabel", classLabel={"numClasses": "3"}),
        "number": tensor("int32", optional=True),
        "list": node("Sequence", sequence={"feature": tensor("int32"), "length": "-1"}),
        "text": node("Text", text={}),
    }
    records = [
        {"label": integers(2), "number": integers(7), "list": integers(1, 2), "text": strings("ö".encode())},
        {"label": integers(-1), "list": integers(), "text": strings(b"")},
    ]
    data = compute(make_dataset(tmp_path / "r", features, {"train": records}), "small", tmp_path / "s")
    rows = {feature: row for (_, feature), row in by_leaf(data).items()}
    assert {name: (row["missing"], row["empty"]) for name, row in rows.items()} == {
        "label": (1, 0),
        "list": (0, 1),
        "number": (1, 0),
        "text": (0, 1),
    }
    assert (rows["number"]["min"], rows["label"]["min"], rows["label"]["mean"]) == (7, 2, None)
    assert rows["text"]["characters"] == {"min": 0, "max": 1, "mean": 0.5}
    whole = json.loads(data)
    assert (whole["missing"], whole["empty"], whole["classes"], whole["features"]) == (2, 2, 3, 4)
    assert [line["examples"] for line in whole["class_counts"]] == [0, 0, 1]


def test_text_that_is_not_utf8_has_no_characters(tmp_path):
    root = make_dataset(
        tmp_path / "r", {"x": node("Text", text={})}, {"train": [{"x": strings(b"\xff")}, {"x": strings(b"abc")}]}
    )
    row = by_leaf(compute(root, "small", tmp_path / "s"))["train", "x"]
    assert (row["length"]["max"], row["characters"]) == (3, None)


def test_thousands_of_classes_are_summed_up(tmp_path):
    features = {"label": node("ClassLabel", classLabel={"numClasses": "20000"})}
    records = [{"label": integers(number)} for number in (19_999, 19_999, 5, 7_000)]
    data = compute(
        make_dataset(tmp_path / "r", features, {"train": records, "test": records[:1]}), "small", tmp_path / "s"
    )
    lines = json.loads(data)["class_counts"]
    assert len(lines) == 2000
    counts = {line["class"]: line["examples"] for line in lines if line["split"] == "train"}
    assert (counts["19999"], counts["5"], counts["(19,001 others)"], sum(counts.values())) == (2, 1, 0, 4)
    assert len(data) < 250_000


def test_a_feature_that_only_its_builder_decodes_is_named_without_values(tmp_path):
    features = {
        "own": {"pythonClassName": "my_builder.MyFeature", "jsonFeature": {"json": "{}"}},
        "x": tensor("int64"),
    }
    root = make_dataset(tmp_path / "r", features, {"train": [{"own": integers(1), "x": integers(3)}]})
    rows = by_leaf(compute(root, "small", tmp_path / "s"))
    assert (rows["train", "own"]["examples"], rows["train", "own"]["count"]) == (1, None)
    assert rows["train", "x"]["max"] == 3


def test_planted_duplicates_and_leaks_are_found(tmp_path):
    from tests.fuzz.zoo import GREY, PNG, RGB, _encode

    other = _encode(".png", 255 - RGB)
    same_pixels = _encode(".png", RGB, 16, 0)  # another compression
    assert same_pixels != PNG
    features = {
        "image": node("Image", image={"dtype": "uint8", "shape": {"dimensions": ["-1", "-1", "3"]}}),
        "id": tensor("int64"),
    }

    def record(image, number):
        return {"image": strings(image), "id": integers(number)}

    splits = {
        "train": [record(PNG, 0), record(other, 1), record(PNG, 0), record(same_pixels, 9)],
        "test": [record(_encode(".png", GREY.repeat(3, axis=2)), 3), record(other, 1), record(same_pixels, 5)],
    }
    data = compute(make_dataset(tmp_path / "r", features, splits), "small", tmp_path / "s")
    assert table(data, "duplicates_found") == [
        {
            "config": None,
            "by": "record",
            "splits": ["train"],
            "examples": 1,
            "sample": [[["train", 0], ["train", 2]]],
        },
        {
            "config": None,
            "by": "record",
            "splits": ["train", "test"],
            "examples": 1,
            "sample": [[["train", 1], ["test", 1]]],
        },
        {
            "config": None,
            "by": "image",
            "splits": ["train"],
            "examples": 2,
            "sample": [[["train", 0], ["train", 2], ["train", 3]]],
        },
        {
            "config": None,
            "by": "image",
            "splits": ["train", "test"],
            "examples": 2,
            "sample": [[["train", 0], ["train", 2], ["test", 2]], [["train", 1], ["test", 1]]],
        },
    ]
    whole = json.loads(data)
    assert (whole["duplicates"], whole["leaked"]) == (2, 2)
    assert [row["duplicates"] for row in table(data, "splits")] == [2, 0]


def test_a_text_that_most_examples_share_is_a_category_and_no_duplicate(tmp_path):
    features = {"text": node("Text", text={}), "speaker": node("Text", text={}), "id": tensor("int64")}
    records = [
        {"text": strings(b"%d" % (n % 19)), "speaker": strings(b"%d" % (n % 2)), "id": integers(n)} for n in range(20)
    ]
    data = compute(make_dataset(tmp_path / "r", features, {"train": records}), "small", tmp_path / "s")
    assert [(row["by"], row["examples"]) for row in table(data, "duplicates_found")] == [("text", 1)]


def test_digests_are_sorted_in_parts(tmp_path, monkeypatch):
    from scripts._build.statistics import duplicates

    rng = np.random.default_rng(0)
    contents = [bytes([value]) * 3 + rng.bytes(1) for value in rng.integers(0, 255, 3000)]
    splits = {"train": 2000, "test": 1000}

    def find(folder):
        folder.mkdir()
        digests = duplicates.Digests(folder / "digests", splits)
        hashed = [reading._digest(content) for content in contents]
        digests.put("train", 0, b"".join(hashed[:2000]))
        digests.put("test", 0, b"".join(hashed[2000:]))
        duplicate, leaked = np.zeros(3000, bool), np.zeros(3000, bool)
        return digests.repeated(duplicate, leaked, most=1), duplicate.tolist(), leaked.tolist()

    whole, duplicate, leaked = find(tmp_path / "whole")
    train = Counter(contents[:2000])
    assert whole["train",].examples == sum(count - 1 for count in train.values())
    assert whole["train", "test"].examples == sum(content in train for content in contents[2000:])
    assert sum(leaked) == whole["train", "test"].examples
    monkeypatch.setattr(duplicates, "PART", 100)
    assert find(tmp_path / "parts") == (whole, duplicate, leaked)


def test_a_feature_that_cannot_be_decoded_has_no_statistics_and_is_named(tmp_path, capsys):
    image = node("Image", image={"dtype": "uint8", "shape": {"dimensions": ["-1", "-1", "3"]}})
    features = {"image": image, "text": node("Text", text={})}
    root = make_dataset(tmp_path / "r", features, {"train": [{"image": strings(b"no image"), "text": strings(b"a")}]})
    for workers in (1, 2):
        found = json.loads(compute(root, "small", tmp_path / f"s{workers}", workers=workers))
        [columns, *rows] = found["values"]
        values = {row[columns.index("feature")]: dict(zip(columns, row, strict=True)) for row in rows}
        assert (values["image"]["shape"], values["text"]["count"]) == (None, 1)
        warning = capsys.readouterr().err
        assert re.search(r"small: WARNING: .*record 0 .*'image'.*; the feature has no statistics", warning)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_examples(tmp_path):
    """The highest memory of one process that computes the statistics of 300,000 records, and of 30,000."""
    code = (
        "import sys, json; from pathlib import Path\n"
        "from scripts._build.statistics.compute import Statistician\n"
        "root = Path(sys.argv[1]); manifest = json.loads((root / 'artifacts/small.json').read_bytes())\n"
        "with Statistician(workers=1) as s: s.statistics(manifest, root / 'artifacts', scratch=root)\n"
        "[line] = [line for line in open('/proc/self/status') if line.startswith('VmHWM')]; print(line.split()[1])"
    )
    features = {"x": tensor("float32", 4), "text": node("Text", text={})}
    peaks = []
    for count in (30_000, 300_000):
        records = ({"x": floats(n, 1, 2, 3), "text": strings(b"%d" % n)} for n in range(count))
        root = make_dataset(tmp_path / str(count), features, {"train": list(records)})
        done = subprocess.run([sys.executable, "-c", code, root], check=True, capture_output=True, text=True)
        peaks.append(int(done.stdout) / 1024)
        shutil.rmtree(root)
    assert peaks[1] - peaks[0] < 90, peaks  # sorting the digests takes most of it, up to a limit


def test_dvc_shows_metrics_their_changes_and_the_classes(small, tmp_path):
    from tests.helpers.recorded_dataset import CONFIG, make_dvc

    make_dvc(small, CONFIG)
    shutil.copytree(ROOT / ".dvc/plots", small / ".dvc/plots", dirs_exist_ok=True)
    with (small / "dvc.yaml").open("a") as file:
        axes = "x: {artifacts/small.stats.json: examples}, y: {artifacts/small.stats.json: class}"
        file.write(f"plots:\n  - small: {{template: classes, {axes}}}\n")
    subprocess.run(["git", "add", "--all"], cwd=small, check=True)
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    subprocess.run(["git", *identity, "commit", "--quiet", "-m", "small"], cwd=small, check=True)

    def dvc(*arguments):
        done = subprocess.run(["dvc", *arguments], cwd=small, check=True, capture_output=True, text=True)
        assert "WARNING" not in done.stderr
        return done.stdout

    header, row = dvc("metrics", "show").splitlines()
    assert len(header.split()) <= 12
    assert dict(zip(header.split(), row.split(), strict=True))["examples"] == "5370"
    path = small / "artifacts/small.stats.json"
    path.write_text(path.read_text().replace('"leaked": 0', '"leaked": 12').replace('"leaked": 70', '"leaked": 12'))
    changed = dvc("metrics", "diff").splitlines()
    assert len(changed) == 2
    assert changed[1].split()[1] == "leaked"
    dvc("plots", "show", "--out", str(tmp_path / "plots"))
    page = (tmp_path / "plots/index.html").read_text()
    start = page.index("var spec = ") + len("var spec = ")
    drawing, _ = json.JSONDecoder().raw_decode(page[start:])
    assert [point["class"] for point in drawing["data"]["values"]] == ["zero", "one", "two"] * 2
    assert sum(point["examples"] for point in drawing["data"]["values"]) == 5370
    assert drawing["encoding"]["x"]["field"] == "examples"
    assert (drawing["encoding"]["y"]["field"], drawing["encoding"]["y"]["type"]) == ("class", "nominal")
