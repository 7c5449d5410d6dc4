"""Poll servers now, because somebody asks, and keep what they say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.domain.errors import (
    ConnectionLost,
    CredentialsRefused,
    DeadlineExceeded,
    KdcUnreachable,
    Outcome,
    ProtocolViolation,
    ServerBusy,
    ServerCallError,
    ServerUnreachable,
    TlsUntrusted,
)
from orchestrator.domain.event import Event
from orchestrator.domain.health import finding_of
from orchestrator.domain.server import Health, Load
from orchestrator.ports import Clock, Executor, ServerGateway, UnitOfWorkFactory
from orchestrator.services.retry import Retry

_NO_WINRM = (ServerBusy, ProtocolViolation)
_SILENT = (ServerUnreachable, ConnectionLost, DeadlineExceeded, KdcUnreachable, TlsUntrusted)


def health_after(error: ServerCallError) -> Health:
    """What a failed call says of its server: it answered, refused us, or was silent.

    Answers that are none of WinRM's, a 503 of HTTP.sys among them, are no better
    than silence: nothing can be started there.
    """
    if isinstance(error, CredentialsRefused):
        return Health.REFUSED
    if isinstance(error, _NO_WINRM) and error.outcome is Outcome.NOT_EXECUTED:
        return Health.UNREACHABLE
    return Health.UNREACHABLE if isinstance(error, _SILENT) else Health.DEGRADED


@dataclass(frozen=True, slots=True)
class Probed:
    """What one poll found."""

    server: str
    health: Health
    reason: str
    load: Load | None


class ProbeServers:
    """Polls many servers at once; one that hangs costs the others nothing."""

    def __init__(
        self,
        units: UnitOfWorkFactory,
        gateway: ServerGateway,
        clock: Clock,
        retry: Retry,
        executor: Executor,
    ) -> None:
        self._units = units
        self._gateway = gateway
        self._clock = clock
        self._retry = retry
        self._executor = executor

    def __call__(self, names: Sequence[str] | None = None) -> Sequence[Probed]:
        """Poll ``names``, or every server of the inventory; by name."""
        if names is None:
            with self._units(read_only=True) as uow:
                names = [r.server.name for r in uow.servers.list() if r.present]
        return self._executor.map(self._probe, names)

    def _probe(self, name: str) -> Probed:
        try:
            load = self._gateway.observe(name).load
            finding = finding_of(load)
            found = Probed(name, finding.health, finding.reason, load)
        except ServerCallError as error:
            found = Probed(name, health_after(error), f"{error.code}: {error.message}", None)
        self._retry(lambda: self._record(found))
        return found

    def _record(self, found: Probed) -> None:
        now = self._clock.now()
        with self._units() as uow:
            before = uow.servers.get(found.server)
            uow.servers.record_health(found.server, found.health, found.reason, found.load, now)
            if before.health is not found.health:
                message = f"{before.health.value} -> {found.health.value}"
                if found.reason:
                    message += f": {found.reason}"
                uow.events.add(Event(now, "server_health", message, server=found.server))
            uow.commit()
