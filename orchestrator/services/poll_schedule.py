"""When each server is polled next.

Every server has its own place on a grid of its interval, so that polls stay
spread; a little jitter keeps several brokers from falling into step. What is
overdue after a pause of the whole process is spread anew instead of being
made up for. Times are seconds of a monotonic clock; nothing here is
thread-safe.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

_GOLDEN = 0.6180339887498949
"""Its multiples, without their whole parts, spread any number of places evenly."""

_PAUSE = 5.0
_CONFIRM = (4.0, 0.0)
"""Seconds until news is asked about again: where it came at once, and where the
server took its time to say nothing. A service that restarts is not a dead server."""

_JITTER = 0.02
_PATIENCE = 2
"""Polls without an answer before the pauses begin to double."""

_LONGEST_BACKOFF = 30.0
_REFUSED_PAUSES = (60.0, 300.0)


class Answer(StrEnum):
    """What a poll came to, as far as the next one is concerned."""

    GOOD = "good"
    DOUBTED = "doubted"
    SILENT = "silent"
    REFUSED = "refused"


@dataclass(slots=True)
class _Place:
    interval: float
    phase: float
    due: float
    taken: bool = False
    taken_at: float = 0.0
    failures: int = 0


class PollSchedule:
    """A heap of due times. A server that was taken is not due before ``done``."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._places: dict[str, _Place] = {}
        self._heap: list[tuple[float, str]] = []
        self._seen = 0
        self._looked: float | None = None

    def __len__(self) -> int:
        return len(self._places)

    def follow(self, intervals: Mapping[str, float], now: float) -> None:
        """Poll exactly these servers; a new one at once, then in its place."""
        for name in self._places.keys() - intervals.keys():
            del self._places[name]
        for name, interval in intervals.items():
            place = self._places.get(name)
            if place is not None and place.interval == interval:
                continue
            phase = now + interval * ((self._seen * _GOLDEN) % 1.0)
            self._seen += 1
            taken = place is not None and place.taken
            self._places[name] = _Place(interval, phase, now, taken)
            if not taken:
                heapq.heappush(self._heap, (now, name))

    def take(self, now: float, admit: Callable[[str], bool]) -> list[str]:
        """The servers that are due and admitted; the others stay due."""
        if self._looked is not None and now - self._looked > _PAUSE:
            self._spread(now)
        self._looked = now
        taken: list[str] = []
        aside: list[tuple[float, str]] = []
        while self._heap and self._heap[0][0] <= now:
            due, name = heapq.heappop(self._heap)
            place = self._places.get(name)
            if place is None or place.taken or place.due != due:
                continue
            if admit(name):
                place.taken, place.taken_at = True, now
                taken.append(name)
            else:
                aside.append((due, name))
        for entry in aside:
            heapq.heappush(self._heap, entry)
        return taken

    def done(self, name: str, now: float, answer: Answer) -> None:
        """The poll of a taken server is over; when it comes next follows from its answer."""
        place = self._places.get(name)
        if place is None:
            return
        place.taken = False
        place.failures = 0 if answer is Answer.GOOD else place.failures + 1
        self._put(name, place, self._next(place, now, answer))

    def _next(self, place: _Place, now: float, answer: Answer) -> float:
        if answer is Answer.DOUBTED:
            pause = _CONFIRM[now - place.taken_at > 1.0]
            return now + min(pause, place.interval)
        if answer is Answer.REFUSED:
            first, longest = _REFUSED_PAUSES
            pause = min(longest, first * 2.0 ** min(place.failures - 1, 8))
            return now + max(place.interval, pause * self._chance.uniform(0.8, 1.0))
        if answer is Answer.SILENT:
            doubled = place.interval * 2.0 ** min(max(0, place.failures - _PATIENCE), 8)
            pause = min(max(_LONGEST_BACKOFF, place.interval), doubled)
            return now + pause * self._chance.uniform(0.8, 1.0)
        return self._on_grid(place, now)

    def _on_grid(self, place: _Place, now: float) -> float:
        steps = math.floor((now - place.phase) / place.interval) + 1
        jitter = self._chance.uniform(0, _JITTER * place.interval)
        return place.phase + steps * place.interval + jitter

    def _spread(self, now: float) -> None:
        for name, place in self._places.items():
            if not place.taken and place.due <= now:
                self._put(name, place, self._on_grid(place, now))

    def _put(self, name: str, place: _Place, due: float) -> None:
        place.due = due
        heapq.heappush(self._heap, (due, name))
