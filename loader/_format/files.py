"""Read regular files by their descriptors, at any offset.

A file is not memory-mapped: if someone cuts it off meanwhile, reading the map would end the process with SIGBUS, while
reading the descriptor returns fewer bytes, which is an error like any other damage.
"""

from __future__ import annotations

import errno
import os
import stat
import weakref
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

Pread = Callable[[int, int], bytes]
"""Returns up to a number of bytes at an offset, like `os.pread` of one file."""

IN_MEMORY_BYTES = 32 << 20
_PAGE_BITS = 17
_AHEAD_BYTES = 64 << 10
_GAP_BYTES = 16  # between adjacent records: the checksum after one and the length before the next
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def open_regular(path: Path) -> int:
    """Return a descriptor to read a regular file with.

    Raises
    ------
    OSError
        It cannot be opened, or is something else than a file, like a named pipe, which would be waited for.
    """
    _check_kind(path.stat().st_mode)  # before it is opened, because opening a device can have an effect
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        _check_kind(os.fstat(descriptor).st_mode)  # it may have been replaced
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def read_regular(path: Path) -> bytes:
    """Return the bytes of a regular file; the errors are those of `open_regular`."""
    with os.fdopen(open_regular(path), "rb") as file:
        return file.read()


class _Descriptor:
    """A descriptor, which is closed when nothing refers to this object."""

    def __init__(self, number: int) -> None:
        self.number = number
        # at exit the system closes it, because threads may still be reading
        weakref.finalize(self, os.close, number).atexit = False

    def pread(self, size: int, offset: int) -> bytes:
        return os.pread(self.number, size, offset)


class RandomAccessFile:
    """A regular file, open until nothing refers to it, or to one of the functions that read it.

    A forked process reads by the descriptor that it inherits, which has no position that the processes would share.

    Parameters
    ----------
    path
        The file.

    Attributes
    ----------
    pread_exactly
        A function like `os.pread` of this file.

    Raises
    ------
    OSError
        It cannot be opened, or is not a regular file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        opened = _Descriptor(open_regular(path))
        self.descriptor = opened.number
        self.pread_exactly: Pread = opened.pread

    def __len__(self) -> int:
        return os.fstat(self.descriptor).st_size

    def __getitem__(self, part: slice) -> bytes:
        """Return the bytes from `part.start` to `part.stop`, or to the end of the file if that comes first."""
        start, stop = part.start, part.stop
        data = os.pread(self.descriptor, stop - start, start)
        while (missing := stop - start - len(data)) > 0:  # the system reads 2 GiB at most at once
            more = os.pread(self.descriptor, missing, start + len(data))
            if not more:
                break
            data += more
        return data

    @property
    def identity(self) -> tuple[int, int, int, int]:
        """Numbers that change if the file is replaced or written to: device, inode, size, time of the last change."""
        status = os.fstat(self.descriptor)
        return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns

    @property
    def is_replaced(self) -> bool:
        """Whether the path now leads to another file, or to none."""
        try:
            return not os.path.samestat(self.path.stat(), os.fstat(self.descriptor))
        except OSError:
            return True

    @cached_property
    def pread(self) -> Pread:
        """A function like `os.pread` of this file, for access in any order.

        It keeps the pages of a small file in memory: a call of the system takes ten times as long as a slice of bytes.
        """
        return self._pread_in_memory() if len(self) <= IN_MEMORY_BYTES else self.pread_exactly

    def pread_ahead(self) -> Pread:
        """Return a function like `pread`, which reads ahead while it is asked for adjacent bytes, on one thread.

        What is not adjacent is read exactly, so that random access reads nothing in vain.
        """
        if len(self) <= IN_MEMORY_BYTES:
            return self.pread
        start, data = 0, b""

        def pread(size: int, offset: int) -> bytes:
            nonlocal start, data
            at = offset - start
            if not 0 <= at <= len(data) - size:
                is_adjacent = 0 <= at <= len(data) + _GAP_BYTES
                # large records gain nothing: reading ahead would read most of their bytes twice
                wanted = _AHEAD_BYTES if is_adjacent and size < _AHEAD_BYTES // 4 else size
                data = os.pread(self.descriptor, wanted, offset)
                start, at = offset, 0
            return data[at : at + size]

        return pread

    def _pread_in_memory(self) -> Pread:
        pread_exactly, page_bits, page_mask = self.pread_exactly, _PAGE_BITS, (1 << _PAGE_BITS) - 1
        pages = [b""] * ((len(self) >> page_bits) + 1)

        def pread(size: int, offset: int) -> bytes:
            at, number = offset & page_mask, offset >> page_bits
            data = pages[number][at : at + size]
            if len(data) == size:
                return data
            if at + size > page_mask:  # it continues on the next page
                return pread_exactly(size, offset)
            pages[number] = pread_exactly(page_mask + 1, number << page_bits)
            return pages[number][at : at + size]

        return pread


def reason(error: Exception) -> str:
    """Return why a file cannot be read, for messages."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _check_kind(mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, f"it is {_KINDS.get(stat.S_IFMT(mode), 'something else')}, not a file")
