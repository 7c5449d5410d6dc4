"""Launches that nobody wants are found, and ended where the policy says so."""

from __future__ import annotations

from datetime import timedelta

import pytest

from orchestrator.domain.errors import ServerUnreachable
from orchestrator.domain.launch import Launch
from orchestrator.domain.mode import Mode
from orchestrator.domain.server import Health
from orchestrator.domain.session import SessionState
from orchestrator.services.in_flight import InFlight
from orchestrator.services.refused_ports import RefusedPorts
from orchestrator.services.retry import Retry
from orchestrator.services.start_game import StartGame, StartRequest
from orchestrator.services.sweep_servers import Orphans, SweepServers, Swept
from orchestrator.store import Store
from tests.fakes import (
    START,
    FakeClock,
    FakeGateway,
    InlineExecutor,
    SequentialIds,
    fill,
    make_game,
    make_server,
)

ORPHAN = Launch(6000, START, r"C:\Games\chess.exe")


class House:
    def __init__(self, store: Store, orphans: Orphans) -> None:
        fill(store, [make_server("a"), make_server("b", slots=0)], [make_game()])
        self.store, self.gateway, self.clock = store, FakeGateway(), FakeClock()
        self.flights, retry = InFlight(), Retry(self.clock)
        self.start = StartGame(
            store.unit_of_work,
            self.gateway,
            self.clock,
            SequentialIds(),
            retry,
            self.flights,
            RefusedPorts(self.clock),
        )
        self.sweep = SweepServers(
            store.unit_of_work,
            self.gateway,
            self.clock,
            retry,
            self.flights,
            InlineExecutor(),
            orphans,
        )

    def actions(self) -> list[tuple[str | None, str]]:
        return [(each.session_id, each.action) for each in self.sweep()]

    def end_in_the_store_only(self) -> None:
        with self.store.unit_of_work() as uow:
            session = uow.sessions.get("s-1")
            uow.sessions.save(session.moved(SessionState.ENDED, self.clock.now()))
            uow.commit()

    def events(self) -> list[str]:
        with self.store.unit_of_work() as uow:
            return [event.kind for event in reversed(uow.events.list())]


@pytest.fixture(params=list(Orphans))
def house(store: Store, request: pytest.FixtureRequest) -> House:
    return House(store, request.param)


def test_what_the_store_wants_is_left_alone(house: House) -> None:
    house.start(StartRequest("chess", Mode.PROCESS))
    house.clock.advance(3600)
    assert house.actions() == []
    assert len(house.gateway.launched["a"]) == 1


def test_what_runs_for_a_session_that_is_over_is_ended_whatever_the_policy(house: House) -> None:
    house.start(StartRequest("chess", Mode.PROCESS))
    house.end_in_the_store_only()
    assert house.actions() == []
    house.clock.advance(61)
    assert house.actions() == [("s-1", "leftover_ended")]
    assert house.gateway.launched["a"] == {}
    assert house.events()[-1] == "leftover_ended"
    assert house.actions() == []


def test_a_young_orphan_is_left_alone(house: House) -> None:
    house.gateway.launched["a"] = {"unknown": ORPHAN}
    house.clock.advance(599)
    assert house.actions() == []


def test_an_orphan_is_reported_once(store: Store) -> None:
    house = House(store, Orphans.REPORT)
    house.gateway.launched["a"] = {"unknown": ORPHAN}
    house.clock.advance(601)
    (swept,) = house.sweep()
    assert swept == Swept(
        "a",
        "unknown",
        "orphan_found",
        r"C:\Games\chess.exe (PID 6000): the store knows no such session; nothing was done",
    )
    assert house.actions() == []
    assert house.events() == ["orphan_found"]
    house.gateway.launched["a"].clear()
    house.actions()
    house.gateway.launched["a"] = {"unknown": ORPHAN}
    assert house.actions() == [("unknown", "orphan_found")]


def test_an_orphan_is_ended_where_the_policy_says_so(store: Store) -> None:
    house = House(store, Orphans.END)
    house.gateway.launched["a"] = {"unknown": ORPHAN}
    house.clock.advance(601)
    assert house.actions() == [("unknown", "orphan_ended")]
    assert house.gateway.removed == [("a", "unknown")]
    assert house.actions() == []


def test_a_session_on_another_server_than_the_stores_is_an_orphan(store: Store) -> None:
    house = House(store, Orphans.END)
    session = house.start(StartRequest("chess", Mode.PROCESS))
    house.gateway.launched["b"] = {session.id: ORPHAN}
    house.clock.advance(601)
    assert house.actions() == [(session.id, "orphan_ended")]
    assert len(house.gateway.launched["a"]) == 1


def test_a_server_that_cannot_be_asked_is_said_and_one_that_is_silent_is_not_asked(
    house: House,
) -> None:
    with house.store.unit_of_work() as uow:
        uow.servers.record_health("b", Health.UNREACHABLE, "silent", None, START)
        uow.commit()
    house.gateway.fail_before["find_launches"] = ServerUnreachable("gone", server="a")
    assert [(s.server, s.action) for s in house.sweep()] == [("a", "not_asked")]


def test_an_end_that_fails_is_said_and_tried_again(store: Store) -> None:
    house = House(store, Orphans.END)
    house.gateway.launched["a"] = {"unknown": ORPHAN}
    house.clock.advance(timedelta(hours=1).total_seconds())
    house.gateway.fail_before["remove_launch"] = ServerUnreachable("gone", server="a")
    assert house.actions() == [("unknown", "not_ended")]
    assert house.actions() == [("unknown", "orphan_ended")]


def test_a_session_that_somebody_is_at_is_left_alone(store: Store) -> None:
    house = House(store, Orphans.END)
    house.gateway.launched["a"] = {"unknown": ORPHAN}
    house.clock.advance(3600)
    with house.flights.claim("unknown"):
        assert house.actions() == []
