"""The store may hold servers of another inventory: one that was edited, or a command's own."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from orchestrator.domain.errors import NoCapacity, UnknownServer
from orchestrator.domain.mode import Mode
from orchestrator.domain.session import Session, SessionState
from orchestrator.services.check_server import CheckServer
from orchestrator.services.end_game import EndGame
from orchestrator.services.in_flight import InFlight
from orchestrator.services.polling import Polling
from orchestrator.services.preview_placement import PreviewPlacement
from orchestrator.services.probe_servers import ProbeServers
from orchestrator.services.reconcile import Reconcile
from orchestrator.services.reconcile_fleet import ReconcileFleet
from orchestrator.services.refused_ports import RefusedPorts
from orchestrator.services.retry import Retry
from orchestrator.services.settle_sessions import SettleSessions
from orchestrator.services.start_game import StartGame, StartRequest
from orchestrator.services.sweep_servers import SweepServers
from orchestrator.store import Store
from tests.fakes import (
    FakeClock,
    FakeGateway,
    InlineExecutor,
    SequentialIds,
    fill,
    make_game,
    make_server,
)

CHESS = StartRequest("chess", Mode.PROCESS)


@dataclass
class House:
    store: Store
    gateway: FakeGateway
    clock: FakeClock
    start: StartGame
    preview: PreviewPlacement
    end: EndGame
    settle: SettleSessions
    reconcile: Reconcile
    check: CheckServer
    fleet: ReconcileFleet

    def session(self, session_id: str) -> Session:
        with self.store.unit_of_work() as uow:
            return uow.sessions.get(session_id)


@pytest.fixture
def house(store: Store) -> House:
    fill(store, [make_server("a"), make_server("b")], [make_game()])
    gateway, clock, flights, inline = FakeGateway(), FakeClock(), InFlight(), InlineExecutor()
    units, retry, refused = store.unit_of_work, Retry(clock), RefusedPorts(clock)
    end = EndGame(units, gateway, clock, retry, flights)
    settle = SettleSessions(units, gateway, end, clock, retry, flights)
    reconcile = Reconcile(units, gateway, end, clock, retry, flights, inline)
    sweep = SweepServers(units, gateway, clock, retry, flights, inline)
    return House(
        store,
        gateway,
        clock,
        StartGame(units, gateway, clock, SequentialIds(), retry, flights, refused),
        PreviewPlacement(units, gateway, SequentialIds(), clock, refused),
        end,
        settle,
        reconcile,
        CheckServer(units, gateway, ProbeServers(units, gateway, clock, retry, inline)),
        ReconcileFleet(units, gateway, clock, settle, reconcile, sweep, inline),
    )


def test_no_game_goes_to_a_server_that_cannot_be_called(house: House) -> None:
    house.gateway.unknown = {"a"}
    assert house.preview(CHESS).chosen == "b"
    assert house.start(CHESS).server == "b"

    house.gateway.unknown = {"a", "b"}
    with pytest.raises(NoCapacity) as refused:
        house.start(CHESS)
    assert set(refused.value.reasons.values()) == {"is not in the inventory"}


def test_a_session_of_a_server_that_left_holds_up_the_settling_of_no_other(house: House) -> None:
    first, second = house.start(CHESS), house.start(CHESS)
    gone, there = first.server, second.server
    assert gone != there
    house.gateway.unknown = {gone, there}
    for session in (first, second):
        assert house.end(session.id).state is SessionState.ENDING
    house.gateway.unknown = {gone}

    house.reconcile()

    assert house.session(second.id).state is SessionState.ENDED
    left = house.session(first.id)
    assert left.state is SessionState.ENDING
    assert left.error is not None
    assert left.error.code == "not_in_inventory"

    house.gateway.unknown = set()
    house.clock.advance(3600)
    house.reconcile()
    assert house.session(first.id).state is SessionState.ENDED


def test_only_servers_of_the_inventory_are_polled_swept_and_checked(house: House) -> None:
    house.gateway.unknown = {"b"}
    followed: list[set[str]] = []
    polling = Polling(
        house.store.unit_of_work,
        house.gateway,
        house.clock,
        house.settle,
        lambda *_: None,
        interval=10,
        on_fleet=lambda intervals, _: followed.append(set(intervals)),
    )
    polling.catch_up()
    assert followed == [{"a"}]

    assert house.fleet() == []
    with house.store.unit_of_work() as uow:
        assert uow.servers.get("b").health_reason == ""

    assert house.check("a").server == "a"
    with pytest.raises(UnknownServer, match="has no server b"):
        house.check("b")
