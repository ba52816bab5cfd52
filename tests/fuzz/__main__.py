"""`python -m tests.fuzz --mutations 100000`: fuzz every layer of an artifact, and print the outcomes."""

from __future__ import annotations

import argparse
import importlib.util
import multiprocessing
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz.layers import LAYERS, WITH_TFDS, make_seeds
from tests.fuzz.run import run
from tests.fuzz.zoo import write_with_tfds

TFDS_SLOWDOWN = 50
"""How many times longer a mutation takes if TFDS decodes it."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz every layer of an artifact.")
    parser.add_argument("--mutations", type=int, default=100_000, help="number of mutations in total")
    parser.add_argument("--seed", type=int, default=0, help="random seed of the mutations")
    parser.add_argument("layers", nargs="*", choices=[*LAYERS, []], help="layers to fuzz; default: all")
    arguments = parser.parse_args()
    has_tfds = importlib.util.find_spec("tensorflow_datasets") is not None
    layers = arguments.layers or [layer for layer in LAYERS if layer != WITH_TFDS or has_tfds]
    each = -(-arguments.mutations // len([layer for layer in layers if layer != WITH_TFDS] or layers))
    failures = []
    print(
        f"{'layer':<20}{'mutations':>10}{'right':>10}{'errors':>10}{'failures':>10}{'slowest':>10}{'memory':>10}{'time':>8}"
    )
    with tempfile.TemporaryDirectory() as seeds:
        make_seeds(Path(seeds))
        if has_tfds:  # in a separate process, so that TensorFlow's memory is freed
            writing = multiprocessing.get_context("spawn").Process(target=write_with_tfds, args=(Path(seeds, "tfds"),))
            writing.start()
            writing.join()
        for layer in layers:
            start = time.monotonic()
            count = -(-each // TFDS_SLOWDOWN) if layer == WITH_TFDS else each
            outcome = run(layer, count, arguments.seed, Path(seeds))
            print(
                f"{layer:<20}{outcome.mutations:>10,}{outcome.right:>10,}{outcome.errors:>10,}{len(outcome.failures):>10,}"
                f"{outcome.slowest:>8.2f} s{outcome.memory / 2**20:>7,.0f} MB{time.monotonic() - start:>6,.0f} s",
                flush=True,
            )
            failures += [f"--- {layer}\n{failure}" for failure in outcome.failures]
    print("\n".join(dict.fromkeys(failures)))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
