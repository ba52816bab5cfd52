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
HELD_SIGNALS = (signal.SIGTERM, signal.SIGINT)
REPEAT_SECONDS = 5
CLEAN_UP_SECONDS = 20

_last_sigterm = float("-inf")


def raise_on_sigterm() -> None:
    """Raise TerminatedError on SIGTERM, so that clean-up code runs.

    The signal often arrives twice if a whole tree of processes is stopped: once from outside, once from a process of
    the tree. A second one within REPEAT_SECONDS is ignored, because it would interrupt the clean-up.
    """
    signal.signal(signal.SIGTERM, _terminate)


def _terminate(*_: object) -> None:
    global _last_sigterm
    if time.monotonic() - _last_sigterm > REPEAT_SECONDS:
        _last_sigterm = time.monotonic()
        raise TerminatedError


@contextmanager
def signals_held() -> Iterator[None]:
    """Delay SIGTERM and SIGINT until the end of a `with` block.

    Use it around forks: Python runs hooks there, which swallow exceptions of signal handlers. A process that is forked
    in the block must set its own handlers for these signals.
    """
    held: list[int] = []
    before = {each: signal.signal(each, lambda number, _: held.append(number)) for each in HELD_SIGNALS}
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
