"""Building a dataset in a sandbox, to show that its bytes do not depend on this machine.

The build runs on a copy of the definition and nothing else: its blocks, its folder, the code of `scripts` and `loader`,
the parents' artifacts, and the source files, which are fetched and checked beforehand. As far as this machine allows,
the build has no network, sees no other file of the repository and of the home folder, and runs at another path, as
another user, with another host name, umask, clock, time zone, locale, home folder and hash seed than the recorded one.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from loader import FetchError
from loader._format.manifest import Manifest
from loader._format.names import ARTIFACTS
from scripts._define.definition import ROOT, Definition
from scripts._define.packages import INSTALLED, install_packages
from scripts._process.errors import ScriptError
from scripts._process.scratch import SCRATCH, scratch_folder
from scripts._sources.accepted import files_of
from scripts._sources.source import FOLDER, Source
from scripts._sources.sources import Sources
from scripts._tfds.ffmpeg import PROGRAMS
from scripts._verify.environment import varied_environment

CODE = ("scripts", "loader")
FILES = ("params.yaml", "dvc.yaml")
NOT_DEFINITION = ("__pycache__", "*.pyc")  # .dvcignore excludes these from a stage's dependencies
HIDDEN = {"network": "network", "files": "the other files of repository and home"}
ALWAYS_VARIED = ("path", "umask", "locale", "time zone", "home", "hash seed")
OTHER_USERS = (65534, 65533)
TAIL_BYTES = 1 << 16
NETWORK_ERRORS = re.compile(
    r"Network is unreachable|Connection refused|name resolution|Name or service not known|NameResolutionError"
    r"|resolve host|nodename nor servname",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Rebuilt:
    """A finished build: the folder of its artifacts, what was varied, and why the rest stayed the same."""

    folder: Path
    varied: tuple[str, ...]
    same: dict[str, str]

    def conditions(self) -> str:
        """Return a line that says how the build differed from an ordinary one."""
        without = "".join(f" without {what}," for name, what in HIDDEN.items() if name in self.varied)
        others = ", ".join(what for what in self.varied if what not in HIDDEN)
        line = f"in a sandbox{without} with another {others}"
        return f"{line}; NOT varied on this machine: {_reasons(self.same)}" if self.same else line


@contextmanager
def rebuilt(definition: Definition, manifest: Manifest) -> Iterator[Rebuilt]:
    """Build a dataset in a sandbox, and remove the build at the end of the `with` block.

    Parameters
    ----------
    definition
        The dataset.
    manifest
        The manifest of the recorded artifact, which lists the source files to copy.

    Raises
    ------
    ScriptError
        A source file is found nowhere, another rebuild is running, the disk is too small, or the build fails.
    """
    with scratch_folder(definition.root, f"rebuild-{definition.name}") as scratch:
        root = scratch / "repository"
        _copy_definition(definition, root)
        _copy_inputs(definition, manifest, root)
        varied, same = _run_build(definition, scratch, root)
        yield Rebuilt(root / ARTIFACTS, varied, same)


def _copy_definition(definition: Definition, root: Path) -> None:
    ignore = shutil.ignore_patterns(*NOT_DEFINITION)
    (root / ARTIFACTS).mkdir(parents=True)
    for package in CODE:
        shutil.copytree(ROOT / package, root / package, ignore=ignore, copy_function=shutil.copyfile)
    for name in FILES:
        if (definition.root / name).exists():
            shutil.copyfile(definition.root / name, root / name)
    for lock in definition.root.glob("requirements*.lock"):  # by which the build checks the builder's packages
        shutil.copyfile(lock, root / lock.name)
    if definition.folder is not None:
        target = root / definition.folder.relative_to(definition.root)
        shutil.copytree(definition.folder, target, ignore=ignore, copy_function=shutil.copyfile)
    if install_packages(definition) is not None:  # here, because the sandbox has no network
        (root / SCRATCH).mkdir()
        (root / INSTALLED).symlink_to(definition.root / INSTALLED)


def _copy_inputs(definition: Definition, manifest: Manifest, root: Path) -> None:
    """Copy the checked source files and the parents' artifacts; the build cannot see the originals."""
    recorded = [Source(**raw) for raw in manifest.raw.get("sources", ())]
    with Sources(definition) as sources:
        found = {source: sources.submit(source) for source in recorded}
        copies: dict[Path, Path] = {}
        for source, future in found.items():
            copies |= files_of(source, future.result(), root / FOLDER / definition.name / source.filename)
    for parent, tars in definition.parents.items():
        for file in (f"{parent}.json", *tars):
            path = copies[root / ARTIFACTS / file] = definition.root / ARTIFACTS / file
            if path.exists():
                continue
            if file not in tars:
                raise ScriptError(
                    f"{definition.name}: the manifest of its parent {parent} is missing ({path}); "
                    f"build it with: make build DATASET={parent}"
                )
            _pull(definition, parent, path)
    size, free = sum(path.stat().st_size for path in copies.values()), shutil.disk_usage(root).free
    if size > free:
        raise ScriptError(
            f"{definition.name}: the sandbox needs {size:,} bytes for copies of the sources, {root} has {free:,} left"
        )
    for target, path in copies.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        _clone_file(path, target)


