"""Bringing a file over HTTP: continued where it broke off, tried again where that may help.

No library at hand does this: those that continue a file forget whether it is still the same one, and those that try
again start anew.
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
from urllib.parse import unquote, urlsplit, urlunsplit

from scripts._process.errors import UnavailableError
from scripts._process.files import replacing

ATTEMPTS = 4
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30
TIMEOUT_SECONDS = (10, 30)  # to connect, and between two chunks
BUSY = (408, 425, 429, 500, 502, 503, 504)
PIECE_BYTES = 1 << 16  # what a kill may lose
PROGRESS_BYTES = 1 << 20  # what an attempt must bring not to count as failed
SURPLUS_BYTES = 64 << 20  # what is read beyond the expected size from a server that does not say how much it sends


@dataclass(frozen=True)
class Answer:
    """What a server said of the file that it sent.

    Attributes
    ----------
    filename
        What it calls the file, empty where it gives it no name.
    content_type
        Its media type, empty where it does not say.
    etag, modified
        What tells this state of the file from another one; empty where it does not say.
    """

    filename: str = ""
    content_type: str = ""
    etag: str = ""
    modified: str = ""

    @property
    def validator(self) -> str:
        """The header by which the server sends the rest only if the file is still the same."""
        return self.etag if self.etag and not self.etag.startswith("W/") else self.modified


class _BrokenOffError(Exception):
    """An attempt failed, and another one may not."""

    def __init__(self, reason: str, *, pause: float = 0) -> None:
        super().__init__(reason)
        self.pause = pause


def download(url: str, part: Path, *, label: str, size: int | None = None, stopped: Event | None = None) -> Answer:
    """Bring the file at `url` to `part`, from where an earlier download left it.

    A file that changed in between, a server that sends no ranges, and one that does not say whether the file changed
    (where no size is known, so that no SHA-256 will tell) start anew. Dropped connections and servers that are busy or
    out of order are tried again, with longer and longer pauses.

    Parameters
    ----------
    url
        The file.
    part
        Where it goes. It stays whatever happens, with a file of what the server said of it beside it.
    label
        How the file is called in what is printed.
    size
        The bytes that it should have; a file of another size is brought all the same.
    stopped
        Set when nobody wants the file any more.

    Raises
    ------
    UnavailableError
        The file is not to be had; the message says why.
    """
    stopped = stopped or Event()
    failures = 0
    while True:
        before = _bytes(part)
        try:
            return _attempt(url, part, label=label, size=size, stopped=stopped, again=failures > 0 or before > 0)
        except _BrokenOffError as error:
            failures = 1 if _bytes(part) - before >= PROGRESS_BYTES else failures + 1
            if failures == ATTEMPTS:
                raise UnavailableError(f"{error}, tried {ATTEMPTS} times") from error
            pause = max(error.pause, FIRST_PAUSE_SECONDS * 2 ** (failures - 1) * random.uniform(0.5, 1.5))
            say(f"{label}: {shown(url)} {error}; trying again")
            if stopped.wait(pause):
                raise UnavailableError("given up", report=False) from error


def forget(part: Path) -> None:
    """Remove what was downloaded, and what is known of it."""
    part.unlink(missing_ok=True)
    _state(part).unlink(missing_ok=True)


def shown(url: str) -> str:
    """Return the URL without what may be secret in it: user, password and query."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def say(line: str) -> None:
    """Print a line for the person who waits, above the progress bars."""
    from tqdm import tqdm

    tqdm.write(line, file=sys.stderr)


