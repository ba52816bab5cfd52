"""The records of a datasets repository, in its work tree or in a commit."""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from loader._errors import ManifestError, NotFoundError
from loader._fetch.git import Git
from loader._format.files import read_regular
from loader._format.manifest import Manifest, parse_manifest
from loader._format.names import ARTIFACTS


class TrackedFile(NamedTuple):
    """A file that DVC tracks, as `dvc.lock` and `dvc.yaml` record it.

    Attributes
    ----------
    dataset
        The dataset that it belongs to.
    md5, size
        Its MD5 (hex) and its number of bytes.
    remote
        Its DVC remote, or None for the default one.
    commit
        The commit (hex) that records it, or None if the work tree does.
    """

    dataset: str
    md5: str
    size: int
    remote: str | None
    commit: str | None = None


_MANIFEST = re.compile(r"([a-zA-Z]\w*)\.json")  # unlike <name>.stats.json, which lies beside it


class Revision(ABC):
    """A state of the repository; `label` names it in messages, and `commit` is its commit (hex) if it is one."""

    label: str
    commit: str | None = None

    @abstractmethod
    def read(self, path: str) -> bytes:
        """Return the bytes of the file at `path`; raise FileNotFoundError if there is none."""

    @abstractmethod
    def read_all(self, paths: Iterable[str]) -> dict[str, bytes]:
        """Return the bytes of the files at `paths`, without those that are missing or cannot be read."""

    @abstractmethod
    def files(self, folder: str) -> list[str]:
        """Return the paths of the regular files below `folder`, relative to the repository."""

    @abstractmethod
    def datasets(self) -> set[str]:
        """Return the names of the datasets that have a manifest."""

    @abstractmethod
    def fix(self, path: str) -> str:
        """Return how to fix a missing or wrong file, for messages."""

    def manifest(self, name: str) -> Manifest:
        """Return the manifest of dataset `name`.

        Raises
        ------
        NotFoundError
            The revision has no such dataset.
        ManifestError
            The manifest is missing or cannot be used.
        """
        datasets = self.datasets()
        path = f"{ARTIFACTS}/{name}.json"
        fix = self.fix(path)
        if name in datasets:
            try:
                data = self.read(path)
            except OSError as error:
                raise ManifestError(f"{name}: {self.label}/{path} cannot be read ({error}); {fix}") from error
            return parse_manifest(data, name=name, label=f"{self.label}/{path}", fix=fix)
        if path in self._text("dvc.yaml") and path not in self._text("dvc.lock"):
            raise ManifestError(f"{name} was never built; build it with: make build DATASET={name}")
        if path in self._text("dvc.yaml"):
            raise ManifestError(
                f"{name}: the manifest {self.label}/{path} is missing; {fix}, "
                f"or build the dataset with: make build DATASET={name}"
            )
        import difflib

        close = difflib.get_close_matches(name, datasets, n=3)
        hint = f"did you mean {' or '.join(close)}?" if close else f"it has: {', '.join(sorted(datasets)) or 'none'}"
        raise NotFoundError(f"there is no dataset {name!r} in {self.label}; {hint}")

    def tracked_file(self, name: str, filename: str) -> TrackedFile:
        """Return the record of the artifact `filename` of dataset `name`.

        Raises
        ------
        ManifestError
            `dvc.lock` or `dvc.yaml` cannot be read, or does not record it.
        """
        from loader._fetch.safe_yaml import parse_yaml  # an artifact in the work tree is found without it

        path = f"{ARTIFACTS}/{filename}"
        try:
            lock, stages = ((parse_yaml(self._text(file)) or {}).get("stages", {}) for file in ("dvc.lock", "dvc.yaml"))
            entries = [out for stage in lock.values() for out in stage.get("outs", ()) if out["path"] == path]
            if not entries:
                raise ManifestError(
                    f"{name}: dvc.lock of {self.label} does not record {path}; build it with: make build DATASET={name}"
                )
            remotes = [
                out[path].get("remote")
                for stage in stages.values()
                for out in stage.get("outs", ())
                if isinstance(out, dict) and path in out
            ]
            md5, size, remote = entries[0]["md5"], int(entries[0]["size"]), remotes[0] if remotes else None
            if not isinstance(md5, str) or not re.fullmatch("[0-9a-f]{32}", md5):  # it becomes a path
                raise ValueError(f"{md5!r} is not an MD5")
            if not isinstance(remote, str | None):
                raise ValueError(f"{remote!r} is not a remote")
            return TrackedFile(name, md5, size, remote, self.commit)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ManifestError(f"{name}: dvc.lock or dvc.yaml of {self.label} cannot be read: {error}") from error

    def _text(self, path: str) -> str:
        try:
            return self.read(path).decode(errors="replace")
        except OSError:
            return ""


