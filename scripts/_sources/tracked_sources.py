"""Source files that DVC keeps: recorded in `sources/<name>.dvc`, stored on the remote of the dataset's visibility."""

from __future__ import annotations

import shutil
from pathlib import Path

from loader import FetchError
from scripts._define.definition import Definition
from scripts._dvc.stages import TrackedFile, read_tracked
from scripts._process.errors import ScriptError, UnavailableError
from scripts._process.files import hash_file
from scripts._sources.download import say


def dvc_file(definition: Definition) -> Path:
    """Return where DVC's record of a dataset's source files belongs."""
    return definition.root / "sources" / f"{definition.name}.dvc"


class TrackedSources:
    """The source files that a dataset's `.dvc` file records.

    Parameters
    ----------
    definition
        The dataset.
    files
        What is recorded of each file, by its name; None where the record cannot be read.
    """

    def __init__(self, definition: Definition, files: dict[str, TrackedFile] | None) -> None:
        self._definition = definition
        self._files = files

    @classmethod
    def of(cls, definition: Definition) -> TrackedSources | None:
        """Return what `sources/<name>.dvc` records, None where there is no such file.

        Raises
        ------
        ScriptError
            It names another remote than the dataset's visibility.
        """
        path = dvc_file(definition)
        if not path.exists():
            return None
        try:
            tracked = read_tracked(path)
        except ScriptError:
            return cls(definition, None)  # left by a command that was killed; running it again writes the file anew
        files = {name.removeprefix(f"{definition.name}/"): file for name, file in tracked.items()}
        for filename, file in files.items():
            if file.remote != definition.visibility:
                raise ScriptError(
                    f"{path} sends {filename} to remote {file.remote!r}, but params.yaml calls {definition.name} "
                    f"{definition.visibility}; remove it and write it anew: "
                    f"rm {path} && make mirror DATASET={definition.name}"
                )
        return cls(definition, files)

    def copy(self, filename: str, target: Path, *, size: int) -> None:
        """Copy one file from DVC's cache or its remote; an interrupted transfer is continued.

        Raises
        ------
        UnavailableError
            It is not recorded, or cannot be fetched.
        """
        if self._files is None:
            raise UnavailableError(
                f"is not as DVC writes it; write it anew with: make mirror DATASET={self._definition.name}"
            )
        file = self._files.get(filename)
        if file is None:
            raise UnavailableError("does not record it", report=False)
        if file.size != size:
            raise UnavailableError(f"records a file of {file.size:,} bytes under that name")
        from scripts._dvc.objects import cached_file, open_repo, remote_object

        try:
            repo = open_repo(self._definition.root)
            cached = cached_file(repo, file.md5)
            if cached is not None:
                shutil.copyfile(cached, target)
                return
            say(f"{filename}: fetching from DVC's remote {file.remote!r}")
            stored = remote_object(repo, str(file.remote), md5=file.md5, size=file.size)
            for resumed in (target.exists(), False):
                stored.get(target)
                if hash_file(target, "md5") == file.md5:
                    return
                target.unlink()
                if not resumed:  # nothing that an earlier run left can be the reason
                    raise UnavailableError(f"the object on remote {file.remote!r} has another md5")
        except FetchError as error:
            raise UnavailableError(str(error)) from error
