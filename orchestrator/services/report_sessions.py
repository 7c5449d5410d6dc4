"""What a report says of sessions, and of the slots they take."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from orchestrator.domain.availability import Span, common, total
from orchestrator.domain.forecast import Forecast, forecast
from orchestrator.domain.history import quantile
from orchestrator.domain.report import Counted, Peak, SessionFigures
from orchestrator.ports import SessionFact

LEAST_WATCHED = 0.5
"""The share of a day that must have been watched for its peak to count."""


def session_figures(
    facts: Iterable[SessionFact], lost: Sequence[tuple[str, str]], period: Span
) -> SessionFigures:
    """Of sessions that were asked for in ``period``; ``lost`` has server and reason."""
    mine = [f for f in facts if period.since <= f.created_at < period.until]
    started = [f for f in mine if f.started_at is not None]
    failed = [f for f in mine if f.failed]
    took = sorted((f.started_at - f.created_at).total_seconds() for f in started if f.started_at)
    return SessionFigures(
        requested=len(mine),
        started=len(started),
        failed=len(failed),
        lost=len(lost),
        failures=_counted((f.error_code or "unknown", f.error_message or "") for f in failed),
        losses=_counted((reason, reason) for _, reason in lost),
        start_p50=quantile(took, 0.5) if took else None,
        start_p95=quantile(took, 0.95) if took else None,
    )


def _counted(reasons: Iterable[tuple[str, str]]) -> list[Counted]:
    found: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for reason, example in reasons:
        found[reason] += 1
        examples.setdefault(reason, example)
    return [Counted(reason, count, examples[reason]) for reason, count in found.most_common()]


def capacity(
    facts: Iterable[SessionFact], watched: Sequence[Span], period: Span, zone: str, slots: int
) -> tuple[list[Peak], Forecast]:
    """The peak of each whole local day that was watched, and when ``slots`` run out."""
    peaks = daily_peaks(facts, period, zone)
    days = {
        day: span
        for day, span in _days(period, zone)
        if total(common(watched, [span])) >= LEAST_WATCHED * span.length
    }
    kept = [Peak(day, peaks.get(day, 0)) for day in sorted(days)]
    return kept, forecast([(peak.day, peak.used) for peak in kept], slots)


def daily_peaks(facts: Iterable[SessionFact], period: Span, zone: str) -> dict[date, int]:
    """The most sessions that held a slot at once, for each local day that had one."""
    edges: list[tuple[datetime, int]] = []
    for fact in facts:
        edges.append((max(fact.created_at, period.since), 1))
        if fact.ended_at is not None:
            edges.append((fact.ended_at, -1))
    edges += [(span.since, 0) for _, span in _days(period, zone)]
    local, used = ZoneInfo(zone), 0
    found: dict[date, int] = defaultdict(int)
    for at, step in sorted(edges):
        used += step
        if at < period.until:
            day = at.astimezone(local).date()
            found[day] = max(found[day], used)
    return found


def _days(period: Span, zone: str) -> list[tuple[date, Span]]:
    """The whole local days in a time."""
    local = ZoneInfo(zone)
    found: list[tuple[date, Span]] = []
    day = period.since.astimezone(local).date()
    while True:
        following = day + timedelta(days=1)
        since, until = (
            datetime(each.year, each.month, each.day, tzinfo=local).astimezone(UTC)
            for each in (day, following)
        )
        if until > period.until:
            return found
        if since >= period.since:
            found.append((day, Span(since, until)))
        day = following
