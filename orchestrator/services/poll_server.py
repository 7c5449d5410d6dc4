"""One poll of one server: its load, its sessions' processes, its clients."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from orchestrator.domain.errors import ServerCallError
from orchestrator.domain.health import Finding, finding_of
from orchestrator.domain.launch import Launch
from orchestrator.domain.observation import Observation
from orchestrator.ports import Clock, ServerGateway
from orchestrator.services.beliefs import Beliefs
from orchestrator.services.probe_servers import health_after


@dataclass(frozen=True, slots=True)
class Polled:
    """What came of it; ``launches`` and ``ports`` are what was asked for."""

    server: str
    at: datetime
    seconds: float
    finding: Finding
    observation: Observation | None = None
    error: str = ""
    launches: frozenset[Launch] = frozenset()
    ports: frozenset[int] = frozenset()


class PollServer:
    """The use case; safe to call from many threads, one a server at a time."""

    def __init__(self, gateway: ServerGateway, beliefs: Beliefs, clock: Clock) -> None:
        self._gateway = gateway
        self._beliefs = beliefs
        self._clock = clock

    def __call__(self, server: str) -> Polled:
        """Look once; a server that does not answer is an answer too."""
        sessions = self._beliefs.watched(server)
        launches = frozenset(
            launch for session in sessions for launch in (session.launch, *session.companions)
        )
        ports = frozenset(s.stream_port for s in sessions if self._beliefs.counts_clients(s))
        began = self._clock.now()
        try:
            seen = self._gateway.observe(server, launches, ports)
        except ServerCallError as error:
            now = self._clock.now()
            finding = Finding(health_after(error), f"{error.code}: {error.message}")
            return Polled(server, now, (now - began).total_seconds(), finding, error=error.code)
        now = self._clock.now()
        seconds = (now - began).total_seconds()
        finding = finding_of(seen.load)
        return Polled(server, now, seconds, finding, seen, launches=launches, ports=ports)
