"""Differences between two revisions of a dataset on this machine, in commits of a real git repository."""

import hashlib
import json
import re
import shutil
from dataclasses import asdict

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import loader
from loader._diff import diff
from loader._format.row_changes import match
from loader._registry.differences.html import difference_page
from loader._registry.differences.text import as_json, markdown
from scripts._build.statistics.compute import Statistician, write_statistics
from tests.helpers.dataset_history import History, encode, records_of, values_of
from tests.helpers.recorded_dataset import FEATURES


@pytest.fixture
def history(tmp_path):
    return History(tmp_path / "history")


def compare(history, *revisions, **options):
    """The difference of two revisions, by default of the last two commits."""
    return diff("small", *(revisions or ("HEAD~1", "HEAD")), repo=history.root, offline=True, **options)


def counts(difference):
    """The numbers of each split that are not zero."""
    (config,) = difference.configs
    return {
        split.split: {key: value for key, value in asdict(split).items() if value and key != "split"}
        for split in config.splits
    }


def test_examples_added_removed_and_changed_are_counted_by_key(history):
    history.commit(records_of(train=range(5000), test=range(50)))
    records = records_of(train=range(10, 5020), test=range(50))
    records["train"]["77"] = encode(values_of(77) | {"label": 0})
    records["train"]["99"] = encode(values_of(99) | {"text": b"other"})
    history.commit(records, version="1.1.0")
    found = compare(history)
    assert found
    assert counts(found) == {
        "train": {"old": 5000, "new": 5010, "added": 20, "removed": 10, "changed": 2, "unchanged": 4988},
        "test": {"old": 50, "new": 50, "unchanged": 50},
    }
    assert [tuple(change) for change in found.metadata] == [("version", "1.0.0", "1.1.0")]
    assert (found.old_version, found.new_version, found.bytes_fetched) == ("1.0.0", "1.1.0", 0)


def test_changed_examples_are_shown_with_their_features_and_both_values(history):
    history.commit(records_of(train=range(100)))
    records = records_of(train=range(50, 100))
    records["train"]["77"] = encode(values_of(77) | {"label": 0, "samples": np.array([1, 2], np.int16)})
    history.commit(records)
    (example,) = compare(history, examples=20).configs[0].examples
    assert example.old["text"] == example.new["text"] == b"text 77"
    assert example.old_number > example.new_number  # examples before it are gone
    label, samples = example.changes
    assert (label.feature, int(label.old), int(label.new), label.how) == ("label", 2, 0, "2 -> 0")
    assert (samples.feature, samples.old.tolist(), samples.new.tolist()) == ("samples", [], [1, 2])
    text = str(compare(history, examples=20))
    assert "changed examples: 1 of 1 compared; label in 1, samples in 1" in text
    assert f"  train {example.old_number} (now {example.new_number}): label 2 -> 0; samples has the shape" in text


def test_the_examples_shown_are_as_many_as_asked_for_and_spread_over_all_changed_ones(history):
    history.commit(records_of(train=range(1000)))
    changed = {"train": {str(n): encode(values_of(n) | {"label": (n + 1) % 3}) for n in range(1000)}}
    history.commit(changed)
    (config,) = compare(history, examples=10).configs
    numbers = [each.old_number for each in config.examples]
    assert numbers == [0, 111, 222, 333, 444, 555, 666, 777, 888, 999]
    assert config.changed_features == {"label": 10}


