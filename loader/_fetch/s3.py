"""Read byte ranges of S3 objects."""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from threading import Event
from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    IncompleteReadError,
    ResponseStreamingError,
)
from urllib3.exceptions import HTTPError

from loader._errors import REFUSED_CREDENTIALS, FetchError, credential_errors, explain_s3, s3_code, s3_reason, s3_status
from loader._fetch.deadline import DeadlineError, Result, run_within
from loader._fetch.s3_client import (
    Options,
    address,
    ask_again,
    byte_range,
    client,
    is_anonymous,
    remember,
    timeouts,
)

ATTEMPTS = 5
FIRST_PAUSE_SECONDS = 0.2
SLOWEST_BYTES_PER_SECOND = 16 << 10
MAX_SKIPPED_BYTES = 16 << 20
"""How much of a whole object is read to get at a range of it, if the server ignores ranges."""

_CHUNK_BYTES = 1 << 20
_BUSY = (408, 429)
_TRANSIENT = (
    ConnectTimeoutError,
    DeadlineError,
    EndpointConnectionError,
    HTTPClientError,
    HTTPError,
    IncompleteReadError,
    ResponseStreamingError,
)
_read_without_credentials: set[tuple[Options, str]] = set()
"""The remotes and buckets that refused the credentials of this process and answered without any."""


