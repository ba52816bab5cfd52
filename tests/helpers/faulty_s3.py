"""A proxy in front of an S3 server, for clients that write too: it fails, goes silent, or changes responses."""

from __future__ import annotations

import http.client
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain, repeat
from pathlib import Path
from threading import Event, Thread
from urllib.parse import urlsplit

HOP_BY_HOP = ("transfer-encoding", "connection", "content-length", "expect")


@dataclass
class FaultyS3:
    """The proxy.

    Attributes
    ----------
    url
        Its address.
    requests
        Method, path and headers of each request.
    fault
        Called with method and path; returns "silent" (accepts and never answers), "trickle" (a byte of the response a
        second), "reset" (closes the connection at once), or None for a normal response.
    change_headers
        Called with the headers of a response, by lowercase name; returns those to send.
    change_body
        Called with the body of a response to GET; returns the one to send.
    """

    url: str
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    fault: Callable[[str, str], str | None] = lambda method, path: None
    change_headers: Callable[[dict[str, str]], dict[str, str]] = lambda headers: headers
    change_body: Callable[[bytes], bytes] = lambda body: body

    def methods(self) -> list[str]:
        """Return the method of each request."""
        return [method for method, _, _ in self.requests]


@contextmanager
def faulty_s3(endpoint: str) -> Iterator[FaultyS3]:
    """Run a proxy in front of the server at `endpoint`."""
    upstream = urlsplit(endpoint).netloc
    stopped = Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_expect_100(self) -> bool:
            return proxy.fault(self.command, self.path) is not None or super().handle_expect_100()

        def answer(self) -> None:
            proxy.requests.append((self.command, self.path, dict(self.headers)))
            fault = proxy.fault(self.command, self.path)
            self.close_connection = fault is not None
            if fault == "silent":
                stopped.wait()
            elif fault == "trickle":
                self._trickle()
            elif fault == "reset":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
            else:
                self._pass_on()

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer  # noqa: N815  (the names that http.server calls)

        def _trickle(self) -> None:
            head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n"
            if self.command == "GET":  # quick headers and a slow body; else the headers are slow
                self.wfile.write(head + b"\r\n")
                head = b""
            for byte in chain(head + b"x-slow: ", repeat(ord("x"))):
                if stopped.wait(1):
                    return
                self.wfile.write(bytes([byte]))

        def _pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            sent = {name: value for name, value in self.headers.items() if name.lower() != "expect"}
            connection = http.client.HTTPConnection(upstream)
            connection.request(self.command, self.path, body=body or None, headers=sent)
            with closing(connection), connection.getresponse() as response:
                data = response.read()
                headers = proxy.change_headers({name.lower(): value for name, value in response.getheaders()})
            if self.command == "GET":
                data = proxy.change_body(data)
            self.send_response(response.status)
            for name, value in headers.items():
                if name not in HOP_BY_HOP:
                    self.send_header(name, value)
            length = headers.get("content-length", "0") if self.command == "HEAD" else str(len(data))
            self.send_header("Content-Length", length)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *arguments: object) -> None:
            pass

        def handle(self) -> None:
            with suppress(OSError):  # the client has disconnected
                super().handle()

        def finish(self) -> None:
            with suppress(OSError, ValueError):
                super().finish()

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            pass

    server = Server(("127.0.0.1", 0), Handler)
    proxy = FaultyS3(f"http://127.0.0.1:{server.server_port}")
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        stopped.set()
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def faulty_s3_of(root: Path, endpoint: str) -> Iterator[FaultyS3]:
    """Run the proxy between a repository's remotes and their server, in its `.dvc/config.local`."""
    with faulty_s3(endpoint) as proxy:
        path = root / ".dvc/config.local"
        path.write_text(path.read_text().replace(endpoint, proxy.url))
        yield proxy
