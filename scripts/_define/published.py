"""The objects that earlier commits recorded for a version of a dataset with other bytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loader._format.manifest import read_manifest
from loader._format.names import ARTIFACTS
from scripts._define.definition import Definition
from scripts._define.history import RecordedVersion, commit_of, other_content, recorded_versions, version_of
from scripts._define.versions import raise_version
from scripts._dvc.stages import LOCK_FILE, STAGES_KEY
from scripts._process.errors import ScriptError
from scripts._process.git import git, read_blobs

if TYPE_CHECKING:
    from dvc.repo import Repo


@dataclass(frozen=True)
class EarlierObject:
    """An artifact that a commit recorded: its md5 (hex), its size in bytes, the version, the abbreviated commit."""

    md5: str
    size: int
    version: str
    commit: str


def earlier_objects(definition: Definition) -> list[EarlierObject]:
    """Return the artifacts that git's history records for the current version of a dataset, but with other bytes.

    Raises
    ------
    ScriptError
        git's history cannot be read, or is not complete.
    ManifestError
        The manifest is missing or invalid.
    """
    root = definition.root
    if git(root, "rev-parse", "--is-shallow-repository").strip() == b"true":
        raise ScriptError("this clone has only its latest part; get the rest with: git fetch --unshallow")
    current = version_of(read_manifest(definition.manifest).raw)
    others = [each for each in recorded_versions(root, name=definition.name) if other_content(current, [each])]
    found = {each for other in others for each in _objects(root, current, other)}
    return sorted(found, key=lambda each: (each.commit, each.md5))


def check_not_on_remote(definition: Definition, repo: Repo, earlier: list[EarlierObject]) -> None:
    """Check that the remote does not have the same version with other bytes, which someone may have loaded.

    Raises
    ------
    ScriptError
        It has one.
    FetchError
        The remote refuses or cannot be reached.
    """
    from scripts._dvc.objects import remote_object

    name = definition.name
    for each in earlier:
        if remote_object(repo, definition.visibility, md5=each.md5, size=each.size).head() is not None:
            raise ScriptError(
                f"{name} {each.version} is on the remote with other bytes (recorded in commit {each.commit}): "
                f"{raise_version(definition)}, and build it again with: make build DATASET={name}"
            )


def _objects(root: Path, current: RecordedVersion, other: RecordedVersion) -> Iterator[EarlierObject]:
    """The changed artifacts of another version, as `dvc.lock` of its commit records them."""
    commit = commit_of(root, other.blob)
    lock = read_blobs(root, [f"{commit}:./{LOCK_FILE}"]).get(f"{commit}:./{LOCK_FILE}", b"")
    changed = {
        f"{ARTIFACTS}/{filename}"
        for filename, sha256 in other.sha256.items()
        if current.sha256.get(filename, sha256) != sha256
    }
    for out in _outs(lock, other.name):
        if isinstance(out, dict) and out.get("path") in changed and isinstance(out.get("size"), int):
            yield EarlierObject(str(out.get("md5")), out["size"], other.version, commit)


def _outs(lock: bytes, name: str) -> list[Any]:
    """The outputs that a `dvc.lock` records for a stage, none if it does not have DVC's format."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        return list(YAML(typ="safe").load(lock)[STAGES_KEY][name]["outs"])
    except (YAMLError, KeyError, TypeError, ValueError):
        return []
