"""For any bytes of an artifact, the result is right or a LoaderError. For a long run: `python -m tests.fuzz`."""

import pytest

from tests.fuzz.layers import LAYERS, WITH_TFDS, make_seeds
from tests.fuzz.run import run

MUTATIONS = 60


@pytest.fixture(scope="module")
def seeds(tmp_path_factory):
    folder = tmp_path_factory.mktemp("seeds")
    make_seeds(folder)
    return folder


@pytest.mark.parametrize("layer", [layer for layer in LAYERS if layer != WITH_TFDS])
def test_the_result_is_right_or_a_loader_error(seeds, layer):
    outcome = run(layer, MUTATIONS, 0, seeds)
    assert outcome.failures == []
    assert outcome.mutations >= MUTATIONS
