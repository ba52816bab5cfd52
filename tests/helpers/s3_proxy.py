"""A proxy between the loader and S3 that counts responses, and fails or changes bytes on request."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from urllib.parse import urlsplit


@dataclass
class Proxy:
    """The proxy's address, its log, and its faults.

    Attributes
    ----------
    url
        Its address.
    responses
        The range and the number of bytes of each response that was passed on.
    fault
        Called with the number of the request (from 0); returns "drop", "500", "503", "hang", "slow", or None for a
        normal response.
    change
        Called with the offset of a response's range and its bytes; returns the bytes to send.
    folder
        Requests for objects outside of it are dropped: threads that an earlier test left behind may send some.
    """

    url: str
    responses: list[tuple[str, int]] = field(default_factory=list)
    requests: int = 0
    fault: Callable[[int], str | None] = lambda number: None
    change: Callable[[int, bytes], bytes] = lambda offset, data: data
    folder: str = ""
    lock: Lock = field(default_factory=Lock)

    @property
    def bytes_transferred(self) -> int:
        """The number of bytes of all bodies passed on."""
        return sum(size for _, size in self.responses)


@contextmanager
def running_proxy(endpoint: str) -> Iterator[Proxy]:
    """Run a proxy in front of the server at `endpoint`."""
    upstream = urlsplit(endpoint).netloc
    stopped = Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if proxy.folder not in self.path:
                self.close_connection = True
                return
            with proxy.lock:
                number = proxy.requests
                proxy.requests += 1
            fault = proxy.fault(number)
            if fault == "hang":  # and answers nothing later either, when another test counts the bytes
                self.close_connection = True
                stopped.wait(300)
                return
            if fault == "slow":
                time.sleep(0.5)
            if fault in ("500", "503"):
                self.send_response(int(fault))
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            connection = http.client.HTTPConnection(upstream)
            connection.request("GET", self.path, headers=dict(self.headers))
            with closing(connection), connection.getresponse() as response:
                data = response.read()
            byte_range = self.headers.get("Range", "")
            if response.status == 206:
                data = proxy.change(int(byte_range.removeprefix("bytes=").partition("-")[0]), data)
            self.send_response(response.status)
            for name, value in response.getheaders():
                if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if fault == "drop":
                self.wfile.write(data[: len(data) // 2])
                self.close_connection = True
                return
            with proxy.lock:  # before it is sent, because the client may look at the log as soon as it has the bytes
                proxy.responses.append((byte_range, len(data)))
            self.wfile.write(data)

        def do_HEAD(self) -> None:
            connection = http.client.HTTPConnection(upstream)
            connection.request("HEAD", self.path, headers=dict(self.headers))
            with closing(connection), connection.getresponse() as response:
                self.send_response(response.status)
                for name, value in response.getheaders():
                    self.send_header(name, value)
                self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

        def handle(self) -> None:
            with suppress(ConnectionError):  # the client has disconnected
                super().handle()

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128  # the loader has 32 connections

    server = Server(("127.0.0.1", 0), Handler)
    proxy = Proxy(f"http://127.0.0.1:{server.server_port}")
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        stopped.set()
        server.shutdown()
        server.server_close()
        thread.join()
