"""Forked processes that do one kind of work, each over a pipe of its own, so that one that is killed blocks nobody.

`concurrent.futures.ProcessPoolExecutor` waits for ever where a worker is killed while it sends an answer: all workers
share one pipe and one lock for their answers.
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
    """Processes forked from this one, which must have no threads that hold a lock.

    Parameters
    ----------
    count
        How many.
    work
        From a task to an answer; run in a worker, which has what this process has in memory now.
    """

    def __init__(self, count: int, work: Callable[[Any], Any]) -> None:
        with signals_held():
            self._workers = [_Worker(work) for _ in range(count)]
        self._idle: SimpleQueue[_Worker] = SimpleQueue()
        for worker in self._workers:
            self._idle.put(worker)
        self._threads = ThreadPoolExecutor(count)

    def submit(self, task: Any) -> Future[Any]:
        """Have the next idle worker do a task; both task and answer are pickled.

        The answer is a ScriptError where the worker was killed.
        """
        return self._threads.submit(self._do, task)

    def stop(self) -> None:
        """End the workers, whatever they are at."""
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
            raise ScriptError("a worker process that encodes examples was killed; is there enough memory?") from error
        finally:
            self._idle.put(worker)


class _Worker:
    """A process, and this end of the pipe to it; the other end is open in that process alone."""

    def __init__(self, work: Callable[[Any], Any]) -> None:
        context = get_context("fork")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, work, os.getpid()), daemon=True)
        self.process.start()
        theirs.close()


def _serve(connection: Connection, work: Callable[[Any], Any], parent: int) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # the main process hears of it too, and ends the workers
    end_with_parent()  # nothing else tells a worker that it is alone
    if os.getppid() != parent:
        os._exit(1)
    while True:
        connection.send(work(connection.recv()))
