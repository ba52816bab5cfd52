"""Scratch folders, removed on success and on failure; what a killed process leaves, the next run removes."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from scripts._process.errors import ScriptError

SCRATCH = ".scratch"


@contextmanager
def scratch_folder(root: Path, name: str, *, at: Path | None = None) -> Iterator[Path]:
    """Create an empty folder that one process at a time can use, and remove it at the end of the `with` block.

    Parameters
    ----------
    root
        The repository.
    name
        The purpose of the folder, such as `build-mnist`.
    at
        The path of the folder; `.scratch/<name>` by default. The lock is next to it, so that it holds for all clones
        that use this path.

    Raises
    ------
    ScriptError
        Another process uses it, or its path is in use for something else.
    """
    folder = at or root / SCRATCH / name
    folder.parent.mkdir(exist_ok=True)
    with ExitStack() as exits:
        try:
            exits.enter_context(_lock_file(folder.with_name(f"{folder.name}.lock")))
        except BlockingIOError as error:
            what = name.replace("-", " ", 1)
            where = at.parent if at else root
            raise ScriptError(f"{what}: another one is at work in {where}; wait until it has finished") from error
        _make_empty(folder)
        exits.callback(_remove, folder)
        yield folder


@contextmanager
def _lock_file(path: Path) -> Iterator[None]:
    """Hold a lock file, which is removed at the end: it may be in a folder of the user."""
    while True:
        with path.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            try:
                is_current = os.path.samestat(os.fstat(file.fileno()), path.stat())
            except FileNotFoundError:
                is_current = False
            if not is_current:
                continue  # its holder removed it after it was opened here
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
            return


def _make_empty(folder: Path) -> None:
    if folder.is_symlink() or folder.is_file():
        kind = "a link" if folder.is_symlink() else "a file"
        raise ScriptError(f"{folder} is {kind}, where this command needs a folder; remove it with: rm '{folder}'")
    _remove(folder)
    try:
        folder.mkdir()
    except FileExistsError as error:
        raise ScriptError(f"{folder} cannot be removed; remove it with: rm -r '{folder}'") from error


def _remove(folder: Path) -> None:
    """Remove a folder if that is possible, with folders in it that are read-only, as some archives have them."""
    shutil.rmtree(folder, ignore_errors=True)
    for inner, folders, _ in os.walk(folder):
        for name in folders:
            if not (path := Path(inner, name)).is_symlink():
                path.chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def waiting_for(root: Path, names: Iterable[str], *, report: Callable[[str], None]) -> Iterator[None]:
    """Wait until no other process of this clone holds a lock of these names, and hold them in the `with` block.

    Parameters
    ----------
    root
        The repository.
    names
        The names of the locks.
    report
        Called with the name of a lock that another process holds, before waiting for it.
    """
    with ExitStack() as locks:
        for name in sorted(names):  # in one order, so that two processes never wait for each other
            path = root / SCRATCH / f"{name}.lock"
            path.parent.mkdir(exist_ok=True)
            lock = FileLock(path)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                report(name)
                lock.acquire()
            locks.callback(lock.release)
        yield


@contextmanager
def temporary_files_in(folder: Path) -> Iterator[None]:
    """Have this process and its children create their temporary files in a folder, which is created, during a block.

    Builders and libraries leave such files in the system's folder for them, and the data may be larger than its disk.
    """
    folder.mkdir()
    before = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = tempfile.tempdir = os.fspath(folder)
    try:
        yield
    finally:
        tempfile.tempdir = None
        if before is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = before
