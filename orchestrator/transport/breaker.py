"""A circuit breaker: a dead server is asked seldom, and costs nothing meanwhile.

It opens after a few failures in a row and lets one call through each time its
pause is over; the pauses double, with jitter, so that a site that comes back is
not asked by everybody at once. Refused credentials pause for longer: a few
wrong passwords lock an account.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

from orchestrator.domain.errors import (
    ConnectionLost,
    CredentialsRefused,
    DeadlineExceeded,
    KdcUnreachable,
    Outcome,
    ServerCallError,
    ServerUnreachable,
    TlsUntrusted,
)

_TRIPPING = (
    ServerUnreachable,
    ConnectionLost,
    DeadlineExceeded,
    CredentialsRefused,
    KdcUnreachable,
    TlsUntrusted,
)


class Breaker:
    """One server's. ``pauses`` are the first and the longest, in seconds."""

    def __init__(
        self,
        server: str,
        *,
        tolerated: int = 3,
        pauses: tuple[float, float] = (1.0, 20.0),
        refused_pause: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
        chance: random.Random | None = None,
    ) -> None:
        self._server = server
        self._tolerated = tolerated
        self._pauses = pauses
        self._refused_pause = refused_pause
        self._clock = clock
        self._chance = chance or random.Random()
        self._lock = threading.Lock()
        self._failures = 0
        self._probing = False
        self._until = 0.0
        self._last: ServerCallError | None = None

    def check(self) -> None:
        """Raise what the last call raised, while the breaker is open."""
        with self._lock:
            last = self._last
            if last is None or self._failures < self._tolerated:
                return
            left = self._until - self._clock()
            if left <= 0:
                # This call is the probe; others wait for what it finds.
                self._until = self._clock() + self._pause()
                self._probing = True
                return
        message = (
            f"not asked again for {left:.0f} s after {self._failures} failures: {last.message}"
        )
        raise type(last)(message, server=self._server, outcome=Outcome.NOT_EXECUTED)

    def record(self, error: ServerCallError | None) -> None:
        """What a call came to: None, or its error. Others than those of the
        connection say nothing about the server's reachability but that it is there."""
        with self._lock:
            if not isinstance(error, _TRIPPING):
                self._failures, self._last, self._probing = 0, None, False
                return
            if self._failures >= self._tolerated and not self._probing:
                # One of many that were under way when it opened: no new evidence.
                return
            self._failures += 1
            self._last, self._probing = error, False
            if self._failures >= self._tolerated:
                self._until = self._clock() + self._pause()

    def _pause(self) -> float:
        first, longest = self._pauses
        if isinstance(self._last, CredentialsRefused):
            longest = max(longest, self._refused_pause)
            first = longest
        doubled = first * 2.0 ** min(self._failures - self._tolerated, 16)
        return min(longest, doubled) * self._chance.uniform(0.5, 1.0)
