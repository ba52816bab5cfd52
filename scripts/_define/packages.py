"""The packages that one dataset's builder needs besides those of the environment.

`requirements.txt` in the dataset's folder names them, `requirements.lock` beside it pins them with hashes. They are
installed into a folder that follows the environment on `sys.path`. So the environment's packages always win, and with
them the toolchain that decides bytes, also over another package that has a module of the same name.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from scripts._define.definition import Definition
from scripts._process.errors import ScriptError
from scripts._process.scratch import SCRATCH, waiting_for

REQUIREMENTS, LOCK = "requirements.txt", "requirements.lock"
PROJECT_LOCK = "requirements.lock"  # of the environment, in the repository's root
INSTALLED = f"{SCRATCH}/packages"
# the packages of modules that have other names; of the modules that TFDS's definitions import
PACKAGES = {
    "Bio": "biopython",
    "PIL": "pillow",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python-headless",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "tensorflow_io": "tensorflow-io",
    "yaml": "pyyaml",
}


@dataclass(frozen=True)
class Pinned:
    """A package in a lock file: its name, its version and its lines, with the hashes."""

    name: str
    version: str
    lines: str


def requirements_folder(definition: Definition) -> Path:
    """Return the folder for `requirements.txt`; the builder of a dataset of TFDS is not in it."""
    return definition.folder or definition.root / "datasets/standard" / definition.name


def read_lock(path: Path) -> Iterator[Pinned]:
    """Yield the packages in a lock file that this Python and system need."""
    for lines in re.split(r"\n(?=[^\s#])", path.read_text(encoding="utf-8")):
        if lines.strip() and not lines.startswith(("#", "-")):
            requirement = Requirement(lines.partition("\n")[0].rstrip(" \\"))
            if requirement.marker is None or requirement.marker.evaluate():
                version = next(iter(requirement.specifier)).version
                yield Pinned(canonicalize_name(requirement.name), version, lines)


def locked_versions(definition: Definition) -> dict[str, str]:
    """Return the versions that a dataset's lock file pins; empty if it has none.

    Raises
    ------
    ScriptError
        The lock file is missing or lacks what `requirements.txt` names, or the environment has other versions.
    """
    folder = requirements_folder(definition)
    lock = folder / LOCK
    shown, remedy = lock.relative_to(definition.root), f"run: make lock DATASET={definition.name}"
    try:
        pinned = {each.name: each.version for each in read_lock(lock)} if lock.exists() else {}
    except (InvalidRequirement, StopIteration, UnicodeError) as error:
        raise ScriptError(f"{definition.name}: {shown} cannot be read: {error}; {remedy}") from error
    for requirement in _required(folder / REQUIREMENTS):
        version = pinned.get(canonicalize_name(requirement.name))
        if version is None or not requirement.specifier.contains(version, prereleases=True):
            raise ScriptError(
                f"{definition.name}: {folder.relative_to(definition.root) / REQUIREMENTS} asks for {requirement}, "
                f"which {shown} {'does not have' if version is None else f'has in version {version}'}; {remedy}"
            )
    for name, version in pinned.items():
        found = _in_environment(name)
        if found is not None and Version(found).public != Version(version).public:
            raise ScriptError(
                f"{definition.name}: {shown} has {name} {version}, this environment {found}, and the environment's "
                f"packages win; {remedy}"
            )
    return pinned


def install_packages(definition: Definition) -> Path | None:
    """Install the packages of a dataset that the environment lacks, once; return their folder, None if there are none.

    Raises
    ------
    ScriptError
        The lock file is wrong, see `locked_versions`, or a package cannot be installed.
    """
    missing = _missing(definition)
    if not missing:
        return None
    installed = _installed(definition, missing)
    key, packages = installed.name, installed / "site-packages"
    if packages.is_dir():
        return packages

    def report(_: str) -> None:
        print(f"{definition.name}: waiting for another build that installs its packages", file=sys.stderr)

    with waiting_for(definition.root, [f"packages-{key}"], report=report):
        if not packages.is_dir():
            part = installed.with_name(f"{key}.part")
            shutil.rmtree(part, ignore_errors=True)  # of a killed build
            part.mkdir(parents=True)
            (part / "requirements.txt").write_text(_requirements(missing), encoding="utf-8")
            print(f"{definition.name}: installing {', '.join(sorted(each.name for each in missing))}", file=sys.stderr)
            try:
                _pip_install(definition, part)
                part.rename(installed)
            finally:
                shutil.rmtree(part, ignore_errors=True)
    return packages


def installed_folder(definition: Definition) -> Path | None:
    """Return the folder in which the packages of a dataset are, or will be, installed; None if it needs none.

    Raises
    ------
    ScriptError
        The lock file is wrong, see `locked_versions`.
    """
    missing = _missing(definition)
    return _installed(definition, missing) if missing else None


def use_packages(definition: Definition) -> None:
    """Make the packages of a dataset importable in this process, and those of no other dataset."""
    folder = install_packages(definition)
    others = appended_folders()
    sys.path[:] = [path for path in sys.path if path not in others]
    if folder is not None:
        sys.path.append(os.fspath(folder))


def appended_folders() -> list[str]:
    """Return the folders of packages that are on `sys.path`, for the processes that a build starts."""
    return [path for path in sys.path if f"/{INSTALLED}/" in path]


def missing_module(error: BaseException | None, definition: Definition) -> str | None:
    """Return what to do about an import that fails because of a missing package; None for other errors."""
    while error is not None and not (isinstance(error, ModuleNotFoundError) and error.name):
        error = error.__cause__ or error.__context__
    if error is None:
        return None
    module = str(error.name).partition(".")[0]
    if module == "apache_beam":
        return "add it with: make beam"
    if module in sys.modules or module == "datasets":  # a file of the builder's folder, or of its package, is missing
        return None
    folder = requirements_folder(definition).relative_to(definition.root)
    # an index may have a package of that name which is not meant
    own = f"put {module}.py into {folder} if it is a file of yours; if not, " if definition.is_ours else ""
    return (
        f"{own}add a line {PACKAGES.get(module, module)} to {folder / REQUIREMENTS} and run: "
        f"make lock DATASET={definition.name}"
    )


def _missing(definition: Definition) -> list[Pinned]:
    """Return the packages in the lock file of a dataset that the lock file of the environment does not have."""
    if not locked_versions(definition):
        return []
    project = definition.root / PROJECT_LOCK
    ours = {each.name for each in read_lock(project)} if project.exists() else set()
    return [each for each in read_lock(requirements_folder(definition) / LOCK) if each.name not in ours]


def _requirements(packages: list[Pinned]) -> str:
    return "\n".join(each.lines.rstrip() for each in packages) + "\n"


def _installed(definition: Definition, packages: list[Pinned]) -> Path:
    """Return the folder of packages, whose name says what is in it."""
    what = f"{sys.implementation.cache_tag} {sysconfig.get_platform()}\n{_requirements(packages)}"
    return definition.root / INSTALLED / hashlib.sha256(what.encode()).hexdigest()[:16]


def _required(path: Path) -> Iterator[Requirement]:
    """Yield what a `requirements.txt` names for this Python and system; options of pip are left to `make lock`."""
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            requirement = Requirement(line.partition(" #")[0].strip())
        except InvalidRequirement:
            continue
        if requirement.marker is None or requirement.marker.evaluate():
            yield requirement


def _in_environment(package: str) -> str | None:
    """Return the version of a package in the environment, None if it is not installed there."""
    try:
        distribution = next(iter(metadata.distributions(name=package, path=_environment_path())))
    except StopIteration:
        return None
    return distribution.version


def _environment_path() -> list[str]:
    others = appended_folders()
    return [path for path in sys.path if path not in others]


def _pip_install(definition: Definition, folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--require-hashes", "--target", f"{folder / 'site-packages'}", "-r", f"{folder / 'requirements.txt'}"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        reason = " ".join(done.stderr[max(done.stderr.find("ERROR: "), 0) :].removeprefix("ERROR: ").split())
        raise ScriptError(f"{definition.name}: its packages cannot be installed: {reason}")
