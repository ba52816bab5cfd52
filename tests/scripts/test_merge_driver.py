"""The merge driver as git calls it, and the merge by entry that it makes."""

import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies
from ruamel.yaml import YAML

from scripts._define.yaml_edits import add_entry, remove_entry
from scripts._merge.parts import LAYOUTS, divide
from scripts._merge.three_way import merge_as_text, merge_texts
from scripts._process.errors import ScriptError
from scripts.merge_file import merge_file
from tests.helpers.commented_repository import DVC_LOCK, DVC_YAML, PARAMS_YAML
from tests.helpers.team_repository import TeamRepository

ROOT = Path(__file__).resolve().parents[2]
TEXTS = {"dvc.yaml": DVC_YAML, "params.yaml": PARAMS_YAML, "dvc.lock": DVC_LOCK}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    repository = TeamRepository(tmp_path_factory.mktemp("made") / "team")
    repository.add("middle")
    repository.commit()
    return repository


@pytest.fixture
def team(made, tmp_path):
    """A repository of one dataset, with the merge driver."""
    return made.copy(tmp_path / "team")


def add_on_branches(team):
    """Add a dataset on each of two branches, after the same entry."""
    for branch, name in (("a", "next"), ("b", "nothing")):
        team.branch(branch)
        team.add(name)
        team.commit()
    team.git("checkout", "--quiet", "a")


def assert_merged_as_text(team):
    """Check that git's own conflict markers are in params.yaml, around the lines of both sides."""
    text = team.read("params.yaml")
    assert "<<<<<<< " in text
    assert "next:" in text
    assert "nothing:" in text
    assert "params.yaml" in team.unmerged()


def test_a_linked_work_tree_and_a_moved_clone_use_the_driver(team, tmp_path):
    add_on_branches(team)
    team.git("worktree", "add", "--quiet", "--detach", str(tmp_path / "linked"), "a")
    assert team.git("-C", str(tmp_path / "linked"), "merge", "--no-edit", "b").returncode == 0
    team.git("worktree", "remove", str(tmp_path / "linked"))
    shutil.move(team.root, tmp_path / "moved")
    team.root = tmp_path / "moved"
    assert team.git("merge", "--no-edit", "b").returncode == 0


@pytest.mark.parametrize(
    "python",
    [None, "exit 1", "kill -KILL $$", "exit 2"],
    ids=["missing", "failing", "killed", "another version"],
)
def test_without_a_working_environment_git_merges_as_text(team, python):
    add_on_branches(team)
    (team.root / ".venv").unlink()
    if python is not None:
        (team.root / ".venv/bin").mkdir(parents=True)
        program = team.root / ".venv/bin/python"
        program.write_text(f"#!/bin/sh\n{python}\n")
        program.chmod(0o755)
    assert team.git("merge", "b", check=False).returncode == 1
    assert_merged_as_text(team)


@pytest.mark.parametrize(
    "text",
    ["toolchain: {", "{a: {b: 1}}\n", "- a\n", "a: &a {b: 1}\na: *a\n"],
    ids=["broken", "flow", "a list", "a key twice"],
)
def test_a_file_that_cannot_be_merged_by_entry_is_merged_as_text(team, text):
    team.branch("a")
    (team.root / "params.yaml").write_text(text)
    team.commit()
    team.branch("b")
    team.edit("middle", version="1.1.0")
    team.commit()
    assert team.git("merge", "a", check=False).returncode == 1
    assert "version: 1.1.0" in team.read("params.yaml")
    assert text.strip() in team.read("params.yaml")


@pytest.mark.parametrize("value", ["2020-02-30", "&a [*a]"], ids=["a date that does not exist", "itself"])
def test_an_odd_value_is_no_traceback(value):
    text = f"a: {value}\n"
    with pytest.raises(ScriptError, match=r"^params\.yaml cannot be merged by entry: "):
        merge_texts("params.yaml", text, f"{text}b: 1\n", f"{text}c: 1\n")


def test_a_dataset_may_be_called_like_a_section():
    ours = add_entry(DVC_YAML, "new", {"cmd": "build new"}, under="stages", path=Path("dvc.yaml"))
    assert merge_texts("dvc.yaml", DVC_YAML, ours, DVC_YAML, choices={"stages": "theirs"}).text == ours


def test_only_the_three_files_can_be_merged(tmp_path):
    with pytest.raises(ScriptError, match=r"other\.yaml has no entries of datasets"):
        merge_file(tmp_path, tmp_path, tmp_path, "other.yaml")


@pytest.mark.parametrize("file", LAYOUTS)
def test_the_parts_of_a_file_are_its_lines(file):
    for text in ((ROOT / file).read_text(), TEXTS[file], ""):
        assert divide(text, LAYOUTS[file]).body == text
        assert merge_texts(file, text, text, text).text == text


def test_lines_of_the_top_are_merged_as_text():
    changed = PARAMS_YAML.replace("# What to build.", "# What is built.")
    added = PARAMS_YAML + "\nthird:\n  builder: third\n"
    assert merge_texts("params.yaml", PARAMS_YAML, changed, added).text == added.replace("to build", "is built")
    other = PARAMS_YAML.replace("# What to build.", "# All datasets.")
    merged = merge_texts("params.yaml", PARAMS_YAML, changed, other)
    assert merged.conflicts == ("the lines at the top",)
    assert "=======\n# All datasets.\n" in merged.text


