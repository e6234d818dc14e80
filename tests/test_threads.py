"""Threads for requests: one leads, and there are no more than are needed or allowed."""

import threading
import time

import pytest
from support.waiting import until

from ciserver.edge.threads import RequestThreads

PATIENCE = 0.02


class Task:
    """Says who served it, and ends when it is told."""

    def __init__(self, *, ends=True, does=lambda: None):
        self.began, self.may_end, self.ended = (threading.Event() for _ in range(3))
        self.canceled, self.thread, self._does = False, None, does
        if ends:
            self.may_end.set()

    def service(self):
        self.thread = threading.current_thread()
        self.began.set()
        try:
            self._does()
            assert self.may_end.wait(10)
        finally:
            self.ended.set()

    def cancel(self):
        self.canceled = True


class Door:
    """What tasks come in by, with threads that look at it."""

    def __init__(self, most, **how):
        self._come, self.looks, self.fault = threading.Event(), 0, None
        self.left, self.leaves = [], bool
        self.threads = RequestThreads(most, self._look, self._come.set, self._leave, **how)
        self._runs = threading.Thread(target=self._run, daemon=True)
        self.raised = None

    def open(self):
        self._runs.start()
        return self

    def _run(self):
        try:
            self.threads.run()
        except ZeroDivisionError as error:
            self.raised = error

    def _leave(self):
        self.left.append(threading.current_thread())
        self.leaves()

    def _look(self):
        self.looks += 1
        self._come.wait(60)
        self._come.clear()
        if self.fault:
            raise self.fault

    def send(self, *tasks):
        for task in tasks:
            self.threads.add_task(task)
        self._come.set()

    def serve(self, task):
        self.send(task)
        assert task.ended.wait(10)
        return task.thread

    def is_settled(self):
        """Whether all that there is to do is done, and somebody waits for more."""
        return not self.threads._waiting and not self.threads._serving

    def shut(self, **how):
        canceled = self.threads.shutdown(**how)
        self._runs.join(10)
        assert not self._runs.is_alive()
        return canceled


@pytest.fixture
def make_door():
    made = []

    def make(most=2, patience=PATIENCE, **how):
        made.append(Door(most, patience=patience, **how).open())
        return made[-1]

    yield make
    for door in made:
        door.shut()


def running(door, count):
    until(lambda: door.threads._running == count, what=f"{count} threads")


def idle(door, count):
    until(lambda: len(door.threads._idle) == count, what=f"{count} idle threads")


def test_one_after_the_other_needs_one_thread(make_door):
    """Which therefore opens one connection to the database."""
    door = make_door(patience=10)
    assert len({door.serve(Task()) for _ in range(5)}) == 1
    running(door, 1)


def test_what_comes_together_is_served_in_order(make_door):
    door, order = make_door(patience=10), []
    tasks = [Task(does=lambda number=number: order.append(number)) for number in range(20)]
    door.send(*tasks)
    assert tasks[-1].ended.wait(10)
    assert order == [*range(20)]
    assert len({task.thread for task in tasks}) == 1


def test_a_request_that_takes_long_holds_up_no_others(make_door):
    """Also of those that came in together with it."""
    door = make_door()
    long, quick = Task(ends=False), Task()
    door.send(long, quick)
    assert quick.ended.wait(10)
    assert not long.ended.is_set()
    assert door.serve(Task()) is quick.thread is not long.thread
    long.may_end.set()


def test_a_request_that_says_that_it_waits_holds_up_nobody(make_door):
    """However long others may take."""
    door = make_door(patience=10)
    waits = Task(ends=False, does=door.threads.hand_over)
    door.send(waits, Task(), Task())
    assert waits.began.wait(10)
    assert door.serve(Task()) is not waits.thread
    running(door, 2)
    waits.may_end.set()


def test_only_one_thread_leads_after_the_one_that_says_it_twice(make_door):
    """Or says it when others have found that it takes too long."""
    door = make_door(most=4)

    def does():
        until(lambda: not door.threads._serving, what="somebody else to lead")
        for _ in range(3):
            door.threads.hand_over()

    door.serve(Task(does=does))
    idle(door, 1)
    running(door, 2)


def test_the_one_that_worked_last_is_next(make_door):
    """After a burst, the others are left in peace."""
    door = make_door(most=3)
    tasks = [Task(ends=False) for _ in range(3)]
    door.send(*tasks)
    running(door, 4)
    for count, task in enumerate(tasks, 1):
        task.may_end.set()
        idle(door, count)
    door.serve(Task(does=door.threads.hand_over))
    assert door.serve(Task()) is tasks[2].thread


