"""Finding imported modules that no lock file pins."""

from __future__ import annotations

import os
import re
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from packaging.utils import canonicalize_name

LOCK_FILES = "requirements*.lock"
_PINNED = re.compile(r"^([\w.-]+)==([^\s;\\+]+)", re.MULTILINE)


class Module(NamedTuple):
    """An imported module: its name, its file, and its package and version if it is in the environment."""

    name: str
    file: Path
    package: str | None


def unpinned(modules: Iterable[str], *, declared: Iterable[Path], loaded: set[str], root: Path) -> Iterator[Module]:
    """Yield the modules that neither the lock files, nor the standard library, nor the definition contain.

    Parameters
    ----------
    modules
        The names of modules; those that are not imported are left out.
    declared
        Files and folders that modules may come from too.
    loaded
        The top-level packages that were imported before; they are not looked up in the lock files.
    root
        The repository. If it has no lock files, like the copy in the sandbox, every installed package is accepted.
    """
    standard = Path(sysconfig.get_path("stdlib")).resolve()
    installed = {Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib")}
    accepted = [path.resolve() for path in declared]
    to_look_up: dict[Path, str] = {}
    for name in sorted(modules):
        file = _file(name)
        if file is None:
            continue
        if any(file.is_relative_to(folder) for folder in installed):
            package = name.partition(".")[0]
            whole = _file(package)  # one file stands for its package, but not for a namespace, which several share
            if whole is None or package not in loaded:
                to_look_up[whole or file] = package if whole else name
        elif any(file.is_relative_to(folder) for folder in accepted):
            continue
        elif not file.is_relative_to(standard) or {"site-packages", "dist-packages"} & set(file.parts):
            yield Module(name, file, None)
    if to_look_up and (pinned := pinned_packages(root)):
        owners = _owners(to_look_up, installed)
        for file, name in to_look_up.items():
            package, version = owners.get(file, ("in no package", ""))
            if version.partition("+")[0] not in pinned.get(canonicalize_name(package), ()):
                yield Module(name, file, f"{package} {version}".strip())


def _file(module: str) -> Path | None:
    """Return the file of an imported module; None if it is built in, a namespace, or not made from a file."""
    path = getattr(sys.modules.get(module), "__file__", None)
    return Path(os.path.realpath(path)) if path and os.path.isabs(path) else None  # noqa: PTH117


def pinned_packages(root: Path, lock_files: str = LOCK_FILES) -> dict[str, set[str]]:
    """Return the versions of each package in all lock files, or in those that a pattern names."""
    pinned: dict[str, set[str]] = {}
    for lock in root.glob(lock_files):
        for package, version in _PINNED.findall(lock.read_text(encoding="utf-8")):
            pinned.setdefault(canonicalize_name(package), set()).add(version)
    return pinned


def _owners(files: Iterable[Path], installed: Iterable[Path]) -> dict[Path, tuple[str, str]]:
    """Return the name and version of the package that installed each file."""
    owners = {}
    for folder in installed:
        lines = {
            file: f"\n{file.relative_to(folder).as_posix()},".encode() for file in files if file.is_relative_to(folder)
        }
        for record in folder.glob("*.dist-info/RECORD"):
            content = b"\n" + record.read_bytes()
            for file in [file for file, line in lines.items() if line in content]:
                package, _, version = record.parent.name.removesuffix(".dist-info").partition("-")
                owners[file] = (package, version)
                del lines[file]
    return owners
