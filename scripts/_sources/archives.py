"""Unpacking an archive as TFDS does, but never outside of its folder, in bounded memory, and with errors that say why.

As in TFDS, folders and devices are left out, and members whose name or path begins with a dot or ends with a tilde. A
link becomes a copy of the member that it leads to.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import posixpath
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Protocol

from scripts._process.errors import UnavailableError
from scripts._process.files import CHUNK_BYTES

SHOWN_CHARACTERS = 100  # of a member's name
# what their readers raise; zipfile raises RuntimeError if a member is encrypted
_DAMAGE = (
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError),
    *(RuntimeError, ValueError, OSError),
)


class ArchiveError(Exception):
    """An archive cannot be unpacked; the message says why."""


class Readable(Protocol):
    """An open member of an archive."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, none at the end."""


Members = Iterator[tuple[str, Readable]]


def unpack(archive: Path, method: str, target: Path, *, stopped: Event) -> list[str]:
    """Unpack an archive to a path where nothing is yet.

    Parameters
    ----------
    archive
        The archive.
    method
        The name of TFDS's extraction method: ZIP, TAR, TAR_GZ, TAR_STREAM, TAR_GZ_STREAM, GZIP or BZIP2.
    target
        The folder to create, or the file if the archive has only one without a name (GZIP, BZIP2).
    stopped
        Set to stop.

    Returns
    -------
    list of str
        What was left out and may be missed: links that lead nowhere.

    Raises
    ------
    ArchiveError
        The archive is damaged, empty or encrypted, a member points outside of it, or the disk is full.
    UnavailableError
        `stopped` was set.
    """
    left_out: list[str] = []
    written = False
    try:
        for name, file in _READERS[method](archive, left_out):
            path = target / name if name else target
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                output = path.open("wb")
            except (OSError, ValueError) as error:  # the name is too long, or is also that of a folder
                reason = getattr(error, "strerror", None) or error
                raise ArchiveError(f"its member {_shown(name)} cannot be written: {reason}") from error
            with output:
                written = True
                while chunk := file.read(CHUNK_BYTES):
                    if stopped.is_set():
                        raise UnavailableError("cancelled", report=False)
                    output.write(chunk)
    except _DAMAGE as error:
        reason = getattr(error, "strerror", None) or str(error) or "it is cut off"
        raise ArchiveError(reason.splitlines()[0].rstrip(":")) from error
    if not written:
        raise ArchiveError("there is no file in it" + (f", only {', '.join(left_out)}" if left_out else ""))
    return left_out


def _read_zip(archive: Path, _: list[str]) -> Members:
    with zipfile.ZipFile(archive) as file:
        names = {member: _name(member.filename) for member in file.infolist() if not member.is_dir()}
        for member, name in names.items():
            if name:
                with file.open(member) as content:
                    yield name, content


def _read_tar(archive: Path, left_out: list[str]) -> Members:
    with tarfile.open(archive, "r:*") as file:
        for member in file:
            if member.isdir():
                continue
            name = _name(member.name)
            if not name:
                continue
            try:
                content = file.extractfile(member)
            except (KeyError, RecursionError):  # it leads to no member, or to itself
                left_out.append(f"the link {_shown(member.name)} to {_shown(member.linkname)}")
                continue
            if content is not None:
                yield name, content


def _read_tar_stream(archive: Path, left_out: list[str]) -> Members:
    with tarfile.open(archive, "r|*") as file:
        for member in file:
            if member.isdir():
                continue
            name = _name(member.name)
            if member.issym() or member.islnk():  # it cannot be followed without reading the archive again
                left_out.append(f"the link {_shown(member.name)} to {_shown(member.linkname)}")
            elif name and (content := file.extractfile(member)) is not None:
                yield name, content


def _read_gzip(archive: Path, _: list[str]) -> Members:
    with gzip.open(archive) as file:
        yield "", file


def _read_bzip2(archive: Path, _: list[str]) -> Members:
    with bz2.open(archive) as file:
        yield "", file


def _name(member: str) -> str:
    """Return the path of a member below the folder, empty if TFDS leaves it out.

    Raises
    ------
    ArchiveError
        It points outside of the folder.
    """
    outside = posixpath.normpath(member.replace("\\", "/"))
    if outside.startswith("/") or outside.split("/")[0] == "..":
        raise ArchiveError(f"its member {_shown(member)} points outside of it")
    name = os.path.normpath(member)
    is_hidden = name.startswith(".") or name.endswith("~") or posixpath.basename(name).startswith(".")
    return "" if is_hidden else name


def _shown(name: str) -> str:
    text = repr(name)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}...' ({len(name):,} characters)"


_READERS: dict[str, Callable[[Path, list[str]], Members]] = {
    "ZIP": _read_zip,
    "TAR": _read_tar,
    "TAR_GZ": _read_tar,
    "TAR_STREAM": _read_tar_stream,
    "TAR_GZ_STREAM": _read_tar_stream,
    "GZIP": _read_gzip,
    "BZIP2": _read_bzip2,
}
