"""Charts over REST."""

from __future__ import annotations

from datetime import timedelta

from orchestrator.domain.sample import Sample
from orchestrator.domain.server import Health, Load
from orchestrator.services.keep_history import KeepHistory
from orchestrator.services.retry import Retry
from tests.fakes import START
from tests.unit.api.conftest import Desk


def poll(desk: Desk) -> None:
    record = KeepHistory(desk.store.unit_of_work, Retry(desk.clock), lambda _: "default")
    for step in range(-60, 0):
        at = START + timedelta(seconds=10 * step)
        health = Health.UP if step < -30 else Health.UNREACHABLE
        since = START - timedelta(seconds=600 if step < -30 else 300)
        load = Load(at, cpu=0.25) if step < -30 else None
        record([Sample("a", at, 0.1, health, "", since, load)])


def test_a_servers_chart_and_health(desk: Desk) -> None:
    poll(desk)
    answer = desk.get("/api/v1/servers/a/history?measure=cpu&measure=poll_seconds").json
    cpu, polls = answer["charts"]
    assert (cpu["measure"], cpu["unit"], cpu["resolution"]) == ("cpu", "share", "raw")
    assert cpu["fields"] == ["at", "count", "min", "mean", "max", "p95"]
    assert cpu["points"][0] == ["2026-01-01T11:50:00Z", 1, 0.25, 0.25, 0.25, 0.25]
    assert (len(cpu["points"]), len(polls["points"])) == (30, 60)
    assert [each["health"] for each in answer["health"]] == ["up", "unreachable"]
    assert 0.5 < answer["availability"] < 0.52


def test_a_time_and_a_resolution_can_be_asked_for_in_any_zone(desk: Desk) -> None:
    poll(desk)
    answer = desk.get(
        "/api/v1/servers/a/history",
        query_string={
            "since": "2026-01-01T19:50:00+08:00",
            "until": "2026-01-01T20:00:00+08:00",
            "resolution": "minute",
        },
    ).json
    assert answer["since"] == "2026-01-01T11:50:00Z"
    assert [point[1] for point in answer["charts"][0]["points"]] == [6] * 5


def test_a_site_has_charts_by_hour(desk: Desk) -> None:
    answer = desk.get("/api/v1/sites/default/history").json
    assert [(c["resolution"], c["points"]) for c in answer["charts"]] == [("hour", [])]


def test_wrong_questions_are_told_by_field(desk: Desk) -> None:
    assert desk.get("/api/v1/servers/none/history").json["code"] == "unknown_server"
    for query, field in (
        ("measure=x", "measure"),
        ("since=2026-01-01", "since"),
        ("resolution=x", "resolution"),
        ("until=2020-01-01T00:00:00Z&since=2021-01-01T00:00:00Z", "since"),
        ("nonsense=1", "nonsense"),
    ):
        answer = desk.get(f"/api/v1/servers/a/history?{query}")
        assert answer.status_code == 422, query
        assert [e["field"] for e in answer.json["errors"]] == [field]


def test_a_site_that_is_not_there_is_404_like_a_server(desk: Desk) -> None:
    answer = desk.get("/api/v1/sites/nosite/history")
    assert (answer.status_code, answer.json["code"]) == (404, "unknown_site")
    assert answer.json["detail"] == "no site 'nosite'; there are default"


def test_a_time_without_a_zone_is_told_with_one(desk: Desk) -> None:
    answer = desk.get("/api/v1/servers/a/history?since=2026-01-31T08:00:00")
    (error,) = answer.json["errors"]
    assert error["field"] == "since"
    assert error["message"].startswith("needs a time zone: write a time such as 2026-01-31T08:00")
    assert "%2B" in error["message"]
