"""The derivation of datasets from other datasets."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any

from loader._format.names import ARTIFACTS
from scripts._dvc.remotes import PRIVATE, VISIBILITIES
from scripts._dvc.stages import STAGES_FILE, Stage, dependencies, output_remotes, outputs, read_tracked
from scripts._process.errors import ScriptError

SOURCES = "sources"
_DATA = (ARTIFACTS, "extracted", SOURCES)
"""The folders with the data of all datasets; those whose names begin with a dot, such as DVC's cache, are others."""

Parents = Callable[[str], Iterable[str]]
"""Returns the datasets that a dataset is directly derived from."""


@dataclass(frozen=True)
class Lineage:
    """What the stages of `dvc.yaml` read, and which other stages it comes from.

    Attributes
    ----------
    root
        The repository.
    stages
        The stages, by name; those of datasets have the datasets' names.
    folders
        For each dataset, the folders of its definition, relative to the root.
    artifacts
        The dataset of each artifact, by its path relative to the root.
    """

    root: Path
    stages: dict[str, Stage]
    folders: dict[str, tuple[str, ...]]
    artifacts: dict[str, str]

    @classmethod
    def of(cls, root: Path, stages: dict[str, Stage], blocks: dict[str, Any]) -> Lineage:
        """Return the lineage of the datasets that have these blocks in `params.yaml`, which need not be right.

        Raises
        ------
        ScriptError
            The remote of an output in `dvc.yaml` has no value.
        """
        folders: dict[str, list[str]] = {name: [] for name in blocks}
        for name, block in blocks.items():
            builder = block.get("builder") if isinstance(block, dict) else None
            if isinstance(builder, str) and "/" in builder:
                folders[name].append(posixpath.normpath(builder))
        for folder in root.glob("datasets/*/*"):
            if folder.name in folders:
                folders[folder.name].append(folder.relative_to(root).as_posix())
        return cls(
            root,
            stages,
            folders={name: tuple(dict.fromkeys(paths)) for name, paths in folders.items()},
            artifacts={
                path: name
                for name in blocks
                for path in output_remotes(stages.get(name, {}))
                if path.startswith(f"{ARTIFACTS}/") and path.endswith(".tar")
            },
        )

    def visibility(self, name: str) -> str:
        """Return the remote that `dvc.yaml` names for the outputs of a stage: "public" or "private", the default.

        Raises
        ------
        ScriptError
            It names another one, or both.
        """
        remotes = {remote or PRIVATE for remote in output_remotes(self.stages.get(name, {})).values()} or {PRIVATE}
        (remote, *others) = sorted(remotes)
        if others or remote not in VISIBILITIES:
            raise ScriptError(
                f"{STAGES_FILE}: the outputs of {name!r} must all have remote: public or all have remote: private, "
                f"not {', '.join(map(repr, sorted(remotes)))}"
            )
        return remote

    def check_outputs(self, name: str) -> None:
        """Check that no other stage has an output of a stage, whose visibility may be another.

        Raises
        ------
        ScriptError
            Another stage has one.
        """
        for path in sorted(outputs(self.stages[name])):
            for other in self._owners[_key(path)]:
                if other != name and _key(path) in map(_key, outputs(self.stages.get(other, {}))):
                    raise ScriptError(
                        f"{STAGES_FILE}: the stages {name!r} and {other!r} both have the output {path}; "
                        f"remove it from one of them"
                    )

    def check_public(self, name: str) -> None:
        """Check that a public dataset is derived, directly or indirectly, from what is public only.

        Raises
        ------
        ScriptError
            It is not, or a stage depends on something whose visibility is not known.
        """
        if self.visibility(name) == PRIVATE:
            return
        keep_private = f"set remote: private for {name} in {STAGES_FILE}"
        origins = self.origins(name)
        for stage in [name, *ancestors(name, self.origins)]:
            if self.visibility(stage) == PRIVATE:
                through = f" (it depends on {origins[stage]})" if stage in origins else ""
                raise ScriptError(
                    f"{name} is public, but derived from {stage}, which is private; {keep_private}{through}"
                )
            for path, record in self._unpublished(stage):
                raise ScriptError(
                    f"{name} is public, but {stage} depends on {path}, and {record} does not call that public; "
                    f"{keep_private}, or write remote: public for it in {record}"
                )

    def parents(self, name: str) -> dict[str, tuple[str, ...]]:
        """Return the datasets whose artifacts a stage depends on, with the file names of these artifacts.

        Raises
        ------
        ScriptError
            It depends on something that is not known to be an artifact, but may hold some.
        """
        parents: dict[str, tuple[str, ...]] = {}
        for path in self.reads(name):
            if (parent := self.artifacts.get(path)) is not None:
                parents[parent] = (*parents.get(parent, ()), path.removeprefix(f"{ARTIFACTS}/"))
        return parents

    def origins(self, name: str) -> dict[str, str]:
        """Return the stages whose outputs, source files or definitions a stage depends on, and a path of each.

        Raises
        ------
        ScriptError
            As `parents`.
        """
        origins: dict[str, str] = {}
        for path in self.reads(name):
            key = _key(path)
            around = [self._owners.get(folder, ()) for folder in _with_folders(key)]
            for origin in chain(*around, self._owners_below.get(key, ())):
                if origin != name:
                    origins.setdefault(origin, path)
        return origins

    def reads(self, name: str) -> Iterator[str]:
        """Yield the paths that a stage depends on, and the folders of a dataset's definition, relative to the root.

        Raises
        ------
        ScriptError
            One of them leads out of the repository or through a link, or holds data of no known dataset.
        """
        stage = self.stages.get(name, {})
        if posixpath.normpath(str(stage.get("wdir", "."))) != ".":
            raise ScriptError(
                f"{STAGES_FILE}: the stage {name!r} has a wdir, so its paths are not those of this repository; "
                f"remove wdir, and write the paths relative to {STAGES_FILE}"
            )
        for path in (*dependencies(stage), *self.folders.get(name, ())):
            self._check_path(name, path)
            yield path

    def _unpublished(self, name: str) -> Iterator[tuple[str, Path]]:
        """Yield the paths that a stage reads, and whose data a `.dvc` file does not call public, with this file."""
        for path in self.reads(name):
            place = self.root / path
            above = (self.root / f"{folder}.dvc" for folder in _with_folders(path))
            for record in chain(above, sorted(place.rglob("*.dvc")) if place.is_dir() else ()):
                if record.is_file() and any(file.remote != "public" for file in read_tracked(record).values()):
                    yield path, record

    def _check_path(self, name: str, path: str) -> None:
        depends = f"{STAGES_FILE}: the stage {name!r} depends on {path}"
        if "${" in path or posixpath.isabs(path) or path.split("/")[0] == "..":
            raise ScriptError(f"{depends}; write a path in this repository, relative to it and without a variable")
        first, *rest = path.split("/")
        is_known = path in self.artifacts or (first == SOURCES and rest and rest[0] in self.folders)
        if (first.startswith(".") or first.casefold() in _DATA) and not is_known:
            raise ScriptError(
                f"{depends}, which is no artifact of a dataset in {STAGES_FILE}, but may hold the data of one; "
                f"name each artifact that its builder reads, like {ARTIFACTS}/<dataset>.tar"
            )
        real = os.path.realpath(self.root / path)
        if real != os.path.join(os.path.realpath(self.root), path):  # noqa: PTH118 - Path has no realpath
            raise ScriptError(f"{depends}, which is a link or behind one; write the path that it leads to: {real}")

    @cached_property
    def _owners(self) -> dict[str, list[str]]:
        """The stages that a path belongs to, by its `_key`."""
        owners: dict[str, list[str]] = {}
        for name in {**self.stages, **self.folders}:
            paths = outputs(self.stages.get(name, {}))
            if name in self.folders:
                paths |= {f"{SOURCES}/{name}", *self.folders[name]}
            for path in paths:
                owners.setdefault(_key(path), []).append(name)
        return owners

    @cached_property
    def _owners_below(self) -> dict[str, list[str]]:
        """The stages that something in a folder belongs to, by the folder's `_key`."""
        owners: dict[str, list[str]] = {}
        for path, names in self._owners.items():
            for folder in _with_folders(path)[1:]:
                owners.setdefault(folder, []).extend(names)
        return owners


