"""When servers could take players, from the times at which their health changed.

Time counts only while somebody watched: a broker that was down proves nothing
of its servers. An incident is the time in which a server could not take
players, whatever the reasons were in turn.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from orchestrator.domain.server import Health

AVAILABLE = frozenset({Health.UP, Health.DEGRADED})
"""What placement accepts; ``unknown`` counts neither way."""


@dataclass(frozen=True, slots=True)
class Span:
    """A time; ``until`` is not part of it."""

    since: datetime
    until: datetime

    @property
    def length(self) -> timedelta:
        """How long it is, never negative."""
        return max(timedelta(0), self.until - self.since)

    def within(self, other: Span) -> Span | None:
        """What both have in common, or None."""
        since, until = max(self.since, other.since), min(self.until, other.until)
        return Span(since, until) if since < until else None


@dataclass(frozen=True, slots=True)
class HealthInterval:
    """A server had one health from ``began_at`` to ``ended_at``, None while it lasts."""

    server: str
    site: str
    health: Health
    reason: str
    began_at: datetime
    ended_at: datetime | None = None

    def span(self, now: datetime) -> Span:
        """Its time, until ``now`` where it lasts."""
        return Span(self.began_at, max(self.began_at, self.ended_at or now))


@dataclass(frozen=True, slots=True)
class Availability:
    """How much of the watched time something could take players."""

    watched: timedelta
    available: timedelta

    @property
    def share(self) -> float | None:
        """In [0, 1]; None where nobody watched."""
        return self.available / self.watched if self.watched else None


@dataclass(frozen=True, slots=True)
class Incident:
    """A server, or a whole site, that could not take players.

    ``server`` is None where every server of the site was out at once. ``ended_at``
    is None while it lasts.
    """

    site: str
    server: str | None
    health: Health
    reason: str
    began_at: datetime
    ended_at: datetime | None

    def length(self, now: datetime) -> timedelta:
        """How long, so far."""
        return (self.ended_at or now) - self.began_at


def common(spans: Iterable[Span], others: Iterable[Span]) -> list[Span]:
    """What lies in both; each side's own spans must not overlap."""
    return [both for a in spans for b in others if (both := a.within(b)) is not None]


def total(spans: Iterable[Span]) -> timedelta:
    """Their lengths together."""
    return sum((span.length for span in spans), timedelta(0))


def availability(
    intervals: Iterable[HealthInterval], watched: Sequence[Span], period: Span
) -> Availability:
    """Of one server, or of several together, in ``period``."""
    inside = common(watched, [period])
    known = seen = timedelta(0)
    for interval in intervals:
        if interval.health is Health.UNKNOWN:
            continue
        length = total(common([interval.span(period.until)], inside))
        known += length
        if interval.health in AVAILABLE:
            seen += length
    return Availability(known, seen)


def incidents(intervals: Iterable[HealthInterval]) -> list[Incident]:
    """Every server's incidents, by time; one after the other without a gap is one."""
    found: dict[str, list[Incident]] = defaultdict(list)
    for each in sorted(intervals, key=lambda i: (i.server, i.began_at)):
        if each.health in AVAILABLE or each.health is Health.UNKNOWN:
            continue
        mine = found[each.server]
        if mine and mine[-1].ended_at is not None and mine[-1].ended_at >= each.began_at:
            mine[-1] = replace(mine[-1], ended_at=each.ended_at)
        else:
            mine.append(
                Incident(
                    each.site, each.server, each.health, each.reason, each.began_at, each.ended_at
                )
            )
    return sorted((i for mine in found.values() for i in mine), key=_by_time)


def with_sites(
    found: Iterable[Incident], servers: Mapping[str, frozenset[str]], now: datetime
) -> list[Incident]:
    """Incidents in which all of a site's servers were out at once, told as the site's.

    ``servers`` has the names of each site. A site of one server stays that
    server's. A server's incident is left out where the site's covers most of it.
    """
    by_site: dict[str, list[Incident]] = defaultdict(list)
    for each in found:
        by_site[each.site].append(each)
    told: list[Incident] = []
    for site, mine in by_site.items():
        names = servers.get(site, frozenset())
        whole = _all_out([i for i in mine if i.server in names], len(names), site, now)
        told += whole
        told += [each for each in mine if not any(_covers(w, each, now) for w in whole)]
    return sorted(told, key=_by_time)


def _all_out(mine: Sequence[Incident], count: int, site: str, now: datetime) -> list[Incident]:
    if count < 2:
        return []
    edges = sorted(
        [(i.began_at, 1, i) for i in mine] + [(i.ended_at or now, -1, i) for i in mine],
        key=lambda edge: (edge[0], edge[1]),
    )
    found: list[Incident] = []
    out, since, last = 0, now, mine[0] if mine else None
    for at, step, incident in edges:
        if out == count and step == -1 and last is not None and since < at:
            ended = None if all(i.ended_at is None for i in mine if i.began_at <= since) else at
            found.append(Incident(site, None, last.health, last.reason, since, ended))
        out += step
        if out == count and step == 1:
            since, last = at, incident
    return found


def _covers(site: Incident, server: Incident, now: datetime) -> bool:
    mine = Span(server.began_at, server.ended_at or now)
    both = mine.within(Span(site.began_at, site.ended_at or now))
    return both is not None and both.length >= 0.8 * mine.length


def _by_time(incident: Incident) -> tuple[datetime, str, str]:
    return incident.began_at, incident.site, incident.server or ""
