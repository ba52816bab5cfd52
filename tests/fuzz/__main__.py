"""`python -m tests.fuzz --mutations 100000`: fuzz every layer of an artifact, and print what became of it."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz.layers import LAYERS, make_seeds
from tests.fuzz.run import run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz every layer of an artifact.")
    parser.add_argument("--mutations", type=int, default=100_000, help="how many in all")
    parser.add_argument("--seed", type=int, default=0, help="what decides them")
    parser.add_argument("layers", nargs="*", choices=[*LAYERS, []], help="all by default")
    arguments = parser.parse_args()
    layers = arguments.layers or list(LAYERS)
    each = -(-arguments.mutations // len(layers))
    failures = []
    print(
        f"{'layer':<20}{'mutations':>10}{'right':>10}{'errors':>10}{'failures':>10}{'slowest':>10}{'memory':>10}{'time':>8}"
    )
    with tempfile.TemporaryDirectory() as seeds:
        make_seeds(Path(seeds))
        for layer in layers:
            start = time.monotonic()
            outcome = run(layer, each, arguments.seed, Path(seeds))
            print(
                f"{layer:<20}{outcome.mutations:>10,}{outcome.right:>10,}{outcome.errors:>10,}{len(outcome.failures):>10,}"
                f"{outcome.slowest:>8.2f} s{outcome.memory / 2**20:>7,.0f} MB{time.monotonic() - start:>6,.0f} s",
                flush=True,
            )
            failures += [f"--- {layer}\n{failure}" for failure in outcome.failures]
    print("\n".join(failures))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
