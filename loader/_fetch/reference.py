"""From a dataset's name to its artifact: found on this machine, fetched into the cache, or streamed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from loader._errors import FetchError, IntegrityError, LoaderError, ManifestError, NotFoundError
from loader._fetch import store
from loader._fetch.places import OFFLINE_VARIABLE, is_offline, object_path
from loader._fetch.repository import PathLike, Repository, find_repository, open_repository
from loader._fetch.revision import ARTIFACTS, Recorded, Revision, WorkTree
from loader._format.artifact import Artifact, LocalArtifact
from loader._format.manifest import ArtifactEntry, Manifest


@dataclass(frozen=True)
class Source:
    """An artifact that a revision of a repository records."""

    repository: Repository
    revision: Revision
    manifest: Manifest
    entry: ArtifactEntry
    offline: bool

    def open(self) -> LocalArtifact:
        """Return the artifact on this machine, fetched into the cache where it was missing.

        Raises
        ------
        FetchError
            It is missing and cannot be fetched.
        IntegrityError
            What was fetched is not what is recorded.
        """
        if isinstance(self.revision, WorkTree):
            checked_out = self.revision.root / ARTIFACTS / self.entry.filename
            if checked_out.exists():
                return self._local(checked_out)
        with self._blamed():
            recorded = self._recorded()
            cached = store.entry_folder(store.ARTIFACTS, recorded.md5) / self.entry.filename
            for path in (cached, *self._elsewhere(recorded)):
                if path.is_file() and path.stat().st_size == recorded.size:
                    store.mark_used(cached.parent)
                    return self._local(path)
            self._fetch(recorded, cached)
        return self._local(cached)

    def stream(self) -> Artifact:
        """Return the artifact on its remote.

        Raises
        ------
        FetchError
            Its remote cannot be used, or the network is out of bounds.
        """
        if self.offline:
            raise FetchError(f"{self.manifest.name}: streaming needs the network, and offline there is none")
        from loader._fetch.remote import locate
        from loader._fetch.stream import StreamedArtifact

        with self._blamed():
            recorded = self._recorded()
            return StreamedArtifact(locate(self.repository.dvc_config(), recorded), self.manifest, self.entry)

    def _local(self, path: Path) -> LocalArtifact:
        return LocalArtifact(path, self.manifest, self.entry)

    def _elsewhere(self, recorded: Recorded) -> Iterator[Path]:
        """Where else on this machine it may be, the nearest first; nothing is copied from there."""
        if self.repository.root is not None:
            with suppress(LoaderError):  # checked out, where the work tree records the same
                if WorkTree(self.repository.root).recorded(self.manifest.name, self.entry.filename) == recorded:
                    yield self.repository.root / ARTIFACTS / self.entry.filename
        for cache in self._dvc_caches():
            yield cache / object_path(recorded.md5)

    def _dvc_caches(self) -> Iterator[Path]:
        roots = set() if self.repository.root is None else {self.repository.root}
        with suppress(NotFoundError):  # the repository at hand, where another one was named
            roots.add(find_repository())
        for root in roots:
            yield root / ".dvc" / "cache"
        from loader._fetch.remote import read_config  # only who has it nowhere else pays for importing DVC

        named = self.repository.dvc_config() if self.repository.root is not None else read_config(None)
        if folder := named.get("cache", {}).get("dir"):
            yield Path(folder)

    def _recorded(self) -> Recorded:
        recorded = self.revision.recorded(self.manifest.name, self.entry.filename)
        if recorded.size != self.entry.size:
            raise ManifestError(
                f"{self.manifest.name}: {self.manifest.label} and dvc.lock record two different artifacts; "
                + self.revision.mend(f"dvc.lock {ARTIFACTS}/{self.manifest.name}.json")
            )
        return recorded

    def _fetch(self, recorded: Recorded, target: Path) -> None:
        if self.offline:
            raise FetchError(f"offline nothing is fetched; load it once without offline=True and {OFFLINE_VARIABLE}")
        from loader._fetch.download import download
        from loader._fetch.remote import locate

        download(locate(self.repository.dvc_config(), recorded), target, md5=recorded.md5, size=recorded.size)
        store.trim(keep=target.parent)

    @contextmanager
    def _blamed(self) -> Iterator[None]:
        try:
            yield
        except (FetchError, IntegrityError) as error:
            raise type(error)(
                f"{self.manifest.name}: {self.entry.filename} is not on this machine and cannot be had: {error}"
            ) from error


def find_source(
    name: str,
    *,
    version: str | None = None,
    config: str | None = None,
    rev: str | None = None,
    repo: PathLike | None = None,
    offline: bool | None = None,
) -> Source:
    """Find the artifact of a dataset; the parameters and errors are those of `loader.load`."""
    offline = is_offline(offline)
    repository = open_repository(repo, rev=rev, offline=offline)
    revision = repository.revision(name, rev=rev, version=version)
    manifest = revision.manifest(name)
    return Source(repository, revision, manifest, manifest.artifact(config), offline)