def _attempt(url: str, part: Path, *, label: str, size: int | None, stopped: Event, again: bool) -> Answer:
    import requests
    import urllib3

    known, done = _read_state(part), _bytes(part)
    if done and done == size:
        return known  # complete; its SHA-256 will say what it is worth
    headers = {"Accept-Encoding": "identity"}  # a .gz file is the source, not a way to send it
    if done and (known.validator or size is not None):
        headers["Range"] = f"bytes={done}-"
        if known.validator:
            headers["If-Range"] = known.validator
    try:
        with requests.get(url, stream=True, timeout=TIMEOUT_SECONDS, headers=headers) as response:
            if response.status_code in BUSY:
                raise _BrokenOffError(_status(response), pause=_retry_after(response))
            if response.status_code == 416 and "Range" in headers:
                if _total(response) == done:
                    return known
                forget(part)
                raise _BrokenOffError("does not have the rest of what it began")
            if not response.ok:
                raise UnavailableError(_status(response))
            if response.status_code == 206 and not ("Range" in headers and _goes_on(response, done)):
                forget(part)
                raise _BrokenOffError("sends another part than it was asked for")
            if response.status_code != 206:
                known, done = _read_answer(response), 0
                part.write_bytes(b"")
                with replacing(_state(part)) as file:
                    file.write(json.dumps(asdict(known)).encode())
            _receive(response, part, url=url, label=label, done=done, size=size, stopped=stopped)
            return known
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        if _is_final(error) or (not again and _never_connected(error)):  # another location may have it
            raise UnavailableError(_short(error)) from error
        raise _BrokenOffError(_short(error)) from error


def _receive(response: Any, part: Path, *, url: str, label: str, done: int, size: int | None, stopped: Event) -> None:
    """Append the body to the file."""
    from tqdm import tqdm

    length = response.headers.get("Content-Length", "")
    total = done + int(length) if length.isdecimal() else None
    of = "" if (total or size) is None else f" of {total or size:,} bytes"
    say(f"{label}: {'continuing' if done else 'downloading'} {shown(url)}" + (f" at {done:,}{of}" if done else ""))
    bar = tqdm(
        total=total or size,
        initial=done,
        unit="B",
        unit_scale=True,
        desc=label,
        leave=False,
        disable=not _on_terminal(),
    )
    with bar, part.open("ab") as file:
        for chunk in response.raw.stream(PIECE_BYTES, decode_content=False):
            if stopped.is_set():
                raise UnavailableError("given up", report=False)
            file.write(chunk)
            file.flush()  # what a kill leaves is what the next run goes on from
            done += len(chunk)
            bar.update(len(chunk))
            if total is None and size is not None and done > size + SURPLUS_BYTES:
                raise UnavailableError(f"sends more than the {size:,} bytes recorded, without end; upstream changed?")
    if size is not None and done < size and total is None and not response.raw.chunked:
        raise _BrokenOffError(f"breaks off at {done:,} of {size:,} bytes")  # its only way to say that this is the end


def _read_answer(response: Any) -> Answer:
    headers = response.headers
    content_type = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    header = Message()
    header["Content-Disposition"] = headers.get("Content-Disposition", "")
    path = unquote(urlsplit(response.url).path)
    filename = Path(header.get_filename() or path.rpartition("/")[2]).name
    return Answer(filename, content_type, headers.get("ETag", ""), headers.get("Last-Modified", ""))


def _state(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _read_state(part: Path) -> Answer:
    try:
        return Answer(**json.loads(_state(part).read_bytes()))
    except (FileNotFoundError, ValueError, TypeError):
        return Answer()


def _bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _goes_on(response: Any, done: int) -> bool:
    return re.match(rf"bytes {done}-\d+/", response.headers.get("Content-Range", "")) is not None


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
    """Whether a request would fail in the same way again."""
    from requests import exceptions

    if isinstance(error, exceptions.SSLError | exceptions.ProxyError):
        return True
    passing = exceptions.ConnectionError | exceptions.Timeout | exceptions.ChunkedEncodingError
    return isinstance(error, exceptions.RequestException) and not isinstance(error, passing)


def _never_connected(error: Exception) -> bool:
    from urllib3.exceptions import ConnectTimeoutError

    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(reason, ConnectTimeoutError)  # refused, unknown and unreachable hosts among them


def _short(error: Exception) -> str:
    """The innermost reason of a chain of wrapped network errors."""
    reason: BaseException = error
    while (inner := reason.__cause__ or reason.__context__) is not None:
        reason = inner
    text = str(reason).rpartition(">: ")[2] or type(reason).__name__
    return text.splitlines()[0][:200]


def _on_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()
