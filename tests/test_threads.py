"""Threads for requests: no more than are needed, and never more than are allowed."""

import threading

import pytest
from support.waiting import until

from ciserver.edge.threads import RequestThreads


class Task:
    """Says who served it, and ends when it is told."""

    def __init__(self, *, ends=True, fault=None):
        self.began, self.may_end, self.ended = (threading.Event() for _ in range(3))
        self.canceled, self.thread, self._fault = False, None, fault
        if ends:
            self.may_end.set()

    def service(self):
        self.thread = threading.current_thread()
        self.began.set()
        assert self.may_end.wait(10)
        self.ended.set()
        if self._fault:
            raise self._fault

    def cancel(self):
        self.canceled = True


@pytest.fixture
def threads():
    made = RequestThreads(2)
    yield made
    made.shutdown()


def idle(threads, count):
    until(lambda: len(threads._idle) == count, what=f"{count} threads to be idle")


def serve(threads, task):
    threads.add_task(task)
    assert task.ended.wait(10)
    return task.thread


def test_one_after_the_other_needs_one_thread(threads):
    """Which therefore opens one connection to the database."""
    used = set()
    for _ in range(5):
        used.add(serve(threads, Task()))
        idle(threads, 1)
    assert len(used) == 1


def test_the_one_that_worked_last_is_next(threads):
    """After a burst, the others are left in peace."""
    first, second = Task(ends=False), Task(ends=False)
    for task in (first, second):
        threads.add_task(task)
        assert task.began.wait(10)
    for count, task in enumerate((first, second), 1):
        task.may_end.set()
        idle(threads, count)
    assert serve(threads, Task()) is second.thread


def test_what_is_too_much_waits_in_order(threads):
    """For the thread that is free first."""
    busy = [Task(ends=False), Task(ends=False)]
    late = [Task(ends=False), Task()]
    for task in (*busy, *late):
        threads.add_task(task)
    assert all(task.began.wait(10) for task in busy)
    assert not any(task.began.is_set() for task in late)
    busy[0].may_end.set()
    assert late[0].began.wait(10)
    assert late[0].thread is busy[0].thread
    late[0].may_end.set()
    assert late[1].ended.wait(10)
    busy[1].may_end.set()


def test_a_thread_outlives_a_fault(threads):
    """As the next request proves."""
    broken = serve(threads, Task(fault=ZeroDivisionError()))
    idle(threads, 1)
    assert serve(threads, Task()) is broken


def test_the_end_waits_for_what_runs_and_cancels_what_waits():
    """Of those that never began the client hears at once."""
    threads = RequestThreads(1)
    running, waiting = Task(ends=False), Task()
    threads.add_task(running)
    assert running.began.wait(10)
    threads.add_task(waiting)
    threading.Timer(0.05, running.may_end.set).start()
    assert threads.shutdown()
    assert running.ended.is_set()
    running.thread.join(10)
    assert not running.thread.is_alive()
    assert waiting.canceled
    assert not waiting.began.is_set()


def test_the_end_does_not_wait_for_ever():
    """A request that hangs is left to the end of the process."""
    threads = RequestThreads(1)
    hanging = Task(ends=False)
    threads.add_task(hanging)
    assert hanging.began.wait(10)
    assert not threads.shutdown(timeout=0.01)
    hanging.may_end.set()


def test_idle_threads_end_too():
    threads = RequestThreads(1)
    thread = serve(threads, Task())
    idle(threads, 1)
    threads.shutdown()
    thread.join(10)
    assert not thread.is_alive()
