"""Hard limits in time.

A socket's own timeout limits one read, so a server that sends a byte now and
then would be waited for without end. The watchdog shuts such a connection
down when the call's deadline passes; one thread serves every call.
"""

from __future__ import annotations

import heapq
import itertools
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

_LONGEST_NAP = 30.0
_FORGOTTEN_KEPT = 64
"""Entries of blocks that ended which the watchdog's heap may hold besides as many
as are guarded: each would stay until its deadline, and a busy broker makes a
thousand a second."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment of the monotonic clock, in seconds."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """The moment ``seconds`` from now."""
        return cls(time.monotonic() + seconds)

    @property
    def remaining(self) -> float:
        """Seconds left; never negative."""
        return max(0.0, self.at - time.monotonic())

    @property
    def passed(self) -> bool:
        """Whether it lies behind."""
        return self.remaining == 0.0


class Guard:
    """A block that has to end in time. A class, because a generator's context
    manager costs several times as much and every message needs one."""

    __slots__ = ("_action", "_deadline", "_number", "_watchdog")

    def __init__(self, watchdog: Watchdog, deadline: Deadline, action: Callable[[], None]) -> None:
        self._watchdog = watchdog
        self._deadline = deadline
        self._action = action
        self._number = 0

    def __enter__(self) -> None:
        self._number = self._watchdog.watch(self._deadline, self._action)

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._watchdog.forget(self._number)


class Watchdog:
    """Calls what it guards when its deadline passes. Its thread begins with the
    first guard and ends with ``close``."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._numbers = itertools.count()
        self._due: list[tuple[float, int]] = []
        self._actions: dict[int, Callable[[], None]] = {}
        self._thread: threading.Thread | None = None
        self._closed = False
        self._wakes_at = math.inf

    def guard(self, deadline: Deadline, action: Callable[[], None]) -> Guard:
        """Call ``action``, which must not block, if the block has not ended when
        ``deadline`` passes."""
        return Guard(self, deadline, action)

    def watch(self, deadline: Deadline, action: Callable[[], None]) -> int:
        """Begin to guard; the number to ``forget`` it by."""
        number = next(self._numbers)
        with self._changed:
            self._actions[number] = action
            if len(self._due) > 2 * len(self._actions) + _FORGOTTEN_KEPT:
                self._due = [each for each in self._due if each[1] in self._actions]
                heapq.heapify(self._due)
            heapq.heappush(self._due, (deadline.at, number))
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
                self._thread.start()
            if deadline.at < self._wakes_at:
                # Waking it for every call would cost a switch of threads each.
                self._changed.notify()
        return number

    def forget(self, number: int) -> None:
        """It ended in time."""
        with self._changed:
            self._actions.pop(number, None)

    def close(self) -> None:
        """End the thread; guards still in place are no longer watched."""
        with self._changed:
            self._closed = True
            thread, self._thread = self._thread, None
            self._changed.notify()
        if thread is not None:
            thread.join()

    def _watch(self) -> None:
        while True:
            with self._changed:
                if self._closed:
                    return
                action = self._next_due()
                if action is not None:
                    # Under the lock: a block that has ended is never acted on.
                    action()

    def _next_due(self) -> Callable[[], None] | None:
        while self._due and self._due[0][1] not in self._actions:
            heapq.heappop(self._due)
        at, number = self._due[0] if self._due else (math.inf, 0)
        left = at - time.monotonic()
        if left > 0:
            self._wakes_at = at
            self._changed.wait(min(left, _LONGEST_NAP))
            self._wakes_at = 0.0
            return None
        heapq.heappop(self._due)
        return self._actions.pop(number, None)
