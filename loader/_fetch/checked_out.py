"""A tar in the work tree that is not the artifact that the work tree's manifest records."""

from __future__ import annotations

import warnings
from contextlib import suppress

from loader._errors import FetchError, IntegrityError, LoaderError, ManifestError
from loader._fetch.git import Git
from loader._format.artifact import LocalArtifact
from loader._format.git_environment import work_tree_of
from loader._format.manifest import ArtifactEntry, Manifest, parse_manifest
from loader._format.names import ARTIFACTS

_WARNED: set[str] = set()  # tars


def is_right(artifact: LocalArtifact, problems: list[LoaderError]) -> bool:
    """Return whether an artifact is there and has the recorded index header; if it is wrong, add to the problems."""
    try:
        artifact.header  # noqa: B018  (verified when it is read)
    except FetchError:  # missing
        return False
    except (IntegrityError, ManifestError) as error:
        problems.append(error)
        return False
    return True


def find_version(checked_out: LocalArtifact, git: Git) -> str | None:
    """Return the version as which git's history records a tar of the work tree, None if it does not.

    It is also None if the history does not record the artifact that the work tree's manifest names, because then the
    manifest may be the wrong one. The manifests of all branches and tags count: after `git checkout` of an old tag, the
    newer versions are not in the history of HEAD. A tar is a recorded one if it has the size and the index header that
    a manifest records; damage behind the header is found when records are read.
    """
    name, path = checked_out.manifest.name, checked_out.path
    file = f"{ARTIFACTS}/{name}.json"
    if work_tree_of(path) is None:
        return None  # without a history, no program is started
    try:
        size = path.stat().st_size
        blobs = git.objects(f"{commit}:./{file}" for commit in git.history("--all", file))
    except (LoaderError, OSError):  # no git repository, no git here, or a history that cannot be read
        return None
    recorded: dict[ArtifactEntry, Manifest] = {}
    for data in dict(blobs.values()).values():  # by git object: many commits have the same
        with suppress(ManifestError):  # in another format
            manifest = parse_manifest(data, name=name, label=file, fix="")
            recorded |= dict.fromkeys(manifest.artifacts, manifest)
    if checked_out.entry not in recorded:
        return None
    for entry, manifest in recorded.items():
        is_alike = (entry.filename, entry.size) == (checked_out.entry.filename, size)
        if is_alike and is_right(LocalArtifact(path, manifest, entry), []):
            return manifest.version
    return None


def warn_once(checked_out: LocalArtifact, problem: LoaderError, used: LocalArtifact, git: Git, command: str) -> None:
    """Say that a tar of the work tree is not the recorded one, and which file is read instead; once for each tar.

    Parameters
    ----------
    checked_out, problem
        The tar, and what is wrong with it.
    used
        The recorded artifact.
    git
        The repository.
    command
        What replaces the tar if it is that of another version.
    """
    name, path = checked_out.manifest.name, checked_out.path
    if str(path) in _WARNED:
        return
    _WARNED.add(str(path))
    version = find_version(checked_out, git)
    if version is None:
        warnings.warn(f"{problem}; meanwhile the recorded one is read from {used.path}", stacklevel=2)
        return
    warnings.warn(
        f"{name}: {path} is the artifact of version {version}, and not the one that its manifest records "
        f"({checked_out.manifest.version}), which is read from {used.path}; make them agree with: {command}",
        stacklevel=2,
    )