def test_removed_and_added_examples_are_shown_with_their_place_and_values(history):
    history.commit(records_of(train=range(100), test=range(5)))
    history.commit(records_of(train=range(50, 103), test=range(5)))
    found = compare(history, examples=2)
    (config,) = found.configs
    assert [(each.split, len(each.values)) for each in config.removed_examples] == [("train", 3)] * 2
    removed, added = config.removed_examples, config.added_examples
    assert {each.values["text"] for each in removed} <= {f"text {n}".encode() for n in range(50)}
    assert {each.values["text"] for each in added} <= {f"text {n}".encode() for n in range(100, 103)}
    first = removed[0]
    line = f"  train {first.number}: label {int(first.values['label'])}; samples int16 {first.values['samples'].shape}"
    for text in (str(found), markdown(found).replace("\\", "").replace("  - ", "  ")):
        assert "removed examples: 2 of 50 shown" in text
        assert "added examples: 2 of 3 shown" in text
        assert f"{line}; text {first.values['text']!r}" in text
    (document,) = json.loads(json.dumps(as_json(found)))["configs"]
    assert [each["number"] for each in document["added_examples"]] == [each.number for each in added]
    assert document["removed_examples"][0]["values"]["text"] == repr(first.values["text"])
    assert "Removed examples</h2><p>2 of 50 shown" in difference_page(found)
    assert first.values["text"].decode() in difference_page(found)


def test_the_same_revision_has_no_difference_and_nothing_is_read(history):
    commit = history.commit(records_of(train=range(10)))
    history.tar.unlink()
    shutil.rmtree(history.root / ".dvc/cache")
    found = compare(history, commit, commit[:10])
    assert not found
    assert counts(found) == {"train": {"old": 10, "new": 10, "unchanged": 10}}
    assert str(found).splitlines()[1] == "  no difference"


def test_by_default_head_is_compared_with_the_work_tree(history):
    history.commit(records_of(train=range(10)))
    history.write(records_of(train=range(9)))
    found = diff("small", repo=history.root)
    assert (found.old_label[:6], found.new_label) == ("HEAD (", "the work tree")
    assert counts(found)["train"]["removed"] == 1


def test_a_branch_and_a_tag_name_revisions(history):
    history.commit(records_of(train=range(10)))
    history.git("tag", "small@v1.0.0")
    history.git("checkout", "--quiet", "-b", "topic")
    history.commit(records_of(train=range(12)))
    found = compare(history, "small@v1.0.0", "topic")
    assert counts(found)["train"]["added"] == 2
    assert found.old_label == f"small@v1.0.0 ({history.commits[0][:12]})"


def test_metadata_that_differ_are_named(history):
    records = records_of(train=range(10))
    history.commit(records, toolchain={"numpy": "2.4.5", "kornia-rs": "0.2.0"}, arguments={"epsilon": 1, "k": 3})
    history.commit(
        records, toolchain={"numpy": "2.4.6", "kornia-rs": "0.2.0"}, arguments={"epsilon": 2, "m": 4}, license="MIT"
    )
    found = compare(history)
    assert {tuple(change) for change in found.metadata} == {
        ("license", "CC0", "MIT"),
        ("argument epsilon", 1, 2),
        ("argument k", 3, None),
        ("argument m", None, 4),
        ("toolchain numpy", "2.4.5", "2.4.6"),
    }
    assert found.configs[0].status == "same"
    assert "the artifact is the same, byte for byte" in found.remarks


def test_another_visibility_is_told(history):
    history.commit(records_of(train=range(3)))
    path = history.root / "dvc.yaml"
    path.write_text(path.read_text().replace("{remote: public}", "{remote: private}"))
    history.commit_all()
    assert [tuple(change) for change in compare(history).metadata] == [("visibility", "public", "private")]


def test_features_added_removed_and_retyped_are_told_with_their_types(history):
    history.commit(records_of(train=range(5)))
    features = json.loads(json.dumps(FEATURES))
    inner = features["featuresDict"]["features"]
    inner["title"] = inner.pop("text")
    inner["samples"]["tensor"]["dtype"] = "int32"
    records = {"train": {str(n): encode(values_of(n) | {"title": b"x"}) for n in range(5)}}
    history.commit(records, features=features)
    tensor = "Tensor(shape=(None,), dtype={}, encoding='bytes')"
    assert {tuple(change) for change in compare(history).configs[0].features} == {
        ("samples", tensor.format("int16"), tensor.format("int32")),
        ("text", "Text(shape=(), dtype=string)", None),
        ("title", None, "Text(shape=(), dtype=string)"),
    }


