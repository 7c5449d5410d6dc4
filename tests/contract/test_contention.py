"""Reservations under contention, through the real service and on every database."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from orchestrator.bootstrap import SystemClock, UuidFactory
from orchestrator.domain.errors import NoCapacity
from orchestrator.domain.mode import Mode
from orchestrator.domain.session import SessionState
from orchestrator.services.in_flight import InFlight
from orchestrator.services.refused_ports import RefusedPorts
from orchestrator.services.retry import Retry
from orchestrator.services.start_game import StartGame, StartRequest
from orchestrator.store import Store
from tests.fakes import FakeGateway, fill, make_game, make_server

STARTS, SERVERS, SLOTS = 200, 5, 4


def test_200_parallel_starts_against_20_slots_give_exactly_20_sessions(store: Store) -> None:
    fill(store, [make_server(f"server-{n}", slots=SLOTS) for n in range(SERVERS)], [make_game()])
    clock = SystemClock()
    start = StartGame(
        store.unit_of_work,
        FakeGateway(),
        clock,
        UuidFactory(),
        Retry(clock),
        InFlight(),
        RefusedPorts(clock),
    )

    def attempt(_: int) -> str:
        try:
            return start(StartRequest("chess", Mode.PROCESS)).state.value
        except NoCapacity:
            return "no_capacity"

    with ThreadPoolExecutor(STARTS) as pool:
        outcomes = Counter(pool.map(attempt, range(STARTS)))

    assert outcomes == {"running": SERVERS * SLOTS, "no_capacity": STARTS - SERVERS * SLOTS}
    with store.unit_of_work() as uow:
        sessions = uow.sessions.active()
    assert len(sessions) == SERVERS * SLOTS
    assert all(session.state is SessionState.RUNNING for session in sessions)
    assert Counter(s.server for s in sessions) == {f"server-{n}": SLOTS for n in range(SERVERS)}
    ports = [(s.server, p) for s in sessions for p in (s.ports.stream, s.ports.control)]
    assert len(set(ports)) == 2 * SERVERS * SLOTS
