"""One transaction for what several threads want to write at the same moment."""

import threading
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeVar

Answer = TypeVar("Answer")


class Together:
    """While one thread writes and waits for the disk, others come and wait for it. The first of
    them does what all of them want, so that beginning, commit and disk cost them no more than one.
    """

    def __init__(self, transaction: Callable[[], AbstractContextManager[None]]) -> None:
        self._transaction = transaction
        self._turn = threading.Lock()
        self._waiting: deque[_Wish] = deque()

    def perform(self, act: Callable[[], Answer]) -> Answer:
        """What `act` answers, once that is durable. It may be done by another thread, and again by
        this one if that came to nothing, so it does nothing but read and write rows. Raises what it
        raises, and what a transaction does; not to be called within one.
        """
        mine = _Wish(act)
        self._waiting.append(mine)
        with self._turn:
            if not mine.was_tried:
                self._try([self._waiting.popleft() for _ in range(len(self._waiting))])
        if mine.is_done:
            answer: Answer = mine.answer
            return answer
        with self._transaction():
            return act()

    def _try(self, wishes: list["_Wish"]) -> None:
        for one in wishes:
            one.was_tried = True
        try:
            with self._transaction():
                answers = [one.act() for one in wishes]
        except Exception:
            if len(wishes) == 1:
                raise
            return  # whose fault it was is found by doing each alone
        for one, answer in zip(wishes, answers, strict=True):
            one.answer, one.is_done = answer, True


class _Wish:
    """What a thread wants done, and what came of it."""

    def __init__(self, act: Callable[[], Any]) -> None:
        self.act = act
        self.was_tried = self.is_done = False
        self.answer: Any = None
