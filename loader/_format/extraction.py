"""Extract an artifact into the files that TFDS reads."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from loader._format.artifact import Artifact
from loader._format.index import HEADER_NAME, Member


def version_folder(artifact: Artifact) -> PurePosixPath:
    """Return the version folder in the tar: `<name>/[<config>/]<version>`."""
    return PurePosixPath(artifact.manifest.version_folder(artifact.entry))


def extractable(artifact: Artifact) -> list[Member]:
    """Return the index header and every member that it lists.

    Raises
    ------
    IntegrityError
        A path occurs twice, or is outside the folders that TFDS writes.
    """
    folder, name, entry = version_folder(artifact), artifact.manifest.name, artifact.entry
    header = Member(str(folder / HEADER_NAME), entry.index_offset, entry.index_size, entry.index_sha256)
    members = [header, *artifact.header.members]
    allowed = (folder, PurePosixPath(name, ".config"))  # the latter holds the default config's name
    for member in members:
        path = PurePosixPath(member.path)
        is_plain = str(path) == member.path and ".." not in path.parts and "\0" not in member.path
        if not is_plain or path.parts[:1] != (name,) or path.parent not in allowed:
            raise artifact.error(f"lists a member outside its folder, {member.path!r}")
    if len({member.path for member in members}) != len(members):
        raise artifact.error("lists a member twice")
    return members


def extract_members(artifact: Artifact, members: list[Member], folder: Path) -> None:
    """Write members to `folder`, each verified by its SHA-256. The tar's own headers are not used.

    Raises
    ------
    IntegrityError
        A member is not the one recorded.
    OSError
        A file cannot be written, or already exists.
    """
    for member in members:
        path = folder / member.path
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            for chunk in artifact.chunks(member):
                file.write(chunk)
