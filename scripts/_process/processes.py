"""Signals, and processes that end together with their parent."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import TYPE_CHECKING

from scripts._process.errors import TerminatedError

if TYPE_CHECKING:
    import psutil

PR_SET_PDEATHSIG = 1
TERMINATING_SIGNALS = (signal.SIGTERM, signal.SIGINT)
REPEAT_SECONDS = 5
CLEAN_UP_SECONDS = 20

_last_signal = float("-inf")


def raise_on_signals() -> None:
    """Raise TerminatedError on SIGTERM and on SIGINT (Ctrl-C), so that clean-up code runs.

    Both often arrive twice if a whole tree of processes is stopped: once from outside, once from a process of the tree.
    A second signal within REPEAT_SECONDS is ignored, because it would interrupt the clean-up. A SIGINT that the
    process was started to ignore, as in the background of a shell, stays ignored.
    """
    for each in TERMINATING_SIGNALS:
        if signal.getsignal(each) != signal.SIG_IGN:
            signal.signal(each, _terminate)


def _terminate(number: int, _: object) -> None:
    global _last_signal
    if time.monotonic() - _last_signal > REPEAT_SECONDS:
        _last_signal = time.monotonic()
        raise TerminatedError(number)


@contextmanager
def signals_held() -> Iterator[None]:
    """Delay SIGTERM and SIGINT until the end of a `with` block.

    Use it around forks: Python runs hooks there, which swallow exceptions of signal handlers. A process that is forked
    in the block must set its own handlers for these signals.
    """
    held: list[int] = []
    before = {each: signal.signal(each, lambda number, _: held.append(number)) for each in TERMINATING_SIGNALS}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    for number in held:
        signal.raise_signal(number)


def end_with_parent() -> None:
    """Have the kernel kill this process when its parent ends, even by SIGKILL; on Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def end_with_dvc() -> None:
    """Send this process SIGTERM when the DVC process that runs it as a stage ends, even by SIGKILL.

    DVC itself leaves its stages running. It is the nearest ancestor outside the stage; a shell may be in between.
    """
    import psutil

    for ancestor in psutil.Process().parents():
        try:
            if "DVC_STAGE" in ancestor.environ():
                continue
        except psutil.Error:
            return  # another user's process, so not the DVC that started this stage
        Thread(target=_end_after, args=(ancestor,), daemon=True).start()
        return


def _end_after(process: psutil.Process) -> None:
    process.wait()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(CLEAN_UP_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)  # the next run removes its scratch folder
