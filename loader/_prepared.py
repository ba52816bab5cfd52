"""Folders that TFDS prepared."""

from __future__ import annotations

import re
from pathlib import Path

from loader._errors import ArgumentError, NotFoundError
from loader._fetch.places import expand_user

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
        Its version; by default the newest one.

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
    if version is not None and version not in versions:
        raise NotFoundError(f"{folder} has no version {version!r}; it has: {', '.join(versions)}")
    return folder / (version or versions[-1])


def _versions(folder: Path) -> list[str]:
    found = [path.name for path in folder.glob("*/dataset_info.json") for path in [path.parent]]
    return sorted(filter(_VERSION.fullmatch, found), key=lambda name: tuple(map(int, name.split("."))))
