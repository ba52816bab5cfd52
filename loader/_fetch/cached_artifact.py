"""An artifact in the loader's cache."""

from __future__ import annotations

from functools import cached_property

from loader._errors import FetchError, LoaderError
from loader._fetch import store
from loader._format.artifact import LocalArtifact
from loader._format.files import RandomAccessFile


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
