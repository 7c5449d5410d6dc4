"""What the store keeps over time: load, health and reports."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from orchestrator.domain.availability import HealthInterval, Span
from orchestrator.domain.history import Measure, Reading, Resolution, Rollup, Stats
from orchestrator.domain.report import KeptReport, ReportHead, ReportKind


@dataclass(frozen=True, slots=True, order=True)
class Subject:
    """What a history is of: ``kind`` is ``server`` or ``site``."""

    kind: str
    name: str

    @classmethod
    def server(cls, name: str) -> Subject:
        """A server's."""
        return cls("server", name)

    @classmethod
    def site(cls, name: str) -> Subject:
        """A site's: all its servers together; hours and days only."""
        return cls("site", name)


class HistoryRepository(Protocol):
    """Load over time. An hour is open until ``take_hour`` and ``put_hour`` close it."""

    def add(self, readings: Sequence[tuple[str, Reading]]) -> None:
        """Keep polls by server's name; one that is there already stays."""
        ...

    def hours_to_close(self, before: datetime, limit: int) -> Sequence[tuple[str, datetime]]:
        """Servers and hours that have open polls and are over by ``before``, a full hour."""
        ...

    def take_hour(self, server: str, hour: datetime) -> Sequence[Reading]:
        """An hour's polls by time, those packed before included; the open ones are removed."""
        ...

    def put_hour(
        self,
        server: str,
        hour: datetime,
        readings: Sequence[Reading],
        minutes: Mapping[datetime, Mapping[Measure, Stats]],
    ) -> None:
        """An hour's polls and minutes, in place of what was kept of it."""
        ...

    def put_rollup(
        self, subject: Subject, resolution: Resolution, start: datetime, rollup: Rollup
    ) -> None:
        """An hour or a day, in place of what was kept of it."""
        ...

    def rollups(
        self,
        subject: Subject,
        resolution: Resolution,
        since: datetime,
        until: datetime,
        only: frozenset[Measure] | None = None,
    ) -> Sequence[Rollup]:
        """Hours or days that begin in a time, to be merged."""
        ...

    def hour_of(self, servers: Iterable[str], hour: datetime) -> Sequence[Rollup]:
        """One hour of several servers."""
        ...

    def hours_without_sites(self, since: datetime) -> Sequence[datetime]:
        """Hours that servers have and no site has yet."""
        ...

    def values(
        self, server: str, measure: Measure, since: datetime, until: datetime
    ) -> Sequence[tuple[datetime, float]]:
        """Polls by time, of open and closed hours, where they measured it."""
        ...

    def open_values(
        self, server: str, measure: Measure, since: datetime, until: datetime
    ) -> Sequence[tuple[datetime, float]]:
        """Polls by time, of open hours only, where they measured it."""
        ...

    def minutes(
        self, server: str, measure: Measure, since: datetime, until: datetime
    ) -> Sequence[tuple[datetime, Stats]]:
        """Minutes of closed hours, by time."""
        ...

    def stats(
        self,
        subject: Subject,
        resolution: Resolution,
        measure: Measure,
        since: datetime,
        until: datetime,
    ) -> Sequence[tuple[datetime, Stats]]:
        """Hours or days for a chart, by time."""
        ...

    def expire(self, resolution: Resolution, before: datetime, most: timedelta) -> int:
        """Forget what begins before, the oldest ``most`` of it; how many rows that were."""
        ...


class HealthHistoryRepository(Protocol):
    """When each server's health changed, and when anybody looked."""

    def record(self, seen: Sequence[HealthInterval]) -> None:
        """Take over what polls found, each with since when, in their order."""
        ...

    def watched(self, sites: Mapping[str, datetime], gap: timedelta) -> None:
        """Sites were polled at these times; ``gap`` is the longest silence of one watch."""
        ...

    def intervals(self, since: datetime, until: datetime) -> Sequence[HealthInterval]:
        """Those that touch a time, by server and time."""
        ...

    def watches(self, since: datetime, until: datetime) -> Mapping[str, Sequence[Span]]:
        """The times in which each site was polled."""
        ...

    def first_watch(self) -> datetime | None:
        """When polling was begun for the first time that is still known."""
        ...

    def end_departed(self, present: Collection[str], at: datetime) -> None:
        """Servers that are not ``present`` any more have no health from ``at`` on."""
        ...

    def expire(self, before: datetime) -> int:
        """Forget what was over before; returns how many rows that were."""
        ...


class ReportRepository(Protocol):
    """Reports as they were made, and how far they have been sent."""

    def claim(self, head: ReportHead, key: str, now: datetime, stale: datetime) -> bool:
        """Begin the report of ``key``; False where another has made it, or is at it
        since ``stale`` or later."""
        ...

    def finish(self, kept: KeptReport, next_attempt: datetime | None) -> None:
        """Keep one that was made or sent; ``next_attempt`` None: nothing is left to send."""
        ...

    def get(self, report_id: str) -> KeptReport:
        """One that is made; UnknownReport where there is none."""
        ...

    def list(self, limit: int) -> Sequence[ReportHead]:
        """The newest first."""
        ...

    def latest(self, kind: ReportKind | None, before: datetime) -> KeptReport | None:
        """The one whose period ends last, before ``before``; of any kind where None."""
        ...

    def waiting(self, now: datetime) -> Sequence[ReportHead]:
        """Those that are to be sent by ``now``."""
        ...

    def claim_sending(self, report_id: str, now: datetime, until: datetime) -> bool:
        """Begin to send, until ``until`` at most; False where another is at it."""
        ...

    def expire(self, before: datetime) -> int:
        """Forget those begun before; returns how many."""
        ...
