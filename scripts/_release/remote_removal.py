"""Removing objects and unfinished uploads from remotes. Importing this module imports DVC's S3 client."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from scripts._dvc import transfer
from scripts._dvc.remote_object import RemoteObject
from scripts._release.remote_listing import objects_url
from scripts._release.versions import LABEL_BYTES, MD5_DIGITS, UPLOAD, YOUNG_SECONDS, Copy

_OBJECT = re.compile(r"([0-9a-f]{2})/([0-9a-f]{30})")
_AT_ONCE = 256  # the client sends some of these requests at a time


@dataclass(frozen=True)
class Upload:
    """An upload in parts that was not finished; its parts take room, and no listing of objects shows them.

    Attributes
    ----------
    remote
        The name of the remote.
    key
        The key of the object in the bucket.
    md5
        The md5 of the object.
    id
        S3's name for the upload.
    size
        The number of bytes that the remote has received.
    begun
        When it began, in seconds since 1970.
    """

    remote: str
    key: str
    md5: str
    id: str
    size: int
    begun: float

    @property
    def name(self) -> str:
        """What the user calls it."""
        return f"{UPLOAD}{self.md5[:MD5_DIGITS]}"

    @property
    def is_young(self) -> bool:
        """Whether it began within the last day, so that it may still be under way."""
        return time.time() - self.begun < YOUNG_SECONDS


def read_starts(remote: RemoteObject, copies: Sequence[Copy]) -> list[bytes]:
    """Return the first bytes of objects on a remote, none of an object that cannot be read.

    Raises
    ------
    FetchError
        The remote cannot be reached or does not answer in time; the message says why.
    """
    found: list[bytes] = []
    with remote.asking() as s3:
        for first in range(0, len(copies), _AT_ONCE):
            some = copies[first : first + _AT_ONCE]
            urls = [copy.location for copy in some]
            ends = [min(LABEL_BYTES, copy.size) for copy in some]
            read = s3.cat_ranges(urls, [0] * len(urls), ends, on_error="return", timeout=transfer.STEP_SECONDS)
            found += [each if isinstance(each, bytes) else b"" for each in read]
    return found


def remove_object(remote: RemoteObject, url: str) -> None:
    """Remove the object at a URL from its remote; one that is gone already is no error.

    Raises
    ------
    FetchError
        The remote refuses, cannot be reached or does not answer in time; the message says why.
    """
    with remote.asking() as s3:
        bucket, key, _ = s3.split_path(url)
        s3.call_s3("delete_object", Bucket=bucket, Key=key, timeout=transfer.STEP_SECONDS)


def unfinished_uploads(remote: RemoteObject) -> list[Upload]:
    """Return the uploads of objects to a remote that were begun and not finished.

    Raises
    ------
    FetchError
        The remote refuses, cannot be reached or does not answer in time; the message says why.
    """
    found = []
    with remote.asking() as s3:
        bucket, prefix, _ = s3.split_path(objects_url(remote))
        marker: dict[str, str] = {}
        while True:
            where = {"Bucket": bucket, "Prefix": prefix, **marker, "timeout": transfer.STEP_SECONDS}
            answer = s3.call_s3("list_multipart_uploads", **where)
            for upload in answer.get("Uploads", ()):
                if name := _OBJECT.fullmatch(upload["Key"].removeprefix(prefix)):
                    one = {"Bucket": bucket, "Key": upload["Key"], "UploadId": upload["UploadId"]}
                    size = _received(s3, one)
                    begun = upload["Initiated"].timestamp()
                    found.append(
                        Upload(remote.remote, upload["Key"], name[1] + name[2], upload["UploadId"], size, begun)
                    )
            if not answer.get("IsTruncated"):
                return found
            marker = {"KeyMarker": answer["NextKeyMarker"], "UploadIdMarker": answer["NextUploadIdMarker"]}


def abort_upload(remote: RemoteObject, upload: Upload) -> None:
    """Remove the parts of an unfinished upload; one that has ended meanwhile is no error.

    Raises
    ------
    FetchError
        The remote refuses, cannot be reached or does not answer in time; the message says why.
    """
    with remote.asking() as s3, suppress(FileNotFoundError):
        bucket, _, _ = s3.split_path(remote.url)
        where = {"Bucket": bucket, "Key": upload.key, "UploadId": upload.id}
        s3.call_s3("abort_multipart_upload", **where, timeout=transfer.STEP_SECONDS)


def _received(s3: Any, upload: dict[str, str]) -> int:
    """Return the number of bytes that the remote has received of an upload; 0 if it has just ended."""
    try:
        answer = s3.call_s3("list_parts", **upload, timeout=transfer.STEP_SECONDS)
    except FileNotFoundError:
        return 0
    size: int = sum(part["Size"] for part in answer.get("Parts", ()))
    while answer.get("IsTruncated"):
        marker = {"PartNumberMarker": answer["NextPartNumberMarker"]}
        answer = s3.call_s3("list_parts", **upload, **marker, timeout=transfer.STEP_SECONDS)
        size += sum(part["Size"] for part in answer.get("Parts", ()))
    return size
