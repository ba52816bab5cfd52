"""Find the artifact of a dataset: on this machine, fetched into the cache, or streamed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from loader._errors import FetchError, IntegrityError, LoaderError, ManifestError
from loader._fetch import store
from loader._fetch.access import current_access
from loader._fetch.cache_entry import PART_SUFFIX, write_note
from loader._fetch.cached_artifact import CachedArtifact
from loader._fetch.checked_out import find_version, is_right, warn_once
from loader._fetch.copies import CACHE, WORK_TREE, Copies, Copy
from loader._fetch.partial import PartialArtifact
from loader._fetch.places import OFFLINE_VARIABLE, cache_folder, is_offline
from loader._fetch.repository import PathLike, Repository, open_repository
from loader._fetch.revision import Revision, TrackedFile, WorkTree
from loader._format.artifact import CHUNK_BYTES, Artifact, LocalArtifact
from loader._format.manifest import ArtifactEntry, Manifest
from loader._format.names import ARTIFACTS

if TYPE_CHECKING:
    from loader._fetch.s3 import S3Object
    from loader._fetch.stream import StreamedArtifact

ATTEMPTS = 5


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

    def find(self, problems: list[LoaderError]) -> tuple[Copy, LocalArtifact] | None:
        """Return the copy on this machine that is used, and the artifact in it; None if there is none.

        What is wrong with the tar in the work tree is added to `problems`.

        Raises
        ------
        IntegrityError, ManifestError
            A build would read another copy than the tar in the work tree, or `dvc.lock` does not record the artifact.
        """
        try:
            for copy in Copies(self.repository).possible(self.entry, lambda: self.tracked.md5):
                artifact = (CachedArtifact if copy.kind == CACHE else LocalArtifact)(
                    copy.path, self.manifest, self.entry
                )
                # of a commit, the work tree may have another version
                is_recorded_here = copy.kind == WORK_TREE and isinstance(self.revision, WorkTree)
                if is_right(artifact, problems if is_recorded_here else []):
                    return copy, artifact
                if problems and current_access() is not None:
                    raise problems[0]
        except ManifestError:
            if problems:
                raise problems[0] from None
            raise
        return None

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
        if (artifact := self._open_copy(problems)) is not None:
            return artifact
        if not problems:
            with self._named_errors():
                return self._fetch()
        if (version := find_version(self.checked_out, self.repository.git)) is None:
            raise problems[0]
        here = f"{self.checked_out.path} is that of version {version}, and the recorded one is not on this machine"
        with self._named_errors(here):
            fetched = self._fetch()
        self._warn(problems[0], fetched)
        return fetched

    def _open_copy(self, problems: list[LoaderError]) -> LocalArtifact | None:
        """Return what `find` does, with a warning if the tar in the work tree is wrong."""
        if (found := self.find(problems)) is None:
            return None
        copy, artifact = found
        if copy.kind == CACHE:
            store.mark_used(copy.path.parent)
        if problems:
            self._warn(problems[0], artifact)
        return artifact

    @property
    def checked_out(self) -> LocalArtifact:
        """The tar in the work tree."""
        assert self.repository.root is not None
        return LocalArtifact(self.repository.root / ARTIFACTS / self.entry.filename, self.manifest, self.entry)

    def _warn(self, problem: LoaderError, used: LocalArtifact) -> None:
        """Say once that the tar in the work tree is not the recorded one, and that another file is read."""
        how = "pull" if isinstance(used, CachedArtifact) else "checkout"  # DVC's cache may lack what the loader's has
        warn_once(self.checked_out, problem, used, self.repository.git, f"dvc {how} {self.manifest.name}")

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
        """Return the artifact to read in byte ranges: a copy on this machine if there is one, or else on its remote.

        A tar in the work tree that is not the recorded artifact is passed over: nothing is fetched that would hide it.
        If `offline` is set, it is what has arrived in the cache; to read the rest is an error then.

        Raises
        ------
        FetchError
            It is not on this machine, and its remote cannot be used, or `offline` is set and nothing has arrived.
        IntegrityError, ManifestError
            As `find`.
        """
        if (artifact := self._open_copy([])) is not None:
            return artifact
        if self.offline:
            path = store.artifact_path(self.tracked.md5, f"{self.entry.filename}{PART_SUFFIX}")
            partial = PartialArtifact(path, self.manifest, self.entry, self.fetch_command)
            if is_right(partial, []):
                return partial
        streamed = self.on_remote(keep=True)
        self._write_note()  # beside what is kept of it
        store.mark_used(store.entry_folder(store.ARTIFACTS, self.tracked.md5))
        return streamed

    def on_remote(self, *, keep: bool = False) -> StreamedArtifact:
        """Return the artifact on its remote; the error is the first one of `stream`.

        With `keep`, what is read of it is kept in the cache.
        """
        if self.offline:
            raise FetchError(
                f"{self.manifest.name}: {self.entry.filename} is not on this machine, and streaming needs the network; "
                f"leave out offline=True and {OFFLINE_VARIABLE}"
            )
        from loader._fetch.stream import open_streamed

        with self._named_errors():
            folder = store.entry_folder(store.ARTIFACTS, self.tracked.md5) if keep else None
            return open_streamed(self.source(), self.manifest, self.entry, folder)

    @property
    def fetch_command(self) -> str:
        """The command that fetches it, for messages."""
        return self.repository.fetch_command(self.manifest.name, self.entry.config, self.revision)

    def source(self) -> S3Object:
        """Return the object on the remote, which is not asked; imports botocore.

        Raises
        ------
        FetchError
            The remote cannot be used.
        ManifestError
            `dvc.lock` does not record the artifact.
        """
        from loader._fetch.remote import locate

        return locate(self.repository.dvc_config(), self.tracked)

    @cached_property
    def tracked(self) -> TrackedFile:
        """What `dvc.lock` and `dvc.yaml` record of it.

        Raises
        ------
        ManifestError
            They cannot be read, do not record it, or record another artifact than the manifest does.
        """
        tracked = self.revision.tracked_file(self.manifest.name, self.entry.filename)
        if tracked.size != self.entry.size:
            raise ManifestError(
                f"{self.manifest.name}: {self.manifest.label} and dvc.lock record two different artifacts; "
                + self.revision.fix(f"dvc.lock {ARTIFACTS}/{self.manifest.name}.json")
            )
        return tracked

    def _fetch(self) -> LocalArtifact:
        if self.offline:
            raise FetchError(f"nothing is fetched offline; load it once without offline=True and {OFFLINE_VARIABLE}")
        from loader._fetch.download import remove
        from loader._fetch.older import fetch, find_older

        source, tracked = self.source(), self.tracked
        path = store.artifact_path(tracked.md5, self.entry.filename)
        for _ in range(ATTEMPTS):  # another process may clear the cache before it is opened
            with store.lock(tracked.md5):  # `fetch` would take a wrong file of the right size for the right one
                if not is_right(CachedArtifact(path, self.manifest, self.entry), []):
                    remove(path)
                self._write_note()
            older = find_older(self.repository, self.revision, self.manifest, self.entry)
            fetch(source, path, self.manifest, self.entry, older)
            fetched = CachedArtifact(path, self.manifest, self.entry)
            with suppress(FetchError):
                fetched.header  # noqa: B018  (opens the artifact, so that it stays in the cache)
                store.trim()
                return fetched
        raise FetchError(f"the cache {cache_folder()} is cleared again and again")

    def _write_note(self) -> None:
        """Write what the artifact is, beside it in the cache."""
        folder = store.entry_folder(store.ARTIFACTS, self.tracked.md5)
        write_note(folder, self.manifest, self.entry, find_revision=self._find_commit)

    def _find_commit(self) -> str | None:
        """Return a commit (hex) that records the artifact: of a work tree, HEAD if it has the same manifest."""
        if self.revision.commit is not None:
            return self.revision.commit
        path, git = f"{ARTIFACTS}/{self.manifest.name}.json", self.repository.git
        try:
            head = git.commit("HEAD")
            return head if git.read(head, path) == self.revision.read(path) else None
        except (LoaderError, OSError):  # not a git repository, no commit yet, or no git here
            return None

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
