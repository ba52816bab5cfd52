"""Paths and settings from environment variables."""

from __future__ import annotations

import os
from pathlib import Path

from loader._errors import ArgumentError

CACHE_VARIABLE = "DATASETS_CACHE"
OFFLINE_VARIABLE = "DATASETS_OFFLINE"


def expand_user(path: str | os.PathLike[str]) -> Path:
    """Return the path with `~` and `~user` expanded.

    Raises
    ------
    ArgumentError
        There is no such user.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ArgumentError(f"{os.fspath(path)!r} is not a path: {error}") from error


def cache_folder() -> Path:
    """Return the loader's cache: DATASETS_CACHE, or `versioned-datasets` in the platform's cache folder."""
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return expand_user(named).absolute()
    from platformdirs import user_cache_path

    return user_cache_path("versioned-datasets", appauthor=False)


def is_offline(offline: bool | None) -> bool:
    """Return whether not to use the network: `offline`, or the setting of DATASETS_OFFLINE if it is None."""
    if offline is not None:
        return offline
    return os.environ.get(OFFLINE_VARIABLE, "").lower() not in ("", "0", "false", "no")
