"""Source files tracked by DVC: recorded in `sources/<name>.dvc`, stored on the remote of the dataset's visibility."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

from loader import FetchError
from scripts._define.definition import Definition
from scripts._dvc.stages import TrackedFile, read_tracked
from scripts._process.errors import ScriptError, UnavailableError
from scripts._process.files import hash_file
from scripts._sources.download import log
from scripts._sources.source import FOLDER


def dvc_file(definition: Definition) -> Path:
    """Return the path of the `.dvc` file that records a dataset's source files."""
    return definition.root / FOLDER / f"{definition.name}.dvc"


class TrackedSources:
    """The source files that a dataset's `.dvc` file records.

    Parameters
    ----------
    definition
        The dataset.
    files
        The record of each file, by name; None if the `.dvc` file cannot be read.
    """

    def __init__(self, definition: Definition, files: dict[str, TrackedFile] | None) -> None:
        self._definition = definition
        self._files = files

    @classmethod
    def from_definition(cls, definition: Definition) -> TrackedSources | None:
        """Return the source files that `sources/<name>.dvc` records, None if there is no such file.

        Raises
        ------
        ScriptError
            The file names another remote than the dataset's visibility.
        """
        path = dvc_file(definition)
        if not path.exists():
            return None
        try:
            tracked = read_tracked(path)
        except ScriptError:
            return cls(definition, None)  # left by a killed command; running it again replaces the file
        files = {name.removeprefix(f"{definition.name}/"): file for name, file in tracked.items()}
        for filename, file in files.items():
            if file.remote != definition.visibility:
                raise ScriptError(
                    f"{path} names remote {file.remote!r} for {filename}, but in dvc.yaml {definition.name} is "
                    f"{definition.visibility}; replace it with: "
                    f"rm {shlex.quote(str(path))} && make mirror DATASET={definition.name}"
                )
        return cls(definition, files)

    def copy(self, filename: str, target: Path, *, size: int | None) -> None:
        """Copy one file from DVC's cache or its remote, resuming an interrupted download.

        Parameters
        ----------
        filename
            Its path in the folder of the dataset's source files.
        target
            The path to copy it to.
        size
            The size in bytes that it must have; None if it is not known.

        Raises
        ------
        UnavailableError
            The file is not recorded, or cannot be fetched.
        """
        if self._files is None:
            raise UnavailableError(
                f"does not have DVC's format; replace it with: make mirror DATASET={self._definition.name}"
            )
        file = self._files.get(filename)
        if file is None:
            raise UnavailableError("does not record it", report=False)
        if size is not None and file.size != size:
            raise UnavailableError(f"records a file of {file.size:,} bytes under that name")
        from scripts._dvc.objects import cached_file, open_repo, remote_object

        try:
            repo = open_repo(self._definition.root)
            cached = cached_file(repo, file.md5)
            if cached is not None:
                shutil.copyfile(cached, target)
                return
            log(f"{filename}: fetching from DVC's remote {file.remote!r}")
            found = remote_object(repo, str(file.remote), md5=file.md5, size=file.size)
            for resumed in (target.exists(), False):
                found.get(target)
                if hash_file(target, "md5") == file.md5:
                    return
                target.unlink()
                if not resumed:  # a partial file of an earlier run cannot be the reason
                    raise UnavailableError(f"the object on remote {file.remote!r} has another md5")
        except FetchError as error:
            raise UnavailableError(str(error)) from error
        except OSError as error:
            raise UnavailableError(f"cannot be written to {target.parent} ({error.strerror})") from error
