"""What one poll of one server found, as it is kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from orchestrator.domain.server import Health, Load


@dataclass(frozen=True, slots=True)
class Sample:
    """One poll.

    ``at`` is when it ended and ``seconds`` how long it took. ``health`` and
    ``reason`` are what the broker holds true after it, ``health_since`` since
    when. ``load`` is None and ``error`` the error's code where it got no answer.
    ``sessions`` is how many ran there or were lost.
    """

    server: str
    at: datetime
    seconds: float
    health: Health
    reason: str
    health_since: datetime
    load: Load | None
    error: str = ""
    sessions: int = 0