def test_statistics_that_differ_are_named(history, tmp_path):
    records = records_of(train=range(5))
    for label in (0, 1):
        records["train"]["4"] = encode(values_of(4) | {"label": label, "text": b"x" * (20 + label)})
        history.write(records)
        record_statistics(history, tmp_path)
        history.commit_all()
    found = {change.name: tuple(change[1:]) for change in compare(history).statistics}
    assert found["train label: zero"] == (3, 2)
    assert found["train label: one"] == (1, 2)
    assert [(each.min, each.max) for each in found["train text length"]] == [(6, 20), (6, 21)]
    assert "train text characters" not in found  # that of ASCII says nothing that the length does not
    assert "examples" not in found


def test_statistics_are_printed_as_people_write_them_and_class_counts_come_first(history, tmp_path):
    for records in (records_of(train=range(5)), records_of(train=range(9))):
        history.write(records)
        record_statistics(history, tmp_path)
        history.commit_all()
    found = compare(history)
    names = [change.name for change in found.statistics]
    assert names.index("train label: zero") < names.index("train bytes")
    assert re.search(r"train samples shape +0\.\.4 -> 0\.\.6$", str(found), re.MULTILINE)
    assert "| train samples shape | 0..4 | 0..6 |" in markdown(found)
    assert "0..6" in difference_page(found)
    assert "Range(" not in str(found) + markdown(found) + difference_page(found)
    shapes = [change for change in as_json(found)["statistics"] if change["name"] == "train samples shape"]
    assert json.loads(json.dumps(shapes))[0]["new"] == [[0, 6]]


def test_versions_that_share_no_key_are_told_in_words(history):
    history.commit(records_of(train=range(20), test=range(5)))
    history.commit(records_of(train=range(100, 120), test=range(100, 105)))
    assert (
        "the two versions share no key: every example was replaced, or the builder yields other keys"
        in compare(history).remarks
    )


def test_the_same_bytes_under_other_keys_are_told_in_words(history):
    records = records_of(train=range(20))
    history.commit(records)
    history.commit({"train": {f"file {key}": data for key, data in records["train"].items()}})
    found = compare(history)
    assert counts(found) == {"train": {"old": 20, "new": 20, "added": 20, "removed": 20, "rekeyed": 20}}
    assert "every example has the same bytes under another key: the builder yields other keys" in found.remarks


def test_some_other_keys_are_counted(history):
    records = records_of(train=range(20))
    history.commit(records)
    train = dict(records["train"])
    train["new 3"], train["new 4"] = train.pop("3"), train.pop("4")
    history.commit({"train": train})
    assert compare(history).remarks == [
        "train: 2 examples have the same bytes under another key; they are counted as removed and as added"
    ]


def test_a_renamed_split_is_told_in_words(history):
    records = records_of(train=range(20), test=range(5))
    history.commit(records)
    history.commit({"training": records["train"], "test": records["test"]})
    found = compare(history)
    assert counts(found)["training"] == {"new": 20, "added": 20, "came_from": {"train": 20}}
    (remark,) = found.remarks
    assert remark.startswith("the split train is now called training: all 20 examples have the same bytes")


def test_a_renamed_split_with_changes_is_told_in_words(history):
    history.commit(records_of(train=range(20)))
    history.commit(records_of(training=range(2, 21)))
    (remark,) = compare(history).remarks
    assert remark.startswith("the split train is now called training: 18 of 20 examples have the same bytes")


def test_examples_that_moved_to_another_split_are_told_in_words(history):
    history.commit(records_of(train=range(20), test=range(20, 25)))
    history.commit(records_of(train=range(3, 20), test=[*range(20, 25), 0, 1, 2]))
    found = compare(history)
    assert counts(found)["train"]["went_to"] == {"test": 3}
    assert counts(found)["test"]["came_from"] == {"train": 3}
    assert found.remarks == ["3 examples moved from train to test, with the same bytes"]


