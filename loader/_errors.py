"""The errors of the loader.

    LoaderError
    ├── ArgumentError      an argument that makes no sense; also a ValueError
    ├── AccessError        a dataset's build reads what its stage does not depend on
    ├── NotFoundError      no such repository, revision, dataset, version, config or split
    ├── ManifestError      the manifest is missing, unreadable, or belongs to another artifact
    ├── FetchError         a repository or an artifact that is not here could not be fetched
    ├── IntegrityError     bytes differ from what was recorded: tampered, truncated, rotten
    ├── DecodeError        recorded bytes that do not decode to the features they are declared to hold
    └── UnsupportedError   a feature that this loader cannot decode, or a package that is not installed

Each message names the dataset, the file and, where there is one, the command that fixes it.
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

    Its message is one line that can be printed anywhere, whatever a dataset calls its things: what is no printable
    character is escaped, and of a long message the middle is left out.
    """

    def __str__(self) -> str:
        text = super().__str__()
        if len(text) > _MAX_CHARACTERS:
            text = f"{text[: _MAX_CHARACTERS // 2]} [...] {text[-_MAX_CHARACTERS // 2 :]}"
        if text.isprintable():
            return text
        return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class ArgumentError(LoaderError, ValueError):
    """An argument makes no sense."""


class AccessError(LoaderError):
    """The build of a dataset reads what its stage does not depend on."""


class NotFoundError(LoaderError):
    """There is no such repository, revision, dataset, version, config or split."""


class ManifestError(LoaderError):
    """The manifest is missing, cannot be read, or belongs to another artifact."""


class FetchError(LoaderError):
    """A repository or an artifact that is not on this machine could not be fetched."""


class IntegrityError(LoaderError):
    """Bytes are not those that were recorded."""


class DecodeError(LoaderError):
    """Recorded bytes do not decode to the features they are declared to hold."""


class UnsupportedError(LoaderError):
    """A feature that this loader cannot decode, or a package that is not installed."""


def endpoint_of(options: Mapping[str, Any]) -> str:
    """Return the server of a remote with these options, for messages."""
    return options.get("endpointurl") or os.environ.get("AWS_ENDPOINT_URL") or "AWS"


def explain_s3(error: BaseException, remote: str, endpoint: str) -> str:
    """Say in one sentence why the remote refused or did not answer, and what to do about it."""
    from botocore.exceptions import ClientError, NoCredentialsError, PartialCredentialsError

    if isinstance(error, (NoCredentialsError, PartialCredentialsError)):
        return (
            f"remote {remote!r} needs credentials and there are none: "
            f"set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    if isinstance(error, ClientError) and s3_status(error) >= 500:
        return f"remote {remote!r} at {endpoint} answers with an error ({error})"
    if isinstance(error, (PermissionError, ClientError)):
        return f"remote {remote!r} at {endpoint} refuses access ({error}): check the AWS credentials in use"
    return f"remote {remote!r} at {endpoint} cannot be reached ({str(error).rstrip('.') or type(error).__name__})"


def s3_status(error: ClientError) -> int:
    """Return the HTTP status of an answer that is an error."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
