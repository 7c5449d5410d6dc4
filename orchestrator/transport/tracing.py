"""What a call cost, and SOAP that may be shown.

Numbers go to whoever listens (``CallTrace``); messages go to the log at debug
level, with all that may be secret blanked.
"""

from __future__ import annotations

import re
import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from orchestrator.transport.wire import Traffic

_BLANKED = re.compile(
    rb"(<(?:\w+:)?(?:Stream|Arguments|Variable|Password|Script|CommandLine)\b[^>]*>)([^<]+)"
)
_MOST_SHOWN = 4000


def blanked(message: bytes) -> str:
    """A message without streams, arguments and variables: scripts travel there,
    and what they carry is nobody's business."""
    text = _BLANKED.sub(lambda m: m[1] + b"[%d bytes]" % len(m[2]), message[: _MOST_SHOWN * 8])
    return text.decode("utf-8", "replace")[:_MOST_SHOWN]


@dataclass(frozen=True, slots=True)
class CallTrace:
    """One call: ``kind`` is a script's name or ``wql``; times are in seconds.

    ``cpu`` is the calling thread's own, ``traffic.waited`` what it spent
    waiting for the server, ``wall`` both and everything else. ``error`` is the
    code of what it ended with, empty for a success.
    """

    server: str
    kind: str
    wall: float
    cpu: float
    traffic: Traffic
    error: str = ""


Listener = Callable[[CallTrace], None]


class Totals:
    """A listener that sums up, by kind of call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: defaultdict[str, int] = defaultdict(int)
        self._errors: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._traffic: defaultdict[str, Traffic] = defaultdict(Traffic)
        self._cpu: defaultdict[str, float] = defaultdict(float)
        self._wall: defaultdict[str, float] = defaultdict(float)

    def __call__(self, trace: CallTrace) -> None:
        """Add one call."""
        with self._lock:
            self._calls[trace.kind] += 1
            self._cpu[trace.kind] += trace.cpu
            self._wall[trace.kind] += trace.wall
            if trace.error:
                self._errors[trace.kind, trace.error] += 1
            self._traffic[trace.kind].add(trace.traffic)

    def rows(self) -> list[dict[str, object]]:
        """A row for each kind of call, in their order by name."""
        with self._lock:
            return [
                {
                    "kind": kind,
                    "calls": calls,
                    "errors": {c: n for (k, c), n in sorted(self._errors.items()) if k == kind},
                    "requests": self._traffic[kind].requests,
                    "auth_legs": self._traffic[kind].legs,
                    "sent_bytes": self._traffic[kind].sent,
                    "received_bytes": self._traffic[kind].received,
                    "waited_seconds": self._traffic[kind].waited,
                    "cpu_seconds": self._cpu[kind],
                    "wall_seconds": self._wall[kind],
                }
                for kind, calls in sorted(self._calls.items())
            ]
