"""An artifact by itself, without the manifest that records it."""

from __future__ import annotations

import hashlib
import re
import tarfile
from io import BufferedReader
from pathlib import Path, PurePosixPath

from loader._errors import ArgumentError, IntegrityError, NotFoundError
from loader._format.artifact import LocalArtifact
from loader._format.index import FORMAT, HEADER_NAME
from loader._format.manifest import ArtifactEntry, Manifest


def open_tar(path: Path, *, hash: str | None = None) -> LocalArtifact:
    """Open an artifact without its manifest.

    Parameters
    ----------
    path
        The tar.
    hash
        The MD5 (32 hex digits) or SHA-256 (64) of the whole file.

    Raises
    ------
    ArgumentError
        The hash is neither.
    NotFoundError
        There is no such file.
    IntegrityError
        It is no artifact of format 1, or has another hash.
    """
    try:
        with path.open("rb") as file:
            found = _file_hash(file, hash)
            size, sha256_hex = file.seek(0, 2), found if len(found) == 64 else ""
        with tarfile.open(path, "r:") as tar:
            first = tar.next()
            if first is None or not first.name.endswith(f"/{HEADER_NAME}"):
                raise IntegrityError(f"{path} is no artifact of format {FORMAT}: its first member is no record index")
            offset, length, folder = first.offset_data, first.size, PurePosixPath(first.name).parent
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no file {path}") from error
    except (OSError, tarfile.TarError) as error:
        raise IntegrityError(f"{path} is no artifact of format {FORMAT} ({error})") from error
    if hash is not None and found != hash.lower():
        raise IntegrityError(f"{path} has the hash {found}, not {hash.lower()}: it is damaged, or another artifact")
    with path.open("rb") as file:
        file.seek(offset)
        header = hashlib.sha256(file.read(length)).hexdigest()
    config = str(folder.parts[1]) if len(folder.parts) > 2 else None
    entry = ArtifactEntry(path.name, config, size, sha256_hex, offset, length, header)
    manifest = Manifest(str(path), folder.parts[0], folder.name, (entry,), config, {})
    return LocalArtifact(path, manifest, entry)


def _file_hash(file: BufferedReader, wanted: str | None) -> str:
    """Return the hash of a file by the algorithm of the one that is `wanted`, empty where none is."""
    if wanted is None:
        return ""
    algorithm = {32: "md5", 64: "sha256"}.get(len(wanted))
    if algorithm is None or not re.fullmatch("[0-9a-fA-F]+", wanted):
        raise ArgumentError(f"{wanted!r} is neither an MD5 (32 hex digits) nor a SHA-256 (64)")
    return hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()
