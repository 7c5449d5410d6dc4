"""What happened in this process, counted, and how the fleet is, read when asked.

Counters and histograms are of this process; several brokers on one database are
scraped each and summed. Figures of servers and sessions come from the database,
so every broker tells the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.sample import Sample
from orchestrator.domain.session import Session, SessionState
from orchestrator.metrics.fleet import FleetCollector
from orchestrator.ports import Clock
from orchestrator.services.fleet_figures import FleetFigures
from orchestrator.services.start_game import StartRequest

_POLL_BUCKETS = (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
_START_BUCKETS = (0.5, 1, 2, 3, 5, 8, 12, 20, 30, 45, 60, 90, 120)
_REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

Start = Callable[[StartRequest], Session]


class Metrics:
    """A SampleSink too: polls are counted as they are kept."""

    def __init__(
        self,
        version: str,
        clock: Clock,
        fleet: Callable[[datetime], FleetFigures],
        calls: Callable[[], Sequence[Mapping[str, object]]],
        site_of: Callable[[str], str],
    ) -> None:
        self._clock = clock
        self._site_of = site_of
        # A series of when a child began, for each, which nothing of ours reads.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        self._polls = Histogram(
            "orchestrator_poll_duration_seconds",
            "How long polls took.",
            ["site"],
            buckets=_POLL_BUCKETS,
            registry=self._registry,
        )
        self._poll_failures = Counter(
            "orchestrator_poll_failures_total",
            "Polls that got no answer.",
            ["site", "code"],
            registry=self._registry,
        )
        self._starts = Histogram(
            "orchestrator_start_duration_seconds",
            "From a request to its game streaming (running) or its end (failed, starting).",
            ["mode", "outcome"],
            buckets=_START_BUCKETS,
            registry=self._registry,
        )
        self._requests = Histogram(
            "orchestrator_http_request_duration_seconds",
            "How long requests took; route is the rule, not the path.",
            ["method", "route", "status"],
            buckets=_REQUEST_BUCKETS,
            registry=self._registry,
        )
        collector: Collector = FleetCollector(version, clock, fleet, calls)
        self._registry.register(collector)

    def __call__(self, samples: Sequence[Sample]) -> None:
        """Count polls."""
        for each in samples:
            site = self._site_of(each.server)
            self._polls.labels(site).observe(each.seconds)
            if each.error:
                self._poll_failures.labels(site, each.error).inc()

    def timed(self, start: Start) -> Start:
        """``start``, with each session that it makes counted; replays are not."""

        def call(request: StartRequest) -> Session:
            began, since = self._clock.now(), time.perf_counter()
            try:
                session = start(request)
            except OrchestratorError as error:
                self._starts.labels(request.mode.value, error.code).observe(
                    time.perf_counter() - since
                )
                raise
            if session.created_at >= began or session.state is SessionState.STARTING:
                self._starts.labels(request.mode.value, session.state.value).observe(
                    time.perf_counter() - since
                )
            return session

        return call

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an HTTP request."""
        self._requests.labels(method, route, str(status)).observe(seconds)

    def render(self, accept: str) -> tuple[bytes, str]:
        """Everything as text, and its content type, in the format that was asked for."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type
