"""What happened, for people who ask afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Event:
    """One line of history; ``kind`` is stable, ``message`` is for people."""

    at: datetime
    kind: str
    message: str
    session_id: str | None = None
    server: str | None = None
    data: Mapping[str, object] = field(default_factory=dict)
    id: int | None = None
