"""Branches that add, change and remove datasets, merged with and without the merge driver."""

import shutil
import subprocess

import pytest

from scripts import resolve as resolve_command
from scripts._merge.resolve import resolve
from scripts._merge.sides import Sides
from scripts._process.errors import ScriptError
from scripts._process.files import read_yaml
from scripts._verify.repository import check_repository
from scripts.changed import changed
from tests.helpers.killing import kill_at_step
from tests.helpers.team_repository import IDENTITY, TeamRepository

without_driver = pytest.mark.parametrize("made", ["text"], indirect=True)
"""For what does not depend on the merge driver."""
DESCRIBED = (".json", ".stats.json", ".croissant.json")


@pytest.fixture(scope="module", params=["driver", "text"])
def made(request, tmp_path_factory):
    repository = TeamRepository(tmp_path_factory.mktemp("made") / "team", driver=request.param == "driver")
    repository.add("middle")
    repository.add("derived", parent="middle")
    repository.commit()
    return repository


@pytest.fixture
def team(made, tmp_path):
    """A repository of two datasets, one derived from the other; with the merge driver, and without."""
    return made.copy(tmp_path / "team")


def resolved(team, **choices):
    """What `make resolve` does, with `name="ours"` for OURS=name."""
    return resolve(Sides.read(team.root), choices)


def join(team, way, ours, theirs):
    """Join branch `theirs` to `ours` in one of git's ways; return whether there was no conflict."""
    team.git("checkout", "--quiet", ours)
    if way == "merge":
        return team.git("merge", "--no-edit", theirs, check=False).returncode == 0
    if way == "cherry-pick":
        return team.git("cherry-pick", f"main..{theirs}", check=False).returncode == 0
    team.git("checkout", "--quiet", theirs)
    return team.git("rebase", ours, check=False).returncode == 0


def finish(team):
    """Continue what git is doing."""
    sides = Sides.read(team.root)
    if sides:
        team.git(sides.action, "--continue")


SLOW_WAYS = [("merge", "b", "a"), ("cherry-pick", "a", "b")]
WAYS = [("merge", "a", "b"), ("rebase", "a", "b"), *(pytest.param(*way, marks=pytest.mark.slow) for way in SLOW_WAYS)]


@pytest.mark.slow
@pytest.mark.parametrize(("way", "ours", "theirs"), WAYS)
@pytest.mark.parametrize("names", [("apple", "zebra"), ("next", "nothing")], ids=["apart", "after the same entry"])
def test_two_branches_that_each_add_a_dataset_are_merged(team, way, ours, theirs, names):
    for branch, name in zip("ab", names, strict=True):
        team.branch(branch)
        team.add(name)
        team.commit()
    has_driver = "datasets" in team.git("config", "--local", "--list").stdout
    is_clean = join(team, way, ours, theirs)
    assert is_clean or not has_driver
    if not is_clean:
        assert resolved(team).open == []
    finish(team)
    assert team.git("status", "--porcelain").stdout == ""
    assert sorted(team.yaml("params.yaml")) == sorted(["toolchain", "middle", "derived", *names])
    for file in ("dvc.yaml", "dvc.lock"):
        assert sorted(team.yaml(file)["stages"]) == sorted(["middle", "derived", *names])
    for name in names:
        assert (team.root / f"datasets/standard/{name}/{name}.py").exists()
        for suffix in DESCRIBED:
            assert (team.root / f"artifacts/{name}{suffix}").exists()


def change_on(team, branch, *, build=True, **values):
    """Change `middle` on a branch, and build it there."""
    if team.git("rev-parse", "--verify", "--quiet", branch, check=False).returncode:
        team.branch(branch)
    team.edit("middle", **values)
    if build:
        team.build("middle", content=branch)
    team.commit(branch)


def has_markers(text):
    return "\n<<<<<<< " in text


