"""What killed commands left behind: entries of ended processes in DVC's list, folders, unfinished files."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from loader._format.names import ARTIFACTS
from loader._format.plain_table import size_text
from scripts._dvc.main import clean_rwlock, has_ended
from scripts._process.errors import ScriptError
from scripts._release.doctor.result import Problem, Result, quoted
from scripts._release.leftovers import Leftover, leftovers, remove_leftover, size_of

QUIET_SECONDS = 3600
"""A file that was not written for so long is no longer being written."""


def check_interrupted(root: Path, cache: Path) -> Result:
    """Check for what killed commands left; what commands use at this moment is left alone.

    Parameters
    ----------
    root
        The repository.
    cache
        The folder of DVC's cache that has the objects.
    """
    problems = [*_ended_users(root), *_leftovers(root, cache)]
    return Result(problems, [] if problems else ["nothing is left of killed commands"])


def _ended_users(root: Path) -> Iterator[Problem]:
    """Yield a problem if DVC's list of files in use names processes that have ended, or is damaged."""
    folder = root / ".dvc/tmp"
    path = folder / "rwlock"
    try:
        written = path.stat().st_mtime
        used = json.loads(path.read_bytes())
        users = [*used.get("write", {}).values(), *(user for each in used.get("read", {}).values() for user in each)]
        ended = ", ".join(sorted({str(user["pid"]) for user in users if has_ended(user, written)}))
        if not ended:
            return
        what = f"names processes that have ended ({ended}), for which DVC may wait"
    except FileNotFoundError:
        return
    except (ValueError, TypeError, KeyError, AttributeError):
        what = "is damaged, so plain DVC commands fail"
    relative = path.relative_to(root)

    def clean() -> str:
        clean_rwlock(folder)
        return f"removed from {relative} what is not true"

    yield Problem(f"{relative} {what}; when no DVC command is running, remove it with: rm -f {quoted([path])}", clean)


def _leftovers(root: Path, cache: Path) -> Iterator[Problem]:
    found = {each.path: (each, partial(remove_leftover, root, each)) for each in leftovers(root, cache)}
    for folder in (root, root / ARTIFACTS):  # where files are replaced, and where a build writes
        for path in sorted(folder.glob(".*.part")):
            if time.time() - _last_written(path) > QUIET_SECONDS:
                found[path] = (Leftover(path, size_of(path)), partial(_remove, path))
    for path, (leftover, remove) in found.items():
        size = size_text(leftover.size)
        yield Problem(
            f"{path} ({size}) was left by a command that was killed; remove it with: rm -rf {quoted([path])}",
            partial(_removed, path, size, remove),
        )


def _last_written(path: Path) -> float:
    try:
        return max(each.lstat().st_mtime for each in (path, *path.rglob("*")))
    except FileNotFoundError:  # its command has just finished
        return time.time()


def _remove(path: Path) -> bool:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    return True


def _removed(path: Path, size: str, remove: Callable[[], bool]) -> str:
    if not remove():
        raise ScriptError(f"another command uses {path} again")
    return f"removed {path} ({size})"
