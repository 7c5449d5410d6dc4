"""A session whose server will not answer any more is over when somebody says so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import pytest

from orchestrator.domain.errors import ServerUnreachable, SessionConflict, UnknownSession
from orchestrator.domain.mode import Mode
from orchestrator.domain.server import Health
from orchestrator.domain.session import Session, SessionState
from orchestrator.services.end_game import EndGame
from orchestrator.services.give_up import GiveUp
from orchestrator.services.in_flight import InFlight
from orchestrator.services.refused_ports import RefusedPorts
from orchestrator.services.retry import Retry
from orchestrator.services.start_game import StartGame, StartRequest
from orchestrator.services.sweep_servers import SweepServers
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


@dataclass
class House:
    store: Store
    gateway: FakeGateway
    clock: FakeClock
    end: EndGame
    sweep: SweepServers
    give_up: GiveUp
    session: Session

    def server_is(self, health: Health) -> None:
        with self.store.unit_of_work() as uow:
            uow.servers.record_health("a", health, "", None, START)
            uow.commit()

    def held(self) -> int:
        with self.store.unit_of_work() as uow:
            return len(list(uow.sessions.holdings()))

    def events(self) -> list[str]:
        with self.store.unit_of_work() as uow:
            return [event.kind for event in uow.events.list(self.session.id, None, 100)]


@pytest.fixture
def house(store: Store) -> House:
    fill(store, [make_server("a")], [make_game()])
    gateway, clock, flights = FakeGateway(), FakeClock(), InFlight()
    units, retry = store.unit_of_work, Retry(clock)
    start = StartGame(units, gateway, clock, SequentialIds(), retry, flights, RefusedPorts(clock))
    return House(
        store,
        gateway,
        clock,
        EndGame(units, gateway, clock, retry, flights),
        SweepServers(units, gateway, clock, retry, flights, InlineExecutor()),
        GiveUp(units, clock, retry, flights),
        start(StartRequest("chess", Mode.PROCESS)),
    )


def test_a_session_of_a_server_that_answers_is_not_given_up(house: House) -> None:
    for health in (Health.UP, Health.DEGRADED, Health.UNREADY):
        house.server_is(health)
        with pytest.raises(SessionConflict, match="a answers, so session"):
            house.give_up(house.session.id, "somebody")
    assert house.held() == 1


@pytest.mark.parametrize("health", [Health.UNREACHABLE, Health.REFUSED, Health.UNKNOWN])
def test_where_the_server_does_not_answer_it_is_over_and_its_slot_is_free(
    house: House, health: Health
) -> None:
    house.server_is(health)
    given_up = house.give_up(house.session.id, "somebody")
    assert given_up.state is SessionState.ENDED
    assert given_up.end_detail == "given up by somebody; a was not asked"
    assert house.give_up(house.session.id, "somebody else") == given_up
    assert house.held() == 0
    assert house.events()[0] == "session_given_up"


def test_where_the_server_left_the_inventory_it_is_over_in_any_state(house: House) -> None:
    house.gateway.fail_before["stop"] = ServerUnreachable("nothing answers", server="a")
    assert house.end(house.session.id, "its time is over").state is SessionState.ENDING
    with house.store.unit_of_work() as uow:
        uow.servers.synchronise([])
        uow.commit()
    given_up = house.give_up(house.session.id, "somebody")
    assert given_up.state is SessionState.ENDED
    assert given_up.end_detail == "its time is over; given up by somebody; a was not asked"


def test_what_is_left_of_it_is_ended_when_the_server_answers_again(house: House) -> None:
    house.server_is(Health.UNREACHABLE)
    house.give_up(house.session.id, "somebody")
    house.server_is(Health.UP)
    house.clock.advance(timedelta(hours=1).total_seconds())
    assert [each.action for each in house.sweep()] == ["leftover_ended"]
    assert house.gateway.find_launches("a") == []


def test_a_session_that_is_not_there_is_said(house: House) -> None:
    with pytest.raises(UnknownSession):
        house.give_up("nobody", "somebody")
