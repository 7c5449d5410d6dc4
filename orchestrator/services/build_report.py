"""Find out what a report says of a period."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from orchestrator.domain import availability as health
from orchestrator.domain.availability import HealthInterval, Incident, Span
from orchestrator.domain.history import Measure, Resolution, Rollup, merged_rollups
from orchestrator.domain.report import Changes as NoChanges
from orchestrator.domain.report import (
    Fleet,
    IncidentFigures,
    LoadFigures,
    Report,
    ServerFigures,
    SiteFigures,
    changes,
)
from orchestrator.domain.server import ServerRecord
from orchestrator.ports import SessionFact, Subject, UnitOfWork
from orchestrator.services.report_sessions import capacity, session_figures

MEASURES = frozenset({Measure.CPU, Measure.MEMORY, Measure.GPU})
"""What percentiles are told of."""

TREND = timedelta(days=28)
"""How far back the growth is looked at."""


@dataclass(frozen=True, slots=True)
class _Facts:
    """What was read of the database."""

    period: Span
    now: datetime
    records: Sequence[ServerRecord]
    games: Sequence[str]
    intervals: Sequence[HealthInterval]
    watches: Mapping[str, Sequence[Span]]
    incidents: Sequence[Incident]
    sessions: Sequence[SessionFact]
    lost: Sequence[tuple[str, str]]
    loads: Mapping[str, Rollup]

    def planned(self, incident: Incident) -> bool:
        """Whether it began in a maintenance window of its server; a site's, where
        that holds for all of the incidents of its servers that it is made of."""
        if incident.server is None:
            until = incident.ended_at or self.period.until
            inside = [
                each
                for each in self.incidents
                if each.site == incident.site
                and each.began_at < until
                and (each.ended_at or self.period.until) > incident.began_at
            ]
            return all(self.planned(each) for each in inside)
        found = {r.server.name: r.server for r in self.records}.get(incident.server)
        return found is not None and found.maintenance_at(incident.began_at) is not None


def build_report(
    uow: UnitOfWork,
    period: Span,
    now: datetime,
    timezone: str,
    version: str,
    before: tuple[datetime, Fleet] | None,
) -> Report:
    """Of ``period``, compared with the fleet of the report ``before``."""
    facts = _read(uow, period, now)
    fleet = _fleet(facts, version)
    sites: dict[str, list[ServerRecord]] = defaultdict(list)
    for record in facts.records:
        if record.present:
            sites[record.server.site].append(record)
    servers = [_server(facts, record) for site in sorted(sites) for record in sites[site]]
    figures = [_site(facts, site, sites[site], timezone) for site in sorted(sites)]
    return Report(
        since=period.since,
        until=period.until,
        made_at=now,
        timezone=timezone,
        availability=_availability(facts, {r.server.name for r in facts.records if r.present}),
        sessions=session_figures(facts.sessions, facts.lost, period),
        sites=figures,
        servers=servers,
        incidents=_incidents(facts, sites),
        changes=NoChanges() if before is None else changes(before[1], fleet, before[0]),
        fleet=fleet,
        watched=_watched(figures),
    )


def _read(uow: UnitOfWork, period: Span, now: datetime) -> _Facts:
    records = uow.servers.list()
    intervals = uow.health.intervals(period.since, period.until)
    return _Facts(
        period=period,
        now=now,
        records=records,
        games=[game.id for game in uow.games.list()],
        intervals=intervals,
        watches=uow.health.watches(period.until - TREND, period.until),
        incidents=list(
            _parted(health.incidents(_until(intervals, period.until)), records, period.until)
        ),
        sessions=uow.sessions.facts(period.until - TREND, period.until),
        lost=[
            (event.server or "", event.message)
            for event in uow.events.between("session_lost", period.since, period.until)
        ],
        loads={r.server.name: _load(uow, r.server.name, period) for r in records if r.present},
    )


def _until(intervals: Iterable[HealthInterval], until: datetime) -> Iterable[HealthInterval]:
    """As it looked at ``until``: what ended later still lasts."""
    for each in intervals:
        ended = each.ended_at if each.ended_at is not None and each.ended_at <= until else None
        yield HealthInterval(each.server, each.site, each.health, each.reason, each.began_at, ended)


def _parted(
    found: Iterable[Incident], records: Iterable[ServerRecord], until: datetime
) -> Iterable[Incident]:
    """What outlasts the maintenance in which it began is another incident from then on."""
    servers = {record.server.name: record.server for record in records}
    for each in found:
        ended, server = each.ended_at or until, servers.get(each.server or "")
        over = server.maintenance_until(each.began_at, ended) if server else each.began_at
        if each.began_at < over < ended:
            yield replace(each, ended_at=over)
            yield replace(each, began_at=over)
        else:
            yield each


def _load(uow: UnitOfWork, server: str, period: Span) -> Rollup:
    """Whole days where they lie in the period, hours at its edges."""
    subject = Subject.server(server)
    day = Resolution.DAY
    first, last = (
        day.floor(period.since - timedelta(microseconds=1)) + day.step,
        day.floor(period.until),
    )
    if first >= last:
        first = last = period.until
    found = [
        *uow.history.rollups(subject, Resolution.HOUR, period.since, first, MEASURES),
        *uow.history.rollups(subject, day, first, last, MEASURES),
        *uow.history.rollups(subject, Resolution.HOUR, last, period.until, MEASURES),
    ]
    return merged_rollups(found)


def _figures(rollup: Rollup) -> Mapping[str, LoadFigures]:
    return {
        measure.value: LoadFigures(
            mean=round(sketch.total / sketch.count, 4),
            p50=round(sketch.quantile(0.5), 4),
            p95=round(sketch.quantile(0.95), 4),
            maximum=round(sketch.maximum, 4),
        )
        for measure, sketch in rollup.items()
    }


def _counted(facts: _Facts, names: Iterable[str]) -> list[HealthInterval]:
    """Their intervals without what was planned."""
    wanted = set(names)
    planned = [i for i in facts.incidents if i.server in wanted and facts.planned(i)]
    left = [each for each in facts.intervals if each.server in wanted]
    for incident in planned:
        left = [rest for each in left if (rest := _after(incident, each, facts.now)) is not None]
    return left


def _after(incident: Incident, interval: HealthInterval, now: datetime) -> HealthInterval | None:
    """What of an interval does not belong to an incident."""
    over = incident.ended_at or now
    if interval.server != incident.server or not incident.began_at <= interval.began_at < over:
        return interval
    return replace(interval, began_at=over) if over < (interval.ended_at or now) else None


def _availability(facts: _Facts, names: Iterable[str]) -> float | None:
    sites = {r.server.name: r.server.site for r in facts.records}
    watched = available = timedelta(0)
    for name in names:
        mine = _counted(facts, [name])
        found = health.availability(mine, facts.watches.get(sites[name], ()), facts.period)
        watched, available = watched + found.watched, available + found.available
    return available / watched if watched else None


def _server(facts: _Facts, record: ServerRecord) -> ServerFigures:
    name, site = record.server.name, record.server.site
    found = health.availability(_counted(facts, [name]), facts.watches.get(site, ()), facts.period)
    mine = [f for f in facts.sessions if f.server == name and f.created_at >= facts.period.since]
    unplanned = [i for i in facts.incidents if i.server == name and not facts.planned(i)]
    return ServerFigures(
        name=name,
        site=site,
        slots=record.server.slots,
        health=record.health.value,
        drained=record.drained,
        availability=found.share,
        down_seconds=(found.watched - found.available).total_seconds(),
        incidents=len(unplanned),
        sessions=sum(1 for fact in mine if fact.started_at is not None),
        failed=sum(1 for fact in mine if fact.failed),
        load=_figures(facts.loads.get(name, {})),
    )


def _site(facts: _Facts, site: str, records: Sequence[ServerRecord], timezone: str) -> SiteFigures:
    names = {record.server.name for record in records}
    zones = Counter(r.server.timezone for r in records if r.server.timezone)
    zone = zones.most_common(1)[0][0] if zones else timezone
    slots = sum(record.server.slots for record in records)
    watched = facts.watches.get(site, ())
    inside = health.total(health.common(watched, [facts.period]))
    facts_here = [fact for fact in facts.sessions if fact.server in names]
    trend = Span(facts.period.until - TREND, facts.period.until)
    peaks, outlook = capacity(facts_here, watched, trend, zone, slots)
    return SiteFigures(
        name=site,
        timezone=zone,
        servers=len(records),
        slots=slots,
        availability=_availability(facts, names),
        watched=inside / facts.period.length,
        sessions=session_figures(
            facts_here, [each for each in facts.lost if each[0] in names], facts.period
        ),
        peaks=peaks,
        forecast=outlook,
        load=_figures(merged_rollups([facts.loads[name] for name in names])),
    )


def _watched(sites: Sequence[SiteFigures]) -> float | None:
    """Of all servers' time, what was watched; None without a server."""
    servers = sum(site.servers for site in sites)
    return sum(site.watched * site.servers for site in sites) / servers if servers else None


def _incidents(facts: _Facts, sites: Mapping[str, Sequence[ServerRecord]]) -> list[IncidentFigures]:
    names = {site: frozenset(r.server.name for r in mine) for site, mine in sites.items()}
    told = health.with_sites(facts.incidents, names, facts.period.until)
    return [
        IncidentFigures(
            site=each.site,
            server=each.server,
            health=each.health.value,
            reason=each.reason,
            began_at=each.began_at,
            ended_at=each.ended_at,
            seconds=each.length(facts.period.until).total_seconds(),
            planned=facts.planned(each),
        )
        for each in told
    ]


def _fleet(facts: _Facts, version: str) -> Fleet:
    present = [record for record in facts.records if record.present]
    return Fleet(
        servers={r.server.name: (r.server.site, r.server.slots) for r in present},
        games=sorted(facts.games),
        drained=sorted(r.server.name for r in present if r.drained),
        version=version,
    )
