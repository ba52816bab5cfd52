"""An artifact file without the manifest that records it."""

from __future__ import annotations

import hashlib
import os
import re
import tarfile
from pathlib import Path, PurePosixPath

from loader._errors import ArgumentError, IntegrityError, LoaderError, NotFoundError
from loader._format.artifact import LocalArtifact
from loader._format.files import open_regular, reason
from loader._format.index import FORMAT, HEADER_NAME
from loader._format.manifest import MAX_BYTES, ArtifactEntry, Manifest

_FIX = "get it again from where it came from"
_ALGORITHMS = {32: "md5", 64: "sha256"}  # by the number of hex digits


class StandaloneArtifact(LocalArtifact):
    """An artifact file that no repository is known to record."""

    @property
    def fix(self) -> str:
        """How to restore the artifact, for messages."""
        return _FIX

    def mismatch(self) -> LoaderError:
        """Return an error that says that the index header is not the one that was there when the tar was opened."""
        return self.error("was changed after it was opened")

    def missing(self) -> LoaderError:
        """Return an error that says that the tar is missing."""
        return NotFoundError(f"there is no file {self.path}")

    def wrong_size(self, size: int) -> IntegrityError:
        """Return an error that says that the tar has another size than when it was opened."""
        return self.error(f"has {size:,} bytes, and had {self.entry.size:,} when it was opened: it was truncated")


def open_tar(path: Path, *, hash: str | None = None) -> StandaloneArtifact:
    """Open an artifact without its manifest.

    Parameters
    ----------
    path
        The tar.
    hash
        The expected MD5 (32 hex digits) or SHA-256 (64) of the whole file.

    Raises
    ------
    ArgumentError
        The hash is neither.
    NotFoundError
        There is no such file.
    IntegrityError
        The file is not an artifact of format 1, or has another hash.
    """
    if hash is not None and not (len(hash) in _ALGORITHMS and re.fullmatch("[0-9a-fA-F]+", hash)):
        raise ArgumentError(f"{hash!r} is neither an MD5 (32 hex digits) nor a SHA-256 (64)")
    path = path.absolute()
    sha256 = ""
    try:
        with os.fdopen(open_regular(path), "rb") as file:
            if hash is not None:
                algorithm = _ALGORITHMS[len(hash)]
                found = hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()
                if found != hash.lower():
                    raise IntegrityError(
                        f"{path} has the hash {found}, not {hash.lower()}: it is damaged, or another artifact; {_FIX}"
                    )
                sha256 = found if algorithm == "sha256" else ""
            size = file.seek(0, 2)
            file.seek(0)
            with tarfile.open(fileobj=file, mode="r:") as tar:
                first = tar.next()
            if first is None or not first.name.endswith(f"/{HEADER_NAME}"):
                raise ValueError("its first member is not a record index")
            folder, offset, length = PurePosixPath(first.name).parent, first.offset_data, first.size
            if len(folder.parts) not in (2, 3) or not re.fullmatch(r"[a-zA-Z]\w*", folder.parts[0]):
                raise ValueError(f"{folder} is not a version folder")
            if not 0 <= length <= size - offset:
                raise ValueError(f"its record index is truncated; {_FIX}")
            if length > MAX_BYTES:
                raise ValueError(f"its record index has {length:,} bytes, more than {MAX_BYTES:,}")
            file.seek(offset)
            index_sha256 = hashlib.sha256(file.read(length)).hexdigest()
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no file {path}") from error
    except (OSError, ValueError, OverflowError, MemoryError, RecursionError, tarfile.TarError) as error:
        raise IntegrityError(f"{path} is not an artifact of format {FORMAT}: {reason(error)}") from error
    config = folder.parts[1] if len(folder.parts) == 3 else None
    entry = ArtifactEntry(path.name, config, size, sha256, offset, length, index_sha256)
    manifest = Manifest(str(path), folder.parts[0], folder.name, (entry,), config, {})
    return StandaloneArtifact(path, manifest, entry)