@pytest.mark.parametrize(("way", "ours", "theirs"), WAYS)
def test_two_branches_that_change_different_keys_of_a_dataset_are_merged_and_it_is_built_again(team, way, ours, theirs):
    change_on(team, "a", version="1.1.0")
    change_on(team, "b", license="MIT")
    assert not join(team, way, ours, theirs)
    done = resolved(team)
    assert (done.rebuild, done.open) == (["middle"], [])
    block = team.yaml("params.yaml")["middle"]
    assert (block["version"], block["license"]) == ("1.1.0", "MIT")
    kept = team.git("show", f"{ours}:artifacts/middle.json").stdout
    assert team.read("artifacts/middle.json") == kept  # one build's records, until it is built again
    assert team.yaml("dvc.lock")["stages"]["middle"] == lock_entry(team, ours, "middle")
    assert team.unmerged() == set()
    finish(team)


def lock_entry(team, branch, name):
    """The entry in the `dvc.lock` of a branch."""
    (team.root / ".scratch").mkdir(exist_ok=True)
    copy = team.root / ".scratch/lock"
    copy.write_text(team.git("show", f"{branch}:dvc.lock").stdout)
    return team.yaml(".scratch/lock")["stages"][name]


@pytest.mark.parametrize(("way", "ours", "theirs"), WAYS)
def test_two_branches_that_change_the_same_key_are_a_conflict_that_one_command_decides(
    team, way, ours, theirs, tmp_path
):
    change_on(team, "a", version="1.1.0")
    team.branch("b")
    team.add("other")  # which the conflict must not touch
    change_on(team, "b", version="1.2.0")
    assert not join(team, way, ours, theirs)
    versions = {"a": "1.1.0", "b": "1.2.0"}
    (message,) = resolved(team).open
    assert message == (
        f'middle: version in params.yaml is "{versions[ours]}" in ours, "{versions[theirs]}" in theirs; '
        f"decide with: make resolve OURS=middle or: make resolve THEIRS=middle"
    )
    text = team.read("params.yaml")
    assert has_markers(text)
    assert text.count("<<<<<<< ") == 1
    assert text.index("\nderived:") < text.index("<<<<<<< ") < text.index("\nother:")
    assert {"params.yaml", "dvc.lock", "artifacts/middle.json"} <= team.unmerged()
    assert "dvc.yaml" not in team.unmerged()
    assert resolved(team).open == [message]  # again
    for side, taken in (("ours", ours), ("theirs", theirs)):
        decided = team.copy(tmp_path / side)
        assert resolved(decided, middle=side).open == []
        assert decided.unmerged() == set()
        assert decided.yaml("params.yaml")["middle"]["version"] == versions[taken]
        assert decided.yaml("dvc.lock")["stages"]["middle"] == lock_entry(decided, taken, "middle")
        for suffix in DESCRIBED:
            path = f"artifacts/middle{suffix}"
            assert decided.read(path) == decided.git("show", f"{taken}:{path}").stdout
        assert {"middle", "derived", "other"} <= decided.yaml("dvc.lock")["stages"].keys()
        finish(decided)


def test_decisions_can_be_made_one_after_the_other(team):
    for branch, version in (("a", "1.1.0"), ("b", "1.2.0")):
        team.branch(branch)
        for name in ("middle", "derived"):
            team.edit(name, version=version)
            team.build(name)
        team.commit()
    assert not join(team, "merge", "a", "b")
    assert len(resolved(team).open) == 2
    (left,) = resolved(team, middle="theirs").open
    assert left.startswith("derived: ")
    assert resolved(team, derived="ours").open == []
    blocks = team.yaml("params.yaml")
    assert (blocks["middle"]["version"], blocks["derived"]["version"]) == ("1.2.0", "1.1.0")
    # what is edited after the decision stays
    team.edit("middle", version="2.0.0")
    assert resolved(team).open == []
    assert team.yaml("params.yaml")["middle"]["version"] == "2.0.0"


