"""The bytes of a tar of format 1 that are not those of its members, which follow from their paths and sizes."""

from __future__ import annotations

import tarfile
from collections.abc import Iterable

from loader._format.index import Member


def member_header(path: str, size: int) -> bytes:
    """Return a member's header: no time, no owner, mode 644; PAX records only if the path or size needs them."""
    info = tarfile.TarInfo(path)
    info.size = size
    info.mode = 0o644
    return info.tobuf(tarfile.PAX_FORMAT)


def padded(size: int) -> int:
    """Return a size, rounded up to whole blocks of the tar."""
    return -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE


def tar_size(end: int) -> int:
    """Return the size of a tar whose last member ends, padded, at byte `end`."""
    return -(-(end + 2 * tarfile.BLOCKSIZE) // tarfile.RECORDSIZE) * tarfile.RECORDSIZE


def between_members(members: Iterable[Member], size: int) -> list[tuple[int, bytes]]:
    """Return what is before, between and after the members of a tar, each with its offset.

    Parameters
    ----------
    members
        All members, in the order of the tar.
    size
        Number of bytes of the tar.

    Raises
    ------
    ValueError
        A tar of format 1 with these members has them elsewhere, or has another size.
    """
    found, end, last = [], 0, 0
    for member in members:
        header = bytes(end - last) + member_header(member.path, member.size)
        if last + len(header) != member.offset:
            raise ValueError(f"{member.path} is not where it is in a tar of format 1")
        found.append((last, header))
        last = member.offset + member.size
        end = padded(last)
    if tar_size(end) != size:
        raise ValueError("it does not have the size of a tar of format 1")
    return [*found, (last, bytes(size - last))]
