"""Find the artifact of a dataset: on this machine, fetched into the cache, or streamed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path

from loader._errors import FetchError, IntegrityError, LoaderError, ManifestError, NotFoundError
from loader._fetch import store
from loader._fetch.access import current_access
from loader._fetch.places import OFFLINE_VARIABLE, cache_folder, is_offline
from loader._fetch.repository import PathLike, Repository, find_repository, open_repository
from loader._fetch.revision import Revision, TrackedFile, WorkTree
from loader._format.artifact import Artifact, LocalArtifact
from loader._format.files import RandomAccessFile
from loader._format.manifest import ArtifactEntry, Manifest
from loader._format.names import ARTIFACTS, object_path

ATTEMPTS = 5


class CachedArtifact(LocalArtifact):
    """An artifact in the loader's cache, which stays there while it is open."""

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in super().__getstate__().items() if name != "hold"}

    @cached_property
    def hold(self) -> store.Hold:
        """The lock on its entry."""
        return store.Hold(self.path.parent)

    @cached_property
    def file(self) -> RandomAccessFile:
        """The tar, open; the errors are those of `LocalArtifact`."""
        try:
            self.hold  # noqa: B018  (before it is opened)
        except FileNotFoundError as error:
            raise self.missing() from error
        except OSError as error:
            raise self.unreadable(error) from error
        return super().file

    def missing(self) -> LoaderError:
        """Return an error that says that the tar is missing."""
        return FetchError(f"{self.manifest.name}: {self.path} was removed from the cache: load it again")


def _is_right(artifact: LocalArtifact, problems: list[LoaderError]) -> bool:
    """Return whether an artifact is there and has the recorded index header; if it is wrong, add to the problems."""
    try:
        artifact.header  # noqa: B018  (verified when it is read)
    except FetchError:  # missing
        return False
    except (IntegrityError, ManifestError) as error:
        problems.append(error)
        return False
    return True


