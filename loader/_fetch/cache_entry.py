"""What an entry of the cache holds: a dataset, a version, how much of it.

artifacts/<md5>/.dataset.json   which artifact it is; written when its first bytes are fetched
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from loader._format.index import HEADER_NAME
from loader._format.manifest import ArtifactEntry, Manifest

PART_SUFFIX, ARRIVED_SUFFIX = ".part", ".arrived"

_NOTE = ".dataset.json"  # no artifact has a name that begins with a dot
_NOTED = {"dataset": str, "version": str, "revision": str, "size": int}
_PATH_BYTES = 100  # of the first path in a tar
_VERSION = re.compile(rf"\w+/(?:[\w.-]+/)?(\d+\.\d+\.\d+)/{re.escape(HEADER_NAME)}", re.ASCII)


class Entry(NamedTuple):
    """An entry of the cache.

    Attributes
    ----------
    name
        The file name of an artifact, like "digit.tar", or the name of an extracted or decoded dataset, like "digit".
    kind
        "artifacts" for tars, "extracted" for folders that TFDS reads, "decoded" for the arrays of `cache(disk=True)`.
    size
        Number of bytes on the disk: of an artifact that is read from its remote, those that have arrived.
    used
        When it was last loaded, in seconds since 1970.
    path
        Its folder.
    dataset, version
        The dataset and its version; the version is None if the entry does not say it.
    revision
        A commit (hex) that records it: the one that it was first loaded from, or HEAD of the work tree; None if it is
        not known, as of what the work tree alone recorded.
    arrived
        The fraction of the artifact's bytes that is here: 1.0 if it is whole, 0.0 if it is not known.
    """

    name: str
    kind: str
    size: int
    used: float
    path: Path
    dataset: str
    version: str | None = None
    revision: str | None = None
    arrived: float = 1.0


def write_note(
    folder: Path, manifest: Manifest, entry: ArtifactEntry, *, find_revision: Callable[[], str | None]
) -> None:
    """Write which artifact an entry's folder holds, unless that is written. If it cannot be written, it is not known.

    Parameters
    ----------
    folder
        The folder, which is created if it is missing.
    manifest, entry
        The dataset's manifest, and its entry for the artifact.
    find_revision
        Returns the revision, as in `Entry`.
    """
    path = folder / _NOTE
    with suppress(OSError):
        if not _read_note(folder):  # of one that was interrupted, or did not fit on the disk, nothing can be read
            version = entry.version or manifest.version
            note = {"dataset": manifest.name, "version": version, "revision": find_revision(), "size": entry.size}
            folder.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{json.dumps(note)}\n", encoding="ascii")


def read_folder(kind: str, folder: Path) -> Entry:
    """Return the entry of an extracted or decoded dataset.

    Raises
    ------
    OSError, ValueError
        It was just removed, or is empty.
    """
    files = [Path(parent, name) for parent, _, names in os.walk(folder) for name in names]
    # <name>/[<config>/]<version>/<file> if it is extracted, <name>/<number> if it is decoded
    name, *inner = max(files).relative_to(folder).parts
    size = sum(path.stat().st_size for path in files)
    return Entry(name, kind, size, folder.stat().st_mtime, folder, name, inner[-2] if len(inner) > 1 else None)


def read_artifact(kind: str, folder: Path) -> Entry:
    """Return the entry of an artifact; the errors are those of `read_folder`."""
    with os.scandir(folder) as found:
        files = {each.name: each.stat() for each in found if each.is_file() and each.name != _NOTE}
    name = min(files).removesuffix(PART_SUFFIX).removesuffix(ARRIVED_SUFFIX)
    part, note = f"{name}{PART_SUFFIX}", _read_note(folder)
    occupied = {each: status.st_size for each, status in files.items()}
    if f"{name}{ARRIVED_SUFFIX}" in files and part in files:  # a file with holes
        occupied[part] = min(files[part].st_blocks * 512, files[part].st_size)
        note.setdefault("size", files[part].st_size)
    arrived = 1.0
    if name not in files:  # it is not whole even if every block of the disk has some of its bytes
        whole = note.get("size", 0)
        arrived = min(occupied.get(part, 0), whole - 1) / whole if whole > 0 else 0.0
    return Entry(
        name,
        kind,
        sum(occupied.values()),
        folder.stat().st_mtime,
        folder,
        note.get("dataset") or name.removesuffix(".tar").partition("-")[0],  # <dataset>-<config>.tar
        note.get("version") or _read_version(folder / (name if name in files else part)),
        note.get("revision"),
        arrived,
    )


def _read_note(folder: Path) -> dict[str, Any]:
    """Return what was noted of an artifact, without what is of another type, as in a damaged file."""
    try:
        note = json.loads((folder / _NOTE).read_bytes())
        return {key: note[key] for key, of_type in _NOTED.items() if type(note.get(key)) is of_type}
    except (OSError, ValueError, AttributeError, RecursionError):
        return {}


def _read_version(path: Path) -> str | None:
    """Return the version in the first path of an artifact, that of its index header; None if it cannot be read."""
    try:
        with path.open("rb") as file:
            start = file.read(_PATH_BYTES)
    except OSError:
        return None
    found = _VERSION.fullmatch(start.rstrip(b"\0").decode("ascii", errors="replace"))
    return found[1] if found else None
