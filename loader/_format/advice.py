"""What to do about an artifact on disk that is damaged or cannot be read, for messages."""

from __future__ import annotations

import errno
import os
import shlex
from pathlib import Path

_SHORTAGES = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


def replacement(path: Path, name: str) -> str:
    """Return how to replace a damaged artifact of the dataset `name`, or one of another revision."""
    remove, file = "rm -r" if path.is_dir() else "rm -f", shlex.quote(str(path))
    fix = f"remove it, and it is fetched anew when it is next loaded or pulled: {remove} {file}"
    if is_linked(path):  # the pull removes the object from DVC's cache if it is damaged, and not if it is another one's
        fix = f"restore the recorded one, in its repository, with: rm -f {file} && make pull DATASET={name}"
    return f"{fix}; if it was never pushed, build it again then, with: make build DATASET={name}"


def access(path: Path, error: Exception) -> str:
    """Return how to read a file that may be undamaged, and the only copy; empty if the error may be due to damage."""
    if isinstance(error, PermissionError):
        is_found = os.path.exists(path)  # noqa: PTH110  (`Path.exists` raises PermissionError)
        command = ["chmod", "u+r", str(path)] if is_found else ["chmod", "u+rx", str(path.parent)]
        return f"make it readable, with: {shlex.join(command)}"
    if isinstance(error, MemoryError) or getattr(error, "errno", None) in _SHORTAGES:
        return "it may be undamaged: try again when the machine has more to spare"
    return ""


def is_linked(path: Path) -> bool:
    """Return whether an object in DVC's cache is a hard link to a file, and so has the same bytes."""
    try:
        if path.stat().st_nlink == 1:
            return False
        objects = (path.parent.parent / ".dvc/cache/files/md5").glob("*/*")
        return any(each.samefile(path) for each in objects)
    except OSError:
        return False
