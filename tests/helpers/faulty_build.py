"""`python -m tests.helpers.faulty_build POINT NAME`: a build that is killed, or finds the disk full, at a point."""

from __future__ import annotations

import errno
import os
import signal
import sys
from unittest import mock

from scripts import build
from scripts._build import manifest, package
from scripts._build.statistics.compute import Statistician
from scripts._process import files
from scripts._sources.sources import Sources
from scripts._tfds.shards import ShardWriter

KILL = {
    "sources": (Sources, "find"),
    "shards": (ShardWriter, "write_records"),
    "tar": (package, "_write_tar"),
    "rename": (files.Path, "replace"),
    "statistics": (Statistician, "statistics"),
    "manifest": (manifest, "write_manifest"),
}


def die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_midway(*arguments: object, **_: object) -> None:
    """Write a part of a tar, then kill this process."""
    out = arguments[0]
    out.write(b"x" * 5000)  # type: ignore[attr-defined]
    out.flush()  # type: ignore[attr-defined]
    die()


def fill_disk(*arguments: object, **_: object) -> None:
    """Write a part of a tar, then fail as if the disk were full."""
    arguments[0].write(b"x" * 5000)  # type: ignore[attr-defined]
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def main() -> None:
    """Build with the fault named on the command line."""
    point, name = sys.argv[1:]
    if point == "full":
        where, what, fault = package, "_write_tar", fill_disk
    elif point == "terminate":
        where, what = build, "pack"
        fault = lambda *_, **__: os.kill(os.getpid(), signal.SIGTERM)  # noqa: E731
    else:
        (where, what), fault = KILL[point], die_midway if point == "tar" else die
    with mock.patch.object(where, what, fault):
        sys.argv = ["scripts", "build", name]
        from scripts.__main__ import main as run

        run()


if __name__ == "__main__":
    main()
