"""Worker processes: they run the tasks that they are given, and a killed one blocks nobody."""

import os
import signal
import time
from concurrent.futures import wait

import psutil
import pytest

from scripts._build.workers import Workers

pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")


@pytest.fixture
def make():
    made = []

    def make(count, work):
        others = psutil.Process().children()  # of other tests, like a server
        made.append(Workers(count, work))
        return made[-1], [child for child in psutil.Process().children() if child not in others]

    yield make
    for workers in made:
        workers.stop()


def test_all_workers_run_tasks_and_have_a_copy_of_the_memory(make):
    known = os.getpid()
    workers, processes = make(3, lambda number: (number + known, os.getpid()))
    results = [workers.submit(number).result() for number in range(30)]
    assert [result for result, _ in results] == [number + known for number in range(30)]
    assert {pid for _, pid in results} == {process.pid for process in processes}


@pytest.mark.slow
def test_a_worker_that_is_killed_while_it_sends_a_result_blocks_nobody(make):
    errors = set()
    for pause in range(20):
        workers, processes = make(2, lambda _: bytes(1 << 20))  # more than a pipe holds
        futures = [workers.submit(number) for number in range(100)]
        time.sleep(pause / 2000)
        processes[0].kill()
        assert not wait(futures, timeout=30).not_done
        # none if the machine is so busy that all results had come before the kill
        errors |= {str(future.exception()) for future in futures if future.exception()}
        workers.stop()
    assert errors == {"a worker process was killed; is there enough memory?"}


def test_stopped_workers_end_whatever_they_are_doing(make):
    workers, processes = make(2, time.sleep)
    futures = [workers.submit(600) for _ in range(5)]
    workers.stop()
    assert all(future.done() for future in futures)
    assert not any(process.is_running() for process in processes)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_workers_ignore_signals_that_the_main_process_handles(make, number):
    workers, processes = make(1, lambda _: os.getpid())
    workers.submit(0).result()
    processes[0].send_signal(number)
    assert workers.submit(0).result() == processes[0].pid
