"""Downloading a file over HTTP or FTP, with resumption and retries.

None of the installed libraries does both: those that resume a download do not check whether the file has changed, and
those that retry start from the beginning.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

from loader._errors import url_without_secrets, without_secrets
from scripts._process.errors import UnavailableError
from scripts._sources import drive, kaggle, responses
from scripts._sources.encodings import decode, is_compressed_itself
from scripts._sources.file_info import FileInfo, info_of, info_path, read_info, size_of, start_part, write_info
from scripts._sources.ftp import CannotResumeError, FtpError, FtpFile

ATTEMPTS = 4
FIRST_PAUSE_SECONDS = 0.5
TIMEOUT_SECONDS = (10, 30)  # to connect, and between two chunks
RETRIED_STATUSES = (408, 425, 429, 500, 502, 503, 504)
CHUNK_BYTES = 1 << 16  # the most that a kill can lose
PROGRESS_BYTES = 1 << 20  # an attempt that downloads this much does not count as failed
SURPLUS_BYTES = 64 << 20  # the most to read beyond the expected size if the server does not state a length


class _RetryableError(Exception):
    """An attempt failed, but another one may succeed."""

    def __init__(self, reason: str, *, pause: float = 0) -> None:
        super().__init__(reason)
        self.pause = pause


def download(url: str, part: Path, *, label: str, size: int | None = None, stopped: Event | None = None) -> FileInfo:
    """Download the file at `url` to `part`, resuming an earlier download.

    The download starts from the beginning if the file has changed, if the server does not support ranges, or if neither
    the server's headers nor a SHA-256 (known if `size` is given) can show a change. Dropped connections and temporary
    server errors are retried, with increasing pauses. What the server encoded for the transfer is decoded: a text that
    arrives compressed, but not a file that is compressed itself.

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
    attempt = _attempt_ftp if url.lower().startswith("ftp://") else _attempt
    failures = 0
    while True:
        before = size_of(part)
        try:
            info = attempt(url, part, label=label, size=size, stopped=stopped, again=failures > 0 or before > 0)
            return _decoded(part, info, size)
        except _RetryableError as error:
            failures = 1 if size_of(part) - before >= PROGRESS_BYTES else failures + 1
            if failures == ATTEMPTS:
                raise UnavailableError(f"{error}, tried {ATTEMPTS} times") from error
            pause = max(error.pause, FIRST_PAUSE_SECONDS * 2 ** (failures - 1) * random.uniform(0.5, 1.5))
            log(f"{label}: {url_without_secrets(url)} {error}; trying again")
            if stopped.wait(pause):
                raise UnavailableError("cancelled", report=False) from error


def discard(part: Path) -> None:
    """Remove a downloaded file and its `FileInfo`."""
    part.unlink(missing_ok=True)
    info_path(part).unlink(missing_ok=True)


def log(line: str) -> None:
    """Print a line to stderr, above the progress bars, without the secrets of URLs."""
    from tqdm import tqdm

    tqdm.write(without_secrets(line), file=sys.stderr)


def _attempt(url: str, part: Path, *, label: str, size: int | None, stopped: Event, again: bool) -> FileInfo:
    import requests
    import urllib3

    info, done = read_info(part), size_of(part)
    if done and done == size and not info.encoding:
        return info  # complete; the caller checks its SHA-256
    headers = {"Accept-Encoding": "identity"}  # otherwise a .gz file may arrive decompressed
    if done and (info.validator or size is not None):
        headers["Range"] = f"bytes={done}-"
        if info.validator:
            headers["If-Range"] = info.validator
    try:
        with _opened(url, headers) as response:
            if response.status_code in RETRIED_STATUSES:
                raise _RetryableError(responses.status_of(response), pause=responses.retry_after(response))
            if response.status_code == 416 and "Range" in headers:
                if responses.total_of(response) == done:
                    return info
                discard(part)
                raise _RetryableError("does not have the rest of the file")
            if not response.ok:
                advice = kaggle.advice(url, response.status_code) if kaggle.is_kaggle(url) else ""
                raise UnavailableError(responses.status_of(response) + advice)
            if response.status_code == 206 and not (
                "Range" in headers
                and responses.starts_at(response, done)
                and responses.encoding_of(response) == info.encoding
            ):
                discard(part)
                raise _RetryableError("sends another range than the requested one")
            if response.status_code != 206:
                info, done = info_of(response), 0
                start_part(part, info)
            _receive(response, part, url=url, label=label, done=done, size=size, stopped=stopped)
            return info
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        reason = responses.innermost_reason(error, url)
        # if it never connected, another location may have the file
        if responses.is_final(error) or (not again and responses.never_connected(error)):
            raise UnavailableError(reason) from error
        raise _RetryableError(reason) from error


