"""For any bytes of an artifact, the result is right or a LoaderError.

For a long run: `python -m tests.fuzz`, and `python -m tests.fuzz.guided`, which coverage guides.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz import guided
from tests.fuzz.layers import LAYERS, WITH_TFDS, make_seeds
from tests.fuzz.run import run

MUTATIONS = 60


@pytest.fixture(scope="module")
def seeds(tmp_path_factory):
    folder = tmp_path_factory.mktemp("seeds")
    make_seeds(folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("layer", [layer for layer in LAYERS if layer != WITH_TFDS])
def test_the_result_is_right_or_a_loader_error(seeds, layer):
    outcome = run(layer, MUTATIONS, 0, seeds)
    assert outcome.failures == []
    assert outcome.mutations >= MUTATIONS


@pytest.mark.slow
def test_the_result_of_inputs_guided_by_coverage_is_right_or_a_loader_error():
    pytest.importorskip("atheris")
    command = [sys.executable, "-m", "tests.fuzz.guided", "--runs", "500", "index header", "Example"]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    _, *rows, seed = [line.rsplit(maxsplit=8) for line in done.stdout.splitlines()]
    assert [row[:2] for row in rows] == [["index header", "500"], ["Example", "500"]]
    for _, _, right, _, failures, edges, *_ in rows:
        assert "0" not in (right, edges)
        assert failures == "0"
    assert seed == ["seed:", "1"]


def test_without_atheris_the_guided_fuzzer_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "atheris", None)
    with pytest.raises(SystemExit, match="make setup"):
        guided.main()
