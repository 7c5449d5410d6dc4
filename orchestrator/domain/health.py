"""From what single polls find to what the broker holds true, without flapping."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from orchestrator.domain.server import Health, Load

ENOUGH = 2
"""Polls in a row that have to contradict what is held before the last is believed."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one poll says of its server, and why."""

    health: Health
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Condition:
    """What is held true of a server since ``since``.

    ``doubts`` counts the last polls in a row that found something else, the
    first of them at ``doubted_at``. News is believed at once where nothing is
    known yet, and where the server itself refuses our credentials.
    """

    health: Health = Health.UNKNOWN
    reason: str = ""
    since: datetime | None = None
    doubts: int = 0
    doubted_at: datetime | None = None

    def after(self, finding: Finding, at: datetime) -> Condition:
        """The condition once this poll is counted."""
        if finding.health is self.health:
            return replace(self, reason=finding.reason, doubts=0, doubted_at=None)
        doubts = self.doubts + 1
        at_once = self.health is Health.UNKNOWN or finding.health is Health.REFUSED
        if at_once or doubts >= ENOUGH:
            return Condition(finding.health, finding.reason, at)
        return replace(self, doubts=doubts, doubted_at=self.doubted_at or at)


def finding_of(load: Load) -> Finding:
    """What an answered poll says."""
    if load.desktop is False:
        return Finding(Health.UNREADY, "nobody is logged on at its desktop")
    if load.cpu is None and load.memory is None:
        return Finding(Health.DEGRADED, "neither its CPU nor its memory can be read")
    if load.locked:
        return Finding(Health.DEGRADED, "its desktop is locked")
    return Finding(Health.UP)
