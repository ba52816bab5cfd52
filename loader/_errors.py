"""The errors of the loader.

    LoaderError
    ├── ArgumentError      an invalid argument; also a ValueError
    ├── AccessError        a build reads something that its stage does not depend on
    ├── NotFoundError      no such repository, revision, dataset, version, config, split, feature or file
    ├── ManifestError      the manifest is missing, unreadable, or belongs to another artifact
    ├── FetchError         a repository or an artifact could not be fetched
    ├── IntegrityError     bytes differ from those recorded: tampered with, truncated or corrupted
    ├── DecodeError        the recorded bytes do not decode to the declared features
    └── UnsupportedError   the loader cannot decode a feature, or a package is not installed

Each message names the dataset, the file and, if there is one, the command that fixes it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

_MAX_CHARACTERS = 2000


class LoaderError(Exception):
    """Base class of every error that the loader raises on purpose.

    The message is one line that can be printed anywhere, whatever names a dataset contains: unprintable characters are
    escaped, and the middle of a long message is left out.
    """

    def __str__(self) -> str:
        text = super().__str__()
        if len(text) > _MAX_CHARACTERS:
            text = f"{text[: _MAX_CHARACTERS // 2]} [...] {text[-_MAX_CHARACTERS // 2 :]}"
        if text.isprintable():
            return text
        return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class ArgumentError(LoaderError, ValueError):
    """An argument is invalid."""


class AccessError(LoaderError):
    """The build of a dataset reads something that its stage does not depend on."""


class NotFoundError(LoaderError):
    """There is no such repository, revision, dataset, version, config, split, feature or file."""


class ManifestError(LoaderError):
    """The manifest is missing, cannot be read, or belongs to another artifact."""


class FetchError(LoaderError):
    """A repository or an artifact is not on this machine and could not be fetched."""


class IntegrityError(LoaderError):
    """Bytes differ from those recorded."""


class DecodeError(LoaderError):
    """The recorded bytes do not decode to the declared features."""


class UnsupportedError(LoaderError):
    """The loader cannot decode a feature, or a package is not installed."""


def endpoint_of(options: Mapping[str, Any]) -> str:
    """Return the endpoint of a remote with these options, for messages."""
    return options.get("endpointurl") or os.environ.get("AWS_ENDPOINT_URL") or "AWS"


def explain_s3(error: BaseException, remote: str, endpoint: str) -> str:
    """Return one sentence that says why the remote refused or did not answer, and what to do about it."""
    from botocore.exceptions import ClientError, NoCredentialsError, PartialCredentialsError

    if isinstance(error, (NoCredentialsError, PartialCredentialsError)):
        return (
            f"remote {remote!r} needs credentials, and none are configured: "
            f"set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    if isinstance(error, ClientError) and s3_status(error) >= 500:
        return f"remote {remote!r} at {endpoint} answers with an error ({error})"
    if isinstance(error, (PermissionError, ClientError)):
        return f"remote {remote!r} at {endpoint} refuses access ({error}): check the AWS credentials in use"
    return f"remote {remote!r} at {endpoint} cannot be reached ({str(error).rstrip('.') or type(error).__name__})"


def s3_status(error: ClientError) -> int:
    """Return the HTTP status of an error response."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
