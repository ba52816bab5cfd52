"""Read byte ranges of S3 objects."""

from __future__ import annotations

import os
import random
import threading
import time
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from botocore import UNSIGNED
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    IncompleteReadError,
    ResponseStreamingError,
)
from botocore.session import Session

from loader._errors import FetchError, endpoint_of, explain_s3, s3_status

ATTEMPTS = 5
FIRST_PAUSE_SECONDS = 0.2
CONNECTIONS = 16
TIMEOUT_SECONDS = 20
_BUSY = (408, 429)
_TRANSIENT = (
    EndpointConnectionError,
    ConnectTimeoutError,
    HTTPClientError,
    IncompleteReadError,
    ResponseStreamingError,
)


@dataclass(frozen=True)
class S3Object:
    """An object on S3.

    It can be pickled and used after a fork; each process has its own connections.

    Attributes
    ----------
    url
        `s3://bucket/key`.
    remote
        The name of the DVC remote, for messages.
    options
        The remote's options, as DVC documents them for S3: endpointurl, region, profile, credentialpath, configpath,
        access_key_id, secret_access_key, session_token, allow_anonymous_login, use_ssl, ssl_verify, read_timeout,
        connect_timeout.
    """

    url: str
    remote: str
    options: tuple[tuple[str, Any], ...] = field(repr=False)  # may contain a secret key

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
        client = _client(os.getpid(), self.options)
        parts = urlsplit(self.url)
        wanted = {"Bucket": parts.netloc, "Key": parts.path[1:], "Range": f"bytes={offset}-{offset + size - 1}"}
        for attempt in range(ATTEMPTS):
            if attempt and not threading.main_thread().is_alive():
                break  # the program is exiting and waits for this thread
            if attempt:
                time.sleep(FIRST_PAUSE_SECONDS * 2 ** (attempt - 1) * random.uniform(0.5, 1.5))
            try:
                response = client.get_object(**wanted)
                if response["ContentLength"] != size:
                    raise self._too_small(offset + size)
                data: bytes = response["Body"].read()
            except _TRANSIENT as error:
                failure: Exception = error
            except ClientError as error:
                if s3_status(error) not in _BUSY and s3_status(error) < 500:
                    raise self._refused(error, offset + size) from error
                failure = error
            except (BotoCoreError, OSError) as error:
                raise FetchError(explain_s3(error, self.remote, self._endpoint)) from error
            else:
                return data
        raise FetchError(
            f"{explain_s3(failure, self.remote, self._endpoint)}, tried {ATTEMPTS} times ({self.url})"
        ) from failure

    @property
    def _endpoint(self) -> str:
        return endpoint_of(dict(self.options))

    def _refused(self, error: ClientError, end: int) -> FetchError:
        if s3_status(error) == 404:
            return FetchError(
                f"remote {self.remote!r} does not have it ({self.url}); push it from a clone that has it: dvc push"
            )
        if s3_status(error) == 416:
            return self._too_small(end)
        return FetchError(explain_s3(error, self.remote, self._endpoint))

    def _too_small(self, end: int) -> FetchError:
        return FetchError(
            f"the object on remote {self.remote!r} ends before byte {end:,} ({self.url}); "
            f"replace it from a clone that has the right one: make push DATASET=..."
        )


@lru_cache(maxsize=16)
def _client(process: int, options: tuple[tuple[str, Any], ...]) -> BaseClient:
    """Return the client of a process; connections cannot be shared after a fork."""
    option = dict(options)
    session = Session(profile=option.get("profile"))
    for variable, name in (("credentials_file", "credentialpath"), ("config_file", "configpath")):
        if option.get(name):
            session.set_config_variable(variable, option[name])
    try:
        # a public remote can be read without credentials
        key_id = option.get("access_key_id")
        anonymous = option.get("allow_anonymous_login") or not (key_id or session.get_credentials())
        client: BaseClient = session.create_client(
            "s3",
            # S3 servers other than AWS accept any region, and AWS redirects to the right one
            region_name=option.get("region") or session.get_config_variable("region") or "us-east-1",
            endpoint_url=option.get("endpointurl"),
            use_ssl=option.get("use_ssl", True),
            verify=option.get("ssl_verify"),
            aws_access_key_id=key_id,
            aws_secret_access_key=option.get("secret_access_key"),
            aws_session_token=option.get("session_token"),
            config=Config(
                signature_version=UNSIGNED if anonymous else None,
                connect_timeout=option.get("connect_timeout") or TIMEOUT_SECONDS,
                read_timeout=option.get("read_timeout") or TIMEOUT_SECONDS,
                max_pool_connections=CONNECTIONS,
                retries={"total_max_attempts": 1},  # `S3Object.read` retries, after truncated bodies too
                response_checksum_validation="when_required",  # the manifest's hashes verify the bytes
            ),
        )
        return client
    except (BotoCoreError, ValueError) as error:
        raise FetchError(f"the AWS configuration of this machine cannot be used: {error}") from error
