"""Bringing a missing artifact into the work tree, through DVC."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from filelock import FileLock

from loader._errors import FetchError

PACKAGE_PARENT = Path(__file__).resolve().parent.parent


def fetch(root: Path, path: Path, name: str) -> None:
    """Pull the artifact at `path` with DVC; of several processes that ask, one pulls and the others wait for it.

    DVC runs in a process of its own, so that the caller has neither its imports nor its threads afterwards.

    Parameters
    ----------
    root
        The repository.
    path
        The artifact, inside it.
    name
        The dataset, for messages.

    Raises
    ------
    FetchError
        It could not be pulled; the message says why.
    """
    lock = root / ".dvc" / "tmp" / f"fetch-{path.name}.lock"
    if not lock.parent.parent.is_dir():
        raise FetchError(f"{name}: {root} has no .dvc folder; restore it with: git checkout -- .dvc")
    try:
        lock.parent.mkdir(exist_ok=True)
        with FileLock(lock):
            if not path.exists():
                _pull(root, path, name)
    except OSError as error:
        raise FetchError(f"{name}: {path} cannot be fetched: {error}") from error


def _pull(root: Path, path: Path, name: str) -> None:
    python_path = os.pathsep.join(filter(None, (os.fspath(PACKAGE_PARENT), os.environ.get("PYTHONPATH"))))
    on_terminal = sys.stderr is not None and sys.stderr.isatty()
    # -P: the working folder may have modules of the same names as DVC's
    done = subprocess.run(
        [sys.executable, "-P", "-m", "loader._pull", os.fspath(root), os.fspath(path.relative_to(root))],
        env={**os.environ, "PYTHONPATH": python_path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=None if on_terminal else subprocess.PIPE,  # a terminal sees DVC's progress
    )
    try:
        reason = json.loads(done.stdout)["error"]
    except (ValueError, KeyError, TypeError):
        last = (done.stderr or b"").decode(errors="replace").strip().rpartition("\n")[2]
        reason = f"DVC ended with exit code {done.returncode}{': ' + last if last else ''}"
    if reason is None and not path.exists():
        reason = "DVC reported success but left no file"
    if reason is not None:
        raise FetchError(f"{name}: {path} is missing and cannot be fetched: {reason}")
