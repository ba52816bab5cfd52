"""Downloading a file over HTTP, with resumption and retries.

None of the installed libraries does both: those that resume a download do not check whether the file has changed, and
those that retry start from the beginning.
"""

from __future__ import annotations

import json
import random
import re
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from email.message import Message
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import unquote, urlsplit

from loader._errors import url_without_secrets, without_secrets
from scripts._process.errors import UnavailableError
from scripts._process.files import replacing

ATTEMPTS = 4
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30
TIMEOUT_SECONDS = (10, 30)  # to connect, and between two chunks
RETRIED_STATUSES = (408, 425, 429, 500, 502, 503, 504)
CHUNK_BYTES = 1 << 16  # the most that a kill can lose
PROGRESS_BYTES = 1 << 20  # an attempt that downloads this much does not count as failed
SURPLUS_BYTES = 64 << 20  # the most to read beyond the expected size if the server does not state a length


@dataclass(frozen=True)
class FileInfo:
    """What a server's response headers say about a file.

    Attributes
    ----------
    filename
        The file name, empty if there is none.
    content_type
        The media type, empty if there is none.
    etag, modified
        The ETag and Last-Modified headers, empty if they are missing.
    """

    filename: str = ""
    content_type: str = ""
    etag: str = ""
    modified: str = ""

    @property
    def validator(self) -> str:
        """The value of If-Range with which the server sends the rest only if the file has not changed."""
        return self.etag if self.etag and not self.etag.startswith("W/") else self.modified


class _RetryableError(Exception):
    """An attempt failed, but another one may succeed."""

    def __init__(self, reason: str, *, pause: float = 0) -> None:
        super().__init__(reason)
        self.pause = pause


def download(url: str, part: Path, *, label: str, size: int | None = None, stopped: Event | None = None) -> FileInfo:
    """Download the file at `url` to `part`, resuming an earlier download.

    The download starts from the beginning if the file has changed, if the server does not support ranges, or if neither
    the server's headers nor a SHA-256 (known if `size` is given) can show a change. Dropped connections and temporary
    server errors are retried, with increasing pauses.

    Parameters
    ----------
    url
        The file.
    part
        Where to write the file, and `FileInfo` next to it. Neither is removed on failure.
    label
        The name of the file in printed lines.
    size
        The expected size in bytes; a file of another size is downloaded too.
    stopped
        Set to cancel the download.

    Raises
    ------
    UnavailableError
        The file cannot be downloaded; the message says why.
    """
    stopped = stopped or Event()
    failures = 0
    while True:
        before = _size(part)
        try:
            return _attempt(url, part, label=label, size=size, stopped=stopped, again=failures > 0 or before > 0)
        except _RetryableError as error:
            failures = 1 if _size(part) - before >= PROGRESS_BYTES else failures + 1
            if failures == ATTEMPTS:
                raise UnavailableError(f"{error}, tried {ATTEMPTS} times") from error
            pause = max(error.pause, FIRST_PAUSE_SECONDS * 2 ** (failures - 1) * random.uniform(0.5, 1.5))
            log(f"{label}: {url_without_secrets(url)} {error}; trying again")
            if stopped.wait(pause):
                raise UnavailableError("cancelled", report=False) from error


def discard(part: Path) -> None:
    """Remove a downloaded file and its `FileInfo`."""
    part.unlink(missing_ok=True)
    _info_path(part).unlink(missing_ok=True)


def log(line: str) -> None:
    """Print a line to stderr, above the progress bars, without the secrets of URLs."""
    from tqdm import tqdm

    tqdm.write(without_secrets(line), file=sys.stderr)


def _attempt(url: str, part: Path, *, label: str, size: int | None, stopped: Event, again: bool) -> FileInfo:
    import requests
    import urllib3

    info, done = _read_info(part), _size(part)
    if done and done == size:
        return info  # complete; the caller checks its SHA-256
    headers = {"Accept-Encoding": "identity"}  # otherwise a .gz file may arrive decompressed
    if done and (info.validator or size is not None):
        headers["Range"] = f"bytes={done}-"
        if info.validator:
            headers["If-Range"] = info.validator
    try:
        with requests.get(url, stream=True, timeout=TIMEOUT_SECONDS, headers=headers) as response:
            if response.status_code in RETRIED_STATUSES:
                raise _RetryableError(_status(response), pause=_retry_after(response))
            if response.status_code == 416 and "Range" in headers:
                if _total(response) == done:
                    return info
                discard(part)
                raise _RetryableError("does not have the rest of the file")
            if not response.ok:
                raise UnavailableError(_status(response))
            if response.status_code == 206 and not ("Range" in headers and _starts_at(response, done)):
                discard(part)
                raise _RetryableError("sends another range than the requested one")
            if response.status_code != 206:
                info, done = _info(response), 0
                part.write_bytes(b"")
                with replacing(_info_path(part)) as file:
                    file.write(json.dumps(asdict(info)).encode())
            _receive(response, part, url=url, label=label, done=done, size=size, stopped=stopped)
            return info
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        if _is_final(error) or (not again and _never_connected(error)):  # another location may have it
            raise UnavailableError(_innermost_reason(error, url)) from error
        raise _RetryableError(_innermost_reason(error, url)) from error


