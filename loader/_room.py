"""How much memory or disk decoded examples take, and whether there is that much."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from loader._display.dataset import size_text
from loader._errors import ArgumentError, FetchError
from loader._features.connectors import Feature, FeaturesDict, Sequence
from loader._fetch.places import CACHE_VARIABLE, cache_folder
from loader._format.records import Positions
from loader._source import Source, chosen

_SAMPLE = 64  # examples that are decoded for an estimate
_CGROUPS = Path("/sys/fs/cgroup")


def decoded_size(source: Source, positions: Positions) -> int:
    """Return how many bytes examples take once they are decoded.

    It is exact if all values are numbers and their shapes are fixed. Otherwise it is estimated: some of the examples,
    evenly spaced, are decoded.

    Parameters
    ----------
    source, positions
        The examples.
    """
    sizes = [_fixed_size(feature) for feature in source.features.values()] if not source.is_mapped else [None]
    if None not in sizes:
        return sum(filter(None, sizes)) * len(positions)
    if not len(positions):
        return 0
    count = min(_SAMPLE, len(positions))
    numbers = np.linspace(0, len(positions) - 1, count).astype(np.intp)
    total = sum(map(_size, source.in_order(chosen(positions, numbers))))
    return math.ceil(total / count * len(positions))


def check_memory(name: str, size: int) -> None:
    """Check that decoded examples of this size fit in memory.

    Raises
    ------
    ArgumentError
        They do not.
    """
    free = free_memory()
    if free is not None and size > free:
        raise ArgumentError(
            f"{name} takes about {size_text(size)} decoded, but only {size_text(free)} of memory are free: use fewer "
            f"examples, or fewer features (features=[...]), or cache(disk=True), or read it in batches"
        )


def check_disk(name: str, size: int) -> None:
    """Check that decoded examples of this size fit on the disk of the cache.

    Raises
    ------
    FetchError
        They do not.
    """
    folder = cache_folder()
    existing = next(each for each in (folder, *folder.parents) if each.is_dir())
    free = shutil.disk_usage(existing).free
    if size > free:
        raise FetchError(
            f"{name} takes about {size_text(size)} decoded, but only {size_text(free)} are free for {folder}: make "
            f"room, set {CACHE_VARIABLE} to another folder, or use fewer examples or features"
        )


def free_memory() -> int | None:
    """Return the number of bytes that can be allocated without swapping; None if the system does not tell."""
    found = []
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        found += [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    except (OSError, ValueError, IndexError):  # not Linux
        found += [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    return min([*found, *_free_in_cgroups()], default=None)


def _free_in_cgroups() -> Iterable[int]:
    """Yield what each control group of this process may still use: a container, or a job of a cluster."""
    try:
        own = Path("/proc/self/cgroup").read_text().rpartition("::")[2].strip().lstrip("/")
    except OSError:
        return
    for group in (_CGROUPS / own, *(_CGROUPS / own).parents):
        try:
            limit, used = (int((group / f"memory.{name}").read_text()) for name in ("max", "current"))
            statistics = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
            yield max(limit - used + int(statistics["inactive_file"]), 0)  # files can be dropped from memory
        except (OSError, ValueError, KeyError):  # no limit
            continue


def _fixed_size(feature: Feature) -> int | None:
    """Return the number of bytes of each value of a feature, None if they vary."""
    if isinstance(feature, FeaturesDict):
        sizes = [_fixed_size(each) for each in feature.values()]
        return None if None in sizes else sum(filter(None, sizes))
    if isinstance(feature, Sequence) and isinstance(feature.feature, FeaturesDict):
        return None
    shape, dtype = feature.shape, feature.dtype
    if shape is None or dtype is None or dtype.kind == "O" or None in shape:
        return None
    return math.prod(size for size in shape if size is not None) * dtype.itemsize


def _size(value: Any) -> int:
    """Return the number of bytes of a value's numbers and strings."""
    if isinstance(value, dict):
        return sum(map(_size, value.values()))
    if isinstance(value, bytes | str):
        return len(value)
    if isinstance(value, np.ndarray) and value.dtype.kind == "O":
        return sum(map(_size, value.flat))
    if hasattr(value, "nbytes"):
        return int(value.nbytes)
    return sum(map(_size, value)) if isinstance(value, list | tuple) or hasattr(value, "__getitem__") else 8
