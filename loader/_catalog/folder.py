"""Write the folder of the site: aside first, and swapped in when it is complete."""

from __future__ import annotations

import fcntl
import os
import shlex
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loader._errors import ArgumentError, LoaderError
from loader._format.exchange import exchange
from loader._format.files import reason

MARKER = ".catalog"
"""Lists the files of a site, so that nothing else is ever removed."""

WAIT_SECONDS = 5
_TITLE = "The files of a catalog that `python -m loader catalog` wrote:"


@contextmanager
def replaced_folder(output: Path) -> Iterator[Path]:
    """Yield an empty folder beside `output` to write to, which takes its place at the end of the block.

    If the block fails, or the process is killed, `output` is what it was.

    Raises
    ------
    ArgumentError
        `output` is something else than a catalog, or has files that are not of the catalog.
    LoaderError
        The folder cannot be written, for example because the disk is full.
    """
    target = output.resolve()
    _check(output, target)
    part = target.with_name(f".{target.name[:200]}.part")
    with _named(output):
        lock = _open_empty(part)
    try:
        yield part
        _check(output, target)  # somebody may have put a file there
        with _named(output):
            files = sorted(path.relative_to(part).as_posix() for path in part.rglob("*") if path.is_file())
            (part / MARKER).write_text("\n".join([_TITLE, *files, ""]), encoding="utf-8")
            if target.exists():
                exchange(part, target)
            else:
                part.rename(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)  # the old site, or what was written until an error
        os.close(lock)


def write_page(output: Path, path: Path, text: str) -> None:
    """Write a page of the site; an error names `output`."""
    with _named(output):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")


@contextmanager
def _named(output: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise LoaderError(f"{output} cannot be written ({reason(error)})") from error


def _check(output: Path, target: Path) -> None:
    """Check that nothing but a catalog would be replaced."""
    if not target.parent.is_dir():
        raise ArgumentError(
            f"{output} cannot be written, because the folder around it does not exist; create it with: "
            f"mkdir -p {shlex.quote(str(target.parent))}"
        )
    if not target.exists():
        return
    if not target.is_dir():
        raise ArgumentError(f"{output} is not a folder: name another one with --output")
    if target.is_mount() or Path.cwd().is_relative_to(target):
        raise ArgumentError(f"{output} cannot be replaced while it is in use: name a folder in it with --output")
    if not any(target.iterdir()):
        return
    try:
        title, *files = (target / MARKER).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        title, files = "", []
    if title != _TITLE:
        raise ArgumentError(f"{output} is not a catalog, and is not replaced: name another folder with --output")
    found = {path.relative_to(target).as_posix() for path in target.rglob("*") if not _is_folder(path)}
    if foreign := sorted(found - {*files, MARKER}):
        raise ArgumentError(
            f"{output}/{foreign[0]} is not of the catalog and would be lost: move it elsewhere, or name another folder "
            f"with --output"
        )


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _open_empty(part: Path) -> int:
    """Create or empty the folder to write to, and return its locked descriptor: one process writes it at a time."""
    deadline = time.monotonic() + WAIT_SECONDS  # a process that was killed may have started one that is just ending
    while (lock := _try_lock(part)) is None:
        if time.monotonic() > deadline:
            raise LoaderError(f"another process is writing a catalog to {part}: try again when it has finished")
        time.sleep(0.05)
    try:
        for path in part.iterdir():  # of a run that was killed
            shutil.rmtree(path) if _is_folder(path) else path.unlink()
    except OSError:
        os.close(lock)
        raise
    return lock


def _try_lock(part: Path) -> int | None:
    part.mkdir(exist_ok=True)
    lock = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(lock), part.stat()):
            return lock
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(lock)  # held by another process, or it is the site that another process has just finished
    return None
