"""A worker process of Beam's direct runner."""

from __future__ import annotations

import logging
import os
import shlex
import signal
import sys
import threading
import time
import warnings
from pathlib import Path

from scripts.definition import ROOT


def command() -> str:
    """Return the shell command that starts a worker."""
    code = f"import sys; sys.path.insert(0, {os.fspath(ROOT)!r}); from scripts._build.beam_worker import main; main()"
    return f"exec {shlex.quote(sys.executable)} -c {shlex.quote(code)} {os.getpid()}"


def main() -> None:
    """Serve the runner that started this process, quietly, until it has no more work or is no more."""
    warnings.simplefilter("ignore")
    threading.Thread(target=_end_with, args=(int(sys.argv[1]),), daemon=True).start()
    from scripts._build.prepare import quiet_tensorflow

    quiet_tensorflow()
    quiet_prints()
    from apache_beam.runners.worker import sdk_worker_main

    sdk_worker_main.main([])


def quiet_logs() -> None:
    """Keep Beam's loggers from telling what arrives as an exception, too. Beam need not be imported yet."""
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL)
    # and what it says without a logger's name, as on import, of packages for Google's cloud that are not installed
    logging.getLogger().addFilter(_is_news)


def quiet_prints() -> None:
    """Keep Beam from printing the traceback of what arrives as an exception, too."""
    from apache_beam.runners.worker import sdk_worker

    sdk_worker.print = lambda *_, **__: None


def _is_news(record: logging.LogRecord) -> bool:
    return "apache_beam" not in Path(record.pathname).parts


def _end_with(parent: int) -> None:
    """End at once when the build is killed, so that no worker writes on into what the next build begins."""
    while os.getppid() == parent:
        time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGKILL)
