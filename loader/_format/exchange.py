"""Swap two folders."""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from pathlib import Path

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


def exchange(new: Path, target: Path) -> None:
    """Swap a folder and what is at `target`, atomically where the system can, so that `target` always exists.

    Afterwards `new` is what was at `target`.

    Raises
    ------
    OSError
        They cannot be renamed; `target` is what it was.
    """
    with suppress(AttributeError):
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
        if renameat2(_AT_FDCWD, os.fsencode(new), _AT_FDCWD, os.fsencode(target), _RENAME_EXCHANGE) == 0:
            return
    # this system or file system does not support it: rename in steps
    old = new.with_name(f"{new.name}.old")
    target.rename(old)
    try:
        new.rename(target)
    except OSError:
        old.rename(target)
        raise
    old.rename(new)
