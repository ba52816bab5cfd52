"""Commands for several datasets, of which some fail or were never built."""

import pytest

from scripts._define.several import NothingToDoError, chosen, for_each
from scripts._process.errors import ScriptError
from tests.helpers.commented_repository import git_commit

BUILDS = {"a": None, "b": ScriptError("b: its source is gone"), "c": OSError("the disk is full"), "d": None}


def build(name):
    if BUILDS[name] is not None:
        raise BUILDS[name]
    print(f"{name}: built")


def test_a_failure_does_not_stop_the_others_and_is_named_at_the_end(capsys):
    with pytest.raises(ScriptError, match=r"^2 of 4 datasets failed: b, c; each reason is in the output above$"):
        for_each(["a", "b", "c", "d"], build)
    printed = capsys.readouterr()
    assert printed.out == "a: built\nd: built\n"
    assert printed.err == "b: FAILED: its source is gone\nc: FAILED: the disk is full\n"


def test_the_error_of_a_single_dataset_is_its_own(capsys):
    with pytest.raises(OSError, match=r"^the disk is full$"):
        for_each(["c"], build)
    for_each(["a"], build)
    assert capsys.readouterr().out == "a: built\n"


def test_if_all_are_meant_those_with_nothing_to_do_are_no_failures(capsys):
    def pull(name):
        raise NothingToDoError(f"{name}: it was never built")

    for_each(["a"], pull, everything=True)
    assert capsys.readouterr().out == "a: nothing to do: it was never built\n0 of 0 datasets: ok\n"
    with pytest.raises(NothingToDoError):
        for_each(["a"], pull)


def test_datasets_are_taken_once(small):
    assert chosen(["mnist", "digit", "mnist"], everything=False) == ["mnist", "digit"]
    assert chosen(None, everything=True, root=small) == ["small"]


@pytest.mark.slow
def test_beside_datasets_that_were_never_built_every_command_works(built_tiny, remote):
    clone = built_tiny
    clone.scripts("remove", "mnist", "mnist_fgsm", "digit", "digit_speakers")
    clone.scripts("new", "planned")
    clone.scripts("add", "resisc45")  # its files must be downloaded by hand
    remote.point(clone.root)
    git_commit(clone.root)

    output = clone.scripts("push", "--all", check=False)
    assert "tiny: FAILED: tiny is public" in output
    assert "error: 1 of 1 datasets failed: tiny; " in output
    assert "tiny: on the remote at s3://public/" in clone.scripts("push", "--all", "--public")
    never = "nothing to do: it was never built; build it with: make build DATASET="
    for command in ("push", "--public"), ("pull",), ("verify",), ("extract",):
        output = clone.scripts(command[0], "--all", *command[1:])
        assert f"planned: {never}planned\n" in output and f"resisc45: {never}resisc45\n" in output
        assert output.endswith("1 of 1 datasets: ok\n")
    mirrored = clone.scripts("mirror", "--all", "--public", check=False)
    assert "tiny: on the remote at s3://public/" in mirrored
    assert "planned: nothing to do: its builder uses no source files" in mirrored
    for command in ("verify", "pull", "push", "extract", "tag"):
        done = clone.run("python", "-m", "scripts", command, "planned", check=False)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == "error: planned: it was never built; build it with: make build DATASET=planned\n"
    assert clone.scripts("check") == "the records agree\n"
    assert "planned was never built; " in clone.scripts("changed", "--base", "HEAD~1")
    clone.scripts("clean-up", "planned")
    report = ("report", "--base", "HEAD~1")
    for command in ("list",), ("info", "planned"), ("versions", "planned"), ("changelog", "planned"), report:
        done = clone.run("python", "-m", "loader", *command)
        assert "never built" in done.stdout + done.stderr
    assert "didn't change, skipping" in clone.run("dvc", "repro", "tiny").stdout
    assert clone.python("import loader; print(loader.names())") == "['planned', 'resisc45', 'tiny']\n"
