"""Signals that raise an exception once, and are delayed during forks."""

import os
import signal

import pytest

from scripts._process import processes
from scripts._process.errors import TerminatedError
from scripts._process.processes import raise_on_sigterm, signals_held


@pytest.fixture(autouse=True)
def sigterm_handler(monkeypatch):
    monkeypatch.setattr(processes, "_last_sigterm", float("-inf"))
    before = signal.getsignal(signal.SIGTERM)
    raise_on_sigterm()
    yield
    signal.signal(signal.SIGTERM, before)


def test_a_repeated_sigterm_does_not_interrupt_the_clean_up(monkeypatch):
    with pytest.raises(TerminatedError):
        signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGTERM)
    monkeypatch.setattr(processes, "REPEAT_SECONDS", 0)
    with pytest.raises(TerminatedError):
        signal.raise_signal(signal.SIGTERM)


@pytest.mark.parametrize(("number", "raised"), [(signal.SIGTERM, TerminatedError), (signal.SIGINT, KeyboardInterrupt)])
def test_a_signal_during_a_fork_raises_after_it(number, raised):
    forked = []
    os.register_at_fork(after_in_parent=lambda: forked or signal.raise_signal(number))
    with pytest.raises(raised), signals_held():
        child = os.fork()
        if not child:
            os._exit(0)
        forked.append(child)
    assert os.waitstatus_to_exitcode(os.waitpid(forked[0], 0)[1]) == 0
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
