"""CPU use from how long a server's idle process has run.

Windows books the time that no thread wanted as kernel time of process 0, of all
logical processors together, and counts its own "% Processor Time" from it.
Asked beside the sessions' processes it saves a question to the performance
counters at each poll, and tells the mean since the last one instead of a
moment. It is believed as long as it agrees with the counters, which are asked
at first, now and then, and whenever it cannot be right.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import inf

_LEAST_SECONDS = 2.0
"""The time is booked in clock ticks of 16 ms; a shorter span says too little."""

_MOST_SECONDS = 120.0
_MOST_UNSURE = 0.02
"""Share of the span that the answers may have taken: when in between the server
looked is not known."""

_CHECK_SECONDS = 300.0
_DISTRUST_SECONDS = 600.0
_CHECKS = 3
"""Readings that are checked before one is believed alone."""

_REMEMBERED = 5
_FAR_OFF = 0.5
_OFF = 0.1
"""The counters tell a moment and this tells a mean, so they are never equal; what
several checks differ by on average is an error of the one or the other."""

_MORE_THAN_TIME = 1.05
"""More idle time than processors times seconds: they are not as many."""

_FULL = 0.98


@dataclass(frozen=True, slots=True)
class _Reading:
    idle: float
    at: float
    unsure: float


class IdleTime:
    """What one server's idle process tells. Times are seconds of one monotonic clock."""

    def __init__(self) -> None:
        self._last: _Reading | None = None
        self._check_at = -inf
        self._distrusted_until = -inf
        self._differences: deque[float] = deque(maxlen=_REMEMBERED)

    def is_trusted(self, now: float) -> bool:
        """Whether it is worth asking."""
        return now >= self._distrusted_until

    def share(
        self, idle: float | None, processors: float | None, asked: float, answered: float
    ) -> float | None:
        """CPU use since the last reading, 0 to 1; None where that cannot be told.

        ``idle`` is the idle process's kernel time in seconds, which the server
        read between ``asked`` and ``answered``.
        """
        before = self._last
        if idle is None or not processors:
            self._last = None
            return None
        reading = _Reading(idle, (asked + answered) / 2, (answered - asked) / 2)
        self._last = reading
        if before is None:
            return None
        span, spent = reading.at - before.at, reading.idle - before.idle
        unsure = reading.unsure + before.unsure
        if not _LEAST_SECONDS <= span <= _MOST_SECONDS or unsure > _MOST_UNSURE * span:
            return None
        if not 0 <= spent <= _MORE_THAN_TIME * span * processors:
            self.distrust(answered)
            return None
        return max(0.0, 1.0 - spent / (span * processors))

    @property
    def is_proved(self) -> bool:
        """Whether the counters have said often enough that it is right."""
        return len(self._differences) >= _CHECKS

    def looks_full(self, share: float) -> bool:
        """As it does where the idle process's time is not counted at all."""
        return share > _FULL

    def needs_check(self, share: float, now: float) -> bool:
        """Whether the counters have to say so, too."""
        return not self.is_proved or now >= self._check_at or self.looks_full(share)

    def check(self, share: float, counted: float, now: float) -> bool:
        """Compare it with what the counters say; whether to believe it."""
        self._check_at = now + _CHECK_SECONDS
        self._differences.append(share - counted)
        if abs(share - counted) > _FAR_OFF or (self.is_proved and abs(self._mean()) > _OFF):
            self.distrust(now)
            return False
        return self.is_proved

    def distrust(self, now: float) -> None:
        """Leave it alone for a while, and have it proved anew."""
        self._last = None
        self._differences.clear()
        self._distrusted_until = now + _DISTRUST_SECONDS

    def _mean(self) -> float:
        return sum(self._differences) / len(self._differences)