def test_both_sides_can_remove_entries_until_none_is_left():
    text, path = DVC_YAML.replace("  # the first, and the best\n", ""), Path("dvc.yaml")
    ours = remove_entry(text, "first", under="stages", path=path)
    theirs = remove_entry(text, "second", under="stages", path=path)
    merged = merge_texts("dvc.yaml", text, ours, theirs)
    assert merged.conflicts == ()
    assert YAML(typ="safe").load(merged.text)["stages"] == {}


def test_a_missing_newline_at_the_end_stays_missing():
    text = PARAMS_YAML.removesuffix("\n")
    changed = text.replace("1.0.0", "1.1.0")
    assert merge_texts("params.yaml", text, changed, text).text == changed
    assert merge_texts("params.yaml", text, text, changed).text == changed


@pytest.mark.parametrize(
    ("names", "is_apart"),
    [(("apple", "zebra"), True), (("digits", "mnist_b"), True), (("mnist_a", "mnist_c"), False)],
)
def test_without_the_driver_entries_meet_only_after_the_same_entry(names, is_apart):
    text = (ROOT / "params.yaml").read_text()
    ours, theirs = (add_entry(text, name, {"builder": name}, path=Path("params.yaml")) for name in names)
    assert merge_as_text(text, ours, theirs)[1] == is_apart
    merged = merge_texts("params.yaml", text, ours, theirs).text
    assert merged == add_entry(ours, names[1], {"builder": names[1]}, path=Path("params.yaml"))


NAMES = [f"k{number}" for number in range(8)]
VALUES = strategies.dictionaries(strategies.sampled_from(["builder", "version", "license"]), strategies.integers(0, 9))
CHANGES = strategies.lists(
    strategies.tuples(
        strategies.sampled_from(NAMES), strategies.sampled_from(["add", "remove", "change", "comment"]), VALUES
    ),
    max_size=4,
)


def start(file):
    """A file with some entries, with comments of several kinds."""
    top = {
        "params.yaml": "# Top.\n\ntoolchain: {}\n",
        "dvc.yaml": "# Top.\nstages:\n",
        "dvc.lock": "schema: '2.0'\nstages:\n",
    }
    indent = "" if file == "params.yaml" else "  "
    blocks = []
    for number, name in enumerate(NAMES[1:6:2]):
        comment = ("", f"{indent}# of {name}\n", f"{indent}# between, {name}\n\n")[number]
        blocks.append(f"{comment}{indent}{name}:\n{indent}  builder: {name}   # aligned\n{indent}  version: 1\n")
    return top[file] + ("\n" if file == "params.yaml" else "") + "\n".join(blocks)


def edit(file, text, changes):
    """Make changes as the commands do."""
    under, path = (None if file == "params.yaml" else "stages"), Path(file)
    for name, change, values in changes:
        content = YAML(typ="safe").load(text)
        has = name in ((content if under is None else content[under]) or {})
        if change == "add" and not has:
            text = add_entry(text, name, values or {"builder": name}, under=under, path=path)
        elif change == "remove" and has:
            text = remove_entry(text, name, under=under, path=path)
        elif change == "change":
            text = text.replace(
                f"builder: {name}   # aligned", f"builder: {name}{values.get('builder', '')}   # aligned"
            )
        elif change == "comment":
            text = text.replace(f"# of {name}\n", f"# of {name}, {values.get('version')}\n")
    return text


def entries(file, text):
    content = YAML(typ="safe").load(text)
    return {**(content if file == "params.yaml" else content["stages"] or {})}


def own_lines(file, text):
    """The lines of each entry, with the comments directly above."""
    whole = divide(text, LAYOUTS[file])
    parts = whole.parts if file == "params.yaml" else next(part.parts for part in whole.parts if part.name == "stages")
    return {part.name: part.body for part in parts}


@settings(derandomize=True, deadline=None, max_examples=120)
@given(strategies.sampled_from(list(LAYOUTS)), CHANGES, CHANGES)
def test_random_edits_merge_as_entries_do_and_keep_every_other_byte(file, ours_changes, theirs_changes):
    base = start(file)
    ours, theirs = edit(file, base, ours_changes), edit(file, base, theirs_changes)
    merged = merge_texts(file, base, ours, theirs)
    mirrored = merge_texts(file, base, theirs, ours)
    assert {*merged.conflicts} == {*mirrored.conflicts}
    lines = [own_lines(file, text) for text in (base, ours, theirs)]
    expected, values = {}, [entries(file, text) for text in (base, ours, theirs)]
    for name in {*lines[0], *lines[1], *lines[2]}:
        before, here, there = (each.get(name) for each in lines)
        if here == there or there == before:
            expected[name] = here
        elif here == before:
            expected[name] = there
        elif name in merged.conflicts:
            assert f"<<<<<<< ours\n{here or ''}=======\n{there or ''}>>>>>>> theirs\n" in merged.text
        elif not merged.conflicts:  # whose markers are no YAML
            assert file != "dvc.lock"  # merged by key
            for key, value in entries(file, merged.text)[name].items():
                assert value in (values[1][name].get(key), values[2][name].get(key))
    assert all(text in merged.text for text in expected.values() if text)
    if merged.conflicts:
        return
    # of an entry that both added, the keys have the order of ours
    assert entries(file, merged.text) == entries(file, mirrored.text)
    assert merged.text == mirrored.text or file != "dvc.lock"
    found = own_lines(file, merged.text)
    assert {name for name, text in expected.items() if text} <= found.keys()
    assert not {name for name, text in expected.items() if text is None} & found.keys()
    assert {name: found[name] for name, text in expected.items() if text} == {n: t for n, t in expected.items() if t}