@contextmanager
def _opened(url: str, headers: dict[str, str]) -> Iterator[Any]:
    """Send a request, with Google Drive's confirmation and Kaggle's key if the URL needs them."""
    import requests

    address, key = kaggle.to_request(url) if kaggle.is_kaggle(url) else (url, None)
    with requests.Session() as session:
        if drive.is_drive(url):
            with session.get(url, stream=True, timeout=TIMEOUT_SECONDS) as first:
                if first.ok and drive.is_page(first):
                    address = drive.confirmed_url(first)
        # a redirect to another host does not get the key
        with session.get(address, stream=True, timeout=TIMEOUT_SECONDS, headers=headers, auth=key) as response:
            if response.ok and drive.is_drive(url) and drive.is_page(response):
                drive.confirmed_url(response)
                raise UnavailableError("sends a page of Google Drive that asks for a confirmation again and again")
            yield response


def _attempt_ftp(url: str, part: Path, *, label: str, size: int | None, stopped: Event, again: bool) -> FileInfo:
    info, done = read_info(part), size_of(part)
    if done and done == size:
        return info  # complete; the caller checks its SHA-256
    try:
        with FtpFile(url, connect_seconds=TIMEOUT_SECONDS[0], answer_seconds=TIMEOUT_SECONDS[1]) as file:
            is_unchanged = info.modified == file.modified if info.modified else size is not None
            if not done or not is_unchanged or (file.size is not None and done > file.size):
                info, done = FileInfo(file.name, modified=file.modified), 0
                start_part(part, info)
            if not done or done != file.size:
                chunks = file.chunks(done, size=CHUNK_BYTES)
                done = _append(
                    chunks, part, url=url, label=label, done=done, total=file.size, size=size, stopped=stopped
                )
            if file.size is not None and done != file.size:
                raise _RetryableError(f"ends after {done:,} of {file.size:,} bytes")
            return info
    except CannotResumeError as error:
        discard(part)
        raise _RetryableError("does not have the rest of the file") from error
    except FtpError as error:
        if error.is_final or (error.never_connected and not again):  # another location may have it
            raise UnavailableError(str(error)) from error
        raise _RetryableError(str(error)) from error


def _receive(response: Any, part: Path, *, url: str, label: str, done: int, size: int | None, stopped: Event) -> None:
    """Append the response body to the file."""
    length = responses.length_of(response)
    total = None if length is None else done + length
    if responses.encoding_of(response):
        size = None  # it is the size of what the body decodes to
    chunks = response.raw.stream(CHUNK_BYTES, decode_content=False)
    done = _append(chunks, part, url=url, label=label, done=done, total=total, size=size, stopped=stopped)
    if size is not None and done < size and total is None and not response.raw.chunked:
        # without a length, the end of the file and a dropped connection look the same
        raise _RetryableError(f"ends after {done:,} of {size:,} bytes")


def _append(
    chunks: Iterable[bytes],
    part: Path,
    *,
    url: str,
    label: str,
    done: int,
    total: int | None,
    size: int | None,
    stopped: Event,
) -> int:
    """Append chunks to the file, and return its size; `done` is that before, `total` the one that the server states."""
    from tqdm import tqdm

    of = "" if (total or size) is None else f" of {total or size:,} bytes"
    shown = url_without_secrets(url)
    log(f"{label}: {f'resuming {shown} at {done:,}{of}' if done else f'downloading {shown}'}")
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
        for chunk in chunks:
            if stopped.is_set():
                raise UnavailableError("cancelled", report=False)
            file.write(chunk)
            file.flush()  # so that a killed download can be resumed from here
            done += len(chunk)
            bar.update(len(chunk))
            if total is None and size is not None and done > size + SURPLUS_BYTES:
                raise UnavailableError(f"sends far more than the recorded {size:,} bytes; has the file changed?")
    return done


def _decoded(part: Path, info: FileInfo, size: int | None) -> FileInfo:
    """Undo the encodings of the transfer."""
    if not info.encoding:
        return info
    if size is not None:
        is_the_file = size_of(part) == size
    else:
        is_the_file = is_compressed_itself(info.encoding, filename=info.filename, content_type=info.content_type)
    if not is_the_file:
        try:
            decode(part, info.encoding, limit=None if size is None else size + SURPLUS_BYTES)
        except ValueError as error:
            discard(part)
            raise _RetryableError(str(error)) from error
    info = replace(info, encoding="")
    write_info(part, info)
    return info


def _on_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()