class WorkTree(Revision):
    """The work tree at `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.label = str(root)

    def read(self, path: str) -> bytes:
        """Return the bytes of a file in the work tree."""
        return read_regular(self.root / path)

    def read_all(self, paths: Iterable[str]) -> dict[str, bytes]:
        """Return the bytes of files in the work tree."""
        found = {}
        for path in paths:
            with suppress(OSError):
                found[path] = self.read(path)
        return found

    def files(self, folder: str) -> list[str]:
        """Return the paths of the files below a folder of the work tree; links to folders are not followed."""
        return [
            os.path.relpath(os.path.join(parent, name), self.root)  # noqa: PTH118  (many of them)
            for parent, _, names in os.walk(self.root / folder)
            for name in names
        ]

    def datasets(self) -> set[str]:
        """Return the names of the manifests in `artifacts/`."""
        return _datasets(file.name for file in (self.root / ARTIFACTS).glob("*.json"))

    def fix(self, path: str) -> str:
        """Return the command that restores a committed file."""
        return f"restore it with: git checkout -- {path}"


class Commit(Revision):
    """The commit `commit` of the repository `git`."""

    commit: str

    def __init__(self, git: Git, commit: str) -> None:
        self.git = git
        self.commit = commit
        self.label = f"{git.label}@{commit[:12]}"

    def read(self, path: str) -> bytes:
        """Return the bytes of a file in the commit."""
        return self.git.read(self.commit, path)

    def read_all(self, paths: Iterable[str]) -> dict[str, bytes]:
        """Return the bytes of files in the commit, read by one process."""
        objects = {path: self._objects[path] for path in paths if path in self._objects}
        found = self.git.objects(objects.values())
        return {path: found[each][1] for path, each in objects.items() if each in found}

    def files(self, folder: str) -> list[str]:
        """Return the paths of the files below a folder of the commit."""
        return [path for path in self._objects if path.startswith(f"{folder}/")]

    @cached_property
    def _objects(self) -> dict[str, str]:
        return self.git.tree(self.commit)

    def datasets(self) -> set[str]:
        """Return the names of the manifests in the commit's `artifacts/`."""
        return _datasets(self.git.file_names(self.commit, ARTIFACTS))

    def fix(self, path: str) -> str:
        """Return an alternative, because a commit cannot be changed."""
        return "choose another revision"

    def with_version(self, name: str, version: str, *, config: str | None = None) -> Revision:
        """Return the newest commit, up to this one, whose manifest of `name` has `version`, for a config or for all.

        Raises
        ------
        NotFoundError
            There is no such commit.
        """
        known = []
        for found, candidate in self.recorded(name):
            if found == version or (config is not None and version in candidate.manifest(name).versions(config)):
                return candidate
            if found not in known:
                known.append(found)
        if not known:
            self.manifest(name)  # raises the error for a dataset that does not exist
        raise NotFoundError(
            f"{name} has no version {version!r} in the history of {self.label}; its versions: "
            f"{', '.join(known) or 'none'}"
        )

    def recorded(self, name: str) -> Iterator[tuple[str, Commit]]:
        """Yield the version that each commit recorded which changed the manifest of `name`, newest first."""
        for commit in self.git.history(self.commit, f"{ARTIFACTS}/{name}.json"):
            candidate = Commit(self.git, commit)
            with suppress(ManifestError, NotFoundError):  # in another format, or removed by that commit
                yield candidate.manifest(name).version, candidate


def _datasets(filenames: Iterable[str]) -> set[str]:
    """Return the datasets whose manifests are among these files."""
    return {found[1] for filename in filenames if (found := _MANIFEST.fullmatch(filename))}
