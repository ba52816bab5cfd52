"""Build a dataset as its stage does, and write to a file when each step ended: `python size_build.py NAME FILE`."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import scripts.build as build
from scripts._build.statistics.compute import Statistician

name, file = sys.argv[1:]
seconds: dict[str, float] = {}


def timed(step: str, function: Any) -> Any:
    """Return a function that also adds up how long it takes."""

    def call(*arguments: Any, **options: Any) -> Any:
        start = time.perf_counter()
        try:
            return function(*arguments, **options)
        finally:
            seconds[step] = seconds.get(step, 0) + time.perf_counter() - start

    return call


build.prepare = timed("generating", build.prepare)  # type: ignore[attr-defined]
Statistician.statistics = timed("statistics", Statistician.statistics)  # type: ignore[method-assign]
build.build(name, root=Path.cwd())
Path(file).write_text(json.dumps(seconds))
