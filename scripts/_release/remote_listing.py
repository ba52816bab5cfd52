"""A connection to a remote, and the objects that the remote lists. Importing this module imports no DVC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dvc.repo import Repo

    from scripts._dvc.remote_object import RemoteObject

_NOTHING = "0" * 32


@dataclass(frozen=True)
class ListedObject:
    """An object that a remote lists: its md5, its size in bytes, when it was last modified, and its URL."""

    md5: str
    size: int
    modified: datetime
    url: str


def connection(repo: Repo, remote: str) -> RemoteObject:
    """Return an object of a remote that stands for its connection, which takes as long as many requests.

    Parameters
    ----------
    repo
        The DVC repository, see `scripts._dvc.objects.open_repo`.
    remote
        The remote's name.

    Raises
    ------
    FetchError
        The remote is not configured.
    """
    from scripts._dvc.objects import remote_object

    return remote_object(repo, remote, md5=_NOTHING, size=0)


def objects_url(remote: RemoteObject) -> str:
    """Return the URL of the folder that has the objects, given a connection."""
    return remote.url.removesuffix(f"{_NOTHING[:2]}/{_NOTHING[2:]}")


def remote_objects(remote: RemoteObject) -> list[ListedObject]:
    """Return the objects of DVC that a remote lists, in the order of their md5s, given a connection.

    Raises
    ------
    FetchError
        The remote refuses, cannot be reached or does not answer in time; the message says why.
    """
    from scripts._dvc import transfer

    listed: list[ListedObject] = []
    token: dict[str, str] = {}
    with remote.asking() as s3:
        bucket, prefix, _ = s3.split_path(objects_url(remote))
        while True:
            answer = s3.call_s3("list_objects_v2", Bucket=bucket, Prefix=prefix, **token, timeout=transfer.STEP_SECONDS)
            for entry in answer.get("Contents", ()):
                name = entry["Key"].removeprefix(prefix)
                url = f"s3://{bucket}/{entry['Key']}"
                listed.append(ListedObject(name.replace("/", ""), entry["Size"], entry["LastModified"], url))
            if not answer.get("IsTruncated"):
                return listed
            token = {"ContinuationToken": answer["NextContinuationToken"]}
