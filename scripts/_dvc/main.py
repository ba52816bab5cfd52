"""`python -m scripts._dvc.main ...`: DVC's command line, for disks that may be full and processes that may be killed.

DVC empties `dvc.lock` and `.dvc/tmp/rwlock` before it writes them. If the disk is full, or the process is killed,
`dvc.lock` loses the records of all datasets, and with a damaged `rwlock` every later command fails. DVC also takes a
zombie, and any process that has got the number of a killed one, for a command that still uses the files in `rwlock`.
"""

from __future__ import annotations

import io
import json
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from scripts._dvc.order import predecessor
from scripts._dvc.stages import LOCK_FILE, STAGES_KEY
from scripts._process.errors import ScriptError
from scripts._process.files import replacing

_CLOCK_SECONDS = 2  # start times of processes are known to the second


def main(arguments: list[str]) -> int:
    """Run a DVC command in the repository of the working directory and return its exit code."""
    from dvc.cli import main as dvc_main
    from dvc.utils.serialize import _common

    _common._dump_data = _dump_atomically
    clean_rwlock(Path(".dvc/tmp").resolve())
    if signal.getsignal(signal.SIGINT) == signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # DVC handles it
    code: int = dvc_main(arguments)
    clean_rwlock(Path(".dvc/tmp").resolve())
    return code


def _dump_atomically(path: str, data: Any, dumper: Callable[..., object], fs: object = None, **options: Any) -> None:
    """Write a file completely or not at all, in place of DVC's function, which `modify_yaml` calls for `dvc.lock`."""
    from dvc.exceptions import DvcException

    if Path(path).name == LOCK_FILE and Path(path).exists():
        _order_new_stages(data.get(STAGES_KEY) or {}, Path(path).read_text(encoding="utf-8"))
    text = io.StringIO()
    dumper(data, text, **options)
    try:
        with replacing(Path(path)) as file:
            file.write(text.getvalue().encode())
    except ScriptError as error:
        raise DvcException(str(error)) from error


def _order_new_stages(stages: dict[str, Any], written: str) -> None:
    """Move the stages that are not in the written `dvc.lock` yet, which DVC puts last, to where their names belong."""
    new = [name for name in stages if f"\n  {name}:" not in written]
    known = [name for name in stages if name not in new]
    for name in new:
        before = predecessor(name, known)
        place = known.index(before) + 1 if before is not None else 0
        known.insert(place, name)
    for name in known:  # in place, because DVC keeps the object
        stages[name] = stages.pop(name)


def clean_rwlock(folder: Path) -> None:
    """Remove processes that have ended from the list of files that DVC processes use, or the list if it is damaged."""
    from dvc.lock import LockError, make_lock

    path = folder / "rwlock"
    if not path.exists():
        return
    # another process may hold the lock, or remove the file first
    with suppress(LockError, FileNotFoundError), make_lock(str(folder / "rwlock.lock"), tmp_dir=str(folder)):
        written = path.stat().st_mtime
        try:
            used = json.loads(path.read_bytes())
            writers = {file: user for file, user in used.get("write", {}).items() if not has_ended(user, written)}
            readers = {
                file: running
                for file, users in used.get("read", {}).items()
                if (running := [user for user in users if not has_ended(user, written)])
            }
        except (ValueError, TypeError, KeyError, AttributeError):
            path.unlink()  # nothing else is in it
            return
        if (writers, readers) != (used.get("write", {}), used.get("read", {})):
            with suppress(ScriptError), replacing(path) as file:  # a full disk is for DVC to report
                file.write(json.dumps({"write": writers, "read": readers}).encode())


def has_ended(user: dict[str, Any], written: float) -> bool:
    """Return whether a process in the list has ended.

    Parameters
    ----------
    user
        Its number and its command line, as DVC wrote them.
    written
        When the list was last written, in seconds since 1970: a process in it started before.
    """
    import psutil

    try:
        process = psutil.Process(user["pid"])
        if process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
            return True
        # both, because a start time is wrong if the clock was set, and a process may change its command line
        is_newer = process.create_time() > written + _CLOCK_SECONDS
        return is_newer and not {*user["cmd"].split()[1:]} <= {*" ".join(process.cmdline()).split()}
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:
        return False


if __name__ == "__main__":
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C during the imports ends the process without a traceback
    sys.exit(main(sys.argv[1:]))
