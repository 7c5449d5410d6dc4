"""The fleet in numbers, at one moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from orchestrator.domain.availability import AVAILABLE
from orchestrator.domain.server import ServerRecord
from orchestrator.domain.session import ACTIVE_STATES, SessionState
from orchestrator.ports import UnitOfWorkFactory


@dataclass(frozen=True, slots=True)
class ServerFigures:
    """One server; ages in seconds, None where it was never polled or never answered."""

    name: str
    site: str
    health: str
    available: bool
    drained: bool
    maintenance: bool
    poll_age: float | None
    answer_age: float | None
    slots: int
    used: int
    cpu: float | None
    memory: float | None
    gpu: float | None


@dataclass(frozen=True, slots=True)
class FleetFigures:
    """Every server of the inventory, and how many sessions are in each active state."""

    servers: Sequence[ServerFigures]
    sessions: Mapping[SessionState, int]

    def by_health(self) -> Mapping[tuple[str, str], int]:
        """How many servers each site has in each health."""
        return Counter((each.site, each.health) for each in self.servers)


class ReadFleet:
    """The use case; reads only."""

    def __init__(self, units: UnitOfWorkFactory) -> None:
        self._units = units

    def __call__(self, now: datetime) -> FleetFigures:
        """As the database has it."""
        with self._units(read_only=True) as uow:
            records = [record for record in uow.servers.list() if record.present]
            used = Counter(holding.server for holding in uow.sessions.holdings())
            found = uow.sessions.count_active()
        sessions = {state: found.get(state, 0) for state in sorted(ACTIVE_STATES)}
        return FleetFigures([_figures(each, used, now) for each in records], sessions)


def _figures(record: ServerRecord, used: Mapping[str, int], now: datetime) -> ServerFigures:
    server, load = record.server, record.load
    return ServerFigures(
        name=server.name,
        site=server.site,
        health=record.health.value,
        available=record.health in AVAILABLE,
        drained=record.drained,
        maintenance=server.maintenance_at(now) is not None,
        poll_age=_age(record.checked_at, now),
        answer_age=_age(record.answered_at, now),
        slots=server.slots,
        used=used.get(server.name, 0),
        cpu=load.cpu if load else None,
        memory=load.memory if load else None,
        gpu=load.gpu if load else None,
    )


def _age(at: datetime | None, now: datetime) -> float | None:
    return None if at is None else max(0.0, (now - at).total_seconds())
