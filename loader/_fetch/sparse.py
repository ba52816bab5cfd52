"""A sparse copy of an artifact in the cache: what has arrived of it, at its place in a file with holes.

<name>.tar.part      the file, as large as the artifact; a hole where nothing has arrived
<name>.tar.arrived   a hint for planning: how many bytes at the start of the file an interrupted download had left
                     (uint64 LE), then a byte for each row of the index, 1 if its record has arrived

A `.part` without `.arrived` is the beginning of the file, left by an interrupted download, which a new copy takes over.

Nothing in a copy is trusted. Who reads a part of it verifies that part as if it had come from the remote, and fetches
it again if it is wrong. So a kill, a lost write or a flipped bit costs bytes, and never returns a wrong example.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import time
import weakref
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

import numpy as np

from loader._fetch import store
from loader._fetch.cache_entry import ARRIVED_SUFFIX, PART_SUFFIX
from loader._fetch.units import spans

ATTEMPTS = 5
LOCK_SECONDS = 0.5
CLAIM_SECONDS = 0.005
"""How often a unit that another process fetches is asked for."""

_PREFIX = struct.Struct("<Q")


class SparseCopy:
    """A sparse copy, open for reading and writing.

    It stays in the cache until nothing refers to this object. Threads and forked processes may share it.

    Parameters
    ----------
    folder
        The entry's folder in the cache; its name is the artifact's MD5.
    filename
        The artifact's file name, like "digit.tar".
    size
        Its number of bytes.

    Attributes
    ----------
    path, arrived_path
        Its two files. When it is completed, the first is renamed; this object still reads it.
    prefix
        Bytes at the start of the file that an interrupted download had left.

    Raises
    ------
    FileExistsError
        The whole artifact is there.
    OSError, FetchError
        The cache cannot be written to, or another process is downloading the artifact.
    """

    def __init__(self, folder: Path, filename: str, *, size: int) -> None:
        self.path = folder / f"{filename}{PART_SUFFIX}"
        self.arrived_path = folder / f"{filename}{ARRIVED_SUFFIX}"
        self.size = size
        self._claims: dict[int, tuple[Lock, Counter[int]]] = {}  # by process
        for attempt in range(ATTEMPTS):
            folder.mkdir(parents=True, exist_ok=True)
            try:
                self._hold = store.Hold(folder)
                self._open()
                break
            except FileNotFoundError:  # another process has just created, completed or removed it
                if attempt == ATTEMPTS - 1:
                    raise
        (self.prefix,) = _PREFIX.unpack(os.pread(self._arrived, _PREFIX.size, 0).ljust(_PREFIX.size, b"\0"))

    def _open(self) -> None:
        if self.path.is_symlink() or self.arrived_path.is_symlink():  # the tar would be a link to a file of others
            raise OSError(errno.ELOOP, "a link is in place of the copy")
        is_whole = self.path.with_suffix("")
        try:
            is_made = self.path.stat().st_size == self.size and self.arrived_path.stat().st_size >= _PREFIX.size
        except FileNotFoundError:
            is_made = False
        if not is_made:
            with store.lock(self.path.parent.name).acquire(timeout=LOCK_SECONDS):
                if is_whole.exists():
                    raise FileExistsError(is_whole)
                self._make()
        self._file = self._descriptor(self.path)
        self._arrived = self._descriptor(self.arrived_path)

    def _make(self) -> None:
        """Create what is missing of the files; what a killed process had created of them is no obstacle."""
        with self.path.open("ab") as file:
            found = file.seek(0, os.SEEK_END)
            with self.arrived_path.open("ab") as arrived:
                if arrived.seek(0, os.SEEK_END) < _PREFIX.size:
                    arrived.truncate(0)
                    arrived.write(_PREFIX.pack(found if found <= self.size else 0))
            file.truncate(self.size)

    def _descriptor(self, path: Path) -> int:
        number = os.open(path, os.O_RDWR)
        # at exit the system closes it, because threads may still be using it
        weakref.finalize(self, os.close, number).atexit = False
        return number

    def is_in_place(self) -> bool:
        """Return whether the file is at its path; else it was completed or removed."""
        try:
            return os.path.samestat(self.path.stat(), os.fstat(self._file))
        except OSError:
            return False

    def pread(self, size: int, offset: int) -> bytes:
        """Return up to `size` bytes at `offset`, zeros in a hole, like `os.pread` of the file."""
        return os.pread(self._file, size, offset)

    def read(self, offset: int, size: int) -> bytes:
        """Return the bytes at `offset`: zeros in a hole, and fewer than `size` if the file was cut off."""
        data = self.pread(size, offset)
        while len(data) < size and (more := self.pread(size - len(data), offset + len(data))):
            data += more
        return data

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """Write bytes at `offset`.

        Raises
        ------
        OSError
            The disk is full, say.
        """
        view = memoryview(data)
        while view:
            written = os.pwrite(self._file, view, offset)
            view, offset = view[written:], offset + written

    def arrived(self, first: int, count: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Return whether records have arrived, for `count` rows from `first` on: bool of shape (count,)."""
        data = os.pread(self._arrived, count, _PREFIX.size + first)
        arrived: np.ndarray[tuple[int], np.dtype[np.bool_]] = np.frombuffer(data.ljust(count, b"\0"), np.uint8) == 1
        return arrived

    def mark(self, first: int, count: int = 1) -> None:
        """Record that the records of `count` rows from `first` on have arrived; the error is that of `write`."""
        os.pwrite(self._arrived, b"\1" * count, _PREFIX.size + first)

    def keep(self, records: Sequence[tuple[int, int, int]], data: memoryview, start: int) -> None:
        """Write verified records with their framing, and mark them; the error is that of `write`.

        Parameters
        ----------
        records
            The row, offset and length of each, in the order of the file.
        data, start
            Bytes of the file that hold all of them, and their offset.
        """
        for offset, end in spans(records):
            offset, end = max(offset, start), min(end, start + len(data))
            self.write(offset, data[offset - start : end - start])
        rows = np.array([row for row, *_ in records], np.intp)
        for part in np.split(rows, np.flatnonzero(np.diff(rows) != 1) + 1):
            if part.size:
                self.mark(int(part[0]), len(part))

    @contextmanager
    def claim(self, first: int, count: int = 1) -> Iterator[None]:
        """Wait until no other process has claimed one of `count` units from `first` on, then have them in the block.

        A unit is a number of the caller's choice. Whoever has claimed one looks again at what has arrived, and then
        fetches. The threads of a process share their claims. A killed process has none.
        """
        lock, claimed = self._claims.setdefault(os.getpid(), (Lock(), Counter()))  # a forked process has none
        units = range(first, first + count)
        # polled, because of waiting threads of two processes the system suspects a deadlock
        while not self._try_claim(units, lock, claimed):
            time.sleep(CLAIM_SECONDS)
        try:
            yield
        finally:
            with lock:
                claimed.subtract(units)
                for unit in units:
                    if not claimed[unit]:  # no other thread has it
                        del claimed[unit]
                        self._lock(unit, 1, fcntl.LOCK_UN)

    def _try_claim(self, units: range, lock: Lock, claimed: Counter[int]) -> bool:
        with lock:
            is_ours = self._lock(units.start, len(units), fcntl.LOCK_EX | fcntl.LOCK_NB)
            if is_ours:
                claimed.update(units)
        return is_ours

    def _lock(self, first: int, count: int, how: int) -> bool:
        try:
            fcntl.lockf(self._arrived, how, count, first)
        except (BlockingIOError, PermissionError):  # POSIX allows both for a lock that another process has
            return False
        except OSError:  # a file system without locks: two processes may fetch the same unit
            return True
        return True
