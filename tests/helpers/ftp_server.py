"""An FTP server with one folder of files, which can lack commands and drop connections as a test wants."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from socket import create_server, socket

COMMANDS = {"USER", "PASS", "TYPE", "SIZE", "MDTM", "PASV", "REST", "RETR"}


class FtpServer:
    """A server that records the commands.

    Attributes
    ----------
    files
        The files by path.
    modified
        What MDTM answers.
    lacking
        Commands that it does not know.
    break_after
        For each of the first transfers, the number of bytes after which all connections are dropped.
    credentials
        The user and password; everybody may log in if None.
    commands
        The commands that were received, with their arguments.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.modified = "20240101000000"
        self.lacking: set[str] = set()
        self.break_after: list[int] = []
        self.credentials: tuple[str, str] | None = None
        self.commands: list[str] = []
        ftp = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                with suppress(ConnectionError), ExitStack() as listeners:
                    ftp._converse(self.rfile.readline, lambda line: self.wfile.write(f"{line}\r\n".encode()), listeners)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.address = f"127.0.0.1:{self._server.server_address[1]}"

    def serve(self, path: str, body: bytes) -> str:
        """Serve a file, and return its URL."""
        self.files[path] = body
        return f"ftp://{self.address}/{path}"

    def offsets(self) -> list[int]:
        """Return the offset of each transfer."""
        starts = [int(each[5:]) if each.startswith("REST") else 0 for each in ["", *self.commands]]
        return [start for start, each in zip(starts, self.commands, strict=False) if each.startswith("RETR")]

    def close(self) -> None:
        """Stop the server."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _converse(self, read: Callable[[], bytes], write: Callable[[str], object], listeners: ExitStack) -> None:
        write("220 ready")
        user, offset, listener = "", 0, None
        while line := read():
            command, _, argument = line.decode().strip().partition(" ")
            self.commands.append(f"{command} {argument}".strip())
            if command not in COMMANDS or command in self.lacking:
                write("502 not implemented")
            elif command == "USER":
                user = argument
                write("331 password")
            elif command == "PASS":
                write("230 welcome" if self.credentials in (None, (user, argument)) else "530 Login incorrect.")
            elif command == "TYPE":
                write("200 ok")
            elif command in ("SIZE", "MDTM", "RETR") and argument not in self.files:
                write("550 No such file.")
            elif command == "SIZE":
                write(f"213 {len(self.files[argument])}")
            elif command == "MDTM":
                write(f"213 {self.modified}")
            elif command == "PASV":
                listener = listeners.enter_context(create_server(("127.0.0.1", 0)))
                write("227 entering (127,0,0,1,{},{})".format(*divmod(listener.getsockname()[1], 256)))
            elif command == "REST":
                offset = int(argument)
                write("350 restarting")
            elif listener is not None:
                write("150 sending")
                with listener.accept()[0] as connection:
                    if not self._send(connection, self.files[argument][offset:]):
                        return
                write("226 done")
                offset, listener = 0, None

    def _send(self, connection: socket, data: bytes) -> bool:
        limit = self.break_after.pop(0) if self.break_after else None
        connection.sendall(data[:limit])
        return limit is None or limit >= len(data)