def _key(path: str) -> str:
    """Return a path in a form to compare: some file systems do not tell letters of different case apart."""
    return posixpath.normpath(path).casefold()


def _with_folders(path: str) -> list[str]:
    """Return a path and the folders that it is in, but the root."""
    return [path, *(str(folder) for folder in PurePosixPath(path).parents if folder.name)]


def ancestors(name: str, parents: Parents) -> list[str]:
    """Return the datasets that `name` is directly or indirectly derived from, each once.

    If the derivation has a cycle, a dataset is among its own ancestors.
    """
    found = list(dict.fromkeys(parents(name)))
    for ancestor in found:  # grows while it is iterated
        found += [parent for parent in dict.fromkeys(parents(ancestor)) if parent not in found]
    return found


def derived_from(name: str, stages: Mapping[str, Stage]) -> list[str]:
    """Return the datasets whose stages depend on an artifact of `name`."""
    artifact = re.compile(rf"{ARTIFACTS}/{re.escape(name)}(-.+)?\.tar")
    return [other for other, stage in stages.items() if any(map(artifact.fullmatch, dependencies(stage)))]


def group_related(names: Sequence[str], parents: Parents) -> list[list[str]]:
    """Group datasets that share an ancestor or are derived from one another; keep the order."""
    groups: list[tuple[list[str], set[str]]] = []
    for name in dict.fromkeys(names):
        members, needed = [name], {name, *ancestors(name, parents)}
        for group in [group for group in groups if group[1] & needed]:
            groups.remove(group)
            members, needed = group[0] + members, group[1] | needed
        groups.append((members, needed))
    return [members for members, _ in groups]
