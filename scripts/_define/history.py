"""Which contents git's history records for each version of a dataset."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from loader._format.names import ARTIFACTS
from scripts._process.git import git, read_blobs


@dataclass(frozen=True)
class RecordedVersion:
    """A version of a dataset, as a manifest in git's history records it.

    Attributes
    ----------
    name, version
        The dataset and its version.
    sha256
        The SHA-256 (hex) of each artifact, by file name.
    blob
        The git object that holds the manifest.
    """

    name: str
    version: str
    sha256: dict[str, str]
    blob: str


def recorded_versions(
    root: Path,
    *,
    name: str | None = None,
    withdrawn: Mapping[str, Sequence[str]] = MappingProxyType({}),
    until: Sequence[str] = ("HEAD",),
) -> list[RecordedVersion]:
    """Return every version that the commits up to HEAD, or up to others, record, newest manifests first.

    Parameters
    ----------
    root
        The repository.
    name
        The dataset; all of them by default.
    withdrawn
        For each dataset, the commits whose records do not count.
    until
        The commits to begin with.

    Raises
    ------
    ScriptError
        git fails.
    """
    path = f"{ARTIFACTS}/{name}.json" if name else ARTIFACTS
    if not git(root, "rev-list", "--max-count=1", "--all"):
        return []  # nothing is committed yet
    listed = git(root, "rev-list", "--objects", *until, "--", path).decode(errors="replace").splitlines()
    blobs = [line.partition(" ")[0] for line in listed if line.endswith(".json")]
    found = [version for blob, data in read_blobs(root, blobs).items() if (version := _parse(blob, data))]
    left_out = [f"{commit}:./{ARTIFACTS}/{each}.json" for each, commits in withdrawn.items() for commit in commits]
    not_counting = [version for data in read_blobs(root, left_out).values() if (version := _parse("", data))]
    return [version for version in found if replace(version, blob="") not in not_counting]


def version_of(manifest: dict[str, Any], *, blob: str = "") -> RecordedVersion:
    """Return the version that a manifest records; `blob` is the git object that holds it."""
    sha256 = {str(filename): str(entry["sha256"]) for filename, entry in manifest["artifacts"].items()}
    return RecordedVersion(str(manifest["name"]), str(manifest["version"]), sha256, blob)


def _parse(blob: str, data: bytes) -> RecordedVersion | None:
    """Return what a manifest records, None if it is none of this format."""
    try:
        return version_of(json.loads(data), blob=blob)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def other_content(version: RecordedVersion, others: Iterable[RecordedVersion]) -> RecordedVersion | None:
    """Return the first of `others` that records the same version of the same dataset with other bytes, if any."""
    for other in others:
        if (other.name, other.version) == (version.name, version.version) and any(
            version.sha256.get(filename, sha256) != sha256 for filename, sha256 in other.sha256.items()
        ):
            return other
    return None


def commit_of(root: Path, blob: str, *, until: Sequence[str] = ("HEAD",)) -> str:
    """Return the abbreviated commit that added an object, of those up to HEAD or up to others.

    Raises
    ------
    ScriptError
        git fails.
    """
    found = git(root, "log", "--format=%h", f"--find-object={blob}", *until).decode().split()
    return found[-1] if found else "HEAD"
