"""Limit what a build may read to the artifacts that its stage depends on.

Anything else that a builder reads would not be recorded, would not trigger a rebuild when it changes, and could be
private although the dataset is public. The limit is in an environment variable, so that it applies to every thread and
to every process that the build starts.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from loader._errors import AccessError, ArgumentError
from loader._format.names import ARTIFACTS, version_matches

READABLE_VARIABLE = "DATASETS_READABLE"


class Access(NamedTuple):
    """What a build may read.

    Attributes
    ----------
    reader
        The dataset that is being built, for messages.
    root
        The repository to read artifacts from.
    parents
        The datasets that it may read, each with the file names of its artifacts.
    folders
        The folders that it may read prepared data from.
    """

    reader: str
    root: Path
    parents: dict[str, tuple[str, ...]]
    folders: tuple[Path, ...]

    def check_dataset(self, name: str, *, rev: object, repo: object) -> None:
        """Check that the stage depends on a dataset, and that no other revision or repository is requested.

        Raises
        ------
        AccessError
            The build may not read it.
        """
        if name not in self.parents:
            raise self._undeclared(f"the dataset {name}", f"the artifact of {name}")
        for option, value in {"rev": rev, "repo": repo}.items():
            if value is not None:
                raise self._other(name, option, value)

    def check_version(self, name: str, *, wanted: str | None, present: str) -> None:
        """Check that the requested version of a dataset is the one in the repository.

        Raises
        ------
        AccessError
            It is another one.
        """
        if wanted is not None and not version_matches(wanted, present):
            raise self._other(name, "version", wanted)

    def check_artifact(self, name: str, filename: str) -> None:
        """Check that the stage depends on an artifact.

        Raises
        ------
        AccessError
            It does not.
        """
        if filename not in self.parents[name]:
            raise self._undeclared(f"the artifact {filename}", f"{ARTIFACTS}/{filename}")

    def check_path(self, path: Path) -> None:
        """Check that the build may read a file or folder.

        Raises
        ------
        AccessError
            It may not.
        """
        resolved = path.resolve()
        artifacts = [self.root / ARTIFACTS / filename for filenames in self.parents.values() for filename in filenames]
        if resolved not in (artifact.resolve() for artifact in artifacts) and not any(
            resolved.is_relative_to(folder.resolve()) for folder in self.folders
        ):
            raise AccessError(
                f"{self.reader}: its builder reads {path}, which is neither part of its definition nor one of its "
                f"sources; to read a dataset of this repository, use loader.load and name its artifact among the deps "
                f"of {self.reader} in dvc.yaml"
            )

    def _undeclared(self, what: str, dependency: str) -> AccessError:
        return AccessError(
            f"{self.reader}: its builder reads {what}, on which its stage does not depend; "
            f"name {dependency} among the deps of {self.reader} in dvc.yaml"
        )

    def _other(self, name: str, option: str, value: object) -> AccessError:
        return AccessError(
            f"{self.reader}: its builder reads the dataset {name} with {option}={value!r}; its stage depends on the "
            f"artifact in {ARTIFACTS}/, so leave out {option}="
        )


def current_access() -> Access | None:
    """Return what may be read, or None outside a build, when there is no limit."""
    text = os.environ.get(READABLE_VARIABLE)
    if not text:
        return None
    raw = json.loads(text)
    parents = {name: tuple(filenames) for name, filenames in raw["parents"].items()}
    return Access(raw["reader"], Path(raw["root"]), parents, tuple(map(Path, raw["folders"])))


@contextmanager
def reading_only(
    parents: Mapping[str, Sequence[str]],
    *,
    reader: str,
    root: str | os.PathLike[str],
    folders: Sequence[str | os.PathLike[str]] = (),
) -> Iterator[dict[str, str]]:
    """Limit what the loader reads inside a `with` block, in this process and in those that the block starts.

    Parameters
    ----------
    parents
        The datasets that may be read, each with the file names of its artifacts, like {"digit": ["digit.tar"]}.
    reader
        The dataset that is being built, for messages.
    root
        The datasets repository; artifacts are read from its work tree, without the network.
    folders
        Folders in which `from_directory`, `data_dir=` and `open` may read.

    Yields
    ------
    dict
        The environment variables that apply the same limit to a process started elsewhere.

    Raises
    ------
    ArgumentError
        An argument is of another type.
    """
    try:
        if isinstance(folders, str | bytes) or any(isinstance(filenames, str) for filenames in parents.values()):
            raise TypeError("a list was expected, not a string")
        limit = json.dumps(
            {
                "reader": reader,
                "root": os.fspath(root),
                "parents": {name: list(filenames) for name, filenames in parents.items()},
                "folders": [os.fspath(folder) for folder in folders],
            }
        )
    except (TypeError, AttributeError) as error:
        raise ArgumentError(f"reading_only cannot limit what is read to {parents!r} and {folders!r}: {error}") from None
    before = os.environ.get(READABLE_VARIABLE)
    os.environ[READABLE_VARIABLE] = limit
    try:
        yield {READABLE_VARIABLE: os.environ[READABLE_VARIABLE]}
    finally:
        if before is None:
            del os.environ[READABLE_VARIABLE]
        else:
            os.environ[READABLE_VARIABLE] = before