def test_a_dataset_removed_here_and_changed_there_is_a_conflict(team):
    team.branch("a")
    team.remove("derived")
    team.commit()
    team.branch("b")
    team.edit("derived", version="1.1.0")
    team.build("derived")
    team.commit()
    for ours, theirs, removes, changes in (("a", "b", "ours", "theirs"), ("b", "a", "theirs", "ours")):
        for side in ("ours", "theirs"):
            assert not join(team, "merge", ours, theirs)
            (message,) = resolved(team).open
            assert message.startswith(
                f"derived: {removes} removed it, {changes} changed it; decide with: make resolve "
            )
            assert resolved(team, derived=side).open == []
            assert ("derived" in team.yaml("params.yaml")) == (side == changes)
            assert ("derived" in team.yaml("dvc.lock")["stages"]) == (side == changes)
            for path in ("artifacts/derived.json", "datasets/standard/derived/derived.py"):
                assert (team.root / path).exists() == (side == changes)
            assert team.unmerged() == set()
            team.git("merge", "--abort")


@pytest.mark.parametrize(("ours", "theirs"), [("a", "b"), ("b", "a")])
def test_a_dataset_derived_from_what_the_other_branch_removed_is_found(team, ours, theirs):
    team.branch("a")
    team.remove("derived")
    team.remove("middle")
    team.commit()
    team.branch("b")
    team.add("child", parent="middle")
    team.commit()
    team.git("checkout", "--quiet", ours)
    team.git("merge", "--no-commit", theirs, check=False)
    keeps, removes = ("theirs", "ours") if ours == "a" else ("ours", "theirs")
    (message,) = resolved(team).open
    assert message == (
        f"child is derived from middle, which {removes} removed; keep middle with: "
        f"make resolve {keeps.upper()}=middle, or remove child too with: make remove DATASET=child"
    )
    assert any("artifacts/middle.tar" in problem for problem in check_repository(team.root))
    assert resolved(team, middle=keeps).open == []
    assert {"middle", "child"} == team.yaml("dvc.yaml")["stages"].keys() == team.yaml("dvc.lock")["stages"].keys()
    assert team.read("datasets/standard/middle/middle.py") == "# the builder of middle\n"
    assert (team.root / "artifacts/middle.json").exists()
    finish(team)
    assert team.git("status", "--porcelain").stdout == ""


@pytest.fixture
def two_contents(team):
    """A repository whose branches `a` and `b` both built `middle` 1.1.0, with two contents."""
    for branch in ("a", "b"):
        team.branch(branch)
        (team.root / "datasets/standard/middle" / f"{branch}.py").write_text(branch)
        team.edit("middle", version="1.1.0")
        team.build("middle", content=branch)
        team.commit()
    return team


TWO_CONTENTS = "middle 1.1.0 was built with two contents, one on each side, but a version names one: "
RAISE = "raise version in params.yaml and in the builder"


def withdraw(team, branch):
    """List the commit of a branch as withdrawn, and return how `make resolve` says it."""
    commit = team.git("rev-parse", "--short", branch).stdout.strip()
    team.edit("middle", license=f'CC0\n  withdrawn: ["{commit}"]')
    return f'set withdrawn: ["{commit}"] in its block of params.yaml, so that 1.1.0 is what'


def has_two_contents(team):
    """Whether `make check` says so, once the result is committed."""
    team.git("add", "--all")
    finish(team)
    return any("two contents" in problem for problem in check_repository(team.root))


@without_driver
@pytest.mark.parametrize("follows", [True, False])
def test_one_version_with_two_contents_is_found_and_the_lines_that_end_it_are_told(two_contents, follows):
    team = two_contents
    assert not join(team, "merge", "a", "b")
    done = resolved(team)
    assert done.rebuild == ["middle"]
    if follows:
        lines = withdraw(team, "b")
        assert done.open == [f"{TWO_CONTENTS}{RAISE}, and {lines} ours built, then: make build DATASET=middle"]
    team.edit("middle", version="1.1.1")
    team.build("middle")
    assert bool(resolved(team).open) != follows  # what was not done is told again
    assert has_two_contents(team) != follows


