"""The record of a dataset: all that says what its artifacts are, and the commit that recorded it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from scripts._define.artifact_entries import entries_in, entries_of
from scripts._define.definition import PARAMS_FILE, Definition
from scripts._dvc.stages import LOCK_FILE, STAGES_FILE, STAGES_KEY, dependencies, outputs, read_stages
from scripts._process.git import changed_files, git, read_blobs

_SHARED = (PARAMS_FILE, STAGES_FILE, LOCK_FILE)


class _Part(NamedTuple):
    """What a file that all datasets share says of one of them: the file, and what it is called in a message."""

    file: str
    label: str


def uncommitted(definition: Definition) -> dict[str, str]:
    """Return the parts of a dataset's record that are not committed as they are, each with its file or folder.

    The record consists of the dataset's block in `params.yaml`, its stage and its entries under `artifacts` in
    `dvc.yaml`, its stage in `dvc.lock`, the manifest, the statistics, the Croissant description, its folder and the
    other files of the repository that its stage depends on.

    Raises
    ------
    ScriptError
        git fails.
    """
    root, name = definition.root, definition.name
    now = _parts({file: _read(root / file) for file in _SHARED}, name)
    then = _parts_at(root, "HEAD", name)
    found = {part.label: part.file for part, value in now.items() if then.get(part) != value}
    changed = changed_files(root, *_files(definition))
    if definition.folder:  # what git ignores there would still be read by a build
        changed |= changed_files(root, str(definition.folder), with_ignored=True)
    return found | {path: path for path in changed if "__pycache__/" not in path}


def commit_of_record(definition: Definition) -> str:
    """Return the last commit (hex), up to HEAD, that changed anything of a dataset's record.

    Of a branch that was merged, the merge counts.

    Raises
    ------
    ScriptError
        git fails.
    """
    root, name = definition.root, definition.name

    def commits(*paths: str) -> list[str]:
        return git(root, "rev-list", "--first-parent", "HEAD", "--", *paths).decode().split()

    files = _files(definition)
    candidates = commits(*_SHARED, *files)
    of_files, of_shared = commits(*files), commits(*_SHARED)
    now = _parts_at(root, "HEAD", name)
    found = of_files[:1]
    for commit, earlier in zip(of_shared, [*of_shared[1:], None], strict=True):
        if earlier is None or _parts_at(root, earlier, name) != now:
            found.append(commit)
            break
    return min(found, key=candidates.index)


def _files(definition: Definition) -> list[str]:
    """Return the paths of the record that are files or folders of its own; a file need not exist."""
    root, stages = definition.root, read_stages(definition.root / STAGES_FILE)
    built = {path for stage in stages.values() for path in outputs(stage)}
    own = [path.relative_to(root).as_posix() for path in definition.descriptions]
    folder = [definition.folder.relative_to(root).as_posix()] if definition.folder else []
    deps = [path for path in dependencies(stages[definition.name]) if path not in built]
    return list(dict.fromkeys([*own, *folder, *deps]))


def _parts_at(root: Path, commit: str, name: str) -> dict[_Part, Any]:
    names = {file: f"{commit}:./{file}" for file in _SHARED}
    found = read_blobs(root, names.values())
    return _parts({file: found.get(each, b"") for file, each in names.items()}, name)


def _parts(files: dict[str, bytes], name: str) -> dict[_Part, Any]:
    """Return what the shared files say of a dataset; None where they have no such entry."""
    params, stages, lock = (_parse(files[file]) for file in _SHARED)
    return {
        _Part(PARAMS_FILE, f"its block in {PARAMS_FILE}"): params.get(name),
        _Part(STAGES_FILE, f"its stage in {STAGES_FILE}"): (stages.get(STAGES_KEY) or {}).get(name),
        _Part(STAGES_FILE, f"its entry under artifacts in {STAGES_FILE}"): entries_of(name, entries_in(stages)),
        _Part(LOCK_FILE, f"its stage in {LOCK_FILE}"): (lock.get(STAGES_KEY) or {}).get(name),
    }


def _read(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


def _parse(data: bytes) -> dict[str, Any]:
    """Return the mapping in a YAML file of a commit, an empty one if it has none."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        content = YAML(typ="safe").load(data)
    except (YAMLError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
