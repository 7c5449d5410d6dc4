"""Charts and the health of servers over time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Response, jsonify
from flask_openapi3 import APIBlueprint, Tag
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from orchestrator.api.models import Problem, ServerPath
from orchestrator.api.services import ApiServices
from orchestrator.api.views import moment
from orchestrator.domain.availability import HealthInterval, Span, availability
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.history import Measure, Resolution, Stats
from orchestrator.ports import Subject, UnitOfWork
from orchestrator.services.read_history import Chart

_TAGS = [Tag(name="history")]
_DEFAULT = timedelta(hours=1)
_FIELDS = ("at", "count", "min", "mean", "max", "p95")


class UnknownSite(OrchestratorError):
    """No server is at a site of that name, and nothing was measured there."""

    code = "unknown_site"


class HistoryQuery(BaseModel):
    """Which charts; the last hour where no time is given."""

    model_config = ConfigDict(extra="forbid")

    measure: list[Measure] = Field([Measure.CPU], max_length=len(Measure))
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    resolution: Resolution | None = Field(
        None, description="The finest that fits a screen where it is not given"
    )

    def span(self, now: datetime) -> Span:
        """The time asked for, in UTC."""
        until = (self.until or now).astimezone(UTC)
        return Span((self.since or until - _DEFAULT).astimezone(UTC), until)


class SitePath(BaseModel):
    """A site's name."""

    site: str = Field(max_length=128)


class ChartView(BaseModel):
    """One measure; each point is ``at, count, min, mean, max, p95``."""

    measure: Measure
    unit: str
    resolution: Resolution
    fields: list[str]
    points: list[list[Any]]


class HistoryView(BaseModel):
    """Charts of a server or a site, and a server's health over the same time."""

    since: datetime
    until: datetime
    charts: list[ChartView]
    availability: float | None = None
    health: list[dict[str, Any]] = []


def create_blueprint(services: ApiServices) -> APIBlueprint:
    """The routes of history."""
    routes = APIBlueprint(
        "history",
        __name__,
        url_prefix="/api/v1",
        abp_security=[{"bearer": []}],
        abp_responses={401: Problem, 403: Problem, 404: Problem, 422: Problem},
    )

    @routes.get(
        "/servers/<string:name>/history",
        tags=_TAGS,
        summary="A server's load and health over time",
        responses={200: HistoryView},
    )
    def server_history(path: ServerPath, query: HistoryQuery) -> Response:
        span = query.span(services.clock.now())
        charts = _charts(services, Subject.server(path.name), query, span)
        with services.units(read_only=True) as uow:
            return jsonify(charts | _health(uow, path.name, span))

    @routes.get(
        "/sites/<string:site>/history",
        tags=_TAGS,
        summary="The load of all servers of a site together, by hour or day",
        responses={200: HistoryView},
    )
    def site_history(path: SitePath, query: HistoryQuery) -> Response:
        span = query.span(services.clock.now())
        charts = _charts(services, Subject.site(path.site), query, span)
        if not any(chart["points"] for chart in charts["charts"]):
            _check_site(services, path.site)
        return jsonify(charts)

    return routes


def _check_site(services: ApiServices, site: str) -> None:
    """Servers that left the inventory count: their site may still be asked for."""
    with services.units(read_only=True) as uow:
        known = sorted({record.server.site for record in uow.servers.list()})
    if site not in known:
        raise UnknownSite(f"no site {site!r}; there are {', '.join(known) or 'none'}")


def _charts(
    services: ApiServices, subject: Subject, query: HistoryQuery, span: Span
) -> dict[str, Any]:
    found = services.read_history(subject, query.measure, span.since, span.until, query.resolution)
    return {
        "since": moment(span.since),
        "until": moment(span.until),
        "charts": [_chart(chart) for chart in found],
    }


def _chart(chart: Chart) -> dict[str, Any]:
    return {
        "measure": chart.measure.value,
        "unit": chart.measure.unit,
        "resolution": chart.resolution.value,
        "fields": list(_FIELDS),
        "points": [_point(at, stats) for at, stats in chart.points],
    }


def _point(at: datetime, stats: Stats) -> list[object]:
    return [
        moment(at),
        stats.count,
        round(stats.minimum, 4),
        round(stats.mean, 4),
        round(stats.maximum, 4),
        round(stats.p95, 4),
    ]


def _health(uow: UnitOfWork, name: str, span: Span) -> dict[str, Any]:
    found = [i for i in uow.health.intervals(span.since, span.until) if i.server == name]
    watched = uow.health.watches(span.since, span.until)
    site = uow.servers.get(name).server.site
    return {
        "availability": availability(found, watched.get(site, ()), span).share,
        "health": [_interval(each) for each in found],
    }


def _interval(interval: HealthInterval) -> dict[str, Any]:
    return {
        "health": interval.health.value,
        "reason": interval.reason,
        "since": moment(interval.began_at),
        "until": moment(interval.ended_at),
    }
