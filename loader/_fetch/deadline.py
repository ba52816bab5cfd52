"""A time limit for work that waits for the network."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from threading import Event, Thread
from typing import TypeVar

Result = TypeVar("Result")


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

    Thread(target=run, name="loader-request", daemon=True).start()  # a daemon does not keep the program from exiting
    try:
        return result.result(seconds)
    except TimeoutError as error:
        if result.done():  # it is the work's own
            raise
        raise DeadlineError(f"no complete answer within {seconds:.0f} seconds") from error
    finally:
        is_abandoned.set()
