"""Growing pauses before a server that gave no answer is asked again."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from datetime import datetime, timedelta

from orchestrator.ports import Clock

LONGEST = timedelta(seconds=60)


class Pauses:
    """Thread-safe; counts rounds, in each of which a server may be asked several times.

    The pause after the first round without an answer is ``first``; it doubles
    with each further one up to ``LONGEST``, and an answer ends it.
    """

    def __init__(self, clock: Clock, first: timedelta) -> None:
        self._clock = clock
        self._first = first
        self._lock = threading.Lock()
        self._pauses: dict[str, tuple[timedelta, datetime]] = {}

    def is_over(self, server: str) -> bool:
        """Whether the server may be asked now."""
        now = self._clock.now()
        with self._lock:
            pause, since = self._pauses.get(server, (timedelta(0), now))
        # A clock that was set back must not make a pause last.
        return not timedelta(0) <= now - since < pause

    def count(self, asked: Iterable[str], silent: Iterable[str]) -> None:
        """A round is over: the servers asked in it, and those of them without an answer."""
        now, unanswered = self._clock.now(), frozenset(silent)
        with self._lock:
            for server in set(asked):
                before = self._pauses.pop(server, None)
                if server in unanswered:
                    pause = self._first if before is None else 2 * before[0]
                    self._pauses[server] = (min(pause, LONGEST), now)
