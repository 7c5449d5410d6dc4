"""Servers, sessions and calls, read when Prometheus asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import cast

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from orchestrator.domain.errors import OrchestratorError
from orchestrator.ports import Clock
from orchestrator.services.fleet_figures import FleetFigures, ServerFigures

_SERVER = ("server", "site")

_GAUGES: Sequence[tuple[str, str, Callable[[ServerFigures], float | None]]] = (
    ("available", "1 where the server can take players.", lambda s: float(s.available)),
    ("drained", "1 where an admin has drained it.", lambda s: float(s.drained)),
    ("maintenance", "1 in a maintenance window of its own.", lambda s: float(s.maintenance)),
    ("poll_age_seconds", "Time since the last poll ended, answered or not.", lambda s: s.poll_age),
    ("answer_age_seconds", "Time since the last answered poll.", lambda s: s.answer_age),
    ("slots", "Sessions it may have at once.", lambda s: float(s.slots)),
    ("slots_used", "Sessions that hold one of its slots.", lambda s: float(s.used)),
    ("cpu_ratio", "Share of its CPU in use at the last poll.", lambda s: s.cpu),
    ("memory_ratio", "Share of its memory in use at the last poll.", lambda s: s.memory),
    ("gpu_ratio", "Share of its busiest GPU engine in use at the last poll.", lambda s: s.gpu),
)

_CALLS = (
    ("calls", "Calls to servers.", "calls"),
    ("requests", "HTTP requests that calls sent, those of authentication included.", "requests"),
    ("auth_legs", "Requests that authenticated.", "auth_legs"),
    ("sent_bytes", "Bytes sent to servers.", "sent_bytes"),
    ("received_bytes", "Bytes received from servers.", "received_bytes"),
    ("wait_seconds", "Time spent waiting for servers.", "waited_seconds"),
    ("cpu_seconds", "CPU time of the broker spent in calls.", "cpu_seconds"),
    ("duration_seconds", "Time that calls took.", "wall_seconds"),
)


class FleetCollector(Collector):
    """A collector of prometheus_client; a database that is away is one figure less."""

    def __init__(
        self,
        version: str,
        clock: Clock,
        fleet: Callable[[datetime], FleetFigures],
        calls: Callable[[], Sequence[Mapping[str, object]]],
    ) -> None:
        self._version = version
        self._clock = clock
        self._fleet = fleet
        self._calls = calls

    def describe(self) -> Iterable[Metric]:
        """Nothing: registering must not ask the database."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Every figure of now."""
        build = GaugeMetricFamily("orchestrator_build_info", "The version.", labels=["version"])
        build.add_metric([self._version], 1)
        yield build
        yield from self._transport()
        store = GaugeMetricFamily("orchestrator_store_up", "1 where the database answers.")
        try:
            figures = self._fleet(self._clock.now())
        except OrchestratorError:
            store.add_metric([], 0)
            yield store
            return
        store.add_metric([], 1)
        yield store
        yield from _servers(figures)
        yield from _sessions(figures)

    def _transport(self) -> Iterable[Metric]:
        rows = self._calls()
        for name, text, field in _CALLS:
            family = CounterMetricFamily(f"orchestrator_transport_{name}", text, labels=["kind"])
            for row in rows:
                family.add_metric([str(row["kind"])], cast("float", row[field]))
            yield family
        errors = CounterMetricFamily(
            "orchestrator_transport_errors", "Calls that failed.", labels=["kind", "code"]
        )
        for row in rows:
            for code, count in cast("Mapping[str, int]", row["errors"]).items():
                errors.add_metric([str(row["kind"]), code], count)
        yield errors


def _servers(figures: FleetFigures) -> Iterable[Metric]:
    for name, text, value_of in _GAUGES:
        family = GaugeMetricFamily(f"orchestrator_server_{name}", text, labels=_SERVER)
        for each in figures.servers:
            value = value_of(each)
            if value is not None:
                family.add_metric([each.name, each.site], value)
        yield family
    health = GaugeMetricFamily(
        "orchestrator_servers", "Servers by site and health.", labels=["site", "health"]
    )
    for (site, state), count in sorted(figures.by_health().items()):
        health.add_metric([site, state], count)
    yield health


def _sessions(figures: FleetFigures) -> Iterable[Metric]:
    family = GaugeMetricFamily(
        "orchestrator_sessions", "Sessions that hold a slot, by state.", labels=["state"]
    )
    for state, count in sorted(figures.sessions.items()):
        family.add_metric([state.value], count)
    yield family