def test_another_order_is_told(history):
    records, keys = records_of(train=range(20)), [str(n) for n in range(20)]
    history.commit(records, order={"train": keys})
    history.commit(records, order={"train": [keys[1], keys[0], *keys[2:]]})
    found = compare(history)
    assert counts(found) == {"train": {"old": 20, "new": 20, "unchanged": 20, "moved": 2}}
    assert "train: 2 examples have another place in the order" in found.remarks


def test_other_class_names_are_told(history):
    history.commit(records_of(train=range(20)))
    history.commit(records_of(train=range(20)), files={"label.labels.txt": "null\none\ntwo\n"})
    found = compare(history)
    assert found.remarks == ["every example is the same, in the same order: only label.labels.txt differs"]
    assert [tuple(change) for change in found.configs[0].features] == [("classes of label", "zero", "null")]


TOOLCHAINS = [{"toolchain": {"protobuf": "6.0.0"}}, {"toolchain": {"protobuf": "7.0.0"}}]


@pytest.fixture
def reencoded(history):
    """Two versions in which every example has other bytes that mean the same."""
    history.commit(records_of(train=range(20)), **TOOLCHAINS[0])
    again = {"train": {str(n): encode(values_of(n), reverse=True) for n in range(20)}}
    history.commit(again, **TOOLCHAINS[1])
    return history


def test_other_bytes_of_every_example_and_another_toolchain_are_told_together(reencoded):
    assert compare(reencoded).remarks == [
        "the bytes of every example differ, and so does the toolchain (protobuf 6.0.0 -> 7.0.0)",
        "whether values differ shows when examples are decoded: --show 20",
    ]


def test_that_no_value_differs_is_said_of_the_examples_that_were_decoded_only(reencoded):
    assert compare(reencoded, examples=5).remarks[1:] == [
        "no value differs in the 5 examples compared, of 20 whose bytes differ"
    ]


def test_that_no_value_differs_is_said_of_all_if_all_were_decoded(reencoded):
    assert compare(reencoded, examples=20).remarks[1:] == [
        "no value differs in any of the 20 changed examples: only their encoding does"
    ]


def test_a_value_that_differs_among_re_encoded_ones_is_not_called_the_same(reencoded):
    again = {"train": {str(n): encode(values_of(n), reverse=True) for n in range(20)}}
    again["train"]["3"] = encode(values_of(3) | {"label": 2})
    reencoded.commit(again, **TOOLCHAINS[1])
    found = compare(reencoded, "HEAD~2", "HEAD", examples=20)
    assert not any("no value differs" in remark for remark in found.remarks)
    assert found.configs[0].changed_features == {"serialization": 19, "label": 1}


def test_a_new_and_a_removed_dataset_are_told(history):
    history.commit_all()
    history.commit(records_of(train=range(20)))
    found = compare(history)
    assert (found.status, found.old_version, found.new_version) == ("new", None, "1.0.0")
    assert counts(found) == {"train": {"new": 20, "added": 20}}
    assert ("license", None, "CC0") in [tuple(change) for change in found.metadata]
    back = compare(history, "HEAD", "HEAD~1")
    assert back.status == "removed"
    assert counts(back) == {"train": {"old": 20, "removed": 20}}
    assert "removed: not recorded in HEAD~1 (" in str(back)


def test_a_dataset_that_was_never_built_has_no_difference(history):
    history.commit_all()
    found = diff("small", repo=history.root)
    assert (found.status, bool(found)) == ("never built", False)
    assert found.remarks == ["small was never built; build it with: make build DATASET=small"]


