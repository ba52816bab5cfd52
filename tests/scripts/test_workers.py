"""Workers: they do what they are given, and whichever of them is killed, nobody waits for it."""

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
        others = psutil.Process().children()  # of other tests, such as a server
        made.append(Workers(count, work))
        return made[-1], [child for child in psutil.Process().children() if child not in others]

    yield make
    for workers in made:
        workers.stop()


def test_they_work_side_by_side_on_what_was_in_memory_before(make):
    known = os.getpid()
    workers, processes = make(3, lambda number: (number + known, os.getpid()))
    answers = [workers.submit(number).result() for number in range(30)]
    assert [answer for answer, _ in answers] == [number + known for number in range(30)]
    assert {pid for _, pid in answers} == {process.pid for process in processes}


def test_one_that_is_killed_while_it_answers_keeps_nobody_waiting(make):
    for pause in range(20):
        workers, processes = make(2, lambda _: bytes(1 << 20))  # more than a pipe holds
        answers = [workers.submit(number) for number in range(100)]
        time.sleep(pause / 2000)
        processes[0].kill()
        assert not wait(answers, timeout=30).not_done
        errors = {str(answer.exception()) for answer in answers if answer.exception()}
        assert errors == {"a worker process that encodes examples was killed; is there enough memory?"}
        workers.stop()


def test_stopped_they_end_whatever_they_are_at(make):
    workers, processes = make(2, time.sleep)
    answers = [workers.submit(600) for _ in range(5)]
    workers.stop()
    assert all(answer.done() for answer in answers)
    assert not any(process.is_running() for process in processes)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_they_leave_it_to_the_main_process_to_end(make, number):
    workers, processes = make(1, lambda _: os.getpid())
    workers.submit(0).result()
    processes[0].send_signal(number)
    assert workers.submit(0).result() == processes[0].pid
