"""Reports: made, kept, shown."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Response, jsonify, make_response, url_for
from flask_openapi3 import APIBlueprint, Tag
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter

from orchestrator.api.models import Problem
from orchestrator.api.services import ApiServices
from orchestrator.api.views import moment
from orchestrator.domain.availability import Span
from orchestrator.domain.errors import FieldProblem, InvalidRequest, OrchestratorError
from orchestrator.domain.report import KeptReport, Language, Report, ReportHead

LONGEST = timedelta(days=400)
_TAGS = [Tag(name="reports")]
_REPORT = TypeAdapter(Report)
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"


class NoReportTargets(OrchestratorError):
    """A report is to be sent, and the broker was given no targets."""

    code = "no_report_targets"


class ReportBody(BaseModel):
    """Which report to make; of the last seven days where no time is given."""

    model_config = ConfigDict(extra="forbid")

    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    days: int = Field(7, ge=1, le=400, description="Where since is not given")
    language: Language | None = None
    send: bool = False


class ReportsQuery(BaseModel):
    """How many reports to list."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(50, ge=1, le=1000)


class ReportPath(BaseModel):
    """A report's id."""

    report_id: str = Field(max_length=64)


class DeliveryView(BaseModel):
    """How sending to one target goes; its name shows no secrets."""

    target: str
    attempts: int
    sent_at: datetime | None
    problem: str


class ReportHeadView(BaseModel):
    """A report without its content."""

    id: str
    kind: str
    since: datetime
    until: datetime
    language: Language
    made_at: datetime
    deliveries: list[DeliveryView]


class ReportView(ReportHeadView):
    """A report; docs/reports.md has the fields of ``report``."""

    report: dict[str, Any]


class ReportList(BaseModel):
    """Reports, newest first."""

    reports: list[ReportHeadView]


def period_of(since: datetime | None, until: datetime | None, days: int, now: datetime) -> Span:
    """The time of a report; InvalidRequest where it is none, or too long."""
    end = (until or now).astimezone(UTC)
    span = Span((since or end - timedelta(days=days)).astimezone(UTC), end)
    if span.since >= span.until:
        raise InvalidRequest([FieldProblem("since", "must be before until")])
    if span.until > now:
        raise InvalidRequest([FieldProblem("until", "lies in the future")])
    if span.length > LONGEST:
        raise InvalidRequest([FieldProblem("since", f"at most {LONGEST.days} days before until")])
    return span


def head_json(head: ReportHead) -> dict[str, Any]:
    """A report without its content."""
    return {
        "id": head.id,
        "kind": head.kind.value,
        "since": moment(head.since),
        "until": moment(head.until),
        "language": head.language.value,
        "made_at": moment(head.made_at),
        "deliveries": [
            {
                "target": each.target,
                "attempts": each.attempts,
                "sent_at": moment(each.sent_at),
                "problem": each.problem,
            }
            for each in head.deliveries
        ],
    }


def report_json(kept: KeptReport) -> dict[str, Any]:
    """A report."""
    return {**head_json(kept.head), "report": json.loads(_REPORT.dump_json(kept.report))}


def create_blueprint(services: ApiServices) -> APIBlueprint:
    """The routes of reports."""
    routes = APIBlueprint(
        "reports",
        __name__,
        url_prefix="/api/v1/reports",
        abp_security=[{"bearer": []}],
        abp_responses={401: Problem, 403: Problem, 404: Problem, 422: Problem},
    )

    @routes.get("", tags=_TAGS, summary="List reports, newest first", responses={200: ReportList})
    def list_reports(query: ReportsQuery) -> Response:
        with services.units(read_only=True) as uow:
            found = uow.reports.list(query.limit)
        return jsonify(reports=[head_json(head) for head in found])

    @routes.post(
        "", tags=_TAGS, summary="Make a report now", responses={201: ReportView, 409: Problem}
    )
    def run_report(body: ReportBody) -> Response:
        period = period_of(body.since, body.until, body.days, services.clock.now())
        if body.send and not services.reports.targets():
            raise NoReportTargets(
                "there is nobody to send a report to, so none was made: leave send out, or start "
                "the broker with --report-targets FILE"
            )
        kept = services.reports.run(period, body.language, body.send)
        response = make_response(jsonify(report_json(kept)), 201)
        response.headers["Location"] = url_for("reports.get_report", report_id=kept.head.id)
        return response

    @routes.get(
        "/<string:report_id>", tags=_TAGS, summary="One report", responses={200: ReportView}
    )
    def get_report(path: ReportPath) -> Response:
        with services.units(read_only=True) as uow:
            return jsonify(report_json(uow.reports.get(path.report_id)))

    @routes.get(
        "/<string:report_id>/html",
        tags=_TAGS,
        summary="One report as a page, as it was sent",
        responses={200: {"content": {"text/html": {"schema": {"type": "string"}}}}},
    )
    def get_report_page(path: ReportPath) -> Response:
        with services.units(read_only=True) as uow:
            kept = uow.reports.get(path.report_id)
        response = Response(kept.html, content_type="text/html; charset=utf-8")
        response.headers["Content-Security-Policy"] = _POLICY
        return response

    return routes