@pytest.mark.parametrize(
    ("name", "revisions", "options", "message"),
    [
        ("small", ("nowhere",), {}, "has no revision 'nowhere'"),
        ("small", ("HEAD", "nowhere"), {}, "has no revision 'nowhere'"),
        ("smal", (), {}, "there is no dataset 'smal'"),
        ("small", (), {"config": "large"}, "small has no config 'large'"),
        ("small", (), {"examples": -1}, "examples must be an integer of at least 0"),
        ("small", ("",), {}, "old= is empty"),
        ("small", ("--output=x",), {}, "has no revision '--output=x'"),
    ],
)
def test_a_wrong_argument_is_a_sentence(history, name, revisions, options, message):
    history.commit(records_of(train=range(3)))
    with pytest.raises(loader.LoaderError, match=message):
        diff(name, *revisions, repo=history.root, **options)


def test_what_is_not_here_is_named_offline_with_the_command_that_fetches_it(history):
    history.commit(records_of(train=range(3)))
    history.commit(records_of(train=range(4)))
    history.tar.unlink()
    shutil.rmtree(history.root / ".dvc/cache")
    found = compare(history, examples=5)
    command = f"python -m loader fetch small --rev {history.commits[0][:12]} --repo {history.root}"
    assert found.note.startswith("examples were not compared: small: small.tar of ")
    assert found.note.endswith(f"or fetch it with: {command}")
    assert found.note in found.remarks
    assert (found.status, bool(found)) == ("changed", True)


def test_a_damaged_row_index_in_the_cache_is_an_integrity_error(history):
    history.commit(records_of(train=range(5000)))
    cached = history.write(records_of(train=range(4999)))
    history.commit_all()
    history.tar.unlink()
    data = bytearray(cached.read_bytes())
    data[data.index(b"record_index.bin\0") + 512 + 30] ^= 1
    cached.write_bytes(data)
    with pytest.raises(loader.IntegrityError, match="damaged in block 0 of its record index"):
        compare(history)


def test_the_revisions_of_a_repository_at_a_url_are_compared(history):
    history.commit(records_of(train=range(30)))
    history.commit(records_of(train=range(30)), license="MIT")
    url = f"file://{history.root}"
    found = diff("small", "HEAD~1", "HEAD", repo=url)
    assert [tuple(change) for change in found.metadata] == [("license", "CC0", "MIT")]
    with pytest.raises(loader.ArgumentError, match="has no work tree here: name both revisions"):
        diff("small", "HEAD~1", repo=url)


def test_what_a_foreign_manifest_says_in_other_types_is_no_crash(history):
    history.commit(records_of(train=range(30)))
    path = history.root / "artifacts/small.json"
    raw = json.loads(path.read_text())
    raw |= {
        "sources": 7,
        "parents": [1],
        "arguments": "x",
        "toolchain": None,
        "license": ["a"],
        "description": {"b": 1},
    }
    raw["artifacts"]["small.tar"] |= {"splits": {"train": 3}, "features": ["\x1b[31m"], "metadata": 1}
    path.write_text(json.dumps(raw))
    found = diff("small", repo=history.root)
    assert ("license", "CC0", ["a"]) in [tuple(change) for change in found.metadata]
    for text in (str(found), markdown(found), difference_page(found), json.dumps(as_json(found))):
        assert "\x1b" not in text


def test_a_builder_may_not_compare_revisions(history):
    history.commit(records_of(train=range(3)))
    limit = loader.reading_only({"small": ["small.tar"]}, reader="other", root=history.root)
    with limit, pytest.raises(loader.AccessError, match="other: its builder compares revisions"):
        compare(history, "HEAD", "HEAD")


def test_the_json_and_the_markdown_hold_what_the_difference_holds(history):
    history.commit(records_of(train=range(30)))
    records = records_of(train=range(1, 30))
    records["train"]["7"] = encode(values_of(7) | {"text": b"a | b\n<b>"})
    history.commit(records, version="1.1.0", description="Smaller | *now*")
    found = compare(history, examples=5)
    document = json.loads(json.dumps(as_json(found), allow_nan=False))
    (config,) = document["configs"]
    assert (config["splits"][0]["removed"], config["examples"][0]["changes"][0]["feature"]) == (1, "text")
    text = markdown(found)
    assert text.startswith("### small 1.0.0 → 1.1.0\n")
    assert "| train | 30 | 29 | 0 | 1 | 1 | 28 | 0 |" in text
    assert r"Smaller \| \*now\*" in text
    assert r"\<b\>" in text


