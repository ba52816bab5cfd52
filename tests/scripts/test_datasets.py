"""Adding and removing entries without changing any other byte of the files."""

from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies

from scripts._define.artifact_entries import artifact_names
from scripts._define.datasets import NewDataset, add_dataset, remove_dataset
from scripts._define.definition import read_definition
from scripts._define.yaml_edits import add_entry, remove_entry
from scripts._dvc.stages import read_stage
from scripts._process.errors import ScriptError
from scripts._process.files import read_yaml
from tests.helpers.commented_repository import DVC_LOCK, DVC_YAML, PARAMS_YAML, make_commented_repository
from tests.helpers.killing import kill_at_step, read_files

ROOT = Path(__file__).resolve().parents[2]
PATH = Path("some.yaml")
PARAMS = {"builder": "datasets/standard/third", "version": "1.0.0", "license": "MIT"}
THIRD = NewDataset("third", PARAMS, "The third: one, # two", ("artifacts/first.tar",))


@pytest.fixture
def root(tmp_path):
    return make_commented_repository(tmp_path / "repository")


def test_adding_appends_an_entry_and_removing_it_restores_the_files(root):
    before = read_files(root)
    add_dataset(THIRD, root=root)
    after = read_files(root)
    assert {file for file in after if after[file] != before.get(file)} == {"dvc.yaml", "params.yaml"}
    for file in ("dvc.yaml", "params.yaml"):
        kept = iter(after[file].splitlines())
        assert all(line in kept for line in before[file].splitlines())  # all lines, in the same order
    remove_dataset("third", root=root)
    assert read_files(root) == before


def test_an_added_dataset_can_be_read_as_a_definition(root):
    add_dataset(THIRD, root=root)
    found = read_definition("third", root=root)
    assert (found.builder, found.version, found.license) == tuple(PARAMS.values())
    assert found.visibility == "private"
    assert found.parents == {"first": ("first.tar",)}
    stage = read_stage(root / "dvc.yaml", "third")
    assert stage["deps"] == ["datasets/standard/third", "artifacts/first.tar"]
    assert stage["desc"] == "The third: one, # two"
    text = (root / "dvc.yaml").read_text()
    assert text.index("a comment of nobody's") < text.index("third:") < text.index("# and what follows them")
    assert (root / "params.yaml").read_text() == PARAMS_YAML + (
        "\nthird:\n  builder: datasets/standard/third\n  version: 1.0.0\n  license: MIT\n"
    )


def test_entries_go_in_by_name_and_comments_stay_with_theirs(root):
    for name in ("zebra", "middle", "apple", "gem"):
        add_dataset(NewDataset(name, PARAMS, name), root=root)
    names = ["apple", "first", "gem", "middle", "second", "zebra"]
    stages = (root / "dvc.yaml").read_text()
    assert list(read_yaml(root / "dvc.yaml")["stages"]) == names
    assert [next(iter(plot)) for plot in read_yaml(root / "dvc.yaml")["plots"]] == ["apple", "gem", "middle", "zebra"]
    assert list(read_yaml(root / "params.yaml")) == ["toolchain", *names]  # the toolchain stays first
    assert "  # the first, and the best\n  first:\n" in stages
    assert "# The first.\nfirst:\n" in (root / "params.yaml").read_text()
    for name in ("gem", "apple", "zebra", "middle"):
        remove_dataset(name, root=root)
    assert (root / "params.yaml").read_text() == PARAMS_YAML
    assert (root / "dvc.yaml").read_text() == DVC_YAML


def test_configs_have_a_tar_each(root):
    add_dataset(NewDataset("third", {**PARAMS, "builder": "third", "configs": ["x", "y"]}, "Third"), root=root)
    found = read_definition("third", root=root)
    assert found.configs == ("x", "y")
    assert "deps" not in read_stage(root / "dvc.yaml", "third")


@pytest.mark.parametrize("file", ["dvc.yaml", "params.yaml"])
def test_an_added_entry_has_the_layout_of_this_repository(file):
    text = (ROOT / file).read_text()
    under = "stages" if file == "dvc.yaml" else None
    entries = read_yaml(ROOT / file)
    entry = entries["stages"]["mnist"] if under else entries["mnist"]
    grown = add_entry(text, "another", entry, under=under, path=PATH)
    indent = "  " if under else ""
    start = text.rindex(f"\n{indent}mnist:\n") + 1
    block = text[start : text.index("\n\n", start) + 1]
    assert grown == f"{text[:start]}{block.replace('mnist:', 'another:', 1)}\n{text[start:]}"


