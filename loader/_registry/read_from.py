"""Where a load would read an artifact from."""

from __future__ import annotations

from dataclasses import dataclass

from loader._errors import FetchError, LoaderError
from loader._fetch import store
from loader._fetch.checked_out import find_version
from loader._fetch.reference import ArtifactReference

REMOTE = "remote"


@dataclass(frozen=True)
class ReadFrom:
    """Where a load would read an artifact from.

    Attributes
    ----------
    place
        "work tree", "cache" (the loader's), "DVC's cache" or "remote"; None if it cannot be loaded.
    path
        The file; None if the artifact is not on this machine.
    arrived
        The fraction of its bytes that is on this machine: 1.0 if it is whole. The rest is read from the remote.
    remote, url
        The name of the DVC remote and the object there; None if the remote is not needed.
    problem
        Why it cannot be loaded; None if it can.
    """

    place: str | None = None
    path: str | None = None
    arrived: float = 1.0
    remote: str | None = None
    url: str | None = None
    problem: str | None = None

    def __str__(self) -> str:
        if self.problem is not None:
            return f"nowhere: {self.problem}"
        if self.path is not None:
            return f"{self.place}, {self.path}"
        remote = f"remote {self.remote} at {self.url}"
        return f"{int(self.arrived * 100)} % in the cache, the rest from {remote}" if self.arrived else remote


def read_from(reference: ArtifactReference) -> ReadFrom:
    """Return where a load would read an artifact from. No remote is asked; botocore is imported if one is needed."""
    problems: list[LoaderError] = []
    try:
        if (found := reference.find(problems)) is not None:
            return ReadFrom(found[0].kind, str(found[0].path))
        if problems and find_version(reference.checked_out, reference.repository.git) is None:
            raise problems[0]
        if reference.offline:
            raise FetchError("it is not on this machine, and nothing is fetched offline")
        source = reference.source()
    except LoaderError as error:
        return ReadFrom(arrived=0.0, problem=str(error))
    arrived = store.arrived(reference.tracked.md5)
    return ReadFrom(REMOTE, arrived=arrived, remote=source.remote, url=source.url)
