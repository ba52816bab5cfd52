"""Finding the line of a builder's own code that caused an event, from the stack of the thread."""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Iterable
from enum import Enum, auto
from functools import cache
from pathlib import Path
from types import FrameType

import loader
from scripts._define.definition import ROOT, Definition
from scripts._tfds.builder import code_of

# packages that open the file that they are given
READERS = (
    *("etils", "fsspec", "h5py", "imageio", "numpy", "pandas", "PIL", "pyarrow", "pydub", "scipy", "soundfile"),
    *("tensorflow", "tensorflow_datasets"),
)


class Owner(Enum):
    """The code that a frame of the stack belongs to."""

    BUILDER = auto()
    OURS = auto()  # this repository's scripts and loader
    IMPORT = auto()  # of the standard library: imports, and others that read modules or settings but no data
    STANDARD = auto()  # the rest of the standard library
    READER = auto()
    OTHER = auto()


class Callers:
    """Attributes events to the code of one dataset's builder.

    Parameters
    ----------
    definition
        The dataset. For a builder of TFDS, the code of all builders of TFDS is taken for its own.
    """

    def __init__(self, definition: Definition) -> None:
        self._root, code = code_of(definition)
        self._builder = [str(path) for path in code]
        self._owner = cache(self._find_owner)

    def line(self, frame: FrameType | None, through: Iterable[Owner]) -> str | None:
        """Return the builder's innermost line, like `datasets/standard/digit/digit.py:70`.

        Parameters
        ----------
        frame
            The frame in which the event happened.
        through
            The owners that the frames between the event and that line may have. If another frame lies between, the
            event is not the builder's, and the result is None.
        """
        while frame is not None:
            filename = frame.f_code.co_filename
            owner = self._owner(filename)
            if owner is Owner.BUILDER:
                shown = Path(filename)
                return (
                    f"{shown.relative_to(self._root) if shown.is_relative_to(self._root) else shown}:{frame.f_lineno}"
                )
            if owner not in through:
                return None
            frame = frame.f_back
        return None

    def _find_owner(self, filename: str) -> Owner:
        if filename.startswith("<"):  # frozen modules of the standard library, and generated functions
            return Owner.IMPORT if filename.startswith("<frozen importlib") else Owner.STANDARD
        if is_below(filename, self._builder):
            return Owner.BUILDER
        if is_below(filename, [str(ROOT / "scripts"), str(Path(loader.__file__).parent)]):
            return Owner.OURS
        _, _, installed = filename.partition(f"{os.sep}site-packages{os.sep}")
        if installed:
            return Owner.READER if Path(installed).parts[0] in READERS else Owner.OTHER
        standard = sysconfig.get_path("stdlib")
        if is_below(filename, [f"{standard}/{name}" for name in ("importlib", "linecache.py", "pdb.py")]):
            return Owner.IMPORT
        return Owner.STANDARD if is_below(filename, [standard]) else Owner.OTHER


def is_below(path: str, folders: Iterable[str]) -> bool:
    """Return whether a path is one of the given ones or lies below one of them."""
    return any(path == folder or path.startswith(f"{folder}{os.sep}") for folder in folders)
