"""Checking the free disk before a build, which may take hours."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from loader import ManifestError
from loader._format.manifest import read_manifest
from scripts._define.definition import Definition
from scripts._process.errors import ScriptError
from scripts._sources.room import check_room_for_sources, existing_folder, missing_bytes
from scripts._sources.source import Source

DISK_FACTOR = 3
"""About how many times the size of the source files a build takes: they, what is extracted from them, the artifact."""
SCRATCH = 1.2
"""What a config needs in the scratch folder, as a multiple of its artifact, besides what is extracted of its sources.
It becomes the artifact."""


def check_room(definition: Definition, folder: Path, scratch: Path) -> None:
    """Check that a dataset's artifacts fit on the disk, as far as their size is known from the recorded ones.

    Parameters
    ----------
    definition
        The dataset.
    folder
        The folder of the artifacts.
    scratch
        The folder of the build.

    Raises
    ------
    ScriptError
        The recorded artifacts of this version do not fit. Those of another version may differ, so this is only told.
    """
    with suppress(ManifestError):  # it has no manifest yet
        recorded = read_manifest(definition.manifest)
        sizes = [entry.size for entry in recorded.artifacts]
        largest = int(SCRATCH * max(sizes))
        if folder.stat().st_dev == scratch.stat().st_dev:
            _check(definition, folder, sum(sizes) - max(sizes) + largest, recorded.version)
        else:
            _check(definition, folder, sum(sizes), recorded.version)
            _check(definition, scratch, largest, recorded.version)


def check_room_for_downloads(wanted: Sequence[Source], *, definition: Definition, scratch: Path) -> None:
    """Check that source files fit on the disk before they are downloaded, and what a first build makes of them.

    How much that is can only be estimated, so it is only told.

    Parameters
    ----------
    wanted
        The source files that the builder asks for.
    definition
        The dataset.
    scratch
        The folder of the build.

    Raises
    ------
    ScriptError
        The source files do not fit.
    """
    check_room_for_sources(definition, wanted)
    if definition.manifest.exists():
        return
    total = sum(source.size for source in wanted)
    free, needed = shutil.disk_usage(scratch).free, (DISK_FACTOR - 1) * total
    if existing_folder(definition).stat().st_dev == scratch.stat().st_dev:
        needed += missing_bytes(definition, wanted)
    if needed > free:
        print(
            f"{definition.name}: its source files have {total:,} bytes, and a build takes about {DISK_FACTOR} times as "
            f"much: {needed:,} bytes more, {definition.root} has {free:,} left",
            file=sys.stderr,
        )


def _check(definition: Definition, folder: Path, needed: int, version: str) -> None:
    free = shutil.disk_usage(folder).free
    if needed <= free:
        return
    message = f"{definition.name}: version {version} needs {needed:,} bytes to be built, {folder} has {free:,} left"
    if version == definition.version:
        raise ScriptError(f"{message}; make room and build again")
    print(f"{message}; another version may need as much", file=sys.stderr)
