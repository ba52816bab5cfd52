"""File names and paths of artifacts and manifests."""

from __future__ import annotations

ARTIFACTS = "artifacts"
"""The folder of artifacts and manifests in a datasets repository."""


def tar_name(dataset: str, config: str | None = None) -> str:
    """Return the file name of an artifact."""
    return f"{dataset}-{config}.tar" if config else f"{dataset}.tar"


def object_path(md5: str) -> str:
    """Return the path of an object in a DVC remote or cache, as DVC 3 lays it out."""
    return f"files/md5/{md5[:2]}/{md5[2:]}"


def release_tag(name: str, version: str) -> str:
    """Return the tag of git that releases a version of a dataset, or of one of its artifacts, as GTO names it."""
    return f"{name}@v{version}"
