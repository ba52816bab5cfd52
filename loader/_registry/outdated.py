"""What has changed since datasets were built: their definitions against `dvc.lock`, as DVC compares them."""

from __future__ import annotations

import hashlib
import json
import posixpath
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from loader._errors import LoaderError
from loader._fetch.git import Git
from loader._fetch.revision import Commit, Revision, WorkTree
from loader._format.names import ARTIFACTS
from loader._registry.records import (
    LOCK_FILE,
    PARAMS_FILE,
    STAGES_FILE,
    TOOLCHAIN,
    Records,
    as_list,
    as_mapping,
    as_text,
    dependencies,
    output_paths,
    outputs,
)

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

IGNORE_FILE = ".dvcignore"


def find_changes(records: Records, names: list[str], git: Git) -> dict[str, tuple[str, ...]]:
    """Return what has changed since each dataset was built, in words like "params.yaml (epsilon)".

    Parameters
    ----------
    records
        The records of the revision.
    names
        Built datasets.
    git
        The repository's commits, which name the changed files of a folder whose hash has changed.
    """
    definitions = {name: _definition(records, name) for name in names}
    folders = _Folders(records.revision, git, {path for each in definitions.values() for path in each})
    changed = {path for each in definitions.values() for path, md5 in each.items() if folders.md5(path, md5) != md5}
    folders.compare_with_head(changed)
    kept = set(records.revision.files(ARTIFACTS))
    return {
        name: (
            *_stage_changes(records, name, kept),
            *_parameter_changes(records, name),
            *(word for path, md5 in definitions[name].items() if path in changed for word in folders.words(path, md5)),
            *_parent_changes(records, name),
        )
        for name in names
    }


def _definition(records: Records, name: str) -> dict[str, str]:
    """Return the files and folders that a stage depends on, other datasets aside, each with its recorded MD5."""
    locked = records.locked_dependencies(name)
    paths = dependencies(records.stages.get(name))
    return {path: as_text(locked.get(path, {}).get("md5")) for path in paths if path not in records.producers}


def _stage_changes(records: Records, name: str, kept: set[str]) -> Iterator[str]:
    """Yield what differs between a stage and `dvc.lock`; `kept` are the files in `artifacts/`, some of them git's."""
    stage, locked = as_mapping(records.stages.get(name)), as_mapping(records.lock.get(name))
    if not locked:
        yield f"{LOCK_FILE} does not record it"
        return
    if not stage:
        yield f"{STAGES_FILE} does not define it"
        return
    if stage.get("cmd") != locked.get("cmd"):
        yield f"{STAGES_FILE} (cmd)"
    recorded = records.locked_outputs(name)
    for path in output_paths(stage):
        if path not in recorded:
            yield f"{STAGES_FILE} ({path})"
        elif path not in outputs(stage) and path.startswith(f"{ARTIFACTS}/") and path not in kept:
            yield f"{path} (missing)"
    manifest = f"{ARTIFACTS}/{name}.json"
    if manifest in recorded and recorded[manifest].get("md5") != records.md5.get(name):
        yield manifest


def _parameter_changes(records: Records, name: str) -> Iterator[str]:
    recorded = as_mapping(as_mapping(as_mapping(records.lock.get(name)).get("params")).get(PARAMS_FILE))
    declared = [key for key in as_list(as_mapping(records.stages.get(name)).get("params")) if isinstance(key, str)]
    for key in dict.fromkeys((*declared, *map(str, recorded))) if recorded else ():
        before, now = recorded.get(key), _parameter(records.params, key)
        if before != now:
            changed = _changed_keys(before, now)
            # the block of the dataset needs no name
            place = TOOLCHAIN if key == TOOLCHAIN else PARAMS_FILE
            yield f"{place} ({', '.join(changed) or key})"


def _parameter(params: Mapping[Any, Any], key: str) -> Any:
    if key in params:
        return params[key]
    value: Any = params
    for part in key.split("."):
        value = as_mapping(value).get(part)
    return value