@dataclass(frozen=True)
class S3Object:
    """An object on S3.

    It can be pickled and used after a fork; each process has its own connections.

    Attributes
    ----------
    url
        `s3://bucket/key`.
    size
        Its recorded size in bytes.
    dataset
        The dataset that it belongs to, for messages.
    remote
        The name of the DVC remote, for messages.
    options
        The remote's options, as DVC documents them for S3: endpointurl, region, profile, credentialpath, configpath,
        access_key_id, secret_access_key, session_token, allow_anonymous_login, use_ssl, ssl_verify, read_timeout,
        connect_timeout.
    trust_hint
        How to have credentials sent to the endpoint, if they are withheld because only the repository names it.
    commit
        The commit (hex) that records it, or None if the work tree does.
    """

    url: str
    size: int
    dataset: str
    remote: str
    options: Options = field(repr=False)  # may contain a secret key
    trust_hint: str = field(default="", repr=False)
    commit: str | None = None

    @property
    def push_command(self) -> str:
        """The command that puts the recorded object on the remote, for messages."""
        push = f"make push DATASET={self.dataset}" + (" PUBLIC=1" if self.remote == "public" else "")
        if self.commit is None:
            return push
        checkout = f"dvc checkout {self.dataset}"  # the work tree may record another object
        return f"git switch --detach {self.commit[:12]} && {checkout} && {push} && git switch - && {checkout}"

    def read(self, offset: int, size: int) -> bytes:
        """Return the `size` bytes at `offset`.

        Broken connections, server errors (5xx) and timeouts are retried after increasing pauses.

        Raises
        ------
        FetchError
            There is no such object, it is too small, the server refuses, or all attempts failed.
        """
        if size == 0:
            return b""
        return self._repeat(partial(self._read, offset, size), offset, size)

    def stored_size(self) -> int | None:
        """Return the number of bytes that the object on the remote has, None if the remote does not have it.

        Raises
        ------
        FetchError
            The server refuses, or all attempts failed.
        """
        return self._repeat(lambda *_: self._stored_size(), 0, 1)

    def _repeat(self, work: Callable[[int, Event], Result], offset: int, size: int) -> Result:
        """Return what `work`, which is given the number of the attempt, reads of the `size` bytes at `offset`."""
        seconds = sum(timeouts(dict(self.options))) + size / SLOWEST_BYTES_PER_SECOND
        for attempt in range(ATTEMPTS):
            if attempt and not threading.main_thread().is_alive():
                break  # the program is exiting and waits for this thread
            if attempt:
                time.sleep(FIRST_PAUSE_SECONDS * 2 ** (attempt - 1) * random.uniform(0.5, 1.5))
            try:
                return run_within(seconds, partial(work, attempt))
            except FetchError:
                raise
            except _TRANSIENT as error:
                failure: Exception = error
            except ClientError as error:
                if s3_status(error) not in _BUSY and s3_status(error) < 500:
                    raise self._refused(error, offset + size) from error
                failure = error
            except (BotoCoreError, OSError) as error:
                raise FetchError(self._explain(error)) from error
            except Exception as error:  # botocore fails in many ways on what is no answer of S3
                raise FetchError(f"{self._place} does not answer as S3 does ({error!r}; {self.url})") from error
        raise FetchError(f"{self._explain(failure)}, tried {ATTEMPTS} times ({self.url})") from failure

    def _read(self, offset: int, size: int, attempt: int, is_abandoned: Event) -> bytes:
        """Make one attempt; only the first one sends an earlier request again, which would not say why it fails."""
        again = None if attempt else ask_again(self.options, self.url, byte_range(offset, size))
        response = again or self._request(offset, size)
        metadata = response["ResponseMetadata"]
        is_part = metadata["HTTPStatusCode"] == 206
        skipped = 0 if is_part else offset
        # one byte more than wanted, to see the end, which also frees the connection for the next request
        chunks, missing = [], skipped + size + 1
        with response["Body"] as body:
            if is_part:
                self._check_part(metadata["HTTPHeaders"], offset, size)
            else:
                self._check_whole(metadata["HTTPHeaders"], offset + size)
            while missing and not is_abandoned.is_set() and (chunk := body.read(min(_CHUNK_BYTES, missing))):
                chunks.append(chunk)
                missing -= len(chunk)
        if not missing and is_part:
            raise FetchError(f"{self._place} sends more than the {size:,} bytes requested of it ({self.url})")
        if missing > 1:
            received = skipped + size + 1 - missing
            raise IncompleteReadError(actual_bytes=received, expected_bytes=skipped + size)
        return b"".join(chunks)[skipped : skipped + size]

    def _stored_size(self) -> int | None:
        """Make one attempt; the answer to a HEAD request would not say why it is refused."""
        try:
            response = self._request(0, 1)
        except ClientError as error:
            if s3_status(error) == 416:
                return 0
            if s3_status(error) == 404 and s3_code(error) != "NoSuchBucket":
                return None
            raise
        with response["Body"] as body:
            headers = response["ResponseMetadata"]["HTTPHeaders"]
            if response["ResponseMetadata"]["HTTPStatusCode"] != 206:
                return int(headers["content-length"])
            body.read()  # which frees the connection for the next request
            return int(headers["content-range"].rpartition("/")[2])

    def _request(self, offset: int, size: int) -> dict[str, Any]:
        """Send the request, once more without credentials if they are refused: a public object needs none."""
        bucket, _, key = self.url.removeprefix("s3://").partition("/")
        known = self.options, bucket

        def get(*, anonymous: bool = False) -> dict[str, Any]:
            response: dict[str, Any] = client(self.options, anonymous=anonymous).get_object(
                Bucket=bucket, Key=key, Range=byte_range(offset, size)
            )
            remember(self.options, self.url, response)
            return response

        if known in _read_without_credentials:
            try:
                return get(anonymous=True)
            except ClientError as error:
                if s3_status(error) not in (401, 403):
                    raise
                _read_without_credentials.discard(known)
        try:
            return get()
        except (ClientError, *credential_errors()) as error:
            if isinstance(error, ClientError) and s3_code(error) not in REFUSED_CREDENTIALS:
                raise
            try:
                response = get(anonymous=True)
            except ClientError as second:
                if s3_status(second) in (401, 403):
                    raise error from second
                raise
            _read_without_credentials.add(known)
            return response

    def _check_part(self, headers: Mapping[str, str], offset: int, size: int) -> None:
        """Check that a partial answer is the requested part."""
        stated = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", headers.get("content-range", ""))
        if stated and stated[3] != "*" and int(stated[3]) < offset + size:
            raise self._too_small(offset + size)
        if stated and (int(stated[1]), int(stated[2])) != (offset, offset + size - 1):
            raise FetchError(
                f"{self._place} sends the bytes {stated[1]} to {stated[2]} instead of "
                f"{offset} to {offset + size - 1} ({self.url})"
            )

    def _check_whole(self, headers: Mapping[str, str], end: int) -> None:
        """Check that an answer that is not partial is the recorded object, and short enough to be read up to `end`."""
        length = headers.get("content-length", "")
        is_recorded = length == str(self.size)
        if not is_recorded and headers.get("content-type", "").lower().startswith("text/html"):
            raise FetchError(
                f"{self._place} answers with a web page instead of {self.url}: "
                f"is there a login page in between, or is the address that of a web site?"
            )
        if length.isdecimal() and int(length) < end:
            raise self._too_small(end)
        if length and not is_recorded:
            raise FetchError(
                f"{self._place} sends {length} bytes instead of the recorded {self.size:,} ({self.url}); "
                f"replace it from a clone that has the right one: {self.push_command}"
            )
        if end > MAX_SKIPPED_BYTES:
            raise FetchError(
                f"{self._place} ignores which bytes are requested and sends the whole object, which is too long for "
                f"that ({self.url}): use a server that supports HTTP range requests"
            )

    def _refused(self, error: ClientError, end: int) -> FetchError:
        if s3_status(error) == 404 and s3_code(error) != "NoSuchBucket":
            return FetchError(
                f"remote {self.remote!r} does not have it ({self.url}); "
                f"push it from a clone that has it: {self.push_command}"
            )
        if s3_status(error) == 416:
            return self._too_small(end)
        if self.trust_hint and s3_status(error) in (401, 403):
            return FetchError(
                f"{self._place} refuses access ({s3_reason(error)}); it was asked without credentials, because "
                f"only the repository's own configuration names that address: {self.trust_hint}"
            )
        return FetchError(self._explain(error))

    def _too_small(self, end: int) -> FetchError:
        return FetchError(
            f"the object on remote {self.remote!r} ends before byte {end:,} ({self.url}); "
            f"replace it from a clone that has the right one: {self.push_command}"
        )

    def _explain(self, error: Exception) -> str:
        used = client(self.options)
        return explain_s3(error, self.remote, address(used), is_anonymous=is_anonymous(used))

    @property
    def _place(self) -> str:
        return f"remote {self.remote!r} at {address(client(self.options))}"
