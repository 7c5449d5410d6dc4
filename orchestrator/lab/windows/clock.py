"""The model's time. What will happen is a list of moments, so no thread waits for it."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class LabClock(Protocol):
    """Tells the time and waits for it."""

    def now(self) -> datetime:
        """The present, aware, in UTC."""
        ...

    def wait(self, changed: threading.Condition, seconds: float) -> None:
        """Let time pass, until ``changed`` is notified at most; its lock is held."""
        ...


class RealClock:
    """The machine's own time, monotonic."""

    def __init__(self) -> None:
        self._began = datetime.now(UTC)
        self._zero = time.monotonic()

    def now(self) -> datetime:
        """The present."""
        return self._began + timedelta(seconds=time.monotonic() - self._zero)

    def wait(self, changed: threading.Condition, seconds: float) -> None:
        """Wait for real."""
        changed.wait(seconds)


class ManualClock:
    """Time that passes only when somebody waits for it: tests take no time."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now = start

    def now(self) -> datetime:
        """The present."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now += timedelta(seconds=seconds)

    def wait(self, changed: threading.Condition, seconds: float) -> None:
        """Time passes at once."""
        self.advance(seconds)