def test_what_is_too_much_waits_in_order(make_door):
    """For the thread that is free first; others are looked for meanwhile."""
    door = make_door(most=2)
    busy = [Task(ends=False), Task(ends=False)]
    late = [Task(ends=False), Task()]
    door.send(*busy)
    assert all(task.began.wait(10) for task in busy)
    running(door, 3)
    looks = door.looks
    door.send(*late)
    until(lambda: door.looks > looks, what="a look")
    time.sleep(3 * PATIENCE)
    assert not any(task.began.is_set() for task in late)
    busy[0].may_end.set()
    assert late[0].began.wait(10)
    assert not late[1].began.is_set()
    late[0].may_end.set()
    assert late[1].ended.wait(10)
    busy[1].may_end.set()
    running(door, 3)


def test_many_that_wait_and_many_that_do_not(make_door):
    """Each is served once, by no more threads than there may be."""
    door, lock, served = make_door(most=5, patience=0.001), threading.Lock(), []

    def does(number):
        if number % 3 == 0:
            door.threads.hand_over()
        if number % 7 == 0:
            time.sleep(0.003)
        with lock:
            served.append(number)

    tasks = [Task(does=lambda number=number: does(number)) for number in range(300)]
    for at in range(0, 300, 10):
        door.send(*tasks[at : at + 10])
    assert all(task.ended.wait(10) for task in tasks)
    assert sorted(served) == [*range(300)]
    until(door.is_settled, what="nothing to be left")
    assert door.threads._running <= 6


def test_a_thread_outlives_a_fault(make_door):
    """As the next request proves."""
    door = make_door(patience=10)
    broken = door.serve(Task(does=lambda: 1 / 0))
    assert door.serve(Task()) is broken


def test_who_cannot_look_any_more_says_so(make_door):
    """To whoever runs it: a server that hears nobody is none."""
    door = make_door()
    door.fault = ZeroDivisionError()
    door.send()
    until(lambda: door.raised, what="the fault")
    running(door, 0)


def test_threads_that_are_not_needed_end(make_door):
    """And say so, for what they keep to be closed; the one that looks stays."""
    door = make_door(most=3, idle_seconds=0.05)
    tasks = [Task(ends=False) for _ in range(3)]
    door.send(*tasks)
    running(door, 4)
    for task in tasks:
        task.may_end.set()
    running(door, 1)
    assert set(door.left) == {task.thread for task in tasks}
    assert door.serve(Task()) not in door.left


def test_what_comes_while_a_thread_ends_is_served(make_door):
    """The one that looks is the last that there may be until that thread has gone."""
    door = make_door(most=1, patience=10, idle_seconds=0.01)
    may_leave = threading.Event()
    door.leaves = lambda: may_leave.wait(10)
    ends = door.serve(Task(does=door.threads.hand_over))
    until(lambda: door.left == [ends], what="a thread to end")
    looks, late = door.looks, Task()
    door.send(late)
    until(lambda: door.looks > looks, what="a look")
    assert not late.began.is_set()
    may_leave.set()
    assert late.ended.wait(10)


def test_who_is_called_as_its_time_ends_leads(make_door):
    """Or another thread does, but never one that has gone."""
    door = make_door(most=3, patience=10, idle_seconds=0)
    for _ in range(2000):
        door.serve(Task(does=door.threads.hand_over))
    assert door.left


def test_the_end_waits_for_what_runs_and_cancels_what_waits(make_door):
    """Of those that never began the client hears at once."""
    door = make_door(most=1)
    busy, waiting = Task(ends=False), Task()
    door.send(busy)
    assert busy.began.wait(10)
    running(door, 2)
    door.send(waiting)
    threading.Timer(0.05, busy.may_end.set).start()
    assert door.shut()
    assert busy.ended.is_set()
    busy.thread.join(10)
    assert not busy.thread.is_alive()
    assert waiting.canceled
    assert not waiting.began.is_set()


def test_the_end_does_not_wait_for_ever(make_door):
    """A request that hangs is left to the end of the process."""
    door = make_door(patience=10)
    hanging = Task(ends=False)
    door.send(hanging)
    assert hanging.began.wait(10)
    threading.Timer(0.05, hanging.may_end.set).start()
    assert not door.shut(timeout=0.01)


def test_nobody_is_woken_after_the_end(make_door):
    """Not by a request that ends late and brings another: what would be woken may be closed."""
    door, over = make_door(patience=10), threading.Event()
    hanging = Task(does=lambda: over.wait(10) and door.threads.add_task(Task()))
    door.send(hanging)
    assert hanging.began.wait(10)
    door.shut(timeout=0.01)
    door._come.clear()
    over.set()
    hanging.thread.join(10)
    assert not hanging.thread.is_alive()
    assert not door._come.is_set()


def test_idle_threads_end_too(make_door):
    door = make_door()
    thread = door.serve(Task(does=door.threads.hand_over))
    idle(door, 1)
    door.shut()
    thread.join(10)
    assert not thread.is_alive()
