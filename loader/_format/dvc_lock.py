"""What `dvc.lock` records of a file."""

from __future__ import annotations

import re
from collections.abc import Iterator


def locked_md5s(lock: bytes, path: str) -> Iterator[str]:
    """Yield the MD5 (hex) that each entry of a `dvc.lock` with this path has, without parsing it, which is slow."""
    wanted = f"path: {path}\n".encode()
    place = lock.find(wanted)
    while place >= 0:
        end = lock.find(b"\n", place) + 1
        following = lock.find(b"- ", end)
        entry = lock[lock.rfind(b"- ", 0, place) : following if following >= 0 else len(lock)]
        if md5 := re.search(rb"\bmd5: ([0-9a-f]{32})\s", entry):
            yield md5[1].decode()
        place = lock.find(wanted, end)
