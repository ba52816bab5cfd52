"""Refusing what a builder reads that its definition does not declare: files, URLs, and packages that no lock file pins.

Python reports opened files, connections, started programs and imports to audit hooks. The hook here looks at the stack
of the thread to find out whether the builder's own code is the cause. It is an aid against mistakes, not a barrier:

- It does not see what C and C++ code opens (`tf.io.gfile`, `cv2.imread`, a database client), nor what other processes
  do, nor the threads of a library.
- A file counts only if a line of the builder opens it, directly or through the standard library or READERS. Other
  packages have configuration, caches and fonts of their own, which cannot be told from data.
- Files that were created or changed since the build began are the build's own temporary files.

`make verify REBUILD=1` shows what escapes it, because the sandbox has neither the network nor the other files.
"""

from __future__ import annotations

import ipaddress
import os
import re
import shutil
import socket
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

import loader
from loader._errors import url_without_secrets
from scripts._build.callers import Callers, Owner, is_below
from scripts._build.lock_files import unpinned
from scripts._define.definition import Definition
from scripts._define.packages import INSTALLED, REQUIREMENTS, requirements_folder
from scripts._dvc.stages import STAGES_FILE, dependencies, read_stage
from scripts._process.errors import ScriptError
from scripts._sources.manual import is_manual
from scripts._sources.source import FOLDER
from scripts._sources.sources import Sources, mirror_location

# programs that read from the network
FETCHERS = {
    *("aria2c", "aws", "axel", "az", "curl", "dvc", "ftp", "gcloud", "gdown", "gh", "git", "gsutil", "hf", "kaggle"),
    *("huggingface-cli", "lftp", "rclone", "rsync", "s3cmd", "s5cmd", "scp", "sftp", "ssh", "wget"),
}
SHELLS = {"sh", "bash", "dash", "zsh"}
# the system's own files: time zones, locales, fonts, certificates, devices
SYSTEM = ("/dev", "/etc", "/lib", "/lib64", "/Library", "/nix/store", "/proc", "/run", "/sys", "/System", "/usr")
ANY = {Owner.IMPORT, Owner.STANDARD, Owner.READER, Owner.OTHER}  # but our own code, which fetches what is declared
_COMMAND = re.compile(r"(?:^|[;&|(`\n])\s*(?:\w+=\S*\s+)*([\w./+-]+)")