def _pull(definition: Definition, parent: str, path: Path) -> None:
    """Pull a parent's artifact, which a checkout without artifacts lacks."""
    from scripts._dvc.pull import dvc_pull

    try:
        dvc_pull(definition.root, path, name=parent)
    except FetchError as error:
        raise ScriptError(
            f"{definition.name}: its parent {parent} is not here and cannot be pulled: {error}; "
            f"or build it with: make build DATASET={parent}"
        ) from error


def _clone_file(source: Path, target: Path) -> None:
    """Copy a file, sharing its blocks if the file system can."""
    with source.open("rb") as reader, target.open("wb") as writer:
        try:
            while os.copy_file_range(reader.fileno(), writer.fileno(), 1 << 30):
                pass
        except (AttributeError, OSError):  # this system or these file systems do not support it
            reader.seek(0)
            writer.seek(0)
            shutil.copyfileobj(reader, writer)


def _run_build(definition: Definition, scratch: Path, root: Path) -> tuple[tuple[str, ...], dict[str, str]]:
    name = definition.name
    environment, same = varied_environment(scratch)
    preloaded = [environment["LD_PRELOAD"]] if "LD_PRELOAD" in environment else []
    reader, writer = os.pipe()
    output, child_output = os.openpty() if sys.stderr.isatty() else os.pipe()
    task = {
        "command": [sys.executable, "-m", "scripts", "build", name],
        "cwd": os.fspath(root),
        "env": environment,
        "umask": 0o022 if _umask() == 0o077 else 0o077,
        "uid": next(uid for uid in OTHER_USERS if uid != os.geteuid()),
        "hostname": "rebuild",
        "hidden": _hidden(definition.root),
        "kept": list(dict.fromkeys([os.fspath(scratch), sys.prefix, sys.base_prefix, *preloaded, *_used(definition)])),
        "owned": os.fspath(scratch),
        "readable": [sys.executable, os.__file__],
        "parent": os.getpid(),
        "report": writer,
    }
    process = subprocess.Popen(
        [sys.executable, "-I", str(Path(__file__).with_name("isolate.py")), json.dumps(task)],
        stdin=subprocess.DEVNULL,
        stdout=child_output,
        stderr=child_output,
        pass_fds=[writer],
        start_new_session=True,  # Ctrl-C reaches only this process, which then kills all of the others
    )
    try:
        os.close(writer)
        os.close(child_output)
        with os.fdopen(reader) as report:
            refused = json.loads(report.read() or "{}")
        same = {**refused, **same}
        possible = (*HIDDEN, *ALWAYS_VARIED, "user", "host name", "clock")
        varied = tuple(what for what in possible if what not in same)
        if same:
            print(f"{name}: the sandbox cannot vary on this machine: {_reasons(same)}", file=sys.stderr)
        with os.fdopen(output, "rb", buffering=0) as file:
            tail = _relay(file, process)
        if process.wait():
            raise ScriptError(_failure(name, tail, network="network" in same))
    finally:
        _end(process)
    return varied, same


def _used(definition: Definition) -> list[str]:
    """Return what the build uses and a definition cannot contain: its installed packages, and ffmpeg."""
    programs = [Path(path) for path in map(shutil.which, PROGRAMS) if path]
    paths = [definition.root / INSTALLED, *programs, *(path.resolve() for path in programs)]
    return [os.fspath(path) for path in paths if path.exists()]


def _hidden(root: Path) -> list[str]:
    """Return the folders that the build must not see: a file that it needs there is missing from the definition."""
    folders = [root]
    with suppress(KeyError):  # a user without a name
        folders.append(Path(pwd.getpwuid(os.geteuid()).pw_dir).resolve())
    folders = [folder for folder in folders if folder.is_dir() and folder != folder.parent]
    inner = {folder for folder in folders for other in folders if other in folder.parents}
    return [os.fspath(folder) for folder in dict.fromkeys(folders) if folder not in inner]


def _relay(output: BinaryIO, process: subprocess.Popen[bytes]) -> str:
    """Copy the build's output to stderr, and return its end."""
    tail = b""
    while True:
        ended = process.poll() is not None  # asked first, so that the last output is still read
        if select.select([output], [], [], 0 if ended else 0.2)[0]:
            try:
                data = output.read(1 << 16)
            except OSError:  # a terminal whose last process has ended
                data = b""
            if data:
                sys.stderr.write(data.decode(errors="replace"))
                sys.stderr.flush()
                tail = (tail + data)[-TAIL_BYTES:]
                continue
            process.wait()
            return tail.decode(errors="replace")
        if ended:
            return tail.decode(errors="replace")


def _failure(name: str, tail: str, *, network: bool) -> str:
    lines = tail.replace("\r\n", "\n").strip().splitlines() or ["it printed nothing"]
    starts = [number for number, line in enumerate(lines) if line.startswith("error: ")]
    reason = "\n".join(lines[starts[-1] if starts else -1 :]).removeprefix("error: ").removeprefix(f"{name}: ")
    message = f"{name}: the build in the sandbox failed: {reason}"
    if not network and NETWORK_ERRORS.search(reason):
        message += (
            "\nthe sandbox has no network: a builder must get its files from dl_manager.download, "
            "and each needs a line in checksums.tsv"
        )
    return message


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill every process of the build: the kernel kills those of its namespace; without one, they share a session."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _umask() -> int:
    """Return the umask of this process, which can only be read by setting it."""
    current = os.umask(0o077)
    os.umask(current)
    return current


def _reasons(same: dict[str, str]) -> str:
    return ", ".join(f"{what} ({reason})" for what, reason in same.items())
