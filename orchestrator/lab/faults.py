"""Faults to inject into a server of the lab.

A fault waits for a request of its action, happens ``times`` times and is gone.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum


class FaultKind(StrEnum):
    """What goes wrong."""

    LATENCY = "latency"
    """The answer comes ``seconds`` late."""
    DROP_BEFORE = "drop_before"
    """The connection is cut before the machine has seen the request."""
    DROP_AFTER = "drop_after"
    """The machine has done it, the answer is lost."""
    DROP_MIDWAY = "drop_midway"
    """The machine has done it, the answer breaks off in the middle."""
    HANG = "hang"
    """The machine has not seen it, and nothing is ever answered."""
    HANG_AFTER = "hang_after"
    """The machine has done it, and nothing is ever answered."""
    DRIP = "drip"
    """The answer comes a byte at a time and never ends."""
    UNAUTHORIZED = "401"
    """The server has forgotten the authentication."""
    UNAVAILABLE = "503"
    """The service is busy."""
    GARBAGE = "garbage"
    """An answer that is no SOAP."""
    QUOTA_SHELLS = "quota_shells"
    """MaxShellsPerUser is reached."""
    QUOTA_OPERATIONS = "quota_operations"
    """MaxConcurrentOperationsPerUser is reached."""
    ACCESS_DENIED = "access_denied"
    """Fault 5."""


_BEFORE_SOAP = frozenset({"Connect", "Auth"})


@dataclass(frozen=True, slots=True)
class Fault:
    """``action`` is the last part of the SOAP action (Create, Command, Send,
    Receive, Signal, Delete, Enumerate, Pull), "*" for any of them, or a step
    before: Connect for a connection's first request, whatever it is, Auth for a
    leg of its login. ``skip`` lets that many requests of the action pass first.
    ``times`` None means for ever."""

    action: str
    kind: FaultKind
    times: int | None = 1
    skip: int = 0
    seconds: float = 0.0


class Faults:
    """The faults that one server still has to show; ``met`` counts those that
    happened, by the step that met them."""

    def __init__(self) -> None:
        self.met: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._waiting: list[list[object]] = []

    def add(self, fault: Fault) -> None:
        """Let it happen."""
        with self._lock:
            self._waiting.append([fault, fault.skip, fault.times])

    def clear(self) -> None:
        """Let nothing more happen."""
        with self._lock:
            self._waiting.clear()

    @property
    def waiting(self) -> int:
        """How many have not happened as often as they shall."""
        with self._lock:
            return len(self._waiting)

    def take(self, action: str) -> Fault | None:
        """The fault that this request shall meet."""
        with self._lock:
            for entry in self._waiting:
                fault, skip, left = entry
                assert isinstance(fault, Fault)
                is_any = fault.action == "*" and action not in _BEFORE_SOAP
                if fault.action != action and not is_any:
                    continue
                if isinstance(skip, int) and skip > 0:
                    entry[1] = skip - 1
                    continue
                if isinstance(left, int):
                    entry[2] = left - 1
                    if left <= 1:
                        self._waiting.remove(entry)
                self.met[action] += 1
                return fault
        return None
