"""A slow wire in front of a server: every response comes late, and all connections share one bandwidth.

    python -m tests.helpers.slow_wire http://127.0.0.1:11000 --latency 0.03 --bandwidth 100e6

It runs in a process of its own, so that the measured process does not pay for it, and only forwards bytes: it knows
nothing of HTTP but that a response follows its request. Opening a connection takes no time, and requests are not slow.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[2]
LATENCY_SECONDS = 0.03
BYTES_PER_SECOND = 100e6
TURN_BYTES = 16 << 10
"""What a connection sends when it is its turn."""
TICK_SECONDS = 0.001
CATCH_UP_SECONDS = 0.05
"""How late this process may run (the machine is busy) without the wire losing bandwidth."""
WAITING_BYTES = 256 << 10
"""How many bytes of a response wait here for their turn; the rest waits in the server."""


@dataclass
class Counts:
    """What has passed the wire: responses, and their bytes with HTTP's headers."""

    requests: int = 0
    bytes: int = 0


@dataclass(frozen=True)
class SlowWire:
    """A running wire.

    Attributes
    ----------
    url
        Its address, which stands for the server's.
    """

    url: str
    _process: subprocess.Popen[str]

    def counts(self) -> Counts:
        """Return what has passed since the last call."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return Counts(**json.loads(self._process.stdout.readline()))


@contextmanager
def running_slow_wire(
    endpoint: str, *, latency: float = LATENCY_SECONDS, bandwidth: float = BYTES_PER_SECOND
) -> Iterator[SlowWire]:
    """Run a wire in front of the server at `endpoint`, with a latency in seconds and a bandwidth in bytes a second."""
    options = ["--latency", str(latency), "--bandwidth", str(bandwidth)]
    with subprocess.Popen(
        [sys.executable, "-m", "tests.helpers.slow_wire", endpoint, *options],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin and process.stdout
        try:
            yield SlowWire(process.stdout.readline().strip(), process)
        finally:
            process.stdin.close()  # which ends it, as the end of this process would


class _Wire:
    """The bandwidth that the connections share, in turns."""

    def __init__(self, latency: float, bandwidth: float) -> None:
        self.latency = latency
        self.bandwidth = bandwidth
        self.counts = Counts()
        self._loop = asyncio.get_running_loop()
        self._queue: deque[_Server] = deque()
        self._is_busy = False
        self._free_at = 0.0

    def wait(self, response: _Server) -> None:
        """Send the response when it is its turn."""
        self._queue.append(response)
        if not self._is_busy:
            self._is_busy = True
            self._free_at = max(self._free_at, self._loop.time())
            self._send()

    def _send(self) -> None:
        now = self._loop.time()
        self._free_at = max(self._free_at, now - CATCH_UP_SECONDS)
        while self._queue and self._free_at <= now:
            response = self._queue.popleft()
            size = response.send(TURN_BYTES)
            self.counts.bytes += size
            self._free_at += size / self.bandwidth
            if response.is_waiting():
                self._queue.append(response)
            else:
                response.is_queued = False
        self._is_busy = bool(self._queue)
        if self._is_busy:
            self._loop.call_later(max(TICK_SECONDS, self._free_at - now), self._send)


class _Client(asyncio.Protocol):
    """A connection of the client: its requests go to a connection of its own to the server."""

    def __init__(self, wire: _Wire, host: str, port: int) -> None:
        self.wire, self.host, self.port = wire, host, port
        self.server: _Server | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.pause_reading()
        self.connecting = asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        try:
            _, self.server = await asyncio.get_running_loop().create_connection(
                lambda: _Server(self.wire, self), self.host, self.port
            )
        except OSError:
            self.transport.abort()
            return
        if self.transport.is_closing():
            self.server.transport.abort()
        else:
            self.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        assert self.server
        self.server.request(data)

    def pause_writing(self) -> None:
        if self.server:
            self.server.is_blocked = True

    def resume_writing(self) -> None:
        if self.server:
            self.server.is_blocked = False
            self.server.wait()

    def connection_lost(self, error: Exception | None) -> None:
        if self.server:
            self.server.transport.abort()


class _Server(asyncio.Protocol):
    """A connection to the server: its responses wait until the latency is over, and then for their turn."""

    def __init__(self, wire: _Wire, client: _Client) -> None:
        self.wire, self.client = wire, client
        self.data = bytearray()
        self.is_answering = self.is_late = self.is_blocked = self.is_queued = self.is_at_end = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def request(self, data: bytes) -> None:
        self.is_answering = False
        self.transport.write(data)

    def data_received(self, data: bytes) -> None:
        if not self.is_answering:
            self.is_answering = self.is_late = True
            self.wire.counts.requests += 1
            asyncio.get_running_loop().call_later(self.wire.latency, self._arrive)
        self.data += data
        if len(self.data) > WAITING_BYTES:
            self.transport.pause_reading()
        self.wait()

    def _arrive(self) -> None:
        self.is_late = False
        self.wait()
        self._end()

    def is_waiting(self) -> bool:
        """Return whether there are bytes that the client could get now."""
        return bool(self.data) and not (self.is_late or self.is_blocked)

    def wait(self) -> None:
        if self.is_waiting() and not self.is_queued:
            self.is_queued = True
            self.wire.wait(self)

    def send(self, size: int) -> int:
        """Send at most `size` bytes to the client, and return how many."""
        data = bytes(self.data[:size])
        del self.data[:size]
        if self.client.transport.is_closing():
            self.data.clear()
            return 0
        self.client.transport.write(data)
        if len(self.data) <= WAITING_BYTES and not self.transport.is_closing():
            self.transport.resume_reading()
        self._end()
        return len(data)

    def connection_lost(self, error: Exception | None) -> None:
        self.is_at_end = True
        self._end()

    def _end(self) -> None:
        if self.is_at_end and not self.data:
            self.client.transport.close()


async def _run(endpoint: str, latency: float, bandwidth: float) -> None:
    loop = asyncio.get_running_loop()
    wire, address = _Wire(latency, bandwidth), urlsplit(endpoint)
    assert address.hostname and address.port
    host, port = address.hostname, address.port
    server = await loop.create_server(lambda: _Client(wire, host, port), "127.0.0.1", 0, backlog=1024)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while await lines.readline():
        print(json.dumps(asdict(wire.counts)), flush=True)
        wire.counts = Counts()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("endpoint", help="the server's URL")
    parser.add_argument("--latency", type=float, default=LATENCY_SECONDS, help="of each response, in seconds")
    parser.add_argument("--bandwidth", type=float, default=BYTES_PER_SECOND, help="in bytes a second")
    given = parser.parse_args()
    asyncio.run(_run(given.endpoint, given.latency, given.bandwidth))
