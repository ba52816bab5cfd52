"""Signals that raise an exception once, and are delayed during forks; Ctrl-C without a traceback."""

import os
import signal
import subprocess
import sys

import pytest

from scripts._process import processes
from scripts._process.errors import TerminatedError
from scripts._process.processes import raise_on_signals, signals_held
from tests.conftest import ROOT, clean_environment

SIGNALS = (signal.SIGTERM, signal.SIGINT)


@pytest.fixture(autouse=True)
def handlers(monkeypatch):
    monkeypatch.setattr(processes, "_last_signal", float("-inf"))
    before = {number: signal.getsignal(number) for number in SIGNALS}
    raise_on_signals()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("first", SIGNALS)
@pytest.mark.parametrize("second", SIGNALS)
def test_a_second_signal_does_not_interrupt_the_clean_up(first, second, monkeypatch):
    with pytest.raises(TerminatedError) as raised:
        signal.raise_signal(first)
    assert raised.value.number == first
    signal.raise_signal(second)
    monkeypatch.setattr(processes, "REPEAT_SECONDS", 0)
    with pytest.raises(TerminatedError):
        signal.raise_signal(second)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_during_a_fork_raises_after_it(number):
    forked = []
    os.register_at_fork(after_in_parent=lambda: forked or signal.raise_signal(number))
    handler = signal.getsignal(number)
    with pytest.raises(TerminatedError), signals_held():
        child = os.fork()
        if not child:
            os._exit(0)
        forked.append(child)
    assert os.waitstatus_to_exitcode(os.waitpid(forked[0], 0)[1]) == 0
    assert signal.getsignal(number) is handler


def test_a_signal_that_the_process_was_started_to_ignore_stays_ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell does for a job in the background
    raise_on_signals()
    signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_command_ends_without_a_traceback(number, code):
    body = (
        "import signal\n"
        "from scripts import __main__, s3\n"
        f"s3.start = lambda _: signal.raise_signal({number:d})\n"
        "__main__.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", body, "s3"], cwd=ROOT, env=clean_environment(), capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "")
