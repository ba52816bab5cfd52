"""File names and paths of artifacts and manifests."""

from __future__ import annotations

import re

ARTIFACTS = "artifacts"
"""The folder of artifacts and manifests in a datasets repository."""


MAX_FILENAME = 201
"""Most characters of an artifact's file name."""


def tar_name(dataset: str, config: str | None = None) -> str:
    """Return the file name of an artifact."""
    return f"{dataset}-{config}.tar" if config else f"{dataset}.tar"


def is_filename(name: object) -> bool:
    """Return whether a value of a manifest can be the file name of an artifact; it becomes a part of paths."""
    return isinstance(name, str) and len(name) <= MAX_FILENAME and re.fullmatch(r"[\w-][\w.-]*", name) is not None


def object_path(md5: str) -> str:
    """Return the path of an object in a DVC remote or cache, as DVC 3 lays it out."""
    return f"files/md5/{md5[:2]}/{md5[2:]}"


def version_matches(wanted: str, version: str) -> bool:
    """Return whether a version is the wanted one; a `*` in that, as in "1.*.*", stands for any number, as in TFDS."""
    return re.fullmatch(re.escape(wanted).replace(r"\*", r"\d+"), version) is not None


def version_order(version: str) -> tuple[int, ...]:
    """Return what versions are sorted by; what is no version comes first."""
    return tuple(map(int, version.split("."))) if re.fullmatch(r"\d+(\.\d+)*", version, re.ASCII) else ()


def release_tag(name: str, version: str) -> str:
    """Return the tag of git that releases a version of a dataset, or of one of its artifacts, as GTO names it."""
    return f"{name}@v{version}"
