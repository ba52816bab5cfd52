"""Hash a file while it is put together, in a thread for each hash."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from concurrent.futures import Future
from pathlib import Path
from typing import Self

from loader._fetch.download import progress_bar
from loader._fetch.threads import DaemonThreads
from loader._format.files import RandomAccessFile

BUFFER_BYTES = 4 << 20
BUFFERS = 4
"""They are used again and again: to allocate as much memory for each read would take as long as reading."""


class Hashing:
    """Hashes a file in order; what the caller is about to write to it can be hashed without being read again.

    Parameters
    ----------
    path
        The file.
    name, size
        What it will be called, and its size in bytes, for a progress bar; None to show none.

    Attributes
    ----------
    position
        Up to where the file is hashed, or soon will be.
    md5, sha256
        The hashes, complete after the `with` block.
    """

    def __init__(self, path: Path, *, name: str | None, size: int) -> None:
        self.position = 0
        self.md5, self.sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
        self._file = RandomAccessFile(path)
        self._free = deque(memoryview(bytearray(BUFFER_BYTES)) for _ in range(BUFFERS))
        self._filled = 0
        self._running: deque[tuple[memoryview, list[Future[None]]]] = deque()
        self._progress = progress_bar(name, size)
        self._updates = [(DaemonThreads(1), hasher.update) for hasher in (self.md5, self.sha256)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._submit()
        while self._running:
            self._wait()
        self._progress.close()

    def update(self, end: int) -> None:
        """Hash the file up to byte `end`."""
        while self.position < end:
            position = self.position
            read_into(self._file, self.space(end), position)

    def space(self, end: int) -> memoryview:
        """Return memory for the next bytes, up to byte `end` at most; it must be filled before the next call."""
        if self._filled == BUFFER_BYTES:
            self._submit()
        if not self._free:
            self._wait()
        view = self._free[0][self._filled : self._filled + end - self.position]
        self._filled += len(view)
        self.position += len(view)
        self._progress.update(len(view))
        return view

    def _submit(self) -> None:
        """Hash the current buffer."""
        if self._filled:
            buffer = self._free.popleft()
            view, self._filled = buffer[: self._filled], 0
            self._running.append((buffer, [thread.submit(update, view) for thread, update in self._updates]))

    def _wait(self) -> None:
        """Wait until the first buffer that is being hashed is free."""
        buffer, updates = self._running.popleft()
        for update in updates:
            update.result()
        self._free.append(buffer)


def read_into(file: RandomAccessFile, view: memoryview, offset: int) -> bool:
    """Read the bytes at `offset` of a file, as many as there is room for, and return whether there are so many."""
    while view:
        count = os.preadv(file.descriptor, [view], offset)
        if count == 0:
            return False
        view, offset = view[count:], offset + count
    return True
