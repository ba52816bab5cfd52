"""Checking that the source files to be downloaded fit on the disk, before the first of them is."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from scripts._define.definition import Definition
from scripts._process.errors import ScriptError
from scripts._sources.manual import is_manual
from scripts._sources.source import FOLDER, Source
from scripts._sources.sources import mirror_location


def check_room_for_sources(definition: Definition, wanted: Iterable[Source]) -> None:
    """Check that the source files that are not on this machine fit on the disk; what is there of one counts.

    Raises
    ------
    ScriptError
        They do not.
    """
    missing, folder = missing_bytes(definition, wanted), existing_folder(definition)
    free = shutil.disk_usage(folder).free
    if missing > free:
        raise ScriptError(
            f"{definition.name}: {missing:,} bytes of its source files are still to be downloaded, {folder} has "
            f"{free:,} left; make room and run it again"
        )


def missing_bytes(definition: Definition, wanted: Iterable[Source]) -> int:
    """Return how many bytes of source files are still to be downloaded into `sources/<name>/`, at least."""
    folder = definition.root / FOLDER / definition.name
    missing = {source for source in wanted if not is_manual(source.url) and not _is_at_hand(definition, source)}
    partial = sum(path.stat().st_size for path in folder.glob(".*.part"))
    return max(0, sum(source.size for source in missing) - partial)


def existing_folder(definition: Definition) -> Path:
    """Return the folder of the source files, or the one in which it will be made."""
    folder = definition.root / FOLDER / definition.name
    while not folder.exists():
        folder = folder.parent
    return folder


def _is_at_hand(definition: Definition, source: Source) -> bool:
    mirror = mirror_location(definition, source.filename)
    paths = [definition.root / FOLDER / definition.name / source.filename, mirror]
    return any(isinstance(path, Path) and path.exists() for path in paths)
