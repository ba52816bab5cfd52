"""The order of the stages in a `dvc.lock` that DVC writes."""

import subprocess
import sys

import pytest

from scripts._dvc.order import predecessor
from scripts._process.files import read_yaml

STAGE = "  {0}:\n    cmd: echo {0} > {0}\n    outs:\n      - {0}\n"


@pytest.mark.parametrize(
    ("name", "expected"), [("apple", None), ("digit_a", "digit"), ("emnist", "digit_speakers"), ("zoo", "mnist_fgsm")]
)
def test_a_name_goes_after_the_one_before_it_in_the_alphabet(name, expected):
    assert predecessor(name, ["mnist", "digit", "mnist_fgsm", "digit_speakers"]) == expected


def test_dvc_records_a_new_stage_by_name_and_changes_no_other_line(tmp_path):
    def run(*command):
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)

    run("git", "init", "--quiet")
    run("dvc", "init", "--quiet")
    lock = tmp_path / "dvc.lock"
    for number, name in enumerate(("middle", "first", "zebra", "next")):
        with (tmp_path / "dvc.yaml").open("a") as stages:
            stages.write(("" if number else "stages:\n") + STAGE.format(name))
        before = lock.read_text().splitlines() if number else []
        run(sys.executable, "-m", "scripts._dvc.main", "repro", "--quiet", name)
        after = iter(lock.read_text().splitlines())
        assert all(line in after for line in before)
    assert list(read_yaml(lock)["stages"]) == ["first", "middle", "next", "zebra"]