def test_removing_an_entry_removes_its_comments_and_no_others(root):
    remove_dataset("first", root=root)
    start, stop = DVC_YAML.index("  # the first, and"), DVC_YAML.index("\n  second:")
    assert (root / "dvc.yaml").read_text() == DVC_YAML[:start] + DVC_YAML[stop:]
    start, stop = PARAMS_YAML.index("\n# The first."), PARAMS_YAML.index("\nsecond:")
    assert (root / "params.yaml").read_text() == PARAMS_YAML[:start] + PARAMS_YAML[stop:]
    assert (root / "dvc.lock").read_text() == "schema: '2.0'\nstages: {}\n"


def test_all_entries_can_be_removed_and_another_one_added(root):
    remove_dataset("second", root=root)
    assert "# a comment of nobody's" in (root / "dvc.yaml").read_text()
    assert "# a comment of second's" not in (root / "dvc.yaml").read_text()
    assert (root / "params.yaml").read_text().endswith('"CC0"\n# The end.\n')
    assert (root / "dvc.lock").read_text() == DVC_LOCK
    remove_dataset("first", root=root)
    assert read_yaml(root / "dvc.yaml")["stages"] == {}
    add_dataset(THIRD, root=root)
    assert list(read_yaml(root / "dvc.yaml")["stages"]) == ["third"]
    assert read_yaml(root / "params.yaml")["third"]["version"] == "1.0.0"


@pytest.mark.parametrize("text", ["", "a: 1", "a: 1\n", "# only a comment\n", "a:\n  - |\n    block\n    # text\n\n"])
def test_an_entry_can_be_added_to_any_file(text):
    grown = add_entry(text, "new", {"b": "x: y"}, path=PATH)
    assert grown.startswith(text)
    assert grown.endswith("new:\n  b: 'x: y'\n")
    assert remove_entry(grown, "new", path=PATH).rstrip("\n") == text.rstrip("\n")


@pytest.mark.parametrize(
    "text",
    ["stages: {a: {cmd: x}}\n", "{stages: {a: {cmd: x}}}\n", "---\nstages:\n  a: &a {cmd: x}\n  b: *a\n...\n"],
    ids=["flow", "flow at the top", "document end"],
)
def test_a_layout_that_does_not_allow_editing_lines_is_refused(text):
    with pytest.raises(ScriptError, match=r"some\.yaml: 'a' cannot be removed by editing lines; edit it by hand"):
        remove_entry(text, "a", under="stages", path=PATH)


ENTRIES = [
    "{0}: 1\n",
    "{0}:\n  b: [1, 2]   # aligned\n  # inside\n  c: 'x: y'\n",
    "{0}:\n- 1\n- {{b: 2}}\n",
    "{0}: |\n  # text\n\n  more\n",
    "{0}: >-\n  folded\n  twice\n",
    "'{0}': {{b: 1,\n  c: 2}}\n",
    "{0}:\n  b: 1\n  # below, deeper\n",
    "{0}:\n",
]
BETWEEN = ["", "\n", "\n\n", "# a comment\n", "\n# a comment\n", "# a comment\n\n", "\n# of two\n#\n# parts\n\n"]


PIECES = strategies.tuples(strategies.sampled_from(BETWEEN), strategies.sampled_from(ENTRIES))


@settings(derandomize=True, deadline=None, max_examples=60)
@given(strategies.lists(PIECES, min_size=1, max_size=4))
def test_other_entries_keep_their_lines_in_any_layout(pieces):
    names = [f"k{number}" for number in range(len(pieces))]
    blocks = [entry.format(name) for name, (_, entry) in zip(names, pieces, strict=True)]
    text = "".join(between + block for (between, _), block in zip(pieces, blocks, strict=True))
    nested = "x: 1\nstages:\n" + "".join(f"  {line}" if line.strip() else line for line in text.splitlines(True))
    for whole, under in ((text, None), (nested, "stages")):
        grown = add_entry(whole, "new", {"b": [{"c": "d"}]}, under=under, path=PATH)
        assert remove_entry(grown, "new", under=under, path=PATH) == whole
        for name in names:
            rest = remove_entry(whole, name, under=under, path=PATH).replace("\n  ", "\n" if under else "\n  ")
            for other, block in zip(names, blocks, strict=True):
                assert (block in rest) == (other != name)


