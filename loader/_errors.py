"""The errors of the loader.

    LoaderError
    ├── ArgumentError      an invalid argument; also a ValueError
    ├── AccessError        a build reads something that its stage does not depend on
    ├── NotFoundError      no such repository, revision, dataset, version, config, split, feature or file
    ├── ManifestError      the manifest is missing, unreadable, or belongs to another artifact
    ├── FetchError         a repository or an artifact could not be fetched
    ├── IntegrityError     bytes differ from those recorded: tampered with, truncated or corrupted
    ├── TrustError         no listed key signed what is read
    ├── DecodeError        the recorded bytes do not decode to the declared features
    └── UnsupportedError   the loader cannot decode a feature, or a package is not installed

Each message names the dataset, the file and, if there is one, the command that fixes it.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

REFUSED_CREDENTIALS = (
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidAccessKeyId",
    "InvalidToken",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
)
"""The codes with which S3 refuses a request because of its credentials, whatever it asks for."""

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
        return printable(text)


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


class TrustError(LoaderError):
    """With `trust=`, no listed key signed what is read, or this cannot be found out."""


class DecodeError(LoaderError):
    """The recorded bytes do not decode to the declared features."""


class UnsupportedError(LoaderError):
    """The loader cannot decode a feature, or a package is not installed."""


def printable(text: str) -> str:
    """Return one line of text with the characters escaped that could control a terminal."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def without_secrets(text: str) -> str:
    """Return a text without the users and passwords of its URLs, and with `***` for the values of query and fragment.

    Any value may be a token: servers choose the names. A URL ends at a space, so a URL alone is for
    `url_without_secrets`.
    """
    text = re.sub(_USER, r"\1\2", text)
    text = re.sub(_QUERY, lambda found: found[1] + re.sub(_VALUE, r"\1***", found[2]), text)
    return re.sub(_NAMED_VALUE, r"\1***", text)


def url_without_secrets(url: str) -> str:
    """Return a URL as `without_secrets` does; it may contain spaces, which become %20."""
    return without_secrets(re.sub(r"\s", "%20", url))


# also of a URL without a scheme; a password may contain a slash
_USER = r"(?:(?<=:/)(/?)|(?<![\w:/])(//))(?:[^/\s]*|[^/\s:]*:(?!\d*/)\S*)@"
# from the first of ?, # and ; in a URL, or ? in a path, as in the messages of urllib3, to the next space; quotes do not
# end it, because a value may contain them, but punctuation at the end belongs to the sentence
_QUERY = r"""(:/[^\s?#;]*[?#;]|(?<![\w:/.])/[^\s?#]*\?)(\S*[^\s'"<>.,;:!)\]}])"""
# the base64 of a token may end in =, and then is no name
_VALUE = r"([\w.~%[\]-]{1,40}=(?=[^=&?#;]))?[^&?#;]+"
_NAMED_VALUE = r"""(?<=[?&])([\w.~%[\]-]{1,40}=)[^\s&#]*[^\s&#'"<>.,;:!)\]}]"""


def endpoint_of(options: Mapping[str, Any]) -> str:
    """Return the endpoint of a remote with these options, for messages."""
    variables = map(os.environ.get, ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"))
    return without_secrets(str(options.get("endpointurl") or next(filter(None, variables), "AWS")))


def explain_s3(error: BaseException, remote: str, endpoint: str, *, is_anonymous: bool = False) -> str:
    """Return one sentence that says why the remote refused or did not answer, and what to do about it.

    Parameters
    ----------
    error
        What botocore, aiobotocore or s3fs raised.
    remote, endpoint
        The remote's name and address.
    is_anonymous
        Whether the request was sent without credentials.
    """
    from botocore.exceptions import ClientError, NoCredentialsError, PartialCredentialsError

    answer = next((each for each in (error, error.__cause__) if isinstance(each, ClientError)), None)  # s3fs wraps it
    code, status = (s3_code(answer), s3_status(answer)) if answer else ("", 0)
    reason = s3_reason(answer) if answer else without_secrets(str(error)).rstrip(".") or type(error).__name__
    place = f"remote {remote!r} at {endpoint}"
    if isinstance(error, (NoCredentialsError, PartialCredentialsError)):
        return f"remote {remote!r} needs credentials, and none are configured: {_SET_CREDENTIALS}"
    if isinstance(error, credential_errors()):
        return f"remote {remote!r} needs credentials, and they cannot be obtained ({reason}): sign in to AWS again"
    if code in ("RequestTimeTooSkewed", "RequestExpired"):
        return f"{place} refuses the request because the clock of this machine is wrong ({reason}): set the clock"
    if code in REFUSED_CREDENTIALS:
        problem = "have expired" if "Expired" in code or "Refresh" in code else "are not accepted"
        return f"{place} refuses access, because the AWS credentials in use {problem} ({reason}): {_SET_CREDENTIALS}"
    if answer and (status in _MOVED or code in ("AuthorizationHeaderMalformed", "IllegalLocationConstraintException")):
        return f"the bucket of remote {remote!r} is not at {endpoint}, but {_new_address(answer, remote)} ({reason})"
    if code == "NoSuchBucket":
        return f"{place} has no such bucket ({reason}): check the remote's url in .dvc/config"
    if isinstance(error, PermissionError) or status in (401, 403):
        return f"{place} refuses access " + (
            f"without credentials ({reason}): {_SET_CREDENTIALS}"
            if is_anonymous
            else f"({reason}): check the AWS credentials in use"
        )
    return f"{place} answers with an error ({reason})" if answer else f"{place} cannot be reached ({reason})"


def credential_errors() -> tuple[type[BaseException], ...]:
    """Return botocore's errors of credentials that cannot be obtained, for example because a session has expired."""
    from botocore import exceptions

    return (
        exceptions.CredentialRetrievalError,
        exceptions.MetadataRetrievalError,
        exceptions.SSOError,
        exceptions.TokenRetrievalError,
    )


def s3_status(error: ClientError) -> int:
    """Return the HTTP status of an error response."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def s3_reason(error: ClientError) -> str:
    """Return what an error response says, like "HTTP status 403, AccessDenied: Access Denied"."""
    code, message = s3_code(error), str(error.response.get("Error", {}).get("Message", "")).rstrip(".")
    said = ": ".join(part for part in (code, message) if part and part != str(s3_status(error)))
    return without_secrets(f"HTTP status {s3_status(error)}" + (f", {said}" if said else ""))


def s3_code(error: ClientError) -> str:
    """Return S3's code of an error response, like "NoSuchKey"."""
    return str(error.response.get("Error", {}).get("Code", ""))


_SET_CREDENTIALS = "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
_MOVED = (301, 302, 303, 307, 308)


def _new_address(answer: ClientError, remote: str) -> str:
    """Return where a redirect leads, and how to go there: it is not followed, because credentials would go with it."""
    error, metadata = answer.response.get("Error", {}), answer.response.get("ResponseMetadata", {})
    headers = metadata.get("HTTPHeaders", {})
    set_option = f"dvc remote modify --local {shlex.quote(remote)}"
    if region := headers.get("x-amz-bucket-region") or error.get("Region"):
        return f"in the region {region}: {set_option} region {shlex.quote(region)}"
    location = without_secrets(str(error.get("Endpoint") or headers.get("location") or "another address"))
    return f"at {location}: if that is an S3 server, use it with: {set_option} endpointurl <its URL>"
