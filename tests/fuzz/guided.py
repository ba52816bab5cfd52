"""`python -m tests.fuzz.guided --seconds 60`: fuzz the parsers, guided by the coverage of the loader's code.

atheris mutates bytes, and mutates further those that reach new code of the loader. Each layer runs in a process of its
own, until its first failure. The same seed and number of runs give the same inputs, unless the system refuses to load
programs at fixed addresses, as Docker does by default.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib.util
import multiprocessing
import os
import re
import sys
import tempfile
import time
import traceback
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from google.protobuf.message import DecodeError as ProtobufError

MISSING = (
    "error: atheris is not installed: on Linux on x86-64, with Python 3.11 to 3.13, install it with: make setup; "
    "it has no wheel for other systems, where `python -m tests.fuzz` fuzzes without it"
)
_NO_RANDOM_ADDRESSES = 0x0040000  # ADDR_NO_RANDOMIZE of Linux's sys/personality.h
_COVERAGE = re.compile(r"^#\d+\t.* cov: (\d+) ft: (\d+)", re.MULTILINE)
_FAILURE = re.compile(r"^(?:Traceback|==\d+==|ALARM).*?(?=^MS: )", re.MULTILINE | re.DOTALL)


@dataclass
class Outcome:
    """The numbers of right results and of errors, the coverage, and what failed, if anything.

    `edges` are jumps in the loader's code. `features` are libFuzzer's: how often an edge was taken, and how close the
    two sides of a comparison were.
    """

    right: int
    errors: int
    edges: int
    features: int
    failure: str


def main() -> int:
    if importlib.util.find_spec("atheris") is None:
        sys.exit(MISSING)
    from tests.fuzz.parsers import PARSERS

    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz.guided", description="Fuzz parsers, guided by coverage."
    )
    limit = parser.add_mutually_exclusive_group()
    limit.add_argument("--seconds", type=_positive, default=60, help="seconds for each layer (60)")
    limit.add_argument("--runs", type=_positive, help="inputs of each layer, instead of --seconds")
    parser.add_argument("--seed", type=_positive, default=1, help="random seed of the mutations (1)")
    parser.add_argument("layers", nargs="*", choices=[*PARSERS, []], help="layers to fuzz; default: all")
    arguments = parser.parse_args()
    options = [
        f"-runs={arguments.runs}" if arguments.runs else f"-max_total_time={arguments.seconds}",
        f"-seed={arguments.seed}",
    ]
    print(
        f"{'layer':<20}{'inputs':>12}{'right':>12}{'errors':>12}{'failures':>10}{'edges':>8}{'features':>10}{'time':>8}"
    )
    failures = []
    for layer in arguments.layers or PARSERS:
        start = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="fuzz-") as scratch:
            found = fuzz(layer, options, Path(scratch))
        failed = bool(found.failure)
        print(
            f"{layer:<20}{found.right + found.errors + failed:>12,}{found.right:>12,}{found.errors:>12,}{failed:>10}"
            f"{found.edges:>8,}{found.features:>10,}{time.monotonic() - start:>6,.0f} s",
            flush=True,
        )
        failures += [f"--- {layer}\n{found.failure}"] if failed else []
    print("\n".join([*failures, f"seed: {arguments.seed}"]))
    return 1 if failures else 0


def fuzz(layer: str, options: list[str], scratch: Path) -> Outcome:
    """Fuzz a layer of `tests.fuzz.parsers.PARSERS` in another process, with these options of libFuzzer."""
    context = multiprocessing.get_context("spawn")
    counts = context.RawArray(ctypes.c_uint64, 2)
    os.environ["PYTHONHASHSEED"] = "0"  # hashes and addresses are in what libFuzzer compares
    ctypes.CDLL(None).personality(_NO_RANDOM_ADDRESSES)
    process = context.Process(target=_work, args=(layer, options, scratch, counts), daemon=True)
    process.start()
    process.join()
    log = (scratch / "log").read_text(errors="replace")
    inputs = [path.read_bytes() for kind in ("crash", "timeout") for path in scratch.glob(f"{kind}-*")]
    report = _FAILURE.search(log)
    if process.exitcode and not (inputs and report):
        raise RuntimeError(log)  # the fuzzer itself failed
    edges, features = (_COVERAGE.findall(log) or [(0, 0)])[-1]
    return Outcome(*counts, int(edges), int(features), f"{report[0]}{inputs[0]!r}" if inputs and report else "")


def _work(layer: str, options: list[str], scratch: Path, counts: Any) -> None:
    import atheris

    os.dup2(os.open(scratch / "log", os.O_WRONLY | os.O_CREAT), 2)
    with atheris.instrument_imports(include=["loader"]):  # before anything else imports the loader
        from tests.fuzz import run
        from tests.fuzz.parsers import PARSERS

        for module in run.PRELOADED:
            importlib.import_module(module)
    sys.modules["tensorflow_datasets"] = None  # type: ignore[assignment]  # as if it were not installed
    warnings.simplefilter("error")
    parser = PARSERS[layer](scratch)
    seeds = [scratch / f"seed {number}" for number in range(len(parser.seeds))]
    for path, data in zip(seeds, parser.seeds, strict=True):
        path.write_bytes(data)
    watch = run.Watch(scratch, may_write=False)
    log = os.fdopen(os.dup(2), "w")  # libraries print messages about damaged images, so libFuzzer closes the other one

    def check(data: bytes) -> None:
        try:
            try:
                with watch.watching():
                    parser.check(data)
                counts[0] += 1
            except run.LoaderError as error:
                run.assert_plain(error)
                counts[1] += 1
        except BaseException:
            traceback.print_exc(file=log)
            log.flush()
            raise

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        random = Random(seed)
        if random.random() < 0.9:
            try:
                mutated = parser.mutate(data, random, lambda part: atheris.Mutate(part, most))
                if len(mutated) <= most:
                    return mutated
            except (ValueError, LookupError, RecursionError, zlib.error, ProtobufError):
                pass  # they no longer have the format, so only atheris can mutate them
        return bytes(atheris.Mutate(data, most))

    arguments = [
        *options,
        "-max_len=16384",
        "-mutate_depth=2",
        "-keep_seed=1",
        f"-seed_inputs={','.join(map(str, seeds))}",
    ]
    # the timer is that of `watch`, and a timeout has to be less; `watch` limits the memory too
    arguments += [f"-timeout={run.SECONDS - 1}", "-rss_limit_mb=0", "-close_fd_mask=3", f"-artifact_prefix={scratch}/"]
    atheris.Setup([sys.argv[0], *arguments], check, custom_mutator=mutate)
    atheris.Fuzz()


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
