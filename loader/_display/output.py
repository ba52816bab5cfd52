"""Write a page or a sheet."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from loader._errors import ArgumentError, LoaderError
from loader._format.files import reason


def write_output(path: Path, data: bytes) -> None:
    """Write a file that replaces an existing one once it is complete; if that fails, the existing one is unchanged.

    Raises
    ------
    ArgumentError
        The path is a folder or a device, or its folder does not exist.
    LoaderError
        The file cannot be written, for example because the disk is full.
    """
    target = path.resolve()
    if target.exists() and not target.is_file():
        raise ArgumentError(f"{path} is {'a folder' if target.is_dir() else 'not a file'}: name a file to write to")
    if not target.parent.is_dir():
        raise ArgumentError(
            f"{path} cannot be written, because its folder does not exist; create it with: "
            f"mkdir -p {shlex.quote(str(path.parent))}"
        )
    part = target.with_name(f".{target.name[:200]}.{os.getpid()}.part")
    try:
        part.write_bytes(data)
        part.replace(target)
    except OSError as error:
        raise LoaderError(f"{path} cannot be written ({reason(error)})") from error
    finally:
        part.unlink(missing_ok=True)