def test_an_outdated_artifact_in_the_work_tree_is_told(history, tmp_path):
    history.write(records_of(train=range(30)))
    complete_lock(history, tmp_path)
    history.commit_all()
    assert diff("small", repo=history.root).remarks == []
    params = history.root / "params.yaml"
    params.write_text(params.read_text().replace("CC0", "MIT"))
    remark = "small is outdated in the work tree (params.yaml (license)): build it first with: make build DATASET=small"
    found = diff("small", repo=history.root)
    assert (found.remarks, bool(found)) == ([remark], False)
    assert diff("small", "HEAD", "HEAD", repo=history.root).remarks == []
    assert as_json(found)["remarks"] == [remark]
    history.write(records_of(train=range(29)), version="1.1.0")  # now it differs too, and dvc.lock lacks the rest
    assert markdown(diff("small", repo=history.root)).count("build it first with") == 1


def test_a_recorded_version_names_the_commit_that_records_it(history):
    history.commit(records_of(train=range(30)))
    history.commit(records_of(train=range(25)), version="1.1.0")
    history.commit(records_of(train=range(20)), version="2.0.0")
    found = compare(history, "1.0.0", "1.1.0")
    assert (found.old_version, found.new_version) == ("1.0.0", "1.1.0")
    assert found.old_label == f"1.0.0 ({history.commits[0][:12]})"
    assert compare(history, "2.0.0", "HEAD").status == "same"
    history.git("tag", "small@v1.0.0", history.commits[1])  # a tag comes first, as in `loader.load`
    assert compare(history, "1.0.0", "1.1.0").old_label == f"1.0.0 ({history.commits[1][:12]})"
    with pytest.raises(loader.NotFoundError, match=r"small has no version '3\.0\.0' .*its versions: 2\.0\.0, 1\.1\.0"):
        compare(history, "3.0.0")


def record_statistics(history, scratch):
    """Write the statistics of the artifact in the work tree."""
    manifest = json.loads((history.root / "artifacts/small.json").read_text())
    with Statistician(workers=1) as statistician:
        statistics = statistician.statistics(manifest, history.tar.parent, scratch=scratch)
    write_statistics(history.root / "artifacts/small.stats.json", statistics)


def complete_lock(history, scratch):
    """Write and record in `dvc.lock` what a build of the current definition would, besides the artifact."""
    record_statistics(history, scratch)
    (history.root / "artifacts/small.croissant.json").write_text("{}")
    path, block = history.root / "dvc.lock", yaml.safe_load((history.root / "params.yaml").read_text())["small"]
    lock = yaml.safe_load(path.read_text())
    stage = lock["stages"]["small"]
    stage["params"] = {"params.yaml": {"small": block}}
    for name in ("small.json", "small.croissant.json", "small.stats.json"):
        data = (history.root / "artifacts" / name).read_bytes()
        stage["outs"].append({"path": f"artifacts/{name}", "md5": hashlib.md5(data).hexdigest()})
    path.write_text(yaml.safe_dump(lock))


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2))), st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)))
)
@settings(derandomize=True, max_examples=300, deadline=None)
def test_equal_values_are_matched_one_to_one_and_as_many_as_possible(old, new):
    arrays = [np.array(side, np.uint64).reshape(-1, 2) for side in (old, new)]
    in_old, in_new = (positions.tolist() for positions in match(*arrays))
    assert [old[n] for n in in_old] == [new[n] for n in in_new]
    assert sorted(in_old) == in_old
    assert len(set(in_new)) == len(in_new) == sum(min(old.count(each), new.count(each)) for each in set(old))
