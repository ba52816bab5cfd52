"""Find an artifact on its DVC remote. Importing this module imports DVC."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from dvc.config import Config
from dvc.exceptions import DvcException

from loader._errors import FetchError
from loader._fetch.revision import TrackedFile
from loader._fetch.s3 import S3Object
from loader._format.names import object_path


def read_config(dvc_folder: Path | None, *, committed: bytes | None = None) -> dict[str, Any]:
    """Return the DVC configuration of this machine and of the repository.

    Parameters
    ----------
    dvc_folder
        The `.dvc` folder of a work tree.
    committed
        The content of `.dvc/config`, for a repository without a work tree.

    Raises
    ------
    FetchError
        It cannot be read.
    """
    try:
        if committed is not None:
            shared = _parse(committed)
            _remove_aws_files(shared, {})
            return dict(Config(None, config=shared))
        config = Config(dvc_folder)
        if dvc_folder is not None:
            _remove_aws_files(config, *(config.load_one(level) for level in ("system", "global", "local")))
        return dict(config)
    except DvcException as error:
        raise FetchError(f"DVC's configuration cannot be read: {error}") from error


def locate(config: dict[str, Any], tracked: TrackedFile) -> S3Object:
    """Return the object of a tracked artifact.

    Raises
    ------
    FetchError
        The remote is not configured, or not on S3.
    """
    name = tracked.remote or config.get("core", {}).get("remote")
    options = config.get("remote", {}).get(name, {})
    url = str(options.get("url", ""))
    if not url.startswith("s3://"):
        problem = f"is at {url}, not on S3" if url else "is not configured"
        raise FetchError(f"remote {name!r} {problem}; set it with: make remote PUBLIC=s3://... PRIVATE=s3://...")
    usable = tuple(sorted((key, value) for key, value in options.items() if isinstance(value, str | bool | int)))
    return S3Object(f"{url.rstrip('/')}/{object_path(tracked.md5)}", name, usable)


def _remove_aws_files(config: dict[str, Any], *own: dict[str, Any]) -> None:
    """Remove paths of AWS configuration files, which can run programs, unless this machine's `own` config has them."""
    for name, options in config.get("remote", {}).items():
        for option in ("configpath", "credentialpath"):
            if not any(option in level.get("remote", {}).get(name, {}) for level in own):
                options.pop(option, None)


def _parse(committed: bytes) -> dict[str, Any]:
    with tempfile.NamedTemporaryFile(suffix=".config") as file:
        file.write(committed)
        file.flush()
        return dict(Config.load_file(file.name))