@without_driver
def test_of_two_contents_the_released_one_stays_or_that_of_the_side_that_is_taken(two_contents, tmp_path):
    team = two_contents
    assert not join(team, "merge", "a", "b")
    taken = team.copy(tmp_path / "taken")
    told = resolved(taken, middle="theirs").open
    assert told == [f"{TWO_CONTENTS}{withdraw(taken, 'a')} theirs built, then: make build DATASET=middle"]
    assert resolved(taken).open == []
    assert not has_two_contents(taken)
    team.git("tag", "-a", "-m", "release", "middle@v1.1.0", "b")
    told = resolved(team, middle="ours").open
    assert told == [f"{TWO_CONTENTS}{RAISE}, and {withdraw(team, 'a')} was released, then: make build DATASET=middle"]


@without_driver
def test_a_rebase_has_the_content_of_theirs_no_more(two_contents):
    assert not join(two_contents, "rebase", "a", "b")
    assert resolved(two_contents).open == [f"{TWO_CONTENTS}{RAISE}, then: make build DATASET=middle"]
    assert resolved(two_contents, middle="ours").open == []
    assert not has_two_contents(two_contents)


@without_driver
@pytest.mark.parametrize("command", ["cherry-pick", "revert"])
def test_the_changes_of_a_merge_are_counted_from_the_parent_that_git_was_told(team, command):
    change_on(team, "a", version="1.1.0")
    change_on(team, "b", license="MIT")
    assert not join(team, "merge", "a", "b")
    assert resolved(team).open == []
    finish(team)
    if command == "cherry-pick":
        change_on(team, "c", version="1.2.0")
    else:
        change_on(team, "a", version="1.2.0")
    assert team.git(command, "--no-edit", "-m", "2", "a" if command == "cherry-pick" else "a^", check=False).returncode
    sides = Sides.read(team.root)
    parent = team.git("rev-parse", "b").stdout.strip()
    assert sides.commits["base" if command == "cherry-pick" else "theirs"] == parent
    values = {"cherry-pick": '"1.2.0" in ours, "1.1.0" in theirs', "revert": '"1.2.0" in ours, "1.0.0" in theirs'}
    assert resolved(team).open == [
        f"middle: version in params.yaml is {values[command]}; "
        "decide with: make resolve OURS=middle or: make resolve THEIRS=middle"
    ]


@without_driver
def test_a_merge_in_a_rebase_goes_on_with_the_rebase(team):
    change_on(team, "a", version="1.1.0")
    change_on(team, "b", license="MIT")
    assert not join(team, "merge", "a", "b")
    assert resolved(team).open == []
    finish(team)
    team.git("checkout", "--quiet", "main")
    (team.root / "notes").write_text("new\n")
    team.commit()
    assert team.git("rebase", "--rebase-merges", "main", "a", check=False).returncode
    assert resolved(team).rebuild == ["middle"]
    finish(team)
    assert "rebase" not in team.git("status").stdout
    assert len(team.git("rev-parse", "HEAD^@").stdout.split()) == 2


@pytest.mark.slow
@pytest.mark.parametrize("order", ["abc", "bca", "cab"])  # the last one is put between the others, before, after them
def test_three_branches_are_merged_in_any_order(team, order):
    for branch, name in zip("abc", ("apple", "avocado", "apricot"), strict=True):
        team.branch(branch)
        team.add(name)
        team.commit()
    for branch in order:
        if not join(team, "merge", "main", branch):
            assert resolved(team).open == []
            finish(team)
    assert list(team.yaml("params.yaml")) == ["toolchain", "apple", "apricot", "avocado", "derived", "middle"]
    assert list(team.yaml("dvc.yaml")["stages"]) == ["apple", "apricot", "avocado", "derived", "middle"]
    assert team.yaml("dvc.lock")["stages"].keys() == team.yaml("dvc.yaml")["stages"].keys()


