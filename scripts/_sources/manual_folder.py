"""The folder of files downloaded by hand that a builder sees."""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

from scripts._process.errors import ScriptError
from scripts._sources.manual import WHOLE, walk


class ManualFolder:
    """A folder with exactly the registered files, as links, because they may be too large to copy.

    What Python opens to write to it, or through it, is refused. C and C++ code is not seen; see `check_unchanged`.

    Parameters
    ----------
    folder
        The folder to create.
    dataset
        The dataset, for messages.

    Attributes
    ----------
    folder
        The folder.
    files
        The files that the links lead to, without links in their paths, and the status of each when it was added.
    problem
        What was first refused; None if nothing was.
    """

    def __init__(self, folder: Path, *, dataset: str) -> None:
        self.folder = folder
        self.files: dict[str, tuple[int, ...]] = {}
        self.problem: str | None = None
        self._dataset = dataset
        folder.mkdir(parents=True)

    def add(self, path: str, original: Path) -> None:
        """Show a file, or the files of a tree, at a path, which ends with a slash for a tree."""
        if not path.endswith("/"):
            self._link(self.folder / path, original)
            return
        top = self.folder if path == WHOLE else self.folder / path
        top.mkdir(parents=True, exist_ok=True)
        for inner in walk(original):
            if inner.endswith("/"):
                (top / inner).mkdir(parents=True)
            else:
                self._link(top / inner, original / inner)

    def close(self) -> None:
        """Let nothing be created, removed or changed in the folder, until `release`."""
        for folder, _, _ in os.walk(self.folder, topdown=False):
            os.chmod(folder, 0o555)  # noqa: PTH101
        _add_hook()
        _closed.append(self)

    def release(self) -> None:
        """Let the files be changed again: nobody uses the folder any more."""
        _closed.remove(self)

    def refuse_writing(self, path: str) -> None:
        """Raise a ScriptError if a path, which is opened for writing, is that of a file in the folder."""
        is_inside = Path(os.path.abspath(path)).is_relative_to(self.folder.absolute())  # noqa: PTH100 - not its links
        if is_inside or os.path.realpath(path) in self.files:
            error = f"{self._dataset}: {path} is opened for writing; manual_dir is read-only, write to another folder"
            self.problem = self.problem or error
            raise ScriptError(error)

    def check_unchanged(self) -> None:
        """Check that no file has changed since it was added, and that nothing was refused.

        Raises
        ------
        ScriptError
            One of them has, or something was, also if the builder has caught the error.
        """
        if self.problem is not None:
            raise ScriptError(self.problem)
        for path, status in self.files.items():
            if _status(path) != status:
                raise ScriptError(f"{path} changed while it was read; put the registered file there, and run again")

    def _link(self, link: Path, original: Path) -> None:
        link.parent.mkdir(parents=True, exist_ok=True)
        real = os.path.realpath(original)
        try:
            link.symlink_to(real)
        except FileExistsError as error:
            raise ScriptError(
                f"checksums.tsv has two lines for {link.relative_to(self.folder)}, a file downloaded by hand: its own, "
                f"and that of a folder which it is in; remove one"
            ) from error
        self.files[real] = _status(real)


_closed: list[ManualFolder] = []


@cache
def _add_hook() -> None:
    """Add the audit hook, once per process: Python cannot remove it. It does nothing where no folder is closed."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if (
            not _closed
            or event not in ("open", "os.truncate")
            or not isinstance(arguments[0], str | bytes | os.PathLike)
        ):
            return
        if event == "os.truncate" or arguments[2] & os.O_ACCMODE != os.O_RDONLY:
            for folder in list(_closed):
                folder.refuse_writing(os.fsdecode(arguments[0]))

    sys.addaudithook(hook)


def _status(path: str) -> tuple[int, ...]:
    try:
        status = os.stat(path)  # noqa: PTH116 - there may be very many
    except OSError:
        return ()
    return status.st_ino, status.st_size, status.st_mtime_ns