def _changed_keys(before: Any, now: Any) -> list[str]:
    """Return the keys that differ, at the deepest level of nested mappings."""
    if not isinstance(before, dict) or not isinstance(now, dict):
        return []
    found = []
    for key in dict.fromkeys((*before, *now)):
        if key not in before or key not in now or before[key] != now[key]:
            found += _changed_keys(before.get(key), now.get(key)) or [str(key)]
    return found


def _parent_changes(records: Records, name: str) -> Iterator[str]:
    """Which datasets have other artifacts than those that a dataset was built from."""
    locked = records.locked_dependencies(name)
    changed = {}
    for path in dependencies(records.stages.get(name)):
        parent = records.producers.get(path)
        if parent is None:
            continue
        recorded, built_from = records.locked_outputs(parent).get(path, {}), locked.get(path, {})
        if recorded.get("md5") != built_from.get("md5"):
            changed[parent] = f"its parent {parent}"
    yield from changed.values()


class _Folders:
    """The MD5 of files and folders of a revision, as DVC computes it.

    That of a folder is the MD5 of a JSON list of its files' paths and MD5s.
    """

    def __init__(self, revision: Revision, git: Git, paths: set[str]) -> None:
        self._revision = revision
        self._git = git
        self._inside = {path for path in paths if not path.startswith(("/", "../")) and path not in (".", "..")}
        self._hashes = _file_hashes(revision, self._inside)
        self._head: dict[str, dict[str, str]] = {}

    def md5(self, path: str, recorded: str) -> str:
        """Return the MD5 of a file or folder; without the files that DVC ignores, unless with them it is `recorded`."""
        files = self._hashes.get(path, {})
        if path in files:
            return files[path]
        everything = _folder_md5(path, files)
        return everything if everything == recorded else _folder_md5(path, self._without_ignored(files))

    def compare_with_head(self, changed: set[str]) -> None:
        """Read what the last commit has at the changed paths, if this is a work tree."""
        if changed and isinstance(self._revision, WorkTree):
            try:
                head = Commit(self._git, self._git.commit("HEAD"))
                self._head = _file_hashes(head, changed & self._inside)
            except LoaderError:  # not a git repository, or a damaged one
                return

    def words(self, path: str, recorded: str) -> list[str]:
        """Return the changed files of a folder if the last commit has the recorded one, else the folder itself."""
        if path not in self._inside:
            return [f"maybe {path}, which is outside the repository"]
        files, head = self._without_ignored(self._hashes[path]), self._head.get(path, {})
        if any(posixpath.basename(file) == IGNORE_FILE for file in files):
            return [f"maybe {path}, which has its own {IGNORE_FILE}"]
        if not recorded or path in files or path in head or _folder_md5(path, head) != recorded:
            return [path]
        return sorted(file for file in {*files, *head} if files.get(file) != head.get(file))

    def _without_ignored(self, files: dict[str, str]) -> dict[str, str]:
        if self._ignored is None:
            return files
        return {file: md5 for file, md5 in files.items() if not self._ignored.match_file(file)}

    @cached_property
    def _ignored(self) -> GitIgnoreSpec | None:
        """The patterns of the files that DVC ignores."""
        data = self._revision.read_all([IGNORE_FILE]).get(IGNORE_FILE)
        if data is None:
            return None
        from pathspec import GitIgnoreSpec  # DVC's own parser of them

        try:
            return GitIgnoreSpec.from_lines(data.decode(errors="replace").splitlines())
        except ValueError:  # DVC fails too
            return None


def _file_hashes(revision: Revision, paths: set[str]) -> dict[str, dict[str, str]]:
    """Return the MD5 of each file at or below each path, by its path."""
    listed = {path: revision.files(path) or [path] for path in paths}
    data = revision.read_all(file for files in listed.values() for file in files)
    return {
        path: {file: hashlib.md5(data[file], usedforsecurity=False).hexdigest() for file in files if file in data}
        for path, files in listed.items()
    }


def _folder_md5(path: str, files: dict[str, str]) -> str:
    entries = sorted((posixpath.relpath(file, path), md5) for file, md5 in files.items())
    listing = json.dumps([{"md5": md5, "relpath": relative} for relative, md5 in entries])
    return hashlib.md5(listing.encode(), usedforsecurity=False).hexdigest() + ".dir"
