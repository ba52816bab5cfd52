"""Processes that must not outlive the one that started them."""

from __future__ import annotations

import ctypes
import sys

PR_SET_PDEATHSIG = 1


def end_with_parent(signal: int) -> None:
    """Have the kernel send this process a signal when its parent is no more, even killed; on Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal)
