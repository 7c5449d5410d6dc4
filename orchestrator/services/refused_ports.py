"""Ports that strangers on the servers listen on, as the last launches there found."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import datetime, timedelta

from orchestrator.ports import Clock

MEMORY = timedelta(minutes=5)
"""Long enough that not every start runs into the same port, short enough that
one which comes free is soon used again."""


class RefusedPorts:
    """Thread-safe. What is remembered is lost with the process: the next start
    that meets the port learns it again."""

    def __init__(self, clock: Clock, memory: timedelta = MEMORY) -> None:
        self._clock = clock
        self._memory = memory
        self._lock = threading.Lock()
        self._until: dict[tuple[str, int], datetime] = {}

    def add(self, server: str, port: int) -> None:
        """A launch on ``server`` found somebody else at ``port``."""
        with self._lock:
            self._until[server, port] = self._clock.now() + self._memory

    def by_server(self) -> Mapping[str, frozenset[int]]:
        """What is still remembered; servers without any are left out."""
        now = self._clock.now()
        found: dict[str, set[int]] = {}
        with self._lock:
            # A clock that was set back must not make a memory last.
            self._until = {
                key: until
                for key, until in self._until.items()
                if now < until <= now + self._memory
            }
            for server, port in self._until:
                found.setdefault(server, set()).add(port)
        return {server: frozenset(ports) for server, ports in found.items()}
