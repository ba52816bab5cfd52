"""Whether a dataset can be released, and the tags that release it."""

from __future__ import annotations

import shlex
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from loader._format.manifest import Manifest, read_manifest
from loader._format.names import release_tag
from scripts._define.artifact_entries import artifact_names
from scripts._define.artifacts import read_built
from scripts._define.definition import Definition
from scripts._define.history import RecordedVersion, version_of
from scripts._define.versions import raise_version
from scripts._process.errors import ScriptError
from scripts._process.git import read_blobs
from scripts._release.message import message
from scripts._release.record import commit_of_record, uncommitted
from scripts._release.tags import Tag, existing_tags, is_signed, recorded_at, released_versions
from scripts._verify.repository import check_repository

if TYPE_CHECKING:
    from scripts._dvc.remote_object import Stored


@dataclass(frozen=True)
class Release:
    """A dataset that can be released, or is.

    Attributes
    ----------
    name, version
        The dataset and its version.
    tags
        The tags of the release: that of the dataset, and one for each artifact that has another name in GTO.
    missing
        Those of them that are still to be made.
    stored
        Where its artifacts are, and what proves it; empty if nothing is to be made.
    note
        What the user should know of a release that exists; empty if there is nothing.
    """

    name: str
    version: str
    tags: tuple[str, ...]
    missing: tuple[Tag, ...]
    stored: tuple[Stored, ...]
    note: str = ""


def plan_release(name: str, *, together: Collection[str], sign: bool, root: Path) -> Release:
    """Check everything that a release promises, and return the tags to make.

    Parameters
    ----------
    name
        The dataset.
    together
        All datasets that are released together, so that a parent may be among them.
    sign
        Whether the tags will be signed; those that exist must be, then.
    root
        The repository.

    Raises
    ------
    ScriptError
        The dataset cannot be released; the message says why, and what helps.
    ManifestError
        The manifest is missing or invalid.
    FetchError
        Its remote refuses or cannot be reached.
    """
    definition = read_built(name, root=root)
    problems = check_repository(root, names=[name])
    if problems:
        raise ScriptError(f"{name} cannot be released, see make check: {problems[0]}")
    manifest = read_manifest(definition.manifest)
    artifacts = artifact_names(name, definition.configs).values()
    tags = tuple(release_tag(each, manifest.version) for each in dict.fromkeys([name, *artifacts]))
    current = version_of(manifest.raw)
    _check_released(root, current)
    present = existing_tags(root, tags)
    _check_existing(root, present, current, sign=sign)
    if len(present) == len(tags):
        return Release(name, manifest.version, tags, (), (), note=_other_manifest(definition, tags[0]))
    _check_committed(definition)
    _check_parents(root, manifest, together)
    from scripts._release.proved import check_on_remote  # imports DVC

    stored = tuple(check_on_remote(definition))
    commit = commit_of_record(definition)
    others = (tag for tag in released_versions(root, name, until=commit) if tag not in tags)
    text = message(definition, manifest, commit=commit, previous=next(others, None))
    missing = tuple(Tag(tag, commit, text) for tag in tags if tag not in present)
    return Release(name, manifest.version, tags, missing, stored)


def _check_committed(definition: Definition) -> None:
    found = uncommitted(definition)
    if found:
        files = shlex.join(dict.fromkeys(found.values()))
        raise ScriptError(
            f"{definition.name}: not committed as it is: {', '.join(found)}; "
            f"commit it with: git add {files} && git commit"
        )


def _check_released(root: Path, current: RecordedVersion) -> None:
    """Check that no tag, of whatever branch, released this version with other bytes."""
    for tag, other in released_versions(root, current.name).items():
        if other.version != current.version or other.sha256 == current.sha256:
            continue
        raise ScriptError(
            f"{current.name} {current.version} was released with other bytes, as {tag}: raise the version in "
            f"params.yaml and in the builder, and build it again with: make build DATASET={current.name}"
        )


def _check_existing(root: Path, present: dict[str, bytes], current: RecordedVersion, *, sign: bool) -> None:
    """Check that the tags that exist are releases of this content."""
    recorded = recorded_at(root, present, current.name)
    for tag, found in present.items():
        again = f"delete the tag, unless it was pushed, and make it again: git tag -d {tag} && " + (
            f"make tag DATASET={current.name}{' SIGN=1' if sign else ''}"
        )
        if not found:
            raise ScriptError(f"{tag} is no annotated tag, so GTO does not see it; {again}")
        released = recorded.get(tag)
        if released is None or (released.version, released.sha256) != (current.version, current.sha256):
            raise ScriptError(f"{tag} is on a commit that does not record {current.name} {current.version}; {again}")
        if sign and not is_signed(found):
            raise ScriptError(f"{tag} exists and is not signed; {again}")


def _other_manifest(definition: Definition, tag: str) -> str:
    """Return what to do if the manifest is not the released one, though the artifacts are; empty if it is."""
    path = definition.manifest.relative_to(definition.root).as_posix()
    blob = f"refs/tags/{tag}:./{path}"
    if read_blobs(definition.root, [blob])[blob] == definition.manifest.read_bytes():
        return ""
    return (
        f"{path} has changed since, so that loader.load(..., trust=) refuses it without version=; to release it, "
        f"{raise_version(definition)}, and build it again with: make build DATASET={definition.name}"
    )


def _check_parents(root: Path, manifest: Manifest, together: Collection[str]) -> None:
    """Check that what the dataset was built from is released, or will be together with it.

    Otherwise the parent's artifacts could be cleaned up, and nobody could build the release again.
    """
    for parent, recorded in manifest.raw.get("parents", {}).items():
        released = released_versions(root, parent).values()
        if parent not in together and not any(
            recorded["artifacts"].items() <= each.sha256.items() for each in released
        ):
            names = " ".join(dict.fromkeys([parent, *together]))
            raise ScriptError(
                f"{manifest.name} was built from {parent} {recorded['version']}, which is not released; release it "
                f'too, with: make tag DATASET="{names}"'
            )