def test_removing_an_anchor_that_another_entry_uses_is_refused():
    text = "stages:\n  a:\n    outs: &outs [x]\n  b:\n    outs: *outs\n"
    with pytest.raises(ScriptError, match="'a' cannot be removed"):
        remove_entry(text, "a", under="stages", path=PATH)
    assert add_entry(text, "c", {"cmd": "x"}, under="stages", path=PATH) == text + "\n  c:\n    cmd: x\n"
    assert remove_entry(text, "b", under="stages", path=PATH) == text[: text.index("  b:")]


def test_a_name_in_use_is_refused_without_changing_files(root):
    before = read_files(root)
    with pytest.raises(ScriptError, match="there is already a dataset first"):
        add_dataset(NewDataset("first", PARAMS, ""), root=root)
    stage = "  third:\n    cmd: mine\n"
    (root / "dvc.yaml").write_text(DVC_YAML.replace("stages:\n", f"stages:\n{stage}"))
    before["dvc.yaml"] = (root / "dvc.yaml").read_bytes()
    with pytest.raises(ScriptError, match=r"dvc\.yaml has another stage third, for which params\.yaml has no block"):
        add_dataset(THIRD, root=root)
    assert read_files(root) == before
    remove_dataset("third", root=root)  # as the message says
    add_dataset(THIRD, root=root)


def test_with_a_broken_file_no_file_is_changed(root):
    (root / "dvc.yaml").write_bytes(b"\xff")
    before = read_files(root)
    with pytest.raises(ScriptError, match=r"dvc\.yaml is not valid YAML: ."):
        add_dataset(THIRD, root=root)
    assert read_files(root) == before


def test_a_killed_edit_is_completed_by_running_it_again(tmp_path):
    expected = make_commented_repository(tmp_path / "expected")
    before = read_files(expected)
    add_dataset(THIRD, root=expected)
    after = read_files(expected)
    for step in range(100):
        root = make_commented_repository(tmp_path / f"{step}")
        added = kill_at_step(partial(add_dataset, THIRD, root=root), step, root=root)
        add_dataset(THIRD, root=root)
        assert read_files(root) == after, f"killed before step {step}"
        removed = kill_at_step(partial(remove_dataset, "third", root=root), step, root=root)
        remove_dataset("third", root=root)
        assert read_files(root) == before, f"killed before step {step}"
        if added and removed:
            break
    assert 4 <= step < 100  # two files, each opened and renamed


def test_each_artifact_has_an_entry_for_the_registry_of_dvc(root):
    before = read_files(root)
    configs = NewDataset("third", {**PARAMS, "builder": "third", "configs": ["x", "y.1"]}, "Third")
    add_dataset(configs, root=root)
    entries = read_yaml(root / "dvc.yaml")["artifacts"]
    assert entries.pop("something") == {"path": "artifacts/other.tar"}
    values = {"type": "dataset", "labels": ["standard"]}
    assert entries == {
        "third-x": {"path": "artifacts/third-x.tar", "desc": "Third, config x", **values},
        "third-y-1": {"path": "artifacts/third-y.1.tar", "desc": "Third, config y.1", **values},
    }
    remove_dataset("third", root=root)
    assert read_files(root) == before
    folder = {**PARAMS, "builder": "datasets/adversarial/third"}
    add_dataset(NewDataset("third", folder, "Third"), root=root)
    assert read_yaml(root / "dvc.yaml")["artifacts"]["third"] == {
        "path": "artifacts/third.tar",
        "type": "dataset",
        "desc": "Third",
        "labels": ["adversarial"],
    }


def test_an_entry_of_another_artifact_is_not_replaced(root):
    path = root / "dvc.yaml"
    path.write_text(path.read_text().replace("  something:", "  third:"))
    before = read_files(root)
    with pytest.raises(ScriptError, match=r"dvc\.yaml has another entry third under artifacts; rename it"):
        add_dataset(THIRD, root=root)
    assert read_files(root) == before


@pytest.mark.parametrize(
    ("name", "configs", "expected"),
    [
        ("digit", (), ["digit"]),
        ("digit_", (), ["digit"]),
        ("c4", ("en", "20220620.en", "é_"), ["c4-en", "c4-20220620-en", "c4"]),
        ("a", ("x.y", "x-y", "x_y", "x.y_"), ["a-x-y", "a-x-y-2", "a-x_y", "a-x-y-3"]),
    ],
)
def test_artifacts_have_names_that_gto_allows(name, configs, expected):
    from gto.constants import assert_name_is_valid

    found = artifact_names(name, configs)
    assert list(found) == list(configs or (None,))
    assert list(found.values()) == expected
    for each in found.values():
        assert_name_is_valid(each)
