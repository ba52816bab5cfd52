"""Source files that DVC keeps: `sources/<name>.dvc` records them, the remote of the dataset's visibility has them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from loader._errors import FetchError, IntegrityError
from loader._fetch.revision import TrackedFile
from loader._format.names import object_path
from scripts._define.definition import Definition, read_yaml
from scripts._process.errors import DoorClosedError, ScriptError
from scripts._process.files import hash_file
from scripts._sources.download import say


def dvc_file(definition: Definition) -> Path:
    """Return where DVC's record of a dataset's source files belongs."""
    return definition.root / "sources" / f"{definition.name}.dvc"


class Tracked:
    """The source files that a dataset's `.dvc` file records.

    Parameters
    ----------
    definition
        The dataset.
    recorded
        What is recorded of each file, by its name; None where the file cannot be read.
    """

    def __init__(self, definition: Definition, recorded: dict[str, TrackedFile] | None) -> None:
        self._definition = definition
        self._recorded = recorded

    @classmethod
    def of(cls, definition: Definition) -> Tracked | None:
        """Return what `sources/<name>.dvc` records, None where there is no such file.

        Raises
        ------
        ScriptError
            It names another remote than the dataset's visibility.
        """
        path = dvc_file(definition)
        if not path.exists():
            return None
        recorded = {}
        try:
            for out in read_yaml(path)["outs"]:
                filename = str(out["path"]).removeprefix(f"{definition.name}/")
                recorded[filename] = TrackedFile(str(out["md5"]), int(out["size"]), str(out.get("remote")))
        except (ScriptError, KeyError, TypeError, ValueError, AttributeError):
            return cls(definition, None)  # of a command that was killed, which mends it when it runs again
        for filename, out in recorded.items():
            if out.remote != definition.visibility:
                raise ScriptError(
                    f"{path} sends {filename} to remote {out.remote!r}, but params.yaml calls {definition.name} "
                    f"{definition.visibility}; remove it and write it anew: "
                    f"rm {path} && make mirror DATASET={definition.name}"
                )
        return cls(definition, recorded)

    def bring(self, filename: str, target: Path, *, size: int) -> None:
        """Bring one file from DVC's cache or its remote; an interrupted transfer is continued.

        Raises
        ------
        DoorClosedError
            It is not recorded, or not to be had.
        """
        if self._recorded is None:
            raise DoorClosedError(f"is not as DVC writes it; mend it with: make mirror DATASET={self._definition.name}")
        recorded = self._recorded.get(filename)
        if recorded is None:
            raise DoorClosedError("does not record it", worth_saying=False)
        if recorded.size != size:
            raise DoorClosedError(f"records a file of {recorded.size:,} bytes under that name")
        from loader._fetch.download import download
        from loader._fetch.remote import locate, read_config

        try:
            config = read_config(self._definition.root / ".dvc")
            for cached in self._cached(recorded, config.get("cache", {}).get("dir")):
                if hash_file(cached, "md5") == recorded.md5:
                    shutil.copyfile(cached, target)
                    return
            say(f"{filename}: fetching from DVC's remote {recorded.remote!r}")
            download(locate(config, recorded), target, md5=recorded.md5, size=recorded.size)
        except IntegrityError as error:
            raise DoorClosedError(f"the object on remote {recorded.remote!r} has another md5") from error
        except FetchError as error:
            raise DoorClosedError(str(error)) from error

    def _cached(self, recorded: TrackedFile, folder: str | None) -> Iterator[Path]:
        for cache in (self._definition.root / ".dvc/cache", *([Path(folder)] if folder else [])):
            path = cache / object_path(recorded.md5)
            with suppress(OSError):
                if path.stat().st_size == recorded.size:
                    yield path
