"""What the responses of web servers say, and why requests failed."""

from __future__ import annotations

import re
from contextlib import suppress
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from loader._errors import url_without_secrets, without_secrets

LONGEST_PAUSE_SECONDS = 30


def filename_of(response: Any) -> str:
    """Return the name that the server gives a file, empty if there is none. It never contains a folder."""
    header = Message()
    header["Content-Disposition"] = response.headers.get("Content-Disposition", "")
    path = unquote(urlsplit(response.url).path)
    return Path(header.get_filename() or path.rpartition("/")[2]).name


def content_type_of(response: Any) -> str:
    """Return the media type, empty if there is none."""
    return str(response.headers.get("Content-Type", "").partition(";")[0].strip().lower())


def encoding_of(response: Any) -> str:
    """Return the encodings of the body, comma-separated in the order in which they were applied, mostly none."""
    names = [
        name.strip().lower().removeprefix("x-") for name in response.headers.get("Content-Encoding", "").split(",")
    ]
    return ",".join(name for name in names if name not in ("", "identity"))


def starts_at(response: Any, offset: int) -> bool:
    """Return whether a partial response starts at this offset."""
    return re.match(rf"bytes {offset}-\d+/", response.headers.get("Content-Range", "")) is not None


def total_of(response: Any) -> int | None:
    """Return the size of the file that a response states which refuses a range, None if it states none."""
    match = re.fullmatch(r"bytes \*/(\d+)", response.headers.get("Content-Range", ""))
    return int(match[1]) if match else None


def length_of(response: Any) -> int | None:
    """Return the number of bytes of the body, None if the response does not state it."""
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdecimal() else None


def status_of(response: Any) -> str:
    """Return the status for messages."""
    return f"answers {response.status_code} {response.reason}"


def retry_after(response: Any) -> float:
    """Return the seconds to wait before the next request, 0 if the response does not state them."""
    with suppress(ValueError):
        return min(float(response.headers.get("Retry-After", "")), LONGEST_PAUSE_SECONDS)
    return 0


def is_final(error: Exception) -> bool:
    """Return whether another request would fail in the same way."""
    from requests import exceptions

    if isinstance(error, exceptions.SSLError | exceptions.ProxyError):
        return True
    temporary = exceptions.ConnectionError | exceptions.Timeout | exceptions.ChunkedEncodingError
    return isinstance(error, exceptions.RequestException) and not isinstance(error, temporary)


def never_connected(error: Exception) -> bool:
    """Return whether the host is unknown, unreachable or refused the connection."""
    from urllib3.exceptions import ConnectTimeoutError

    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(reason, ConnectTimeoutError)  # its subclasses include refused, unknown and unreachable hosts


def innermost_reason(error: BaseException, url: str) -> str:
    """Return the innermost reason of a chain of wrapped network errors."""
    reason: BaseException = error
    while (inner := reason.__cause__ or reason.__context__) is not None:
        reason = inner
    text = str(reason).rpartition(">: ")[2] or type(reason).__name__
    text = text.splitlines()[0].replace(url, url_without_secrets(url))
    return without_secrets(text)[:200]  # before a secret is cut in two
