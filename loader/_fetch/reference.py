"""Find the artifact of a dataset: on this machine, fetched into the cache, or streamed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from itertools import chain
from pathlib import Path

from loader._errors import FetchError, IntegrityError, LoaderError, ManifestError, NotFoundError
from loader._fetch import store
from loader._fetch.access import current_access
from loader._fetch.checked_out import find_version, is_right, warn_once
from loader._fetch.places import OFFLINE_VARIABLE, cache_folder, is_offline
from loader._fetch.repository import PathLike, Repository, find_repository, open_repository
from loader._fetch.revision import Revision, TrackedFile, WorkTree
from loader._format.artifact import CHUNK_BYTES, Artifact, LocalArtifact
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

        A file is taken only if its index header is the recorded one. Where the tar in the work tree is another one, a
        warning says so, once for each tar, and with which command to replace it. Then:

        - if this machine has the recorded artifact in a cache, it is read from there;
        - else, if git's history records both the tar in the work tree and this artifact for the dataset, as after
          `git checkout` without `dvc checkout`, the recorded one is fetched;
        - else the tar or the manifest is damaged or was edited, and this is an error: fetching would hide it;
        - in a build it always is an error, because DVC records that the build read the tar in the work tree.

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
            if is_right(checked_out, problems):
                return checked_out
            if problems and current_access() is not None:
                raise problems[0]
        try:
            tracked = self._tracked_file()
            cached = CachedArtifact(store.artifact_path(tracked.md5, self.entry.filename), self.manifest, self.entry)
            for artifact in chain((cached,), self._other_copies(tracked)):
                if is_right(artifact, []):
                    store.mark_used(cached.path.parent)
                    if problems:
                        self._warn(checked_out, problems[0], artifact)
                    return artifact
        except ManifestError:
            if problems:
                raise problems[0] from None
            raise
        if not problems:
            with self._named_errors():
                return self._fetch(tracked, cached.path)
        if (version := find_version(checked_out, self.repository.git)) is None:
            raise problems[0]
        here = f"{checked_out.path} is that of version {version}, and the recorded one is not on this machine"
        with self._named_errors(here):
            fetched = self._fetch(tracked, cached.path)
        self._warn(checked_out, problems[0], fetched)
        return fetched

    def _warn(self, checked_out: LocalArtifact, problem: LoaderError, used: LocalArtifact) -> None:
        """Say once that the tar in the work tree is not the recorded one, and that another file is read."""
        how = "pull" if isinstance(used, CachedArtifact) else "checkout"  # DVC's cache may lack what the loader's has
        warn_once(checked_out, problem, used, self.repository.git, f"dvc {how} {self.manifest.name}")

    def ensure(self, *, verify: bool = False) -> Path:
        """Return the path of the artifact, fetched if it is missing; the errors are those of `open`.

        In the cache it is kept until this process ends, because the caller uses the path. With `verify`, all of it is
        compared with the SHA-256 in the manifest first.
        """
        artifact = self.open()
        if verify:
            hasher, size = sha256(), self.entry.size
            for start in range(0, size, CHUNK_BYTES):
                hasher.update(artifact.read(start, min(CHUNK_BYTES, size - start)))
            if hasher.hexdigest() != self.entry.sha256:
                raise artifact.error("is damaged: its SHA-256 is not the one in its manifest")
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
        if self.repository.root is not None and not isinstance(self.revision, WorkTree):
            yield self._local(self.repository.root / ARTIFACTS / self.entry.filename)  # may be checked out
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
                if not is_right(CachedArtifact(path, self.manifest, self.entry), []):
                    path.unlink(missing_ok=True)
            download(source, path, md5=tracked.md5, size=tracked.size)
            fetched = CachedArtifact(path, self.manifest, self.entry)
            with suppress(FetchError):
                fetched.header  # noqa: B018  (opens the artifact, so that it stays in the cache)
                store.trim()
                return fetched
        raise FetchError(f"the cache {cache_folder()} is cleared again and again")

    @contextmanager
    def _named_errors(self, problem: str = "") -> Iterator[None]:
        """Add the dataset and the problem, by default that the artifact is missing, to the message of an error."""
        try:
            yield
        except (FetchError, IntegrityError) as error:
            problem = problem or f"{self.entry.filename} is not on this machine"
            raise type(error)(f"{self.manifest.name}: {problem} and cannot be fetched: {error}") from error


def find_artifact(
    name: str,
    *,
    version: str | None = None,
    config: str | None = None,
    rev: str | None = None,
    repo: PathLike | None = None,
    offline: bool | None = None,
    trust: PathLike | None = None,
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
    # a commit that the clone has may get its signed tag later, so the clone is updated
    repository, hold = open_held(repo, rev=rev if trust is None else None, offline=offline)
    revision = repository.revision(name, rev=rev, version=version, config=config)
    manifest = present or revision.manifest(name)
    if trust is not None:
        from loader._fetch.signatures import signed_manifest  # only who asks for a signature needs it

        manifest = signed_manifest(repository, revision, name, manifest.version, trust=trust, offline=offline)
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
