"""What the commands of the loader print: on narrow terminals, to closed and full outputs, of remotes without answer."""

import json
import os
import subprocess
import sys

import pytest

from tests.loader.test_commands import ROOT, on_a_terminal, output, run


@pytest.fixture
def clone(clone, monkeypatch):
    """A fresh clone; without the variable, the caches of the checkout under test are looked into as well."""
    monkeypatch.setenv("DATASETS_REPO", str(clone.root))
    return clone


class TestWidth:
    def test_a_narrow_terminal_gets_fewer_columns_and_then_blocks(self, clone):
        lines = on_a_terminal("list", "--repo", clone.root, columns=100).splitlines()
        assert max(map(len, lines[1:])) <= 100
        assert "train 60000, test 10000  26.2 MB  not on this machine" in lines[3]
        assert lines[-1] == "... more columns: kind, configs, visibility: a wider window and --json have them"
        text = on_a_terminal("list", "--repo", clone.root, columns=40).replace("\r", "")
        blocks = text.split("\n\n")
        assert [block.splitlines()[0] for block in blocks] == [
            "name        digit",
            "name        digit_speakers",
            "name        mnist",
            "name        mnist_fgsm",
        ]
        assert "configs     jackson,nicolas,theo\n" in blocks[1]

    def test_no_column_is_left_out_of_a_wide_terminal(self, clone):
        text = on_a_terminal("list", "--repo", clone.root, columns=150)
        assert "visibility" in text
        assert "more columns" not in text

    def test_descriptions_and_facts_are_filled_to_the_width(self, clone):
        lines = on_a_terminal("info", "digit", "--repo", clone.root, columns=60).splitlines()
        assert lines[1] == "A simple audio dataset of spoken digits, mono at 8 kHz,"
        assert lines[3] == "beginnings and ends: 50 recordings of each digit by each of"
        assert "homepage    https://github.com/Jakobovski/free-spoken-digit-dataset" in lines
        toolchain = next(at for at, line in enumerate(lines) if line.startswith("toolchain   "))
        assert lines[toolchain + 1].startswith(" " * 12)


class TestOutput:
    @pytest.mark.parametrize("unbuffered", ["", "1"])
    @pytest.mark.parametrize("arguments", ["list", "info small --json"])
    def test_a_closed_or_full_standard_output_is_no_traceback(self, small, arguments, unbuffered):
        def ends(redirection):
            command = f"{sys.executable} -m loader {arguments} --repo {small} {redirection}"
            env = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
            done = subprocess.run(["sh", "-c", command], cwd=ROOT, env=env, capture_output=True, text=True)
            return done.returncode, done.stdout, done.stderr

        assert ends(">&-") == (0, "", "")
        assert ends("2>&-")[0] == 0
        assert ends(">/dev/full") == (1, "", "error: standard output cannot be written (No space left on device)\n")

    def test_characters_that_the_encoding_lacks_are_escaped(self, small):
        path = small / "artifacts/small.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "description": "an arrow \u2192 b"}))
        assert r"an arrow \u2192 b" in output("info", "small", "--repo", small, env={"PYTHONIOENCODING": "latin-1"})


class TestAnswers:
    def test_flags_and_names_that_cannot_be_are_a_wrong_command_line(self, small):
        for arguments in (["diff", "small", "--json", "--markdown"], ["show", "small", "--png", "sheet.jpg"]):
            done = run(*arguments, "--repo", small)
            assert (done.returncode, done.stdout) == (2, "")
            assert "Usage: python -m loader" in done.stderr

    def test_a_type_that_no_feature_has_is_answered_with_those_that_there_are(self, clone):
        done = run("list", "--repo", clone.root, "--feature", "Foo")
        assert done.stderr.endswith(" of type 'Foo'; the types are: Audio, ClassLabel, Image, Scalar, Text\n")

    @pytest.mark.slow
    def test_why_a_remote_is_unknown_is_said_once(self, clone):
        clone.run("dvc", "remote", "modify", "--local", "public", "endpointurl", "http://127.0.0.1:9")
        done = run("list", "--repo", clone.root, "--remote")
        assert done.stdout.count("not on this machine; remote unknown\n") == 4
        assert done.stderr.startswith("remote unknown: remote 'public' at http://127.0.0.1:9 cannot be reached (")
        assert done.stderr.count("cannot be reached") == 1
        text = output("info", "digit_speakers", "--repo", clone.root, "--remote")
        assert text.count("cannot be reached") == 1
