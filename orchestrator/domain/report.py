"""What a report says, without words: they are chosen when it is shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from orchestrator.domain.forecast import Forecast


class Language(StrEnum):
    """Languages that reports are written in."""

    ENGLISH = "en"
    CHINESE = "zh-TW"


class ReportKind(StrEnum):
    """Whether the schedule asked for it or a person."""

    SCHEDULED = "scheduled"
    MANUAL = "manual"


@dataclass(frozen=True, slots=True)
class LoadFigures:
    """Percentiles of one measure over the period."""

    mean: float
    p50: float
    p95: float
    maximum: float


@dataclass(frozen=True, slots=True)
class Counted:
    """A reason and how often it was given; ``example`` is one message in full."""

    reason: str
    count: int
    example: str = ""


@dataclass(frozen=True, slots=True)
class SessionFigures:
    """Sessions of a period. ``start_p50`` and ``start_p95`` are seconds from the
    request to the stream."""

    requested: int
    started: int
    failed: int
    lost: int
    failures: Sequence[Counted] = ()
    losses: Sequence[Counted] = ()
    start_p50: float | None = None
    start_p95: float | None = None


@dataclass(frozen=True, slots=True)
class Peak:
    """The most slots that were taken at once on one local day."""

    day: date
    used: int


@dataclass(frozen=True, slots=True)
class ServerFigures:
    """One server. ``availability`` is a share of the watched time, None where it was
    not watched; ``down_seconds`` is what was not planned."""

    name: str
    site: str
    slots: int
    health: str
    drained: bool
    availability: float | None
    down_seconds: float
    incidents: int
    sessions: int
    failed: int
    load: Mapping[str, LoadFigures] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SiteFigures:
    """One site; ``watched`` is the share of the period in which it was polled."""

    name: str
    timezone: str
    servers: int
    slots: int
    availability: float | None
    watched: float
    sessions: SessionFigures
    peaks: Sequence[Peak]
    forecast: Forecast
    load: Mapping[str, LoadFigures] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class IncidentFigures:
    """An incident; ``server`` is None for a whole site. It began before the period
    where ``began_at`` says so, and lasts where ``ended_at`` is None."""

    site: str
    server: str | None
    health: str
    reason: str
    began_at: datetime
    ended_at: datetime | None
    seconds: float
    planned: bool = False


@dataclass(frozen=True, slots=True)
class Fleet:
    """The inventory and the catalogue as they were, for the next report to compare."""

    servers: Mapping[str, tuple[str, int]]
    games: Sequence[str]
    drained: Sequence[str]
    version: str


@dataclass(frozen=True, slots=True)
class Changes:
    """What is different since another report; ``since`` is None where there is none."""

    since: datetime | None = None
    joined: Sequence[str] = ()
    left: Sequence[str] = ()
    moved: Sequence[str] = ()
    resized: Sequence[str] = ()
    games_added: Sequence[str] = ()
    games_removed: Sequence[str] = ()
    drained: Sequence[str] = ()
    resumed: Sequence[str] = ()
    version: str | None = None

    @property
    def any(self) -> bool:
        """Whether something is."""
        lists = (self.joined, self.left, self.moved, self.resized, self.games_added)
        more = (self.games_removed, self.drained, self.resumed)
        return bool(self.version or any(lists) or any(more))


def changes(before: Fleet, after: Fleet, since: datetime) -> Changes:
    """What became different."""
    stayed = sorted(before.servers.keys() & after.servers.keys())
    old, new = before.servers, after.servers
    return Changes(
        since=since,
        joined=_added(before.servers, after.servers),
        left=_added(after.servers, before.servers),
        moved=[f"{n}: {old[n][0]} → {new[n][0]}" for n in stayed if old[n][0] != new[n][0]],
        resized=[f"{n}: {old[n][1]} → {new[n][1]}" for n in stayed if old[n][1] != new[n][1]],
        games_added=_added(before.games, after.games),
        games_removed=_added(after.games, before.games),
        drained=[n for n in _added(before.drained, after.drained) if n in new],
        resumed=[n for n in _added(after.drained, before.drained) if n in new],
        version=f"{before.version} → {after.version}" if before.version != after.version else None,
    )


def _added(before: Iterable[str], after: Iterable[str]) -> list[str]:
    return sorted(set(after) - set(before))


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that a report says. ``availability`` is a share of the watched time,
    and ``watched`` the share of the period that was, over all servers."""

    since: datetime
    until: datetime
    made_at: datetime
    timezone: str
    availability: float | None
    sessions: SessionFigures
    sites: Sequence[SiteFigures]
    servers: Sequence[ServerFigures]
    incidents: Sequence[IncidentFigures]
    changes: Changes
    fleet: Fleet
    watched: float | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """Sending to one target; ``sent_at`` None while it has not succeeded."""

    target: str
    attempts: int = 0
    sent_at: datetime | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ReportHead:
    """A kept report without its content. ``made_at`` is None while it is being made."""

    id: str
    kind: ReportKind
    since: datetime
    until: datetime
    language: Language
    made_at: datetime | None
    deliveries: Sequence[Delivery] = ()


@dataclass(frozen=True, slots=True)
class KeptReport:
    """A kept report."""

    head: ReportHead
    report: Report
    html: str
    text: str
