"""Forked worker processes, each with its own pipe, so that a killed one does not block the others.

`concurrent.futures.ProcessPoolExecutor` waits forever if a worker is killed while it sends a result: all workers share
one pipe and one lock for their results.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing import get_context
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any

from scripts._process.errors import ScriptError
from scripts._process.processes import end_with_parent, signals_held


class Workers:
    """Worker processes forked from this one, which must have no threads that hold a lock.

    Parameters
    ----------
    count
        The number of workers.
    work
        Computes the result of a task. It runs in a worker, which has a copy of this process's memory at the fork.
    """

    def __init__(self, count: int, work: Callable[[Any], Any]) -> None:
        with signals_held():
            self._workers = [_Worker(work) for _ in range(count)]
        self._idle: SimpleQueue[_Worker] = SimpleQueue()
        for worker in self._workers:
            self._idle.put(worker)
        self._threads = ThreadPoolExecutor(count)

    def submit(self, task: Any) -> Future[Any]:
        """Run a task in the next idle worker; the task and its result are pickled.

        The future raises a ScriptError if the worker is killed.
        """
        return self._threads.submit(self._do, task)

    def stop(self) -> None:
        """Kill the workers, whatever they are doing."""
        for worker in self._workers:
            worker.process.kill()
        self._threads.shutdown(cancel_futures=True)
        for worker in self._workers:
            worker.process.join()
            worker.connection.close()

    def _do(self, task: Any) -> Any:
        worker = self._idle.get()
        try:
            worker.connection.send(task)
            return worker.connection.recv()
        except (EOFError, OSError) as error:
            raise ScriptError("a worker process was killed; is there enough memory?") from error
        finally:
            self._idle.put(worker)


class _Worker:
    """A process, and this end of the pipe to it; the other end is open only in that process."""

    def __init__(self, work: Callable[[Any], Any]) -> None:
        context = get_context("fork")
        self.connection, worker_end = context.Pipe()
        self.process = context.Process(target=_serve, args=(worker_end, work, os.getpid()), daemon=True)
        self.process.start()
        worker_end.close()


def _serve(connection: Connection, work: Callable[[Any], Any], parent: int) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # the main process receives it too, and kills the workers
    end_with_parent()  # otherwise a worker would not notice that its parent is gone
    if os.getppid() != parent:
        os._exit(1)
    while True:
        connection.send(work(connection.recv()))
