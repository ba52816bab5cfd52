"""The client that sends requests to S3: which credentials they carry, and what is read of an answer."""

from __future__ import annotations

import io
import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from botocore import UNSIGNED
from botocore.awsrequest import AWSPreparedRequest, AWSRequest, AWSResponse
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import BotoCoreError, HTTPClientError
from botocore.response import StreamingBody
from botocore.session import Session
from urllib3 import HTTPResponse

from loader._errors import FetchError, without_secrets

CONNECTIONS = 32
TIMEOUT_SECONDS = 20
MAX_TIMEOUT_SECONDS = 300
MAX_ERROR_BYTES = 64 << 10
SIGNED_SECONDS = 300
"""How long a signed request is sent again for other ranges; AWS accepts it for 15 minutes."""
_AWS_HOST = re.compile(r".*\.amazonaws\.com(\.cn)?")

Options = tuple[tuple[str, Any], ...]

_creating: dict[int, threading.Lock] = {}
"""What only one thread of a process has while it makes a client."""
_of_thread = threading.local()
_answered: dict[tuple[int, Options, str], _Answered] = {}
"""The last request that was answered, by process, remote and object."""


def client(options: Options, *, anonymous: bool = False) -> BaseClient:
    """Return this process's client for a remote with these options; without credentials it is anonymous.

    Raises
    ------
    FetchError
        The machine's AWS configuration, or an option, cannot be used.
    """
    # connections cannot be shared after a fork, and a variable may be set after an error that says so
    variables = tuple(sorted((name, value) for name, value in os.environ.items() if name.startswith("AWS_")))
    process = os.getpid()
    with _creating.setdefault(process, threading.Lock()):  # or each of many threads would make one, in 0.1 seconds
        return _client(process, variables, options, anonymous)


def is_anonymous(client: BaseClient) -> bool:
    """Return whether the client sends no credentials."""
    return client.meta.config.signature_version is UNSIGNED


def address(client: BaseClient) -> str:
    """Return the address of the client's server, for messages."""
    url = str(client.meta.endpoint_url)
    return "AWS" if _AWS_HOST.fullmatch(urlsplit(url).hostname or "") else without_secrets(url)


def is_own_endpoint(endpoint: str, options: Mapping[str, Any]) -> bool:
    """Return whether requests go to `endpoint` if a remote with these options names no endpoint itself.

    That is so if it is AWS's own, or if a variable (AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_S3) or the AWS profile names it.
    """
    without = tuple(sorted((name, value) for name, value in options.items() if name != "endpointurl"))
    return str(client(without, anonymous=True).meta.endpoint_url).rstrip("/") == endpoint.rstrip("/")


def timeouts(options: Mapping[str, Any]) -> tuple[float, float]:
    """Return the seconds in which a server must accept a connection, and in which it must go on with an answer."""
    connect, read = (options.get(name) or TIMEOUT_SECONDS for name in ("connect_timeout", "read_timeout"))
    return min(max(connect, 1), MAX_TIMEOUT_SECONDS), min(max(read, 1), MAX_TIMEOUT_SECONDS)


class _Answered(NamedTuple):
    """A signed request that the server answered, and what sends it."""

    send: Callable[[AWSPreparedRequest], AWSResponse]
    request: AWSPreparedRequest
    time: float


def byte_range(offset: int, size: int) -> str:
    """Return the value of the header that asks for the `size` bytes at `offset`."""
    return f"bytes={offset}-{offset + size - 1}"


def remember(options: Options, url: str, response: dict[str, Any]) -> None:
    """Remember this thread's last request if its response is a part of the object, so that others can be asked for."""
    if response["ResponseMetadata"]["HTTPStatusCode"] == 206 and (answered := _of_thread.__dict__.get("answered")):
        _answered[os.getpid(), options, url] = answered


