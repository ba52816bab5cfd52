"""Trees as tars, in which they are mirrored: as one object of a remote, and as one download."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, cast

from scripts._process.errors import UnavailableError
from scripts._sources.manual import walk


def tar_of_tree(sha256: str) -> str:
    """Return the name of the tar of a tree, in the folder of a dataset's source files, from the tree's digest."""
    return f"manual-{sha256[:16]}.tar"


def pack_tree(folder: Path, tar: BinaryIO) -> None:
    """Write the files of a tree to a tar, whose bytes depend on their paths and contents only."""
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.PAX_FORMAT) as out:
        for path in walk(folder):
            member = tarfile.TarInfo(path)
            if path.endswith("/"):
                member.type, member.mode = tarfile.DIRTYPE, 0o755
                out.addfile(member)
                continue
            with (folder / path).open("rb") as file:
                member.size = (folder / path).stat().st_size
                out.addfile(member, file)


def unpack_tree(tar: Path, folder: Path) -> None:
    """Extract the tar of a tree to a folder, which is replaced; the caller checks the tree's digest.

    Raises
    ------
    UnavailableError
        It is no such tar.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        with tarfile.open(tar) as members:
            for member in members:
                _extract(members, member, folder)
    except tarfile.TarError as error:
        raise UnavailableError(f"is not the tar of a folder ({error})") from error


def _extract(members: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    """Extract a folder or a file, which is all that such a tar has; the filters of tarfile came with Python 3.11.4."""
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or not (member.isdir() or member.isfile()):
        raise tarfile.TarError(f"{member.name!r} is neither a file nor a folder in it")
    if member.isdir():
        (folder / path).mkdir(parents=True, exist_ok=True)
        return
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    with cast(IO[bytes], members.extractfile(member)) as source, (folder / path).open("wb") as file:
        shutil.copyfileobj(source, file)
