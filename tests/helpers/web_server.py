"""A web server whose answers a test chooses: pages, files with ranges, connections that break, busy hours."""

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
    """A file that is served in ranges.

    Attributes
    ----------
    body
        Its bytes.
    headers
        What is said of it: ETag, Last-Modified, Content-Type...
    ranges
        Whether parts of it may be asked for.
    sends
        How many bytes each request in turn is sent before the connection breaks; later ones are sent all.
    busy
        The statuses that are answered first, one a request.
    pause
        Seconds between two pieces of it.
    length
        Whether it is said how many bytes follow.
    """

    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    ranges: bool = True
    sends: list[int] = field(default_factory=list)
    busy: list[int] = field(default_factory=list)
    pause: float = 0
    length: bool = True


class WebServer:
    """Serves, and remembers what it was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.files: dict[str, WebFile] = {}
        self.requests: Counter[str] = Counter()
        self.asked: list[dict[str, str]] = []
        self.at_once = self.most_at_once = 0
        self._lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                with server._lock:
                    server.requests[self.path] += 1
                    server.asked.append(dict(self.headers))
                    server.at_once += 1
                    server.most_at_once = max(server.at_once, server.most_at_once)
                try:
                    with suppress(ConnectionError):  # who is sent too much hangs up
                        if self.path in server.files:
                            server._send_file(self, server.files[self.path])
                        else:
                            server._send(self, *server.answers.get(self.path, (404, {}, b"not here")))
                finally:
                    with server._lock:
                        server.at_once -= 1

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def answer(self, path: str, body: bytes, status: int = 200, **headers: str) -> str:
        """Answer to `path`, and return its URL."""
        self.answers[path] = (status, {name.replace("_", "-"): value for name, value in headers.items()}, body)
        return self.url + path

    def serve(self, path: str, file: WebFile) -> str:
        """Serve a file at `path`, and return its URL."""
        self.files[path] = file
        return self.url + path

    def ranges(self) -> list[str | None]:
        """The ranges that were asked for, None for whole files."""
        return [headers.get("Range") for headers in self.asked]

    def close(self) -> None:
        """End the server."""
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
            busy = file.busy.pop(0) if file.busy else None
            sends = file.sends.pop(0) if file.sends and busy is None else len(file.body)
        if busy is not None:
            self._send(handler, busy, {}, b"later")
            return
        start, status = self._start(handler, file)
        if start > len(file.body) or (status == 206 and start == len(file.body)):
            self._send(handler, 416, {"Content-Range": f"bytes */{len(file.body)}"}, b"")
            return
        handler.send_response(status)
        for name, value in file.headers.items():
            handler.send_header(name, value)
        if file.length:
            handler.send_header("Content-Length", str(len(file.body) - start))
        if status == 206:
            handler.send_header("Content-Range", f"bytes {start}-{len(file.body) - 1}/{len(file.body)}")
        handler.end_headers()
        for offset in range(start, min(start + sends, len(file.body)), 1 << 16):
            handler.wfile.write(file.body[offset : min(offset + (1 << 16), start + sends)])
            if file.pause:
                handler.wfile.flush()
                time.sleep(file.pause)

    def _start(self, handler: BaseHTTPRequestHandler, file: WebFile) -> tuple[int, int]:
        match = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        same = handler.headers.get("If-Range", "") in ("", file.headers.get("ETag"), file.headers.get("Last-Modified"))
        return (int(match[1]), 206) if match and file.ranges and same else (0, 200)
