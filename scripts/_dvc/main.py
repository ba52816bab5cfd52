"""`python -m scripts._dvc.main ...`: DVC's command line, for disks that may be full.

DVC empties `dvc.lock` and `.dvc/tmp/rwlock` before it writes them. If the disk is full, or the process is killed,
`dvc.lock` loses the records of all datasets, and with a damaged `rwlock` every later command fails.
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

from scripts._process.errors import ScriptError
from scripts._process.files import replacing


def main(arguments: list[str]) -> int:
    """Run a DVC command in the repository of the working directory and return its exit code."""
    from dvc.cli import main as dvc_main
    from dvc.utils.serialize import _common

    _common._dump_data = _dump_atomically
    _remove_damaged_rwlock(Path(".dvc/tmp").resolve())
    if signal.getsignal(signal.SIGINT) == signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # DVC handles it
    code: int = dvc_main(arguments)
    _remove_damaged_rwlock(Path(".dvc/tmp").resolve())
    return code


def _dump_atomically(path: str, data: Any, dumper: Callable[..., object], fs: object = None, **options: Any) -> None:
    """Write a file completely or not at all, in place of DVC's function, which `modify_yaml` calls for `dvc.lock`."""
    from dvc.exceptions import DvcException

    text = io.StringIO()
    dumper(data, text, **options)
    try:
        with replacing(Path(path)) as file:
            file.write(text.getvalue().encode())
    except ScriptError as error:
        raise DvcException(str(error)) from error


def _remove_damaged_rwlock(folder: Path) -> None:
    """Remove the list of the files that running DVC processes use if it cannot be read: nothing else is in it."""
    from dvc.lock import LockError, make_lock

    path = folder / "rwlock"
    if not path.exists():
        return
    # another process may hold the lock, or remove the file first
    with suppress(LockError, FileNotFoundError), make_lock(str(folder / "rwlock.lock"), tmp_dir=str(folder)):
        try:
            json.loads(path.read_bytes())
        except ValueError:
            path.unlink()


if __name__ == "__main__":
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C during the imports ends the process without a traceback
    sys.exit(main(sys.argv[1:]))
