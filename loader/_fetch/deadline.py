"""A time limit for work that waits for the network."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Event, Thread
from typing import TypeVar

Result = TypeVar("Result")

_idle: list[SimpleQueue[Callable[[], None]]] = []
"""Where each idle thread waits for its next task."""
os.register_at_fork(after_in_child=_idle.clear)  # which has none of the threads


class DeadlineError(Exception):
    """The time is over."""


def run_within(seconds: float, work: Callable[[Event], Result]) -> Result:
    """Return the result of `work`, or raise its exception.

    A socket's timeout starts again with every byte, so a server that sends one now and then would never time out. The
    work therefore runs in a thread of its own. If its time is over, it is abandoned, and its argument is set.

    Raises
    ------
    DeadlineError
        It took longer.
    """
    result: Future[Result] = Future()
    is_abandoned = Event()

    def run() -> None:
        try:
            result.set_result(work(is_abandoned))
        except BaseException as error:
            result.set_exception(error)

    _start(run)
    try:
        return result.result(seconds)
    except TimeoutError as error:
        if result.done():  # it is the work's own
            raise
        raise DeadlineError(f"no complete answer within {seconds:.0f} seconds") from error
    finally:
        is_abandoned.set()


def _start(run: Callable[[], None]) -> None:
    """Call a function in a thread that has nothing else to do; starting one takes as long as half a request."""
    try:
        tasks = _idle.pop()
    except IndexError:
        tasks = SimpleQueue()
        # a daemon does not keep the program from exiting
        Thread(target=_work, args=(tasks,), name="loader-request", daemon=True).start()
    tasks.put(run)


def _work(tasks: SimpleQueue[Callable[[], None]]) -> None:
    while True:
        tasks.get()()
        _idle.append(tasks)
