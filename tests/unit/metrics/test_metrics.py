"""What /metrics tells, and whom."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from orchestrator.api import create_app
from orchestrator.domain.errors import StoreUnavailable
from orchestrator.domain.token import Role
from orchestrator.metrics import Metrics
from orchestrator.services.fleet_figures import FleetFigures
from tests.fakes import FakeClock
from tests.unit.api.conftest import Desk

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def parsed(text: str) -> Samples:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def read(desk: Desk) -> Samples:
    return parsed(desk.get("/metrics", role=Role.VIEWER).get_data(as_text=True))


def value(samples: Samples, metric: str, **labels: str) -> float:
    return samples[f"orchestrator_{metric}", tuple(sorted(labels.items()))]


def test_servers_and_sessions_are_told_as_the_database_has_them(counted: Desk) -> None:
    found = read(counted)
    a = {"server": "a", "site": "default"}
    assert value(found, "server_available", **a) == 1
    assert value(found, "server_poll_age_seconds", **a) == 7
    assert value(found, "server_answer_age_seconds", **a) == 7
    assert (value(found, "server_slots", **a), value(found, "server_slots_used", **a)) == (4, 1)
    assert value(found, "server_cpu_ratio", **a) == 0.5
    assert value(found, "server_memory_ratio", **a) == 0.5
    assert value(found, "servers", site="default", health="unreachable") == 1
    assert value(found, "sessions", state="running") == 1
    assert value(found, "sessions", state="lost") == 0
    assert value(found, "store_up") == 1


def test_polls_are_counted_by_site_and_reason(counted: Desk) -> None:
    found = read(counted)
    assert value(found, "poll_duration_seconds_count", site="default") == 2
    assert value(found, "poll_duration_seconds_bucket", site="default", le="0.5") == 1
    assert value(found, "poll_failures_total", site="default", code="connection_lost") == 1


def test_starts_are_counted_by_their_outcome_and_replays_are_not(counted: Desk) -> None:
    for _ in range(2):
        counted.clock.advance(1)
        counted.post(
            "/start_game",
            {"gameID": "chess", "excutemode": "process"},
            headers={"Idempotency-Key": "k"},
        )
    found = read(counted)
    starts = {
        labels: number
        for (name, labels), number in found.items()
        if name == "orchestrator_start_duration_seconds_count"
    }
    assert starts == {
        (("mode", "process"), ("outcome", "running")): 2,
        (("mode", "process"), ("outcome", "connection_lost")): 1,
    }


def test_requests_are_counted_by_rule_not_by_path(counted: Desk) -> None:
    counted.get("/api/v1/servers/a")
    counted.get("/api/v1/servers/b")
    counted.get("/nowhere")
    found = read(counted)
    rule = {"method": "GET", "route": "/api/v1/servers/<string:name>", "status": "200"}
    assert value(found, "http_request_duration_seconds_count", **rule) == 2
    none = {"method": "GET", "route": "(none)", "status": "404"}
    assert value(found, "http_request_duration_seconds_count", **none) == 1


def test_a_token_is_needed_unless_a_setting_opens_it(desk: Desk) -> None:
    assert desk.get("/metrics", role=None).status_code == 401
    app = create_app(desk.services, version="0", open_metrics=True)
    answer = app.test_client().get("/metrics")
    assert answer.status_code == 200
    assert answer.content_type.startswith("text/plain; version=")
    assert app.test_client().get("/openapi.json").status_code == 401


def test_calls_to_servers_are_told_by_kind() -> None:
    row = {
        "kind": "wql",
        "calls": 3,
        "errors": {"deadline_exceeded": 1},
        "requests": 9,
        "auth_legs": 2,
        "sent_bytes": 100,
        "received_bytes": 200,
        "waited_seconds": 0.5,
        "cpu_seconds": 0.01,
        "wall_seconds": 0.6,
    }
    clock = FakeClock()
    metrics = Metrics("0", clock, lambda _: FleetFigures([], {}), lambda: [row], str)
    found = parsed(metrics.render("")[0].decode())
    assert value(found, "transport_calls_total", kind="wql") == 3
    assert value(found, "transport_received_bytes_total", kind="wql") == 200
    assert value(found, "transport_errors_total", kind="wql", code="deadline_exceeded") == 1


def test_a_database_that_is_away_is_told_and_costs_only_its_figures() -> None:
    def away(_: object) -> FleetFigures:
        raise StoreUnavailable("gone")

    metrics = Metrics("0", FakeClock(), away, list, str)
    metrics.request("GET", "/", 200, 0.1)
    found = parsed(metrics.render("")[0].decode())
    assert value(found, "store_up") == 0
    assert ("orchestrator_http_request_duration_seconds_count") in {name for name, _ in found}


@pytest.mark.parametrize("accept", ["", "application/openmetrics-text; version=1.0.0"])
def test_both_formats_of_prometheus_are_spoken(desk: Desk, accept: str) -> None:
    answer = desk.get("/metrics", headers={"Accept": accept})
    kind = "openmetrics" if accept else "text/plain"
    assert kind in answer.content_type


@pytest.mark.parametrize("accept", ["", "application/openmetrics-text; version=1.0.0"])
def test_no_series_says_only_when_another_was_made(counted: Desk, accept: str) -> None:
    told = counted.get("/metrics", headers={"Accept": accept}).get_data(as_text=True)
    assert "orchestrator_poll_duration_seconds_count" in told
    assert "orchestrator_poll_failures_total" in told
    assert "_created" not in told
