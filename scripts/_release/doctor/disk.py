"""The room on the disk, and what uses it."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

import loader
from loader._format.plain_table import size_text
from scripts._process.scratch import SCRATCH
from scripts._release.doctor.result import Problem, Result
from scripts._release.leftovers import size_of
from scripts._release.recorded_objects import SOURCES, Recorded

BUILD_FACTOR = 2.2
"""A build needs the prepared data and the artifact at the same time, and some metadata."""


def check_disk(root: Path, cache: Path, records: Iterable[Recorded]) -> Result:
    """Check that the largest artifact could be built, and say what takes the room.

    Parameters
    ----------
    root
        The repository.
    cache
        DVC's cache.
    records
        The artifacts and source files that are recorded.
    """
    result = Result()
    free = shutil.disk_usage(root).free
    largest = max((each for each in records if not each.is_source), key=lambda each: each.size, default=None)
    used = {
        "DVC's cache": cache,
        SCRATCH: root / SCRATCH,
        "extracted": root / "extracted",
        SOURCES: root / SOURCES,
        "the loader's cache": loader.cache.folder(),
    }
    sizes = [
        f"{what} takes {size_text(size)}" for what, path in used.items() if path.exists() and (size := size_of(path))
    ]
    needed = round(largest.size * BUILD_FACTOR) if largest else 0
    if largest and free < needed:
        result.problems.append(
            Problem(
                f"{size_text(free)} are free in {root}, but a build of {largest.dataset} needs "
                f"{size_text(needed)} ({', '.join(sizes)}); see what can go with: make clean-up"
            )
        )
    else:
        result.fine.append(f"disk: {size_text(free)} free" + "".join(f", {each}" for each in sizes))
    return result
