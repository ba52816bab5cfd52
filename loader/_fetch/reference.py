"""Find the artifact of a dataset: on this machine, fetched into the cache, or streamed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from loader._errors import FetchError, IntegrityError, LoaderError, ManifestError, NotFoundError
from loader._fetch import store
from loader._fetch.access import current_access
from loader._fetch.places import OFFLINE_VARIABLE, is_offline
from loader._fetch.repository import PathLike, Repository, find_repository, open_repository
from loader._fetch.revision import Revision, TrackedFile, WorkTree
from loader._format.artifact import Artifact, LocalArtifact
from loader._format.manifest import ArtifactEntry, Manifest
from loader._format.names import ARTIFACTS, object_path


@dataclass(frozen=True)
class ArtifactReference:
    """An artifact that a revision of a repository records, whether or not it is on this machine."""

    repository: Repository
    revision: Revision
    manifest: Manifest
    entry: ArtifactEntry
    offline: bool

    def open(self) -> LocalArtifact:
        """Return the artifact on this machine; fetch it into the cache if it is missing.

        Raises
        ------
        FetchError
            It is missing and cannot be fetched.
        IntegrityError
            The fetched object is not the one recorded.
        """
        if isinstance(self.revision, WorkTree):
            checked_out = self.revision.root / ARTIFACTS / self.entry.filename
            if checked_out.exists():
                return self._local(checked_out)
        with self._named_errors():
            tracked = self._tracked_file()
            cached = store.entry_folder(store.ARTIFACTS, tracked.md5) / self.entry.filename
            for path in (cached, *self._other_copies(tracked)):
                if path.is_file() and path.stat().st_size == tracked.size:
                    store.mark_used(cached.parent)
                    return self._local(path)
            self._fetch(tracked, cached)
        return self._local(cached)

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

    def _other_copies(self, tracked: TrackedFile) -> Iterator[Path]:
        """Yield other paths on this machine where it may be, the cheapest to find first; they are used in place."""
        if self.repository.root is not None:
            with suppress(LoaderError):  # checked out, if the work tree records the same file
                if WorkTree(self.repository.root).tracked_file(self.manifest.name, self.entry.filename) == tracked:
                    yield self.repository.root / ARTIFACTS / self.entry.filename
        for cache in self._dvc_caches():
            yield cache / object_path(tracked.md5)

    def _dvc_caches(self) -> Iterator[Path]:
        roots = set() if self.repository.root is None else {self.repository.root}
        with suppress(NotFoundError):  # the repository of the working folder, which may be another one
            roots.add(find_repository())
        for root in roots:
            yield root / ".dvc" / "cache"
        from loader._fetch.remote import read_config  # imports DVC, which is slow, so this comes last

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

    def _fetch(self, tracked: TrackedFile, target: Path) -> None:
        if self.offline:
            raise FetchError(f"nothing is fetched offline; load it once without offline=True and {OFFLINE_VARIABLE}")
        from loader._fetch.download import download
        from loader._fetch.remote import locate

        download(locate(self.repository.dvc_config(), tracked), target, md5=tracked.md5, size=tracked.size)
        store.trim(keep=target.parent)

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
    access = current_access()
    if access is not None:
        access.check_dataset(name, rev=rev, repo=repo)
        repo, offline = access.root, True
        present = WorkTree(access.root).manifest(name)
        access.check_version(name, wanted=version, present=present.version)
        access.check_artifact(name, present.artifact(config).filename)
    offline = is_offline(offline)
    repository = open_repository(repo, rev=rev, offline=offline)
    revision = repository.revision(name, rev=rev, version=version)
    manifest = revision.manifest(name)
    return ArtifactReference(repository, revision, manifest, manifest.artifact(config), offline)
