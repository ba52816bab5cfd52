"""An artifact as the files that TFDS reads."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from loader._format.artifact import Artifact
from loader._format.index import HEADER_NAME, Member


def version_folder(artifact: Artifact) -> PurePosixPath:
    """Return the folder of the dataset's version inside the tar: `<name>/[<config>/]<version>`."""
    return PurePosixPath(artifact.header.rows.path).parent


def extractable(artifact: Artifact) -> list[Member]:
    """Return the header itself and every member it lists.

    Raises
    ------
    IntegrityError
        Their paths are not what TFDS writes: files in the folder of a version.
    """
    folder, name, entry = version_folder(artifact), artifact.manifest.name, artifact.entry
    own = Member(str(folder / HEADER_NAME), entry.index_offset, entry.index_size, entry.index_sha256)
    members = [own, *artifact.header.members]
    allowed = (folder, PurePosixPath(name, ".config"))  # the latter holds the default config's name
    for member in members:
        path = PurePosixPath(member.path)
        plain = str(path) == member.path and ".." not in path.parts and "\0" not in member.path
        if not plain or path.parts[:1] != (name,) or path.parent not in allowed:
            raise artifact.error(f"lists a member outside its folder, {member.path!r}")
    if len({member.path for member in members}) != len(members):
        raise artifact.error("lists a member twice")
    return members


def extract_members(artifact: Artifact, members: list[Member], folder: Path) -> None:
    """Write members below `folder`, each proved by its SHA-256; the tar's own entries are never followed.

    Raises
    ------
    IntegrityError
        A member is not what was recorded.
    OSError
        It cannot be written, or is already there.
    """
    for member in members:
        path = folder / member.path
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            for chunk in artifact.chunks(member):
                file.write(chunk)
