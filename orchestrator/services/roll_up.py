"""Close hours of history, sum them up, and forget what is old.

An hour is closed a little after it is over: its polls are packed and become
minutes, an hour and a part of their day. A poll that comes later opens its hour
once more. Every step replaces what it made before, so that it can be repeated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from orchestrator.domain.history import Resolution, merged_rollups, minutes, rollup
from orchestrator.ports import Clock, Subject, UnitOfWork, UnitOfWorkFactory
from orchestrator.services.retry import Retry

MARGIN = timedelta(minutes=2)
"""How long after its end an hour is closed."""

BATCH = 10
"""Hours closed in one transaction; between two of them polls may write."""

LOOK = 10_000
"""Hours that one look finds; looking reads every open poll."""

PAUSE = 0.05
"""Seconds between two batches, so that closing a large fleet's hour delays nobody."""

SLICE = timedelta(hours=6)
"""What is forgotten in one transaction, of what a broker that was away finds too old."""

CATCH_UP = timedelta(days=2)
"""How far back a site's missing hours are looked for."""


@dataclass(frozen=True, slots=True)
class Keep:
    """How long history is kept, by resolution; health as long as hours."""

    raw: timedelta = timedelta(days=7)
    minute: timedelta = timedelta(days=60)
    hour: timedelta = timedelta(days=400)
    day: timedelta = timedelta(days=3650)

    def of(self, resolution: Resolution) -> timedelta:
        """That of one resolution."""
        return {
            Resolution.RAW: self.raw,
            Resolution.MINUTE: self.minute,
            Resolution.HOUR: self.hour,
            Resolution.DAY: self.day,
        }[resolution]


class RollUp:
    """The use case; two brokers on one database may both run it."""

    def __init__(self, units: UnitOfWorkFactory, clock: Clock, retry: Retry, keep: Keep) -> None:
        self._units = units
        self._clock = clock
        self._retry = retry
        self._keep = keep

    def __call__(self) -> int:
        """Close what is over and forget what is old; how many hours of servers were closed."""
        closed = 0
        while due := self._due():
            for first in range(0, len(due), BATCH):
                some = due[first : first + BATCH]
                self._retry(lambda some=some: self._close_some(some))  # type: ignore[misc]
                self._clock.sleep(PAUSE)
            closed += len(due)
        self._sum_up_sites()
        while self._retry(self._forget_some):
            self._clock.sleep(PAUSE)
        self._retry(self._forget)
        return closed

    def _due(self) -> Sequence[tuple[str, datetime]]:
        before = Resolution.HOUR.floor(self._clock.now() - MARGIN)
        with self._units(read_only=True) as uow:
            return uow.history.hours_to_close(before, LOOK)

    def _close_some(self, due: Sequence[tuple[str, datetime]]) -> None:
        with self._units() as uow:
            for server, hour in due:
                self._close(uow, server, hour)
            uow.commit()

    def _close(self, uow: UnitOfWork, server: str, hour: datetime) -> None:
        readings = uow.history.take_hour(server, hour)
        if not readings:
            return
        uow.history.put_hour(server, hour, readings, minutes(readings))
        subject = Subject.server(server)
        uow.history.put_rollup(subject, Resolution.HOUR, hour, rollup(readings))
        _sum_up_day(uow, subject, hour)

    def _sum_up_sites(self) -> None:
        with self._units(read_only=True) as uow:
            hours = uow.history.hours_without_sites(self._clock.now() - CATCH_UP)
            sites = _sites(uow) if hours else {}
        for hour in hours:
            self._retry(lambda hour=hour: self._sum_up(hour, sites))  # type: ignore[misc]

    def _sum_up(self, hour: datetime, sites: Mapping[str, Sequence[str]]) -> None:
        with self._units() as uow:
            for site, servers in sites.items():
                found = uow.history.hour_of(servers, hour)
                if found:
                    subject = Subject.site(site)
                    merged = merged_rollups(found)
                    uow.history.put_rollup(subject, Resolution.HOUR, hour, merged)
                    _sum_up_day(uow, subject, hour)
            uow.commit()

    def _forget_some(self) -> int:
        """The oldest of what is to go, so that no transaction holds others up for long."""
        now = self._clock.now()
        with self._units() as uow:
            gone = sum(
                uow.history.expire(resolution, now - self._keep.of(resolution), SLICE)
                for resolution in Resolution
            )
            uow.commit()
        return gone

    def _forget(self) -> None:
        now = self._clock.now()
        with self._units() as uow:
            uow.health.expire(now - self._keep.hour)
            present = {r.server.name for r in uow.servers.list() if r.present}
            uow.health.end_departed(present, now)
            uow.commit()


def _sum_up_day(uow: UnitOfWork, subject: Subject, hour: datetime) -> None:
    day = Resolution.DAY.floor(hour)
    hours = uow.history.rollups(subject, Resolution.HOUR, day, day + Resolution.DAY.step)
    uow.history.put_rollup(subject, Resolution.DAY, day, merged_rollups(hours))


def _sites(uow: UnitOfWork) -> Mapping[str, Sequence[str]]:
    found: dict[str, list[str]] = {}
    for record in uow.servers.list():
        found.setdefault(record.server.site, []).append(record.server.name)
    return found
