"""Wait for a condition, never for a time."""

import time


def until(condition, *, seconds=20, what="", every=0.01):
    """The first true answer of `condition`; fails after the limit."""
    end = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        assert time.monotonic() < end, f"not within {seconds} s: {what or condition}"
        time.sleep(every)
