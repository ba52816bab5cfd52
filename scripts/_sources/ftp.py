"""Reading a file over FTP."""

from __future__ import annotations

import ftplib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Self
from urllib.parse import unquote, urlsplit

PORT = 21
CANNOT_RESUME = ("500", "501", "502", "503", "504")  # replies to REST


class FtpError(Exception):
    """A server refuses something, or the connection fails.

    Parameters
    ----------
    reason
        Why.
    is_final
        Whether another attempt would fail in the same way.
    never_connected
        Whether the host is unknown, unreachable or refused the connection.
    """

    def __init__(self, reason: str, *, is_final: bool = False, never_connected: bool = False) -> None:
        super().__init__(reason)
        self.is_final = is_final
        self.never_connected = never_connected


class CannotResumeError(Exception):
    """The server sends files from the beginning only."""


class FtpFile:
    """A file on an FTP server; a context manager that connects.

    Parameters
    ----------
    url
        Its URL, with user and password if it needs them. The path is relative to the folder in which the user starts;
        `/%2F` leads to the root.
    connect_seconds, answer_seconds
        The time limits to connect, and between two answers or chunks.

    Attributes
    ----------
    name
        The file name.
    size
        The size in bytes, None if the server does not state it.
    modified
        When the file was changed, empty if the server does not state it.

    Raises
    ------
    FtpError
        The URL names no file, the server cannot be reached, or the login fails.
    """

    def __init__(self, url: str, *, connect_seconds: float, answer_seconds: float) -> None:
        with _errors():
            parts = urlsplit(url)
            port = parts.port or PORT
        self._path = unquote(parts.path.removeprefix("/").partition(";type=")[0])
        self.name = self._path.rpartition("/")[2]
        if not parts.hostname or not self.name:
            raise FtpError("its URL names no file", is_final=True)
        self._address = (parts.hostname, port)
        self._user = (unquote(parts.username or ""), unquote(parts.password or ""))
        self._connect_seconds, self._answer_seconds = connect_seconds, answer_seconds
        self._server = ftplib.FTP()
        self.size: int | None = None
        self.modified = ""

    def __enter__(self) -> Self:
        try:
            with _errors(never_connected=True):
                self._server.connect(*self._address, timeout=self._connect_seconds)
            with _errors():
                self._server.timeout = self._answer_seconds  # also of the data's connection
                if self._server.sock is not None:
                    self._server.sock.settimeout(self._answer_seconds)
                self._server.login(*self._user)
                self._server.voidcmd("TYPE I")
                with suppress(ftplib.error_perm):  # a server without these commands
                    self.size = self._server.size(self._path)
                with suppress(ftplib.error_perm):
                    self.modified = self._server.sendcmd(f"MDTM {self._path}").partition(" ")[2].strip()
        except BaseException:
            self._server.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()  # without QUIT, which waits for a transfer to end

    def chunks(self, offset: int, *, size: int) -> Iterator[bytes]:
        """Yield the file from an offset on, in chunks of at most `size` bytes.

        Raises
        ------
        CannotResumeError
            The server does not start at an offset.
        FtpError
            The server refuses the file, or the connection is lost.
        """
        try:
            with _errors():
                connection = self._server.transfercmd(f"RETR {self._path}", rest=offset or None)
        except FtpError as error:
            if offset and str(error.__cause__).startswith(CANNOT_RESUME):
                raise CannotResumeError from error
            raise
        with connection:
            while True:
                with _errors():
                    chunk = connection.recv(size)
                if not chunk:
                    break
                offset += len(chunk)
                yield chunk
        try:
            with _errors():
                self._server.voidresp()  # an error if the transfer was cut off
        except FtpError:
            # routers drop the first connection, which has been silent during a long transfer
            if offset != self.size:
                raise


@contextmanager
def _errors(*, never_connected: bool = False) -> Iterator[None]:
    """Raise FtpError for what `ftplib` raises."""
    try:
        yield
    except ValueError as error:
        raise FtpError(str(error), is_final=True) from error
    except ftplib.Error as error:
        raise FtpError(f"answers {error}", is_final=isinstance(error, ftplib.error_perm)) from error
    except EOFError as error:
        raise FtpError("closes the connection") from error
    except OSError as error:
        raise FtpError(error.strerror or str(error), never_connected=never_connected) from error
