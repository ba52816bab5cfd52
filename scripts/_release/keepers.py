"""What keeps each object of DVC alive: the records of branches, tags and work trees, and what was built from it."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from loader._format.names import ARTIFACTS
from scripts._dvc.stages import LOCK_FILE, STAGES_KEY
from scripts._process.errors import ScriptError
from scripts._process.git import git, prefix_of, read_blobs
from scripts._release.recorded_objects import MD5, SOURCES, Recorded
from scripts._release.references import last_commits, split_names, work_trees

WORK_TREE = "the work tree"
_RELEASE = re.compile(r"tag (.+)@v[0-9].*")


class _Output(NamedTuple):
    """The md5s of the outputs that a stage, or a `.dvc` file, records, and those of what they were made from."""

    name: str
    outs: frozenset[str]
    deps: frozenset[str]


@dataclass(frozen=True)
class _State:
    """The record files of one state of the repository.

    Attributes
    ----------
    label
        What is in this state, such as "branch main".
    files
        The content of each file that says what is recorded, by path relative to the root.
    """

    label: str
    files: Mapping[str, bytes]


def keepers(root: Path, recorded: Mapping[str, list[Recorded]]) -> dict[str, list[str]]:
    """Return what keeps each object alive, by md5, such as "branch main", "tag digit@v1.0.8" or "child mnist_fgsm".

    The last commit of every branch and tag counts, and so does any other reference, each stash, the index, and the
    files of each work tree, whether they are committed or not: every `dvc.lock` and `.dvc` file in them. A release tag,
    such as `digit@v1.0.8`, keeps what the commit records of that dataset only. What is kept keeps the artifacts that it
    was built from, as its stage in `dvc.lock` and its manifest record them.

    Parameters
    ----------
    root
        The repository.
    recorded
        What records each object, as `recorded_objects` returns it.

    Raises
    ------
    ScriptError
        git fails, or one of the files cannot be read.
    """
    reader = _Reader(root, recorded)
    found: dict[str, dict[str, None]] = {}
    for state in _states(root):
        for output in _needed(state, list(reader.outputs(state))):
            for md5 in output.outs:
                found.setdefault(md5, {})[state.label] = None
            for md5 in output.deps:
                found.setdefault(md5, {})[f"child {output.name}"] = None
    waiting = list(found)
    while waiting:
        child = waiting.pop()
        for output in reader.earlier(child):
            for parent in output.deps:
                if parent not in found:
                    waiting.append(parent)
                found.setdefault(parent, {}).setdefault(f"child {output.name}")
    return {md5: sorted(labels, key=_rank) for md5, labels in found.items()}


def _needed(state: _State, outputs: list[_Output]) -> list[_Output]:
    """Return what a state needs of what it records."""
    release = _RELEASE.fullmatch(state.label)
    # the tag of one config's artifact is like digit_speakers-theo@v1.0.0
    name = release[1].partition("-")[0] if release else ""
    own = [output for output in outputs if output.name in (name, f"{SOURCES}/{name}.dvc")]
    return own or outputs  # all, if the tag is none of a dataset's


def _rank(label: str) -> int:
    """Return where a label comes in a list: what lasts longest comes first."""
    kinds = ("tag ", "branch ", "child ")
    return next((number for number, kind in enumerate(kinds) if label.startswith(kind)), len(kinds))


class _Reader:
    """Reads what states of the repository record; each content of a file is parsed once."""

    def __init__(self, root: Path, recorded: Mapping[str, list[Recorded]]) -> None:
        self._root = root
        self._recorded = recorded
        self._parsed: dict[tuple[str, bytes], list[_Output]] = {}
        self._md5s = self._md5_by_sha256()

    def outputs(self, state: _State) -> Iterator[_Output]:
        """Yield what a state records."""
        names = set()
        for path, data in state.files.items():
            if _is_record(path):
                if (path, data) not in self._parsed:
                    self._parsed[path, data] = _parse(path, data, state.label)
                names |= {output.name for output in self._parsed[path, data]}
                yield from self._parsed[path, data]
        for path, data in state.files.items():
            name = Path(path).stem
            if not _is_record(path) and name in names:
                parents = _manifest(data).get("parents") or {}
                hashes = [sha256 for parent in parents.values() for sha256 in parent["artifacts"].values()]
                md5s = frozenset(self._md5s[each] for each in hashes if each in self._md5s)
                yield _Output(name, frozenset(), md5s)

    def earlier(self, md5: str) -> Iterator[_Output]:
        """Yield what the commits that record an object say of the stage that made it."""
        for record in self._recorded.get(md5, ()):
            paths = [LOCK_FILE, f"{ARTIFACTS}/{record.dataset}.json"]
            names = {f"{commit}:./{path}": path for commit in record.commits for path in paths}
            blobs = read_blobs(self._root, names)
            for commit in record.commits:
                files = {path: blobs[name] for path in paths if (name := f"{commit}:./{path}") in blobs}
                for output in self.outputs(_State(f"commit {commit[:7]}", files)):
                    if md5 in output.outs or output.name == record.dataset:
                        yield output

    def _md5_by_sha256(self) -> dict[str, str]:
        """Return the md5 of each recorded artifact by its SHA-256, which the manifest next to the record has."""
        artifacts: dict[str, list[Recorded]] = {}
        for records in self._recorded.values():
            for record in records:
                for commit in record.commits[:1]:
                    artifacts.setdefault(f"{commit}:./{ARTIFACTS}/{record.dataset}.json", []).append(record)
        found = {}
        manifests = [(data, artifacts[name]) for name, data in read_blobs(self._root, artifacts).items()]
        for records in self._recorded.values():
            for record in records:
                path = self._root / ARTIFACTS / f"{record.dataset}.json"
                if record.is_current and path.is_file():
                    manifests.append((path.read_bytes(), [record]))
        for data, listed in manifests:
            entries = _manifest(data).get("artifacts", {})
            for record in listed:
                if entry := entries.get(posixpath.basename(record.path)):
                    found[str(entry["sha256"])] = record.md5
        return found


def _states(root: Path) -> Iterator[_State]:
    """Yield every state of the repository that keeps what it records, in whatever folder."""
    trees = []
    prefix = prefix_of(root)
    for commit, labels in last_commits(root).items():
        entries = _entries(git(root, "ls-tree", "-r", "-z", "--full-tree", commit), prefix)
        blobs = {path: fields[2] for fields, path in entries if fields[1] == "blob"}
        trees += [(label, blobs) for label in labels]
    folders = work_trees(root)
    for folder in folders:
        label = WORK_TREE if folder == folders[0] else f"{WORK_TREE} {folder}"
        staged = _entries(git(folder, "ls-files", "-z", "--stage"), prefix)
        # of a conflict, the index has several files with one path
        trees += [
            (f"the index of {label}", {path: fields[1] for fields, path in staged if fields[2] == number})
            for number in sorted({fields[2] for fields, _ in staged})
        ]
        listed = split_names(git(folder, "ls-files", "-z", "--cached", "--others", "--exclude-standard"))
        files = {path: folder / each for each in listed if _is_read(path := _relative(each, prefix))}
        yield _State(label, {path: file.read_bytes() for path, file in files.items() if file.is_file()})
    contents = read_blobs(root, {blob for _, blobs in trees for blob in blobs.values()})
    for label, blobs in trees:
        if missing := [path for path, blob in blobs.items() if blob not in contents]:
            raise ScriptError(f"git lacks {missing[0]} of {label}, so what it needs is unknown; see: git fsck")
        yield _State(label, {path: contents[blob] for path, blob in blobs.items()})


def _entries(listed: bytes, prefix: str) -> list[tuple[list[str], str]]:
    """Return the fields and the path of each file that `git ls-tree` or `git ls-files` lists, of those to be read."""
    entries = (entry.partition("\t") for entry in split_names(listed))
    return [(fields.split(), path) for fields, _, each in entries if _is_read(path := _relative(each, prefix))]


def _relative(path: str, prefix: str) -> str:
    """Return a path in the repository relative to the project, whose folder in it is the prefix."""
    return path.removeprefix(prefix) if path.startswith(prefix) else posixpath.relpath(path, prefix)


def _is_record(path: str) -> bool:
    return posixpath.basename(path) == LOCK_FILE or path.endswith(".dvc")


def _is_read(path: str) -> bool:
    folder, _, name = path.rpartition("/")
    return _is_record(path) or (folder == ARTIFACTS and name.endswith(".json") and name.count(".") == 1)


def _parse(path: str, data: bytes, label: str) -> list[_Output]:
    """Return what a `dvc.lock` or `.dvc` file records."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        content = YAML(typ="safe").load(data)
        if path.endswith(LOCK_FILE):
            stages = {} if content.keys() == {"schema"} else content[STAGES_KEY]  # after the last stage was removed
        else:
            stages = {path: content}
        return [
            _Output(str(name), frozenset(_md5s_in(stage.get("outs"))), frozenset(_md5s_in(stage.get("deps"))))
            for name, stage in (stages or {}).items()
        ]
    except (YAMLError, KeyError, TypeError, AttributeError, ValueError) as error:
        reason = "it has a merge conflict" if b"<<<<<<<" in data else " ".join(str(error).split())[:200]
        raise ScriptError(
            f"{path} of {label} cannot be read ({reason}), so what it needs is unknown; repair it, or remove {label}"
        ) from error


def _md5s_in(value: Any) -> Iterator[str]:
    """Yield every md5 in a list of outputs or dependencies, those of a folder's files included."""
    if isinstance(value, Mapping):
        if isinstance(md5 := value.get("md5"), str) and MD5.fullmatch(md5):
            yield md5
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _md5s_in(each)


def _manifest(data: bytes) -> Any:
    """Return a manifest, which is empty if it cannot be read: the records next to it say what is needed."""
    try:
        content = json.loads(data)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