def test_a_builder_that_both_branches_changed_is_left_to_git(team):
    for branch in ("a", "b"):
        team.branch(branch)
        (team.root / "datasets/standard/middle/middle.py").write_text(f"# {branch}\n")
        team.build("middle", content=branch)
        team.commit()
    assert not join(team, "merge", "a", "b")
    path = "datasets/standard/middle/middle.py"
    assert resolved(team).open[0] == f"{path} is still in conflict; edit it, then: git add {path}"
    resolved(team, middle="theirs")
    assert team.read(path) == "# b\n"
    assert team.unmerged() == set()


def test_in_a_folder_of_a_larger_git_repository_the_same_is_merged(tmp_path):
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main", str(tmp_path)], check=True)
    team = TeamRepository(tmp_path / "data sets", driver=False)
    shutil.rmtree(team.root / ".git")  # git finds that of the larger one
    team.add("middle")
    team.commit()
    change_on(team, "a", version="1.1.0")
    change_on(team, "b", license="MIT")
    assert not join(team, "merge", "a", "b")
    done = resolved(team)
    assert (done.rebuild, done.open) == (["middle"], [])
    assert {"params.yaml", "dvc.lock", "artifacts/middle.json"} <= {*done.staged}
    block = team.yaml("params.yaml")["middle"]
    assert (block["version"], block["license"]) == ("1.1.0", "MIT")
    assert changed("main", root=team.root) == ["middle"]


@without_driver
def test_a_file_whose_name_is_a_pattern_of_git_stands_for_itself_alone(team, monkeypatch):
    monkeypatch.setenv("GIT_ICASE_PATHSPECS", "1")  # with which git refuses what this asks for
    folder = team.root / "datasets/standard/middle"
    for branch, name in (("a", "*.py"), ("b", "x.py")):
        change_on(team, branch, version=f"1.{branch}.0")
        (folder / name).write_text(name)
        team.commit()
    assert not join(team, "merge", "a", "b")
    assert resolved(team, middle="theirs").open == []
    assert sorted(path.name for path in folder.iterdir()) == ["middle.py", "x.py"]


def test_branches_that_were_merged_into_each_other_are_merged_again(team):
    change_on(team, "a", version="1.1.0")
    change_on(team, "b", version="1.2.0")
    team.git("tag", "first", "a")
    for ours, theirs in (("a", "b"), ("b", "first")):
        join(team, "merge", ours, theirs)
        assert resolved(team, middle="ours").open == []
        finish(team)
    join(team, "merge", "a", "b")
    (conflict,) = resolved(team).open
    assert 'version in params.yaml is "1.1.0" in ours, "1.2.0" in theirs' in conflict
    assert resolved(team, middle="theirs").open == []
    finish(team)
    assert team.yaml("params.yaml")["middle"]["version"] == "1.2.0"


def test_a_merge_of_several_branches_at_once_is_refused(team):
    change_on(team, "a", version="1.1.0")
    change_on(team, "b", version="1.2.0")
    team.branch("c")
    (team.root / "notes").write_text("c\n")
    team.commit()
    team.git("checkout", "--quiet", "a")
    assert team.git("merge", "c", "b", check=False).returncode == 1
    with pytest.raises(ScriptError, match="several branches at once"):
        Sides.read(team.root)


def test_a_conflict_whose_sides_are_unknown_is_not_called_resolved(team, monkeypatch):
    change_on(team, "a", version="1.1.0")
    change_on(team, "b", version="1.2.0")
    team.git("merge", "--squash", "a", check=False)
    monkeypatch.setattr(resolve_command, "ROOT", team.root)
    with pytest.raises(ScriptError, match=r"params\.yaml: in conflict, but git has no merge.*git add "):
        resolve_command.command()


def test_what_a_file_had_before_is_kept(team):
    change_on(team, "a", version="1.1.0")
    change_on(team, "b", version="1.2.0")
    join(team, "merge", "a", "b")
    edited = team.read("params.yaml") + "# a thought\n"
    (team.root / "params.yaml").write_text(edited)
    resolved(team, middle="ours")
    assert edited in [path.read_text() for path in (team.root / ".scratch/resolve").glob("params.yaml.*")]


