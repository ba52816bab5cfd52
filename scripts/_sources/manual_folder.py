"""The folder of files downloaded by hand that a builder sees."""

from __future__ import annotations

import os
from pathlib import Path

from scripts._process.errors import ScriptError
from scripts._sources.manual import WHOLE, walk


class ManualFolder:
    """A folder with exactly the registered files, as links, because they may be too large to copy.

    Parameters
    ----------
    folder
        The folder to create.

    Attributes
    ----------
    folder
        The folder.
    files
        The files that the links lead to, without links in their paths, and the status of each when it was added.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: dict[str, tuple[int, ...]] = {}
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
        """Let nothing be created or removed in the folder."""
        for folder, _, _ in os.walk(self.folder, topdown=False):
            os.chmod(folder, 0o555)  # noqa: PTH101

    def check_unchanged(self) -> None:
        """Check that no file has changed since it was added.

        Raises
        ------
        ScriptError
            One of them has.
        """
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


def _status(path: str) -> tuple[int, ...]:
    try:
        status = os.stat(path)  # noqa: PTH116 - there may be very many
    except OSError:
        return ()
    return status.st_ino, status.st_size, status.st_mtime_ns
