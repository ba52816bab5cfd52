"""Fetch an artifact with the help of those on this machine that may have some of its records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cached_property
from itertools import islice
from pathlib import Path

from loader._errors import LoaderError
from loader._fetch import store
from loader._fetch.cache_entry import ARRIVED_SUFFIX
from loader._fetch.complete import complete
from loader._fetch.copies import Copies
from loader._fetch.download import download
from loader._fetch.repository import Repository
from loader._fetch.revision import Revision
from loader._fetch.s3 import S3Object
from loader._fetch.sparse import SparseCopy
from loader._format.artifact import LocalArtifact
from loader._format.dvc_lock import locked_md5s
from loader._format.manifest import ArtifactEntry, Manifest
from loader._format.names import ARTIFACTS, is_filename
from loader._format.standalone import open_tar

MAX_OLDER = 8
MAX_COMMITS = 50


def fetch(
    source: S3Object, target: Path, manifest: Manifest, entry: ArtifactEntry, older: Iterable[LocalArtifact]
) -> None:
    """Fetch an artifact into the cache: what is missing of its sparse copy or of older artifacts, or else all of it.

    Parameters
    ----------
    source
        The object.
    target
        The file in the cache.
    manifest, entry
        The dataset's manifest, and its entry for this artifact.
    older
        Artifacts on this machine that may have some of its records.

    Raises
    ------
    FetchError
        It could not be fetched; the message says why.
    IntegrityError
        The object is not the one recorded.
    """
    md5 = target.parent.name
    found = list(islice(older, MAX_OLDER))
    if found or target.with_name(f"{target.name}{ARRIVED_SUFFIX}").exists():
        with store.lock(md5):  # another process may be fetching it
            pass
        with suppress(OSError):  # the whole artifact is there now, or the cache cannot be written to
            if complete(SparseCopy(target.parent, target.name, size=entry.size), source, manifest, entry, found):
                return
    download(source, target, md5=md5, size=entry.size)


def find_older(
    repository: Repository, revision: Revision, manifest: Manifest, entry: ArtifactEntry
) -> Iterator[LocalArtifact]:
    """Yield the artifacts on this machine that may have records of another one, each once, the likeliest first.

    These are the tar in the work tree and in caches the artifacts of the dataset, then those that it was made from.
    Whether a manifest records them does not matter.

    Parameters
    ----------
    repository, revision
        Where the artifact is recorded.
    manifest, entry
        The dataset's manifest, and its entry for this artifact.
    """
    seen = set()
    for path in _candidates(repository, revision, manifest, entry):
        with suppress(LoaderError, OSError):
            status = path.stat()
            if (status.st_dev, status.st_ino) not in seen:  # DVC links the work tree to its cache
                seen.add((status.st_dev, status.st_ino))
                yield open_tar(path)


def _candidates(repository: Repository, revision: Revision, manifest: Manifest, entry: ArtifactEntry) -> Iterator[Path]:
    """Yield the paths at which such artifacts may be."""
    copies, locks = Copies(repository), _Locks(repository, revision, manifest.name)
    for filename in dict.fromkeys((entry.filename, *_parent_artifacts(manifest))):
        yield from copies.of_any_version(filename, locks.md5s(filename))


class _Locks:
    """The `dvc.lock` of a revision, then of the commits that changed the manifest of a dataset, the newest first."""

    def __init__(self, repository: Repository, revision: Revision, name: str) -> None:
        self._repository, self._revision, self._name = repository, revision, name

    def md5s(self, filename: str) -> Iterator[str]:
        """Yield the MD5s (hex) that they record of an artifact, each once; the files are read when that is needed."""
        md5s = (md5 for lock in self._contents for md5 in locked_md5s(lock, f"{ARTIFACTS}/{filename}"))
        yield from dict.fromkeys(md5s)

    @cached_property
    def _contents(self) -> list[bytes]:
        found, git = [], self._repository.git
        with suppress(OSError):
            found.append(self._revision.read("dvc.lock"))
        with suppress(LoaderError):  # no git repository, no git here, or a history that cannot be read
            commits = git.history("--all", f"{ARTIFACTS}/{self._name}.json")[:MAX_COMMITS]
            found += [data for _, data in git.objects(f"{commit}:./dvc.lock" for commit in commits).values()]
        return found


def _parent_artifacts(manifest: Manifest) -> Iterator[str]:
    """Yield the file names of the artifacts that a dataset was made from, which nothing else checks."""
    parents = manifest.raw.get("parents")
    for parent in parents.values() if isinstance(parents, dict) else ():
        artifacts = parent.get("artifacts") if isinstance(parent, dict) else None
        yield from (name for name in artifacts or () if is_filename(name))