def test_a_file_that_was_resolved_by_hand_is_kept(team):
    change_on(team, "a", version="1.1.0")
    change_on(team, "b", version="1.2.0")
    join(team, "merge", "a", "b")
    by_hand = team.git("show", "a:params.yaml").stdout.replace("version: 1.1.0", "version: 1.3.0")
    (team.root / "params.yaml").write_text(by_hand)
    done = resolved(team)
    assert done.rebuild == ["middle"]
    assert team.read("params.yaml") == by_hand
    assert team.unmerged() == set()


def test_unknown_names_and_nothing_to_resolve_are_told(team):
    assert Sides.read(team.root) is None
    change_on(team, "a", version="1.1.0")
    change_on(team, "b", version="1.2.0")
    join(team, "merge", "a", "b")
    with pytest.raises(ScriptError, match="neither side has a dataset 'midle'; did you mean middle"):
        resolved(team, midle="ours")


@pytest.mark.slow
def test_a_kill_at_any_step_loses_nothing(tmp_path):
    team = TeamRepository(tmp_path / "team", driver=False)
    team.add("middle")
    team.commit()
    change_on(team, "a", version="1.1.0")
    change_on(team, "b", version="1.2.0")
    join(team, "merge", "a", "b")
    shutil.copytree(team.root, tmp_path / "before", symlinks=True)
    resolved(team, middle="theirs")
    expected = {file: team.read(file) for file in ("params.yaml", "dvc.yaml", "dvc.lock", "artifacts/middle.json")}
    for step in range(100):
        shutil.rmtree(team.root)
        shutil.copytree(tmp_path / "before", team.root, symlinks=True)
        finished = kill_at_step(lambda: resolved(team, middle="theirs"), step, root=team.root)
        assert resolved(team, middle="theirs").open == []
        assert {file: team.read(file) for file in expected} == expected, f"killed before step {step}"
        assert team.unmerged() == set()
        if finished:
            break
    assert 4 <= step < 100


def test_the_commands_say_what_they_did_and_what_is_left(clone):
    def git(*arguments, check=True):
        return clone.run("git", *IDENTITY, *arguments, check=check)

    start = git("rev-parse", "HEAD").stdout.strip()
    assert "nothing to resolve" in clone.scripts("resolve")
    assert "git has no merge" in clone.scripts("resolve", "--ours", "mnist", check=False)
    for branch, version in (("a", "1.1.0"), ("b", "1.2.0")):
        git("checkout", "--quiet", "-b", branch, start)
        clone.scripts("new", f"stripes_{branch}")
        text = (clone.root / "params.yaml").read_text().replace("version: 1.0.8", f"version: {version}")
        (clone.root / "params.yaml").write_text(text)
        git("add", "--all")
        git("commit", "--quiet", "-m", f"change {branch}")
    git("checkout", "--quiet", "a")
    clone.scripts("merge-file", "--install")
    done = git("merge", "b", check=False)
    assert "params.yaml: both sides changed digit; decide with: make resolve" in done.stdout + done.stderr
    printed = clone.scripts("resolve", check=False)
    assert "(change a), theirs is " in printed
    assert 'error: 1 left:\n  digit: version in params.yaml is "1.1.0" in ours, "1.2.0" in theirs; ' in printed
    assert "one side only" in clone.scripts("resolve", "--ours", "digit", "--theirs", "digit", check=False)
    printed = clone.scripts("resolve", "--theirs", "digit")
    assert "merged and staged: params.yaml\n" in printed
    assert "next: make check, then: git merge --continue" in printed
    git("commit", "--quiet", "--no-edit")
    blocks = read_yaml(clone.root / "params.yaml")
    assert blocks["digit"]["version"] == "1.2.0"
    assert {"stripes_a", "stripes_b"} <= blocks.keys()
