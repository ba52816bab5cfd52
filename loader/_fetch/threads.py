"""Threads for requests, which do not keep the program from exiting as those of `ThreadPoolExecutor` do."""

from __future__ import annotations

import os
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any

_Tasks = SimpleQueue[tuple[Future[None], Callable[[], None]] | None]


class Forkable(ABC):
    """An object that a forked process can go on with, which has none of the threads that work for it."""

    def __init__(self) -> None:
        _forkable.add(self)
        self._start()

    @abstractmethod
    def _start(self) -> None:
        """Have new locks, and nothing that a thread is waited for; called at first, and in each forked process."""


_forkable: weakref.WeakSet[Forkable] = weakref.WeakSet()


def _start_in_child() -> None:
    for each in list(_forkable):
        each._start()


os.register_at_fork(after_in_child=_start_in_child)


class DaemonThreads(Forkable):
    """Up to `count` daemon threads that work off tasks in their order, until nothing refers to this object."""

    def __init__(self, count: int) -> None:
        self._count = count
        super().__init__()

    def _start(self) -> None:
        self._tasks: _Tasks = SimpleQueue()
        self._threads: list[Thread] = []
        self._lock = Lock()
        weakref.finalize(self, _stop, self._tasks, self._threads).atexit = False

    def submit(self, work: Callable[..., None], *arguments: Any) -> Future[None]:
        """Have a function called by a thread, and return its future."""
        future: Future[None] = Future()
        self._tasks.put((future, partial(work, *arguments)))
        with self._lock:
            if len(self._threads) < self._count:
                thread = Thread(target=_work, args=(self._tasks,), name="loader", daemon=True)
                self._threads.append(thread)
                thread.start()
        return future


def _work(tasks: _Tasks) -> None:
    while (task := tasks.get()) is not None:
        future, work = task
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(work())
            except BaseException as error:
                future.set_exception(error)
        del task, future, work  # which may refer to the object whose end is waited for


def _stop(tasks: _Tasks, threads: list[Thread]) -> None:
    for _ in threads:
        tasks.put(None)
