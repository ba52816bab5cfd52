"""Processes that end when they are told to, and that outlive none of those they work for."""

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
HELD = (signal.SIGTERM, signal.SIGINT)
REPEATED_SECONDS = 5
CLEAN_UP_SECONDS = 20

_told_at = float("-inf")


def raise_on_sigterm() -> None:
    """End by an exception, which runs the clean-up on the way out.

    The same message often comes twice, from the one who stops a whole tree of processes and from a process in it. Said
    again within REPEATED_SECONDS it does not cut the clean-up short.
    """
    signal.signal(signal.SIGTERM, _terminate)


def _terminate(*_: object) -> None:
    global _told_at
    if time.monotonic() - _told_at > REPEATED_SECONDS:
        _told_at = time.monotonic()
        raise TerminatedError


@contextmanager
def signals_held() -> Iterator[None]:
    """Hold back SIGTERM and SIGINT until the end of a block.

    For forks: Python runs hooks around them, which swallow what a signal's handler raises. A process forked meanwhile
    must say for itself what these signals are to it.
    """
    held: list[int] = []
    before = {each: signal.signal(each, lambda number, _: held.append(number)) for each in HELD}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    for number in held:
        signal.raise_signal(number)


def end_with_parent() -> None:
    """Have the kernel kill this process when its parent is no more, even killed; on Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def end_with_dvc() -> None:
    """Be told to end when the DVC whose stage this process is is no more, even killed: it leaves its stages at work.

    DVC is the nearest ancestor that is not itself inside the stage, as the shell between the two may be.
    """
    import psutil

    for ancestor in psutil.Process().parents():
        try:
            if "DVC_STAGE" in ancestor.environ():
                continue
        except psutil.Error:
            return  # another user's: none that would have left us behind
        Thread(target=_end_with, args=(ancestor,), daemon=True).start()
        return


def _end_with(process: psutil.Process) -> None:
    process.wait()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(CLEAN_UP_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)  # what it leaves behind, its next run removes