def _receive(response: Any, part: Path, *, url: str, label: str, done: int, size: int | None, stopped: Event) -> None:
    """Append the response body to the file."""
    from tqdm import tqdm

    length = response.headers.get("Content-Length", "")
    total = done + int(length) if length.isdecimal() else None
    of = "" if (total or size) is None else f" of {total or size:,} bytes"
    shown = url_without_secrets(url)
    action = f"resuming {shown} at {done:,}{of}" if done else f"downloading {shown}"
    log(f"{label}: {action}")
    bar = tqdm(
        total=total or size,
        initial=done,
        unit="B",
        unit_scale=True,
        desc=without_secrets(label),
        leave=False,
        disable=not _on_terminal(),
    )
    with bar, part.open("ab") as file:
        for chunk in response.raw.stream(CHUNK_BYTES, decode_content=False):
            if stopped.is_set():
                raise UnavailableError("cancelled", report=False)
            file.write(chunk)
            file.flush()  # so that a killed download can be resumed from here
            done += len(chunk)
            bar.update(len(chunk))
            if total is None and size is not None and done > size + SURPLUS_BYTES:
                raise UnavailableError(f"sends far more than the recorded {size:,} bytes; has the file changed?")
    if size is not None and done < size and total is None and not response.raw.chunked:
        # without a length, the end of the file and a dropped connection look the same
        raise _RetryableError(f"ends after {done:,} of {size:,} bytes")


def _info(response: Any) -> FileInfo:
    headers = response.headers
    content_type = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    header = Message()
    header["Content-Disposition"] = headers.get("Content-Disposition", "")
    path = unquote(urlsplit(response.url).path)
    filename = Path(header.get_filename() or path.rpartition("/")[2]).name
    return FileInfo(filename, content_type, headers.get("ETag", ""), headers.get("Last-Modified", ""))


def _info_path(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _read_info(part: Path) -> FileInfo:
    try:
        return FileInfo(**json.loads(_info_path(part).read_bytes()))
    except (FileNotFoundError, ValueError, TypeError):
        return FileInfo()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _starts_at(response: Any, offset: int) -> bool:
    return re.match(rf"bytes {offset}-\d+/", response.headers.get("Content-Range", "")) is not None


def _total(response: Any) -> int | None:
    match = re.fullmatch(r"bytes \*/(\d+)", response.headers.get("Content-Range", ""))
    return int(match[1]) if match else None


def _status(response: Any) -> str:
    return f"answers {response.status_code} {response.reason}"


def _retry_after(response: Any) -> float:
    with suppress(ValueError):
        return min(float(response.headers.get("Retry-After", "")), LONGEST_PAUSE_SECONDS)
    return 0


def _is_final(error: Exception) -> bool:
    """Return whether another request would fail in the same way."""
    from requests import exceptions

    if isinstance(error, exceptions.SSLError | exceptions.ProxyError):
        return True
    temporary = exceptions.ConnectionError | exceptions.Timeout | exceptions.ChunkedEncodingError
    return isinstance(error, exceptions.RequestException) and not isinstance(error, temporary)


def _never_connected(error: Exception) -> bool:
    from urllib3.exceptions import ConnectTimeoutError

    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(reason, ConnectTimeoutError)  # its subclasses include refused, unknown and unreachable hosts


def _innermost_reason(error: Exception, url: str) -> str:
    """Return the innermost reason of a chain of wrapped network errors."""
    reason: BaseException = error
    while (inner := reason.__cause__ or reason.__context__) is not None:
        reason = inner
    text = str(reason).rpartition(">: ")[2] or type(reason).__name__
    text = text.splitlines()[0].replace(url, url_without_secrets(url))
    return without_secrets(text)[:200]  # before a secret is cut in two


def _on_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()
