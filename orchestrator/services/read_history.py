"""Charts: one measure of one server or site over a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from orchestrator.domain.errors import FieldProblem, InvalidRequest
from orchestrator.domain.history import Measure, Resolution, Stats, exact_stats, sketch
from orchestrator.ports import Clock, Subject, UnitOfWork, UnitOfWorkFactory
from orchestrator.services.roll_up import Keep

MOST_POINTS = 1500
"""Of one chart; more than a screen has."""

_RAW_SECONDS = 10
"""What the number of raw points is reckoned with."""

_SUMMED = (Resolution.HOUR, Resolution.DAY)


@dataclass(frozen=True, slots=True)
class Chart:
    """What was asked for; points by time, none where nothing was measured."""

    subject: Subject
    measure: Measure
    resolution: Resolution
    since: datetime
    until: datetime
    points: Sequence[tuple[datetime, Stats]]


class ReadHistory:
    """The use case; reads only."""

    def __init__(self, units: UnitOfWorkFactory, clock: Clock, keep: Keep) -> None:
        self._units = units
        self._clock = clock
        self._keep = keep

    def __call__(
        self,
        subject: Subject,
        measures: Sequence[Measure],
        since: datetime,
        until: datetime,
        resolution: Resolution | None = None,
    ) -> Sequence[Chart]:
        """A chart for each measure, by ``resolution`` or the finest that fits a screen.

        InvalidRequest where the time or the resolution does not do.
        """
        if since >= until:
            raise InvalidRequest([FieldProblem("since", "must be before until")])
        chosen = resolution or self._resolution(subject, since, until)
        self._check(subject, chosen, since, until)
        with self._units(read_only=True) as uow:
            if subject.kind == "server":
                uow.servers.get(subject.name)
            return [
                Chart(
                    subject,
                    measure,
                    chosen,
                    since,
                    until,
                    _points(uow, subject, measure, chosen, since, until),
                )
                for measure in measures
            ]

    def _resolution(self, subject: Subject, since: datetime, until: datetime) -> Resolution:
        oldest = self._clock.now() - since
        for each in Resolution if subject.kind == "server" else _SUMMED:
            fits = _count(each, since, until) <= MOST_POINTS
            if fits and (oldest <= self._keep.of(each) or each is Resolution.DAY):
                return each
        return Resolution.DAY

    def _check(
        self, subject: Subject, resolution: Resolution, since: datetime, until: datetime
    ) -> None:
        if subject.kind == "site" and resolution not in _SUMMED:
            raise InvalidRequest([FieldProblem("resolution", "a site has hour and day only")])
        if _count(resolution, since, until) > 10 * MOST_POINTS:
            raise InvalidRequest([FieldProblem("resolution", "is too fine for so long a time")])


def _count(resolution: Resolution, since: datetime, until: datetime) -> float:
    step = resolution.step.total_seconds() or _RAW_SECONDS
    return (until - since).total_seconds() / step


def _points(
    uow: UnitOfWork,
    subject: Subject,
    measure: Measure,
    resolution: Resolution,
    since: datetime,
    until: datetime,
) -> Sequence[tuple[datetime, Stats]]:
    if resolution is Resolution.RAW:
        values = uow.history.values(subject.name, measure, since, until)
        return [(at, Stats(1, value, value, value, value)) for at, value in values]
    first = resolution.floor(since)
    if resolution is Resolution.MINUTE:
        kept = uow.history.minutes(subject.name, measure, first, until)
    else:
        kept = uow.history.stats(subject, resolution, measure, first, until)
    if subject.kind != "server" or resolution is Resolution.DAY:
        return kept
    late = uow.history.open_values(subject.name, measure, first, until)
    return [*kept, *_summed(late, resolution)]


def _summed(
    values: Iterable[tuple[datetime, float]], resolution: Resolution
) -> Iterable[tuple[datetime, Stats]]:
    """What closing their hours will make of them."""
    inside: dict[datetime, list[float]] = {}
    for at, value in values:
        inside.setdefault(resolution.floor(at), []).append(value)
    for at, found in sorted(inside.items()):
        yield at, exact_stats(found) if resolution is Resolution.MINUTE else sketch(found).stats()