class Watch:
    """Watches the code of one dataset's builder.

    Parameters
    ----------
    definition
        The dataset.
    scratch
        The folder of the build, created when it began.
    sources
        The source files, of which the builder may read those that it asked for.
    extracted
        The folder of the extracted source files, which may be older than the build of a config.
    """

    def __init__(self, definition: Definition, scratch: Path, sources: Sources, extracted: Path) -> None:
        stage = read_stage(definition.root / STAGES_FILE, definition.name)
        self._definition = definition
        self._callers = Callers(definition)
        self._sources = sources
        self._began = scratch.stat().st_ctime_ns  # by the file system's clock, as are the times of the other files
        self._declared = [definition.root / path for path in dependencies(stage)]
        if definition.folder is not None:
            self._declared.append(definition.folder)
        self._packages = definition.root / INSTALLED
        self._readable = _real(
            [
                *self._declared,
                self._packages,
                scratch,
                extracted,
                Path(sys.prefix),
                Path(sys.base_prefix),
                *map(Path, SYSTEM),
            ],
        )
        self._loaded = {name.partition(".")[0] for name in sys.modules}
        self._imported: set[str] = set()
        self._programs: set[str] = set()
        self._first: str | None = None

    def check(self) -> None:
        """Check what the builder has read and imported so far, also if its code has caught the error.

        Raises
        ------
        ScriptError
            Some of it is not declared.
        """
        if self._first is not None:
            raise ScriptError(self._first)
        name, root = self._definition.name, self._definition.root
        declared = [*self._declared, self._packages, Path(loader.__file__).parent]
        for module in unpinned(self._imported, declared=declared, loaded=self._loaded, root=root):
            what = f"{name}: its builder imports {module.name} from {module.file}"
            if module.package is None and module.file.is_relative_to(root):
                raise ScriptError(
                    f"{what}, which is not part of its definition; move it into the builder's folder, "
                    f"or name it among the deps of {name} in dvc.yaml"
                )
            raise ScriptError(
                f"{what}{f' ({module.package})' if module.package else ''}, which no lock file pins; add its package "
                f"to {requirements_folder(self._definition).relative_to(root) / REQUIREMENTS} and run: "
                f"make lock DATASET={name}"
            )

    def check_path(self, path: str, key: object) -> None:
        """Refuse a file that an example names; TFDS reads it with C++ code, which the audit hook does not see."""
        if "://" in path or not self._is_readable(path):
            self._refuse(
                f"the example with key {key!r} names {url_without_secrets(path) if '://' in path else path}",
                "is not part of its definition",
            )

    def on_import(self, frame: FrameType, name: str, *_: object) -> None:
        """Remember a module that the builder's code imports, directly or indirectly."""
        if self._callers.line(frame, ANY) is not None:
            self._imported.add(name)

    def on_open(self, frame: FrameType, path: object, _: object, flags: int) -> None:
        """Refuse to open a file for reading."""
        if flags & os.O_ACCMODE != os.O_WRONLY and not flags & os.O_TRUNC:
            self.on_read(frame, path)

    def on_read(self, frame: FrameType, path: object = None, *_: object) -> None:
        """Refuse to read a file, or to list a folder."""
        if isinstance(path, int) or path == ":memory:":
            return
        line = self._callers.line(frame, {Owner.STANDARD, Owner.READER})
        if line is None:
            return
        file = os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else "."
        if not self._is_readable(file):
            self._refuse(f"{line} reads {Path(file).absolute()}", "is not part of its definition")

    def on_url(self, frame: FrameType, url: object, *_: object) -> None:
        """Refuse to open a URL."""
        if urlsplit(str(url)).scheme not in ("file", "data"):
            self._refuse_network(frame, url_without_secrets(str(url)))

    def on_http(self, frame: FrameType, _: object, host: object, port: object) -> None:
        """Refuse an HTTP connection, to this machine too."""
        self._refuse_network(frame, f"{host}:{port}")

    def on_lookup(self, frame: FrameType, host: object, port: object, *_: object) -> None:
        """Refuse to look up the address of a host."""
        name = os.fsdecode(host) if isinstance(host, str | bytes) else ""
        if name and not _is_loopback(name):
            self._refuse_network(frame, f"{name}:{port}" if port else name)

    def on_connect(self, frame: FrameType, connection: socket.socket, address: Any) -> None:
        """Refuse a connection to another machine; a build's own processes talk to each other on this one."""
        if connection.type == socket.SOCK_STREAM:  # connecting a datagram socket sends nothing
            self.on_send(frame, connection, address)

    def on_send(self, frame: FrameType, connection: socket.socket, address: Any) -> None:
        """Refuse to send a datagram to another machine."""
        if connection.family in (socket.AF_INET, socket.AF_INET6) and not _is_loopback(str(address[0])):
            self._refuse_network(frame, f"{address[0]}:{address[1]}")

    def on_program(self, frame: FrameType, program: object, arguments: Any, *_: object) -> None:
        """Refuse to start a program that reads from the network; tell of others that no lock file pins."""
        line = self._callers.line(frame, {Owner.STANDARD})
        if line is None:
            return
        words = [os.fsdecode(word) for word in arguments] or [str(program)]
        in_shell = Path(words[0]).name in SHELLS and len(words) > 2 and words[1] == "-c"
        for command in _COMMAND.findall(words[2]) if in_shell else words[:1]:
            name, found = Path(command).name, shutil.which(command)
            if name in FETCHERS:
                self._refuse(f"{line} starts {name}", "may read what nothing records")
            if found and name not in self._programs and not Path(found).is_relative_to(sys.prefix):
                self._programs.add(name)
                print(
                    f"{self._definition.name}: {line} starts {name}, which no lock file pins; "
                    f"another version of it may give other bytes",
                    file=sys.stderr,
                )

    def on_shell(self, frame: FrameType, command: str | bytes) -> None:
        """Refuse or tell of the programs in a command for the shell."""
        self.on_program(frame, "sh", ["sh", "-c", command])

    def _refuse_network(self, frame: FrameType, target: str) -> None:
        if line := self._callers.line(frame, ANY):
            self._refuse(f"{line} connects to {target}", "is not one of its source files")

    def _refuse(self, what: str, why: str) -> None:
        name = self._definition.name
        if self._definition.is_ours:
            remedy = (
                f"download it with dl_manager.download and register it with: make build DATASET={name} REGISTER=1, "
                f"or put a small file into {self._definition.builder}"
            )
        else:
            remedy = f"write a builder that downloads it with: make new NAME=my_{name}"
        self._fail(f"{what}, which {why}; {remedy}")

    def _fail(self, problem: str) -> None:
        error = f"{self._definition.name}: {problem}"
        self._first = self._first or error
        raise ScriptError(error)

    def _is_readable(self, file: str) -> bool:
        try:
            status = os.stat(file)  # noqa: PTH116 - a Path would be a copy of the string
        except (OSError, ValueError):
            return True  # opening it fails
        is_data = stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)
        if not is_data or status.st_ctime_ns >= self._began:
            return True
        real = os.path.realpath(file)
        manual = self._sources.manual
        is_manual = manual is not None and real in manual.files
        return is_below(real, self._readable) or is_manual or real in _real(self._source_files())

    def _source_files(self) -> Iterator[Path]:
        definition = self._definition
        for source in list(self._sources.used.values()):
            if is_manual(source.url):
                continue  # the builder sees them in a folder of its own
            yield definition.root / FOLDER / definition.name / source.filename
            mirror = mirror_location(definition, source.filename)
            if isinstance(mirror, Path):
                yield mirror


