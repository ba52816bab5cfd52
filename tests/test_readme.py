"""What the README says is so."""

import doctest
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "README.md").read_text()


def blocks(language):
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    return [content for found, content in fenced if found == language]


def test_the_two_commands_are_there():
    assert [line.split("#")[0].strip() for line in blocks("sh")[0].splitlines()] == [
        "make build DATASET=mnist",
        "make test",
    ]
    assert "make test" in (ROOT / ".ci/run").read_text()


@pytest.mark.slow
def test_the_session_gives_what_it_shows(built, monkeypatch):
    monkeypatch.chdir(built("mnist").root)
    session = "".join(blocks("python"))
    example = doctest.DocTestParser().get_doctest(session, {}, "README", "README.md", 0)
    outcome = doctest.DocTestRunner(verbose=False).run(example)
    assert outcome.attempted == session.count(">>> ") > 10
    assert outcome.failed == 0


@pytest.mark.slow
def test_the_commands_do_what_they_say(built, tmp_path):
    clone = type(built("mnist"))(tmp_path / "clone")
    clone.root.mkdir()
    clone.run("cp", "-a", f"{built('mnist').root}/.", ".")
    try:
        for command in "".join(blocks("sh")[1:]).splitlines():  # the first are those that set up and test
            clone.run("sh", "-c", command)
    finally:
        clone.run("make", "s3-stop")
    assert (clone.root / "extracted/mnist/3.0.1/features.json").is_file()
    assert (clone.root / "artifacts/my_dataset.tar").is_file()


def test_every_make_target_it_names_exists():
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    prose = re.sub(r"^```.*?^```$", "", TEXT, flags=re.MULTILINE | re.DOTALL)
    named = set(re.findall(r"\bmake ([a-z0-9-]+)", "\n".join(re.findall(r"`[^`]+`", prose) + blocks("sh"))))
    assert named <= targets


def test_every_path_it_names_exists():
    (tree,) = blocks("")
    for line in tree.splitlines():
        assert (ROOT / line.split()[0]).exists(), line
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", TEXT):
        assert (ROOT / target).exists(), target


def test_every_dataset_is_in_its_table():
    from scripts._define.definition import read_names

    assert set(re.findall(r"^\| \[`(\w+)`\]", TEXT, re.MULTILINE)) == set(read_names(root=ROOT))
