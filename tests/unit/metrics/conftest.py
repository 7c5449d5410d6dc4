"""A broker's application on which something of each kind has happened."""

from __future__ import annotations

import pytest

from orchestrator.domain.errors import ConnectionLost, Outcome
from orchestrator.domain.sample import Sample
from orchestrator.domain.server import Health, Load
from orchestrator.transport.tracing import CallTrace
from orchestrator.transport.wire import Traffic
from tests.fakes import START
from tests.unit.api.conftest import Desk, desk

__all__ = ["desk"]


@pytest.fixture
def counted(desk: Desk) -> Desk:
    """One session runs, one start failed, one poll was answered and one was not."""
    desk.post("/api/v1/sessions", {"game": "chess", "mode": "process"})
    desk.gateway.fail_before["launch"] = ConnectionLost(
        "cut", server="a", outcome=Outcome.NOT_EXECUTED
    )
    desk.post("/api/v1/sessions", {"game": "chess", "mode": "process"})
    load = Load(START, 0.5, 16000, 8000, 0.25)
    answered = Sample("a", START, 0.3, Health.UP, "", START, load)
    silent = Sample("b", START, 4.0, Health.UNREACHABLE, "", START, None, "connection_lost")
    with desk.store.unit_of_work() as uow:
        uow.servers.record_polls([answered, silent])
        uow.commit()
    desk.metrics([answered, silent])
    desk.calls(CallTrace("a", "wql", 0.3, 0.01, Traffic(), "connection_lost"))
    desk.clock.advance(7)
    return desk