@contextmanager
def refusing_undeclared(definition: Definition, scratch: Path, sources: Sources, extracted: Path) -> Iterator[Watch]:
    """Refuse what the builder of a dataset reads without declaring it, inside a `with` block; see `Watch`.

    Raises
    ------
    ScriptError
        The builder did so, whatever else it raised because of that.
    """
    global _watch
    watch = Watch(definition, scratch, sources, extracted)
    _add_hook()
    _watch = watch
    try:
        yield watch
    except Exception as error:
        if watch._first is not None and str(error) != watch._first:
            raise ScriptError(watch._first) from error
        raise
    finally:
        _watch = None
    watch.check()


_watch: Watch | None = None
_HANDLERS: dict[str, Callable[..., None]] = {
    "http.client.connect": Watch.on_http,
    "import": Watch.on_import,
    "open": Watch.on_open,
    "os.listdir": Watch.on_read,
    "os.posix_spawn": Watch.on_program,
    "os.scandir": Watch.on_read,
    "os.system": Watch.on_shell,
    "socket.connect": Watch.on_connect,
    "socket.getaddrinfo": Watch.on_lookup,
    "socket.sendto": Watch.on_send,
    "sqlite3.connect": Watch.on_read,
    "subprocess.Popen": Watch.on_program,
    "urllib.Request": Watch.on_url,
}


@cache
def _add_hook() -> None:
    """Add the audit hook, once per process: Python cannot remove it. It does nothing outside a build."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if _watch is not None and (handle := _HANDLERS.get(event)) is not None:
            handle(_watch, sys._getframe(1), *arguments)

    sys.addaudithook(hook)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _real(paths: Iterable[Path]) -> list[str]:
    return [os.path.realpath(path) for path in paths]
