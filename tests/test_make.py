"""The Makefile's targets and their output."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from scripts.__main__ import app
from tests.helpers.buildable_dataset import add_buildable

ROOT = Path(__file__).resolve().parents[1]


def make(clone, *arguments, check=True):
    done = clone.run("make", "--silent", *arguments, check=check)
    return done.stdout + done.stderr


def test_make_without_a_target_lists_every_target(clone):
    text = make(clone)
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    listed = dict(re.findall(r"^  make ([a-z0-9-]+) +(.+)$", text, re.MULTILINE))
    assert set(listed) == targets
    assert len(text.splitlines()) == len(listed)


def test_build_verify_push_pull_and_extract_and_no_temporary_files_are_left(built_tiny, remote, tmp_path, monkeypatch):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    remote.point(built_tiny.root)
    builder = built_tiny.root / "datasets/standard/tiny/tiny.py"
    (builder.parent / "__pycache__").mkdir(exist_ok=True)
    (builder.parent / "__pycache__/x.pyc").write_text("")  # a compiled file causes no build
    assert "didn't change" in make(built_tiny, "build", "DATASET=tiny")
    builder.write_text(builder.read_text().replace("number % 2", "(number + (number == 7)) % 2"))
    text = make(built_tiny, "verify", "DATASET=tiny", "REBUILD=1", check=False)
    assert "error: tiny: a build from its sources (in a sandbox " in text
    assert ") differs from the recorded artifact:\n" in text
    assert "split train: 1 of 200 records differ, in label (1)" in text
    assert ": label 1 and 0\n" in text
    assert "Running stage 'tiny'" in make(built_tiny, "build", "DATASET=tiny")
    assert "a build from its sources gives the same bytes" in make(built_tiny, "verify", "DATASET=tiny", "REBUILD=1")
    output = make(built_tiny, "verify", "ALL=1", check=False)  # there are no artifacts of the other datasets
    assert "tiny: ok: dvc.lock and manifest record" in output
    assert "mnist: FAILED: " in output
    assert re.search(r"error: (\d+) of (\d+) datasets failed: ", output)
    assert "PUBLIC=1" in make(built_tiny, "push", "DATASET=tiny", check=False)
    assert "on the remote at s3://public/" in make(built_tiny, "push", "DATASET=tiny", "PUBLIC=1")
    (built_tiny.root / "artifacts/tiny.tar").unlink()
    shutil.rmtree(built_tiny.root / ".dvc/cache")
    assert "artifacts/tiny.tar" in make(built_tiny, "pull", "DATASET=tiny")
    assert "extracted/tiny/1.0.0" in make(built_tiny, "extract", "DATASET=tiny")
    assert "OVERWRITE=1" in make(built_tiny, "extract", "DATASET=tiny", check=False)
    make(built_tiny, "extract", "DATASET=tiny", "TO=some where/else")
    assert (built_tiny.root / "some where/else/tiny/1.0.0/dataset_info.json").is_file()
    assert built_tiny.run("git", "status", "--porcelain", "--", "extracted", "sources", ".scratch").stdout == ""
    assert list(temporary.iterdir()) == []


def test_the_variables_of_make_become_options_of_the_commands(clone):
    def commands(*arguments, env=None):
        done = clone.run("make", "--silent", "--dry-run", *arguments, env=env)
        return [" ".join(shlex.split(line.partition("-m scripts ")[2])) for line in done.stdout.splitlines()]

    assert commands("build", "DATASET=tiny twin", "REGISTER=1") == ["register -- tiny twin", "repro -- tiny twin"]
    assert commands("build", "DATASET=tiny", "OVERWRITE=1", env={"REGISTER": "1"}) == ["repro --overwrite -- tiny"]
    assert commands("fetch", "DATASET=tiny") == ["fetch -- tiny"]
    for action in ("mirror", "push"):
        assert commands(action, "DATASET=tiny", "PUBLIC=1") == [f"{action} --public -- tiny"]
        assert commands(action, "DATASET=tiny", "PUBLIC=1", "DEEP=1") == [f"{action} --public --deep -- tiny"]
        for consent in ({}, {"PUBLIC": "1"}):  # an environment variable may be set for another purpose
            assert commands(action, "DATASET=tiny", env=consent) == [f"{action} -- tiny"]
            assert commands("-e", action, "DATASET=tiny", env=consent) == [f"{action} -- tiny"]
    for environment in ({"OVERWRITE": "1"}, {"TO": "/elsewhere"}):
        assert commands("extract", "DATASET=tiny", env=environment) == ["extract -- tiny"]
    assert commands("verify", "DATASET=tiny", env={"REBUILD": "1"}) == ["verify --rebuild -- tiny"]  # only checks more


AWKWARD = ["x;touch pwned", "a'b", "'; touch pwned; '", "$(touch pwned)", "$(shell touch pwned)", "`touch pwned`"]
AWKWARD += ["$HOME", "$$", "a\\", '"', "*", "#1", "a,b", "(", "%", "~", "a  b", "--help", "é"]
# these take several datasets
SEVERAL = ("add", "remove", "build", "verify", "extract", "fetch", "mirror", "push", "pull")
VALUES = {  # in the order of the arguments
    "new": ("KIND", "PARENT", "NAME"),
    **dict.fromkeys(SEVERAL, ("DATASET",)),
    "add": ("VERSION", "CONFIG", "DATASET"),
    "rename": ("NAME", "TO"),
    "remote": ("PUBLIC", "PRIVATE", "ENDPOINT"),
    "s3": ("DIR",),
    "extract": ("TO", "DATASET"),
}


@pytest.mark.parametrize("target", VALUES)
def test_values_reach_the_commands_as_they_are(clone, target, tmp_path):
    """A program that prints its arguments stands in for Python: what it gets is what a command would get."""
    (tmp_path / "print_arguments").write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    (tmp_path / "print_arguments").chmod(0o755)
    program = f"RUN={tmp_path / 'print_arguments'}"
    for value in AWKWARD:
        given = [f"{variable}={value}" for variable in VALUES[target]]
        _, *arguments = clone.run("make", "--silent", target, program, *given).stdout.splitlines()
        options = ["--kind", "--parent", "--version", "--config", "--to", "--public", "--private", "--endpoint"]
        assert [each for each in arguments if each not in [*options, "--directory", "--"]] == [
            word
            for variable in VALUES[target]
            for word in (value.split() if target in SEVERAL and variable == "DATASET" else [value])
        ]
    assert not (clone.root / "pwned").exists()


def test_a_value_of_several_lines_is_refused(clone):
    text = make(clone, "new", "NAME=my\n: '", check=False)
    assert "NAME has more than one line" in text
    assert make(clone, "--dry-run", "build", "DATASET=tiny\ntwin").endswith("repro  -- 'tiny' 'twin'\n")


def test_beams_options_reach_the_build_as_they_are(clone):
    text = make(clone, "build", "DATASET=mnist", "RUN=env #", "BEAM=--runner=it's $(touch pwned) `touch pwned`")
    assert "DATASETS_BEAM=--runner=it's $(touch pwned) `touch pwned`" in text.splitlines()
    assert not (clone.root / "pwned").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["x;", "it's", "$(shell touch pwned)", "`touch", "--public"])
def test_a_bad_name_is_refused_in_one_sentence(clone, name):
    for target, arguments, environment in (("build", [f"DATASET={name}"], {}), ("push", [], {"DATASET": name})):
        done = clone.run("make", "--silent", target, *arguments, check=False, env=environment)
        message, ending, end = done.stderr.split("\n")
        assert message.startswith(f"error: there is no dataset {name.split()[0]!r} in params.yaml")
        assert (ending.startswith("make: *** "), end) == (True, "")
    assert not (clone.root / "pwned").exists()


SWITCHES = {
    "PUBLIC": ("push", "--public"),
    "OVERWRITE": ("extract", "--overwrite"),
    "REBUILD": ("verify", "--rebuild"),
    "REGISTER": ("build", "-m scripts register"),
    "ALL": ("verify", "--all"),
}


@pytest.mark.parametrize("switch", SWITCHES)
def test_a_switch_says_yes_or_no_or_is_refused(clone, switch):
    target, option = SWITCHES[switch]

    def run(value):
        done = clone.run("make", "--dry-run", target, "DATASET=tiny", f"{switch}={value}", check=False)
        return done.returncode, done.stdout, done.stderr

    for value in ("1", "yes", "true", "YES", "True", "tRuE"):
        code, output, _ = run(value)
        assert (code, option in output) == (0, True), value
    for value in ("0", "no", "false", "NO", "False", ""):
        code, output, _ = run(value)
        assert (code, option in output) == (0, False), value
    for value in ("2", "on", "maybe", "1 0", "yes no", "truely"):
        code, output, error = run(value)
        assert (code, output) == (2, "")
        assert f"{switch}={value} is neither yes nor no; give {switch}=1 or {switch}=0" in error


def test_remove_takes_the_dataset_from_the_command_line_only_and_can_be_run_again(clone):
    add_buildable(clone.root)
    environment = {"DATASET": "tiny"}
    done = clone.run("make", "remove", check=False, env=environment)
    assert "name a dataset: make remove DATASET=mnist" in done.stderr
    assert "tiny" in (clone.root / "params.yaml").read_text()
    assert "removed tiny from dvc.yaml, params.yaml" in make(clone, "remove", "DATASET=tiny")
    assert "nothing to remove: there is no dataset 'tiny' in params.yaml" in make(clone, "remove", "DATASET=tiny")


def test_a_target_without_dataset_explains_how_to_name_one(clone):
    for target in ("add", "remove", "info", "tag"):
        assert f"name a dataset: make {target} DATASET=mnist" in make(clone, target, check=False)
    for target in ("build", "verify", "extract", "fetch", "mirror", "push", "pull"):
        how = f"name datasets, or take all of them: make {target} DATASET=mnist, or ALL=1"
        assert how in make(clone, target, check=False)
        assert "not both" in make(clone, target, "DATASET=mnist", "ALL=1", check=False)
    assert "REGISTER=1 takes datasets by name" in make(clone, "build", "ALL=1", "REGISTER=1", check=False)


@pytest.mark.parametrize("target", ["verify", "extract", "fetch", "mirror", "push", "pull"])
def test_an_unknown_dataset_is_a_one_line_error(clone, target):
    text = make(clone, target, "DATASET=mnst", check=False)
    assert "error: there is no dataset 'mnst' in params.yaml; did you mean mnist?" in text
    assert "Traceback" not in text


def test_remote_writes_the_config_and_requires_both_buckets(clone):
    assert "name both buckets" in make(clone, "remote", "PUBLIC=s3://a", check=False)
    make(clone, "remote", "PUBLIC=s3://ours/data", "PRIVATE=s3://secret", "ENDPOINT=https://s3.example.org")
    config = (clone.root / ".dvc/config").read_text()
    assert config.lower().count("verify = true") == 2
    for text in ("url = s3://ours/data", "url = s3://secret", "endpointurl = https://s3.example.org"):
        assert text in config
    assert "one bucket" in make(clone, "remote", "PUBLIC=s3://ours/a", "PRIVATE=s3://ours/b", check=False)
    assert (clone.root / ".dvc/config").read_text() == config


def test_every_command_has_help_that_needs_no_heavy_imports(clone):
    for command in app.registered_commands:
        result = CliRunner().invoke(app, [command.name, "--help"])
        assert result.exit_code == 0
        assert f"{command.name} [OPTIONS]" in result.output
    assert "Usage: python -m scripts" in clone.scripts("--help")
    code = (
        "import sys, scripts.__main__\n"
        "print([name for name in ('tensorflow', 'tensorflow_datasets', 'dvc', 'requests') if name in sys.modules])"
    )
    assert clone.python(code).strip() == "[]"


def test_without_the_packages_the_error_names_make_setup(clone):
    done = clone.run("python3", "-S", "-m", "scripts", "build", "mnist", check=False, env={"PYTHONPATH": ""})
    assert done.returncode == 1
    assert "set up with: make setup" in done.stderr
    assert "Traceback" not in done.stderr
