"""A web server with responses chosen by a test: pages, files with ranges, dropped connections, error statuses."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class WebFile:
    """A file on the server.

    Attributes
    ----------
    body
        The bytes of the file.
    headers
        Response headers, such as ETag, Last-Modified and Content-Type.
    supports_ranges
        Whether the server supports range requests.
    break_after
        For each of the first requests, the number of bytes after which the connection is dropped.
    busy_statuses
        The error statuses of the first requests.
    pause_seconds
        The pause between two chunks, in seconds.
    states_length
        Whether the response has a Content-Length.
    """

    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    supports_ranges: bool = True
    break_after: list[int] = field(default_factory=list)
    busy_statuses: list[int] = field(default_factory=list)
    pause_seconds: float = 0
    states_length: bool = True


class WebServer:
    """A server that records the requests, and answers while `is_open` is set."""

    def __init__(self) -> None:
        self.responses: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.files: dict[str, WebFile] = {}
        self.requests: Counter[str] = Counter()
        self.request_headers: list[dict[str, str]] = []
        self.open_requests = self.max_open_requests = 0
        self.is_open = threading.Event()
        self.is_open.set()
        self._lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                with server._lock:
                    server.requests[self.path] += 1
                    server.request_headers.append(dict(self.headers))
                    server.open_requests += 1
                    server.max_open_requests = max(server.open_requests, server.max_open_requests)
                server.is_open.wait()
                try:
                    with suppress(ConnectionError):  # the client closes the connection if it gets too much
                        if self.path in server.files:
                            server._send_file(self, server.files[self.path])
                        else:
                            server._send(self, *server.responses.get(self.path, (404, {}, b"not here")))
                finally:
                    with server._lock:
                        server.open_requests -= 1

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def respond(self, path: str, body: bytes, status: int = 200, **headers: str) -> str:
        """Set the response to `path`, and return its URL."""
        self.responses[path] = (status, {name.replace("_", "-"): value for name, value in headers.items()}, body)
        return self.url + path

    def serve(self, path: str, file: WebFile) -> str:
        """Serve a file at `path`, and return its URL."""
        self.files[path] = file
        return self.url + path

    def requested_ranges(self) -> list[str | None]:
        """Return the range of each request, None if it has none."""
        return [headers.get("Range") for headers in self.request_headers]

    def close(self) -> None:
        """Stop the server."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _send(self, handler: BaseHTTPRequestHandler, status: int, headers: dict[str, str], body: bytes) -> None:
        handler.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    def _send_file(self, handler: BaseHTTPRequestHandler, file: WebFile) -> None:
        with self._lock:
            busy_status = file.busy_statuses.pop(0) if file.busy_statuses else None
            size = file.break_after.pop(0) if file.break_after and busy_status is None else len(file.body)
        if busy_status is not None:
            self._send(handler, busy_status, {}, b"later")
            return
        start, status = self._start(handler, file)
        if start > len(file.body) or (status == 206 and start == len(file.body)):
            self._send(handler, 416, {"Content-Range": f"bytes */{len(file.body)}"}, b"")
            return
        handler.send_response(status)
        for name, value in file.headers.items():
            handler.send_header(name, value)
        if file.states_length:
            handler.send_header("Content-Length", str(len(file.body) - start))
        if status == 206:
            handler.send_header("Content-Range", f"bytes {start}-{len(file.body) - 1}/{len(file.body)}")
        handler.end_headers()
        for offset in range(start, min(start + size, len(file.body)), 1 << 16):
            handler.wfile.write(file.body[offset : min(offset + (1 << 16), start + size)])
            if file.pause_seconds:
                handler.wfile.flush()
                time.sleep(file.pause_seconds)

    def _start(self, handler: BaseHTTPRequestHandler, file: WebFile) -> tuple[int, int]:
        match = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        validators = ("", file.headers.get("ETag"), file.headers.get("Last-Modified"))
        is_unchanged = handler.headers.get("If-Range", "") in validators
        return (int(match[1]), 206) if match and file.supports_ranges and is_unchanged else (0, 200)