@dataclass(frozen=True)
class ArtifactReference:
    """An artifact that a revision of a repository records, whether or not it is on this machine.

    Attributes
    ----------
    hold
        Keeps the clone of a repository at a URL in the cache.
    """

    repository: Repository
    revision: Revision
    manifest: Manifest
    entry: ArtifactEntry
    offline: bool
    hold: store.Hold | None

    def open(self) -> LocalArtifact:
        """Return the artifact on this machine; fetch it into the cache if it is missing.

        A file is taken only if its index header is the recorded one: a wrong file hides no right one elsewhere.

        Raises
        ------
        FetchError
            It is missing and cannot be fetched.
        IntegrityError, ManifestError
            The file in the work tree or the fetched object is not the one recorded, and no other copy is.
        """
        problems: list[LoaderError] = []
        if isinstance(self.revision, WorkTree):
            checked_out = self._local(self.revision.root / ARTIFACTS / self.entry.filename)
            if _is_right(checked_out, problems):
                return checked_out
        try:
            tracked = self._tracked_file()
            cached = CachedArtifact(store.artifact_path(tracked.md5, self.entry.filename), self.manifest, self.entry)
            for artifact in chain((cached,), self._other_copies(tracked)):
                if _is_right(artifact, []):
                    store.mark_used(cached.path.parent)
                    return artifact
        except ManifestError:
            if problems:
                raise problems[0] from None
            raise
        if problems:
            raise problems[0]
        with self._named_errors():
            return self._fetch(tracked, cached.path)

    def ensure(self) -> Path:
        """Return the path of the artifact, fetched if it is missing; the errors are those of `open`.

        In the cache it is kept until this process ends, because the caller uses the path.
        """
        artifact = self.open()
        if isinstance(artifact, CachedArtifact):
            store.keep(artifact.path.parent)
        return artifact.path

    def stream(self) -> Artifact:
        """Return the artifact on its remote.

        Raises
        ------
        FetchError
            Its remote cannot be used, or `offline` is set.
        """
        if self.offline:
            raise FetchError(
                f"{self.manifest.name}: streaming needs the network; leave out offline=True and {OFFLINE_VARIABLE}"
            )
        from loader._fetch.remote import locate
        from loader._fetch.stream import StreamedArtifact

        with self._named_errors():
            tracked = self._tracked_file()
            return StreamedArtifact(locate(self.repository.dvc_config(), tracked), self.manifest, self.entry)

    def _local(self, path: Path) -> LocalArtifact:
        return LocalArtifact(path, self.manifest, self.entry)

    def _other_copies(self, tracked: TrackedFile) -> Iterator[LocalArtifact]:
        """Yield files on this machine that may be the artifact, the cheapest to find first; they are used in place."""
        if self.repository.root is not None:
            with suppress(LoaderError):  # checked out, if the work tree records the same file
                if WorkTree(self.repository.root).tracked_file(self.manifest.name, self.entry.filename) == tracked:
                    yield self._local(self.repository.root / ARTIFACTS / self.entry.filename)
        for cache in self._dvc_caches():
            yield self._local(cache / object_path(tracked.md5))

    def _dvc_caches(self) -> Iterator[Path]:
        roots = set() if self.repository.root is None else {self.repository.root}
        with suppress(NotFoundError):  # the repository of the working folder, which may be another one
            roots.add(find_repository())
        for root in roots:
            yield root / ".dvc" / "cache"
        from loader._fetch.remote import read_config  # imports botocore, which is slow, so this comes last

        config = self.repository.dvc_config() if self.repository.root is not None else read_config(None)
        if folder := config.get("cache", {}).get("dir"):
            yield Path(folder)

    def _tracked_file(self) -> TrackedFile:
        tracked = self.revision.tracked_file(self.manifest.name, self.entry.filename)
        if tracked.size != self.entry.size:
            raise ManifestError(
                f"{self.manifest.name}: {self.manifest.label} and dvc.lock record two different artifacts; "
                + self.revision.fix(f"dvc.lock {ARTIFACTS}/{self.manifest.name}.json")
            )
        return tracked

    def _fetch(self, tracked: TrackedFile, path: Path) -> LocalArtifact:
        if self.offline:
            raise FetchError(f"nothing is fetched offline; load it once without offline=True and {OFFLINE_VARIABLE}")
        from loader._fetch.download import download
        from loader._fetch.remote import locate

        source = locate(self.repository.dvc_config(), tracked)
        for _ in range(ATTEMPTS):  # another process may clear the cache before it is opened
            with store.lock(tracked.md5):  # `download` would take a wrong file of the right size for the right one
                if not _is_right(CachedArtifact(path, self.manifest, self.entry), []):
                    path.unlink(missing_ok=True)
            download(source, path, md5=tracked.md5, size=tracked.size)
            fetched = CachedArtifact(path, self.manifest, self.entry)
            with suppress(FetchError):
                fetched.header  # noqa: B018  (opens the artifact, so that it stays in the cache)
                store.trim()
                return fetched
        raise FetchError(f"the cache {cache_folder()} is cleared again and again")

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        """Add the dataset and the artifact to the message of an error."""
        try:
            yield
        except (FetchError, IntegrityError) as error:
            raise type(error)(
                f"{self.manifest.name}: {self.entry.filename} is not on this machine and cannot be fetched: {error}"
            ) from error


def find_artifact(
    name: str,
    *,
    version: str | None = None,
    config: str | None = None,
    rev: str | None = None,
    repo: PathLike | None = None,
    offline: bool | None = None,
) -> ArtifactReference:
    """Return a reference to a dataset's artifact; the parameters and errors are those of `loader.load`."""
    access, present = current_access(), None
    if access is not None:
        access.check_dataset(name, rev=rev, repo=repo)
        repo, offline, wanted, version = access.root, True, version, None
        present = WorkTree(access.root).manifest(name)
        access.check_version(name, wanted=wanted, present=present.version)
        access.check_artifact(name, present.artifact(config).filename)
    offline = is_offline(offline)
    repository, hold = open_held(repo, rev=rev, offline=offline)
    revision = repository.revision(name, rev=rev, version=version)
    manifest = present or revision.manifest(name)
    return ArtifactReference(repository, revision, manifest, manifest.artifact(config), offline, hold)


def open_held(repo: PathLike | None, *, rev: str | None, offline: bool) -> tuple[Repository, store.Hold | None]:
    """Return the repository, and what keeps its clone in the cache if it is at a URL."""
    for _ in range(ATTEMPTS):
        repository = open_repository(repo, rev=rev, offline=offline)
        if repository.root is not None:
            return repository, None
        with suppress(FileNotFoundError):  # another process cleared the cache just now
            return repository, store.Hold(repository.git.folder)
    raise FetchError(f"the cache {cache_folder()} is cleared again and again")
