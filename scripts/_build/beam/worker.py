"""A worker process of Beam's direct runner."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import threading
import time
import warnings

from scripts._define.definition import ROOT
from scripts._define.packages import appended_folders


def command() -> str:
    """Return the shell command that starts a worker."""
    code = (
        f"import sys; sys.path.insert(0, {os.fspath(ROOT)!r}); sys.path += {appended_folders()!r}; "
        f"from scripts._build.beam.worker import main; main()"
    )
    return f"exec {shlex.quote(sys.executable)} -c {shlex.quote(code)} {os.getpid()}"


def main() -> None:
    """Serve the runner that started this process, without messages, until it has no more work or has ended."""
    warnings.simplefilter("ignore")
    threading.Thread(target=_end_with, args=(int(sys.argv[1]),), daemon=True).start()
    from scripts._tfds.quiet import quiet_tensorflow

    quiet_tensorflow()
    quiet_prints()
    from apache_beam.runners.worker import sdk_worker_main

    sdk_worker_main.main([])


def quiet_prints() -> None:
    """Keep Beam from printing the traceback of an error that is also raised as an exception."""
    from apache_beam.runners.worker import sdk_worker

    sdk_worker.print = lambda *_, **__: None


def _end_with(parent: int) -> None:
    """End at once when the build is killed, so that no worker writes into the files of the next build."""
    while os.getppid() == parent:
        time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGKILL)
