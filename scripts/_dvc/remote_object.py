"""An object of DVC on S3: looking at it, storing and reading it. Importing this module imports DVC's S3 client."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import ClientError as HttpError
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from tqdm import tqdm

from loader import FetchError
from loader._errors import explain_s3
from scripts._dvc import transfer
from scripts._dvc.proof import Finding, examine, metadata_of

ATTEMPTS = 2
"""Of s3fs; each makes several attempts of botocore. The limit on the time of a step comes first if they take long."""


@dataclass(frozen=True)
class Stored:
    """An object that is on its remote.

    Attributes
    ----------
    url
        Its URL.
    proof
        What proves that it has the right content, such as "its SHA-256"; None if only its size is known to be right.
    again
        The command that stored it.
    """

    url: str
    proof: str | None
    again: str

    def describe(self) -> str:
        """Return a line for the user."""
        if self.proof:
            return f"on the remote at {self.url}, checked by {self.proof}"
        return (
            f"on the remote at {self.url}, size only: the remote reports nothing that proves the content; "
            f"read it back and compare it with: {self.again} DEEP=1"
        )


@dataclass(frozen=True)
class RemoteObject:
    """An object on a remote, named by its md5; it need not exist.

    Attributes
    ----------
    remote
        The remote's name.
    url
        The object's URL.
    md5, size
        The recorded md5 (hex) and size in bytes.
    filesystem
        The remote's file system.
    endpoint
        The server, for messages.
    unconfirmed
        The options for which the remote gets no credentials, see `unconfirmed_options`.
    confirm
        The command with which the user confirms them.
    """

    remote: str
    url: str
    md5: str
    size: int
    filesystem: Any
    endpoint: str
    unconfirmed: Mapping[str, Any]
    confirm: str

    def head(self) -> dict[str, Any] | None:
        """Return what the remote reports about the object (HeadObject), None if the object does not exist.

        Raises
        ------
        FetchError
            The remote refuses, cannot be reached or does not answer in time; the message says why.
        """
        with self.asking() as s3:
            bucket, key, _ = s3.split_path(self._key)
            where = {"Bucket": bucket, "Key": key, "timeout": transfer.STEP_SECONDS}
            try:
                try:
                    return dict(s3.call_s3("head_object", **where, ChecksumMode="ENABLED"))
                except PermissionError:  # checksums of encrypted objects need the right to decrypt
                    return dict(s3.call_s3("head_object", **where))
            except FileNotFoundError:
                return None

    def store(self, path: Path, *, deep: bool, again: str) -> Stored:
        """Make sure that the object has the content of a file, which must have the recorded md5.

        The object is replaced unless it is proved to be right, or its size is right and nothing else is known.

        Parameters
        ----------
        path
            The file.
        deep
            Whether to read the object back and hash it instead of believing what the remote reports.
        again
            The command that calls this, for messages.

        Raises
        ------
        FetchError
            The remote refuses, cannot be reached, or does not have the file afterwards.
        """
        finding = self.examine(path, deep=deep)
        if finding.right is False:
            self.put(path)
            finding = self.examine(path, deep=deep)
        if finding.right is False:
            advice = f"run again: {again}" + (
                " DEEP=1" if deep else f", or read it back and compare it: {again} DEEP=1"
            )
            raise FetchError(
                f"{self.url} does not have the content of {path} after the upload, judged by {finding.by}; {advice}"
            )
        return Stored(self.url, finding.by if finding.right else None, again)

    def put(self, path: Path) -> None:
        """Upload a file as the object, replacing an existing one.

        Raises
        ------
        FetchError
            The remote refuses, cannot be reached or is too slow.
        """
        metadata = metadata_of(self.md5, self.size)
        with path.open("rb") as file, _progress(f"sending {path.name}", self.size) as bar, self.asking() as s3:
            try:
                transfer.upload(s3, self._key, file, size=self.size, metadata=metadata, moved=bar.update)
            except FileNotFoundError as error:
                raise FetchError(
                    f"remote {self.remote!r} at {self.endpoint} has no such bucket ({self.url})"
                ) from error

    def get(self, path: Path) -> None:
        """Download the object to a file, resuming an interrupted download; its hash is not checked.

        Raises
        ------
        FetchError
            The object does not exist or is shorter than recorded, or the remote refuses, cannot be reached or is too
            slow.
        OSError
            The file cannot be written.
        """
        with path.open("ab") as file, _progress(f"getting {path.name}", self.size, file.tell()) as bar:
            for chunk in self._chunks(file.tell()):
                file.write(chunk)
                bar.update(len(chunk))

    def examine(self, path: Path, *, deep: bool) -> Finding:
        """Compare the object with what is recorded of it, by what the remote reports, or with `deep` by its bytes."""
        head = self.head()
        if head is None:
            return Finding(False, "its absence")
        if not deep or head["ContentLength"] != self.size:
            return examine(head, path, md5=self.md5, size=self.size)
        md5 = hashlib.md5(usedforsecurity=False)
        with _progress(f"reading {path.name} back", self.size) as bar:
            for chunk in self._chunks(0):
                md5.update(chunk)
                bar.update(len(chunk))
        return Finding(md5.hexdigest() == self.md5, "its bytes")

    def _chunks(self, start: int) -> Iterator[bytes]:
        """Yield the bytes from `start` to the recorded size."""
        with self.asking() as s3:
            chunks = transfer.read(s3, self._key, start=start, size=self.size)
        while True:
            with self.asking():
                try:
                    chunk = next(chunks, None)
                except FileNotFoundError as error:
                    raise FetchError(f"remote {self.remote!r} does not have it ({self.url})") from error
            if chunk is None:
                return
            if len(chunk) != min(transfer.READ_BYTES, self.size - start):
                raise FetchError(f"{self.url} is not of the recorded {self.size:,} bytes")
            start += len(chunk)
            yield chunk

    @contextmanager
    def asking(self) -> Iterator[Any]:
        """Return the S3 file system of s3fs, and raise what goes wrong with the remote in the block as FetchError."""
        if self.filesystem.protocol != "s3":
            raise FetchError(
                f"remote {self.remote!r} is not on S3; set the remotes with: "
                f"make remote PUBLIC=s3://... PRIVATE=s3://..."
            )
        try:
            s3 = self.filesystem.fs
            s3.retries = ATTEMPTS
            yield s3
        except TimeoutError as error:
            raise FetchError(
                f"remote {self.remote!r} at {self.endpoint} is silent or too slow: a step took more than "
                f"{transfer.STEP_SECONDS} seconds; try again later"
            ) from error
        except PermissionError as error:
            if not self.unconfirmed:
                raise FetchError(self._explain(error)) from error
            raise FetchError(
                f"remote {self.remote!r} at {self.endpoint} refuses access without credentials, and gets none, because "
                f"only .dvc/config sets its {', '.join(self.unconfirmed)}; "
                f"if you trust it, run: {self.confirm}"
            ) from error
        except (OSError, BotoCoreError, ClientError, HttpError, ResponseParserError, ValueError) as error:
            raise FetchError(self._explain(error)) from error

    def _explain(self, error: Exception) -> str:
        is_anonymous = bool(self.filesystem.config.get("allow_anonymous_login"))
        return explain_s3(error, self.remote, self.endpoint, is_anonymous=is_anonymous)

    @property
    def _key(self) -> str:
        return str(self.filesystem._strip_protocol(self.url))


def _progress(what: str, size: int, done: int = 0) -> tqdm[Any]:
    """Return a progress bar, which is shown on a terminal only."""
    return tqdm(desc=what, total=size, initial=done, unit="B", unit_scale=True, leave=False, disable=None)
