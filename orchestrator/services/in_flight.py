"""Which sessions this process is calling a server about at the moment."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class InFlight:
    """Keeps ``reconcile`` away from sessions whose answer is still expected."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, int] = {}

    @contextmanager
    def claim(self, session_id: str) -> Iterator[None]:
        """Mark a session for the time of a ``with`` block."""
        with self._lock:
            self._counts[session_id] = self._counts.get(session_id, 0) + 1
        try:
            yield
        finally:
            with self._lock:
                self._counts[session_id] -= 1
                if not self._counts[session_id]:
                    del self._counts[session_id]

    def __contains__(self, session_id: str) -> bool:
        with self._lock:
            return session_id in self._counts

    def __len__(self) -> int:
        with self._lock:
            return len(self._counts)
