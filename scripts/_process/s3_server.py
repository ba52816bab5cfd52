"""A real S3 server (SeaweedFS) on this machine, for trying out and testing remotes."""

from __future__ import annotations

import json
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from filelock import FileLock

from scripts._process.errors import ScriptError

S3_PROFILE = "datasets-s3"
"""The AWS profile in the server's credentials file."""
HOST = "127.0.0.1"
BUCKETS = ("public", "private")
GRPC_OFFSET = 10_000  # SeaweedFS puts every service's gRPC port this far above its HTTP port
PORTS = range(11_000, 22_000)  # these and their gRPC ports are outside the range used for outgoing connections
LAUNCH_ATTEMPTS = 5
START_SECONDS = 60
STOP_SECONDS = 20
MEMORY_LIMIT = "300MiB"


@dataclass(frozen=True)
class Server:
    """A running server: its process ID, its URL, and the file with its keys (profile `datasets-s3`)."""

    pid: int
    endpoint: str
    credentials: Path


def start(folder: Path) -> Server:
    """Start a server that keeps its data in `folder`, or return the one that already runs there.

    It has the buckets `public`, which anyone may read, and `private`; writing needs the keys in `folder/credentials`.

    Raises
    ------
    ScriptError
        The server's program is missing, or the server does not start.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "start.lock"):
        return find(folder) or _start(folder)


def _start(folder: Path) -> Server:
    weed = shutil.which("weed", path=os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", ""))))
    if weed is None:
        raise ScriptError("the S3 server's program, weed, is missing; install it with: make setup")
    _write_keys(folder)
    for _ in range(LAUNCH_ATTEMPTS):
        server = _launch(weed, folder)
        if server is not None:
            (folder / "server.json").write_text(json.dumps({"pid": server.pid, "endpoint": server.endpoint}))
            return server
    raise ScriptError(f"the S3 server does not start; see its log: {folder / 'weed.log'}")


def stop(folder: Path) -> bool:
    """Stop the server that keeps its data in `folder`, keep the data, and return whether a server was running."""
    server = find(folder)
    (folder / "server.json").unlink(missing_ok=True)
    if server is None:
        return False
    os.kill(server.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while _is_running(server.pid, folder):
        if time.monotonic() > deadline:
            os.kill(server.pid, signal.SIGKILL)
        time.sleep(0.1)
    socket_path = Path(f"/tmp/seaweedfs-s3-{urlsplit(server.endpoint).port}.sock")
    socket_path.unlink(missing_ok=True)  # the server removes its other sockets itself
    return True


def find(folder: Path) -> Server | None:
    """Return the running server that keeps its data in `folder`, None if there is none."""
    try:
        state = json.loads((folder / "server.json").read_bytes())
        server = Server(int(state["pid"]), str(state["endpoint"]), folder / "credentials")
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return server if _is_running(server.pid, folder) else None


def _write_keys(folder: Path) -> None:
    """Write the keys unless they exist, so that clones configured with them keep working after a restart."""
    credentials = folder / "credentials"
    if credentials.exists():
        return
    access, secret = secrets.token_hex(10).upper(), secrets.token_urlsafe(30)
    identities = [
        {"name": "anonymous", "actions": ["Read:public", "List:public"]},
        {
            "name": "maintainer",
            "credentials": [{"accessKey": access, "secretKey": secret}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        },
    ]
    _write_secret(folder / "s3.json", json.dumps({"identities": identities}))
    _write_secret(credentials, f"[{S3_PROFILE}]\naws_access_key_id = {access}\naws_secret_access_key = {secret}\n")


def _write_secret(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)


def _launch(weed: str, folder: Path) -> Server | None:
    s3, master, volume, filer = _free_ports(4)
    (folder / "data").mkdir(exist_ok=True)
    with (folder / "weed.log").open("ab") as log:
        process = subprocess.Popen(
            [
                weed,
                "mini",
                f"-dir={folder / 'data'}",
                f"-ip={HOST}",
                f"-ip.bind={HOST}",
                f"-s3.port={s3}",
                f"-s3.config={folder / 's3.json'}",
                f"-bucket={','.join(BUCKETS)}",
                f"-master.port={master}",
                f"-volume.port={volume}",
                f"-filer.port={filer}",
                "-master.telemetry=false",
                "-webdav=false",
                "-admin.ui=false",
                "-s3.port.iceberg=0",
                "-s3.port.lance=0",
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "GOMEMLIMIT": MEMORY_LIMIT, "TMPDIR": str(folder.resolve())},  # it logs to TMPDIR
        )
    server = Server(process.pid, f"http://{HOST}:{s3}", folder / "credentials")
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if _is_ready(server):
            process.returncode = 0  # prevents the warning of Popen that the process still runs
            return server
        time.sleep(0.2)
    process.kill()
    process.wait()
    return None


def _is_ready(server: Server) -> bool:
    import configparser

    import botocore.session
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    keys = configparser.ConfigParser(interpolation=None)
    keys.read(server.credentials)
    client = botocore.session.get_session().create_client(
        "s3",
        endpoint_url=server.endpoint,
        region_name="us-east-1",
        aws_access_key_id=keys[S3_PROFILE]["aws_access_key_id"],
        aws_secret_access_key=keys[S3_PROFILE]["aws_secret_access_key"],
        config=Config(connect_timeout=1, read_timeout=2, retries={"max_attempts": 0}, s3={"addressing_style": "path"}),
    )
    try:
        for bucket in BUCKETS:
            client.head_bucket(Bucket=bucket)
    except (BotoCoreError, ClientError):
        return False
    return True


def _free_ports(count: int) -> list[int]:
    ports: list[int] = []
    for port in random.sample(PORTS, len(PORTS)):
        if _is_free(port) and _is_free(port + GRPC_OFFSET) and all(abs(port - other) != GRPC_OFFSET for other in ports):
            ports.append(port)
            if len(ports) == count:
                return ports
    raise ScriptError(f"no {count} free ports between {PORTS.start} and {PORTS.stop} on {HOST}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _is_running(pid: int, folder: Path) -> bool:
    """Return whether the process is the server of this folder, and not another one that got the same ID."""
    import psutil

    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and f"-dir={folder / 'data'}" in process.cmdline()
    except (psutil.Error, ValueError):
        return False
