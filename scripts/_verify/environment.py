"""The environment variables of a build in the sandbox: another clock, time zone, locale, home folder and hash seed."""

from __future__ import annotations

import importlib.util
import os
import random
import re
import subprocess
import sys
import time
from pathlib import Path

KEPT_VARIABLES = (
    "PATH",
    "LD_LIBRARY_PATH",
    "OPENBLAS_CORETYPE",
    "OPENBLAS_L2_SIZE",
    "TRACEBACK",  # of an error in the builder
)  # needed by programs
CLOCK_OFFSET = "-400d"  # in the past: a wait until a time of the real clock then ends too soon, not in a year


def varied_environment(scratch: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Return the build's environment, and what could not be varied, with the reasons."""
    for folder in ("home", "tmp"):
        (scratch / folder).mkdir()
    in_c = os.environ.get("LC_ALL") or os.environ.get("LANG") or "C"
    environment = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ} | {
        "HOME": os.fspath(scratch / "home"),
        "TMPDIR": os.fspath(scratch / "tmp"),
        "USER": "nobody",
        "LOGNAME": "nobody",
        "TZ": "<+1345>-13:45" if time.timezone != -(13 * 60 + 45) * 60 else "UTC",
        "LC_ALL": "C.UTF-8" if in_c in ("C", "POSIX") else "C",
        "PYTHONHASHSEED": str(random.randrange(1, 1 << 32)),
        "GIT_CEILING_DIRECTORIES": os.fspath(scratch),  # the repository around it is another one
    }
    clock = _clock(environment)
    if clock is None:
        return environment, {"clock": "no working libfaketime"}
    return environment | clock, {}


def _clock(environment: dict[str, str]) -> dict[str, str] | None:
    """Return the variables that give programs another clock, or None if that is not possible."""
    spec = importlib.util.find_spec("libfaketime")
    packaged = [Path(folder) for folder in (spec.submodule_search_locations or ())] if spec else []
    libraries = [*(path for folder in packaged for path in folder.rglob("libfaketime.so.1"))]
    libraries += Path("/usr/lib").glob("*/faketime/libfaketime.so.1")
    for library in libraries:
        variables = {
            "LD_PRELOAD": os.fspath(library),
            "FAKETIME": CLOCK_OFFSET,
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",  # otherwise waits and timeouts are wrong
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",  # otherwise threads fight for Python's lock
            "NO_FAKE_STAT": "1",  # otherwise no compiled module matches its source's time
        }
        asked = subprocess.run(
            [sys.executable, "-I", "-S", "-c", "import time; print(time.time())"],
            env=environment | variables,
            capture_output=True,
            text=True,
        )
        if re.fullmatch(r"[\d.]+\n", asked.stdout) and not asked.stderr and time.time() - float(asked.stdout) > 86400:
            return variables
    return None
