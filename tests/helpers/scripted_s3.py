"""A server that answers S3 requests with the bytes that a test writes, however wrong, and records what was asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

Send = Callable[[bytes], None]


@dataclass
class Request:
    """A request: its method, path and headers (names in lower case)."""

    method: str
    path: str
    headers: dict[str, str]

    @property
    def is_signed(self) -> bool:
        """Whether it carries credentials."""
        return any(name in self.headers for name in ("authorization", "x-amz-security-token"))


@dataclass
class ScriptedS3:
    """The server.

    Attributes
    ----------
    url
        Its address.
    answer
        Called with each request and a function that sends bytes.
    requests
        All requests.
    is_closed
        Set at the end, so that an answer need not wait longer.
    """

    url: str
    answer: Callable[[Request, Send], None] = lambda request, send: send(error(404, "NoSuchKey"))
    requests: list[Request] = field(default_factory=list)
    is_closed: Event = field(default_factory=Event)

    def trickle(self, send: Send, data: bytes) -> None:
        """Send one byte after the other, with pauses."""
        for byte in data:
            if self.is_closed.wait(0.2):
                return
            send(bytes([byte]))


def response(status: int, body: bytes = b"", **headers: object) -> bytes:
    """Return an HTTP response; a header that is None is left out."""
    stated = {"Content-Length": len(body), **{name.replace("_", "-"): value for name, value in headers.items()}}
    lines = [f"{name}: {value}" for name, value in stated.items() if value is not None]
    return "\r\n".join([f"HTTP/1.1 {status} Status", *lines, "Connection: close", "", ""]).encode() + body


def error(status: int, code: str, inside: str = "", **headers: object) -> bytes:
    """Return an error as S3 writes it."""
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{code}.</Message>{inside}</Error>"
    return response(status, body.encode(), Content_Type="application/xml", **headers)


def part(data: bytes, request: Request) -> bytes:
    """Return the part of the object `data` that is requested."""
    first, last = map(int, request.headers["range"].removeprefix("bytes=").split("-"))
    body = data[first : last + 1]
    return response(206, body, Content_Range=f"bytes {first}-{first + len(body) - 1}/{len(data)}")


@contextmanager
def scripted_s3() -> Iterator[ScriptedS3]:
    """Run the server."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            request = Request(self.command, self.path, {name.lower(): value for name, value in self.headers.items()})
            server.requests.append(request)
            with suppress(OSError):  # the client has disconnected
                server.answer(request, self.wfile.write)
            self.close_connection = True

        do_HEAD = do_GET  # noqa: N815, the name that http.server looks for

        def log_message(self, *arguments: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    listener = Server(("127.0.0.1", 0), Handler)
    server = ScriptedS3(f"http://127.0.0.1:{listener.server_port}")
    thread = Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.is_closed.set()
        listener.shutdown()
        listener.server_close()
        thread.join()
