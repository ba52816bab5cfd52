"""Hashing files, replacing them atomically, reading YAML."""

from __future__ import annotations

import ctypes
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from scripts._process.errors import ScriptError

CHUNK_BYTES = 1 << 20
_hashes: dict[tuple[int, ...], str] = {}


def hash_file(path: Path, algorithm: str = "sha256") -> str:
    """Return the hash (hex) of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def hash_once(path: Path) -> tuple[int, str]:
    """Return the size and the SHA-256 (hex) of a file, which is read once by this process while it does not change.

    A build asks for each config, and there may be 80 GB of files.
    """
    identity = _identity(path)
    if identity not in _hashes:
        _hashes[identity] = hash_file(path)
    return identity[2], _hashes[identity]


def note_hash(path: Path, sha256: str) -> None:
    """Take note of the SHA-256 of a file that was checked and then moved, so that `hash_once` does not read it."""
    _hashes[_identity(path)] = sha256


def _identity(path: Path) -> tuple[int, ...]:
    """Return what changes if a file is replaced or written to: device, inode, size, and both times."""
    status = path.stat()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


@contextmanager
def replacing(target: Path, *, on_disk: bool = True) -> Iterator[BinaryIO]:
    """Open a temporary file next to `target` that replaces it once it is complete and on disk.

    If anything fails before that, `target` stays unchanged and the temporary file is removed.

    Parameters
    ----------
    target
        The file.
    on_disk
        False if the caller waits until it is on disk.

    Raises
    ------
    ScriptError
        The file cannot be written, for example because the disk is full.
    """
    part = target.parent / f".{target.name}.part"
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            if on_disk:
                os.fsync(file.fileno())
        part.replace(target)
        if on_disk:
            sync(target.parent)
    except OSError as error:
        raise ScriptError(f"{target} cannot be written: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Wait until a file is on disk, or what was renamed in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def release(file: BinaryIO, size: int) -> None:
    """Give the first `size` bytes of an open file back to the file system, if it can; they are zeros then."""
    punch_hole = getattr(ctypes.CDLL(None), "fallocate", None)  # Linux's
    if punch_hole is not None:
        keep_size_and_punch_hole = 3
        punch_hole(file.fileno(), keep_size_and_punch_hole, ctypes.c_long(0), ctypes.c_long(size))


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the mapping in a YAML file.

    Raises
    ------
    ScriptError
        The file is missing, is not valid YAML, or is not a mapping.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        content = YAML(typ="safe").load(path)
    except FileNotFoundError as error:
        raise ScriptError(f"{path} is missing") from error
    except YAMLError as error:
        raise ScriptError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    if content is None and not path.stat().st_size:
        # DVC truncates dvc.lock before it writes it
        raise ScriptError(
            f"{path} is empty, perhaps because the disk was full; "
            f"restore the committed one with: git checkout -- {path}"
        )
    if not isinstance(content, dict):
        raise ScriptError(f"{path} is not a mapping")
    return content
