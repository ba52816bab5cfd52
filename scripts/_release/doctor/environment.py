"""Python, the installed packages, git, and the repository's records."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from functools import partial
from importlib import metadata
from pathlib import Path

from loader._format.names import ARTIFACTS
from scripts._define.definition import PARAMS_FILE
from scripts._dvc.config import CONFIG_FILE
from scripts._dvc.stages import LOCK_FILE, STAGES_FILE
from scripts._process.errors import ScriptError
from scripts._process.files import read_yaml
from scripts._process.git import changed_files, git
from scripts._release.doctor.result import Problem, Result, counted, listed, quoted
from scripts._release.recorded_objects import SOURCES
from scripts._verify.repository import check_repository

REQUIREMENTS = "requirements.lock"
SET_UP_AGAIN = "rm -f .venv/.set-up && make setup"
MERGE_DRIVER = "merge.datasets.driver"
INSTALL_DRIVER = ("python", "-m", "scripts", "merge-file", "--install")
_MERGED = re.compile(r"^[^#\n]*\smerge=datasets\s*$", re.MULTILINE)
_TO_COMMIT = (PARAMS_FILE, STAGES_FILE, LOCK_FILE, CONFIG_FILE, ARTIFACTS, SOURCES, "datasets")


def check_packages(root: Path) -> Result:
    """Check that this Python has the packages of the lock file, and the toolchain of `params.yaml`."""
    result = Result()
    wrong = []
    pinned = _pinned(root / REQUIREMENTS)
    for name, wanted in pinned.items():
        if (installed := _installed(name)) != wanted:
            wrong.append(f"{name} {installed or 'is missing'} instead of {wanted}")
    if wrong:
        result.problems.append(
            Problem(f"this environment differs from {REQUIREMENTS} ({listed(wrong)}); set it up with: {SET_UP_AGAIN}")
        )
    toolchain = read_yaml(root / PARAMS_FILE).get("toolchain") or {}
    other = [
        f"{name} {_installed(name) or 'is missing'} instead of {wanted}"
        for name, wanted in toolchain.items()
        if _installed(name) != str(wanted)
    ]
    if other:
        result.problems.append(
            Problem(
                f"this environment does not have the toolchain of {PARAMS_FILE}, which decides the bytes of artifacts "
                f"({listed(other)}); set it up with: {SET_UP_AGAIN}"
            )
        )
    if not result.problems:
        result.fine.append(
            f"Python {platform.python_version()}, DVC {_installed('dvc')}, {counted(len(pinned), 'package')} as in "
            f"{REQUIREMENTS}, the toolchain of {PARAMS_FILE}"
        )
    return result


def check_git(root: Path, *, records_agree: bool) -> Result:
    """Check git's settings for this clone, and whether the records are committed.

    Parameters
    ----------
    root
        The repository.
    records_agree
        Whether the records may be committed, as far as `check_records` knows.
    """
    result = Result()
    try:
        files = list(changed_files(root, *_TO_COMMIT))
        hooks = root / git(root, "rev-parse", "--git-path", "hooks").decode().strip()
        settings = git(root, "config", "--list", "--name-only").decode(errors="replace").lower().split()
    except ScriptError as error:
        result.problems.append(Problem(f"git does not work here, so nothing is recorded for good: {error}"))
        return result
    if files:
        command = f"commit them with: git add -A -- {quoted(files)} && git commit -m 'Record the datasets'"
        if not records_agree:
            command = f"they do not agree, so look first at what changed: git diff HEAD -- {quoted(files)}"
        result.problems.append(
            Problem(f"records are not committed, so nobody else has them ({listed(files)}); {command}")
        )
    ignored = [each for each in sorted(hooks.glob("*")) if each.suffix == "" and not os.access(each, os.X_OK)]
    if ignored:
        result.problems.append(
            Problem(
                f"git ignores hooks that may not be executed ({listed(each.name for each in ignored)}); "
                f"allow it with: chmod +x {quoted(ignored)}"
            )
        )
    attributes = root / ".gitattributes"
    is_merged = attributes.exists() and _MERGED.search(attributes.read_text(encoding="utf-8"))
    if is_merged and MERGE_DRIVER not in settings:
        result.problems.append(
            Problem(
                ".gitattributes names the merge driver of datasets, but this clone does not have it, so git merges "
                f"params.yaml, dvc.yaml and dvc.lock by line; set it up with: .venv/bin/{' '.join(INSTALL_DRIVER)}",
                partial(_install_driver, root),
            )
        )
    if not result.problems:
        result.fine.append("git: the records are committed" + (", the merge driver is set up" if is_merged else ""))
    return result


def _install_driver(root: Path) -> str:
    done = subprocess.run([sys.executable, *INSTALL_DRIVER[1:]], cwd=root, capture_output=True, text=True)
    if done.returncode:
        raise ScriptError(done.stderr.strip())
    return "the merge driver is set up"


def check_records(root: Path) -> Result:
    """Check that the records agree, as `make check` does."""
    problems = [Problem(text) for text in check_repository(root)]
    return Result(problems, [] if problems else ["the records agree (make check)"])


def _pinned(lock: Path) -> dict[str, str]:
    """Return the versions that a lock file pins for this platform and Python."""
    from packaging.requirements import Requirement

    if not lock.exists():
        return {}
    found = {}
    for line in lock.read_text(encoding="utf-8").splitlines():
        if "==" in line and not line.startswith((" ", "#")):
            requirement = Requirement(line.removesuffix("\\").strip())
            if requirement.marker is None or requirement.marker.evaluate():
                found[requirement.name] = next(iter(requirement.specifier)).version
    return found


def _installed(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
