"""Folders that TFDS prepared."""

from __future__ import annotations

import re
from pathlib import Path

from loader._errors import ArgumentError, NotFoundError
from loader._fetch.places import expand_user
from loader._format.names import version_matches, version_order

_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")


def find_prepared(data_dir: Path, name: str, *, config: str | None, version: str | None) -> Path:
    """Return the folder `<data_dir>/<name>/[<config>/]<version>`.

    Parameters
    ----------
    data_dir
        TFDS's data folder.
    name, config
        The dataset and its config, which may be None unless there are several.
    version
        Its version, or a pattern like "1.*.*"; the newest one that matches, by default of all.

    Raises
    ------
    ArgumentError
        The config leads out of the folder.
    NotFoundError
        There is no such folder, or it has several configs and `config` is None.
    """
    folder = expand_user(data_dir) / name
    if config is not None:
        if not config or config.startswith("/") or ".." in config.split("/"):
            raise ArgumentError(f"config={config!r} is not the name of a config")
        folder /= config
    elif folder.is_dir() and not _versions(folder):
        configs = sorted(path.name for path in folder.iterdir() if path.is_dir() and _versions(path))
        if len(configs) > 1:
            raise NotFoundError(f"{folder} has several configs; name one: config={' or '.join(map(repr, configs))}")
        folder = folder.joinpath(*configs)
    versions = _versions(folder)
    if not versions:
        raise NotFoundError(f"{folder} has no version of {name} that TFDS prepared")
    matching = [each for each in versions if version is None or version_matches(version, each)]
    if not matching:
        raise NotFoundError(f"{folder} has no version {version!r}; it has: {', '.join(versions)}")
    return folder / matching[-1]


def _versions(folder: Path) -> list[str]:
    found = [path.name for path in folder.glob("*/dataset_info.json") for path in [path.parent]]
    return sorted(filter(_VERSION.fullmatch, found), key=version_order)