def ask_again(options: Options, url: str, byte_range: str) -> dict[str, Any] | None:
    """Send the last request for an object for another range; botocore takes three times as long to make another one.

    Returns
    -------
    response
        The response with a part of the object, as botocore returns it; None if there is no request to send again.

    Raises
    ------
    HTTPClientError
        There is another response, or none. The next attempt makes a new request, which says why.
    """
    key = os.getpid(), options, url
    answered = _answered.get(key)
    if answered is None or time.monotonic() - answered.time > SIGNED_SECONDS:
        return None
    headers = {**answered.request.headers, "Range": byte_range}
    try:
        # the session is botocore's own, with its proxies and certificates
        response = answered.send(AWSPreparedRequest("GET", answered.request.url, headers, None, stream_output=True))
        if response.status_code != 206:
            response.raw.close()
            raise HTTPClientError(error=f"status {response.status_code}")
    except Exception:
        _answered.pop(key, None)
        raise
    body = StreamingBody(response.raw, response.headers.get("content-length"))
    return {"ResponseMetadata": {"HTTPStatusCode": 206, "HTTPHeaders": response.headers}, "Body": body}


@lru_cache(maxsize=32)
def _client(process: int, variables: Options, options: Options, anonymous: bool) -> BaseClient:
    option = dict(options)
    connect_timeout, read_timeout = timeouts(option)
    try:
        session = Session(profile=option.get("profile"))
        for variable, name in (("credentials_file", "credentialpath"), ("config_file", "configpath")):
            if option.get(name):
                session.set_config_variable(variable, option[name])
        anonymous = anonymous or option.get("allow_anonymous_login", False)
        key_id = None if anonymous else option.get("access_key_id")
        # a public remote can be read without credentials
        anonymous = anonymous or not (key_id or session.get_credentials())
        client: BaseClient = session.create_client(
            "s3",
            # S3 servers other than AWS accept any region, and AWS redirects to the right one
            region_name=option.get("region") or session.get_config_variable("region") or "us-east-1",
            endpoint_url=option.get("endpointurl"),
            use_ssl=option.get("use_ssl", True),
            verify=option.get("ssl_verify"),
            aws_access_key_id=key_id,
            aws_secret_access_key=option.get("secret_access_key") if key_id else None,
            aws_session_token=option.get("session_token") if key_id else None,
            config=Config(
                signature_version=UNSIGNED if anonymous else None,
                connect_timeout=connect_timeout,
                read_timeout=read_timeout,
                max_pool_connections=CONNECTIONS,
                retries={"total_max_attempts": 1},  # `S3Object.read` retries, after truncated bodies too
                response_checksum_validation="when_required",  # the manifest's hashes verify the bytes
            ),
        )
    except (BotoCoreError, ValueError) as error:
        raise FetchError(f"the AWS configuration of this machine cannot be used: {error}") from error
    # botocore has no other access to its HTTP session, with its proxies and certificates
    client.meta.events.register("before-send.s3", partial(_send, client._endpoint.http_session.send))
    client.meta.events.register("before-sign.s3.GetObject", _take_range)
    return client


def _take_range(request: AWSRequest, **_: object) -> None:
    """Have the request signed without its range, so that the signature is right for others."""
    _of_thread.range = request.headers["Range"]
    del request.headers["Range"]


def _send(send: Callable[[AWSPreparedRequest], AWSResponse], request: AWSPreparedRequest, **_: object) -> AWSResponse:
    """Send a request, and read what an error response says here, where botocore handles a failure, and only a part."""
    # urllib3 follows no redirect here, but fails at status 303 if a header is bytes
    for name, value in list(request.headers.items()):
        request.headers[name] = value.decode("latin-1") if isinstance(value, bytes) else value
    if byte_range := _of_thread.__dict__.pop("range", None):
        request.headers["Range"] = byte_range
    _of_thread.answered = None
    response = send(request)
    if response.status_code < 300:
        _of_thread.answered = _Answered(send, request, time.monotonic())
        return response
    text = response.raw.read(MAX_ERROR_BYTES)
    if request.method == "HEAD" and "x-amz-bucket-region" not in response.headers:
        # after a redirect botocore asks for the bucket's region, and if that is redirected it asks again, without end
        response.status_code = max(response.status_code, 400)
    raw = HTTPResponse(io.BytesIO(text), preload_content=False)
    return AWSResponse(response.url, response.status_code, response.headers, raw)
