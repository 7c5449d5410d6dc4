"""A start that meets another process at its port takes other ports."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from orchestrator.domain.errors import NoCapacity, ScriptFailed
from orchestrator.domain.launch import LaunchOrder, LaunchReport
from orchestrator.domain.mode import Mode
from orchestrator.domain.server import PortRange
from orchestrator.domain.session import Ports, SessionState
from orchestrator.ports import SessionQuery
from orchestrator.services.end_game import EndGame
from orchestrator.services.in_flight import InFlight
from orchestrator.services.preview_placement import PreviewPlacement
from orchestrator.services.refused_ports import MEMORY, RefusedPorts
from orchestrator.services.retry import Retry
from orchestrator.services.start_game import MOST_LAUNCHES, StartGame, StartRequest
from orchestrator.store import Store
from tests.fakes import FakeClock, FakeGateway, SequentialIds, fill, make_game, make_server

PROCESS = StartRequest("chess", Mode.PROCESS)


@dataclass
class House:
    store: Store
    gateway: FakeGateway
    clock: FakeClock
    start: StartGame
    preview: PreviewPlacement

    def tried(self) -> list[int]:
        return [order.stream_port for order in self.gateway.orders]

    def told(self, kind: str) -> list[str]:
        with self.store.unit_of_work() as uow:
            return [e.message for e in reversed(uow.events.list()) if e.kind == kind]

    def narrow(self, first: int, last: int) -> None:
        with self.store.unit_of_work() as uow:
            uow.servers.synchronise([make_server("a", ports=PortRange(first, last))])
            uow.commit()


def build(store: Store, gateway: FakeGateway) -> House:
    fill(store, [make_server("a")], [make_game()])
    clock, ids = FakeClock(), SequentialIds()
    units, refused = store.unit_of_work, RefusedPorts(clock)
    start = StartGame(units, gateway, clock, ids, Retry(clock), InFlight(), refused)
    preview = PreviewPlacement(units, FakeGateway(), SequentialIds(), clock, refused)
    return House(store, gateway, clock, start, preview)


@pytest.fixture
def house(store: Store) -> House:
    return build(store, FakeGateway())


def test_a_stranger_at_the_first_ports_costs_other_ports_and_no_session(house: House) -> None:
    house.gateway.strangers = {8554, 8555}
    session = house.start(PROCESS)
    assert (session.id, session.state) == ("s-1", SessionState.RUNNING)
    assert session.ports == Ports(8556, 8557)
    assert [order.session_id for order in house.gateway.orders] == ["s-1"] * 3
    assert (house.gateway.orders[-1].stream_port, house.gateway.orders[-1].control_port) == (
        8556,
        8557,
    )
    assert house.told("port_refused") == [
        "port 8554 is taken by nginx.exe (PID 77); port 8555 is tried",
        "port 8555 is taken by nginx.exe (PID 77); port 8556 is tried",
    ]
    with house.store.unit_of_work() as uow:
        (held,) = uow.sessions.holdings()
    assert held.ports == Ports(8556, 8557)


def test_the_next_sessions_do_not_run_into_it_until_it_is_forgotten(house: House) -> None:
    house.gateway.strangers = {8554}
    assert house.start(PROCESS).ports == Ports(8555, 8556)
    assert house.start(PROCESS).ports == Ports(8557, 8558)
    assert house.tried() == [8554, 8555, 8557]
    house.gateway.strangers.clear()
    house.clock.advance(MEMORY.total_seconds())
    assert house.start(PROCESS).ports == Ports(8554, 8559)


def test_a_session_tries_a_few_ports_and_the_next_one_goes_on_behind_them(house: House) -> None:
    house.gateway.strangers = set(range(8554, 8554 + MOST_LAUNCHES))
    with pytest.raises(ScriptFailed, match=r"nginx\.exe") as failed:
        house.start(PROCESS)
    assert failed.value.code == "port_in_use"
    assert house.tried() == [8554, 8555, 8556, 8557]
    assert house.start(PROCESS).ports == Ports(8558, 8559)


def test_where_no_port_is_left_the_session_fails_and_placement_says_why(house: House) -> None:
    house.narrow(8554, 8555)
    house.gateway.strangers = {8554}
    with pytest.raises(ScriptFailed) as failed:
        house.start(PROCESS)
    assert failed.value.code == "port_in_use"
    assert house.told("port_refused") == [
        "port 8554 is taken by nginx.exe (PID 77); no other port is free"
    ]
    with house.store.unit_of_work() as uow:
        (session,) = uow.sessions.list(SessionQuery())
        assert session.state is SessionState.FAILED
        assert uow.sessions.holdings() == []
    why = "has no two free ports in 8554-8555; another process was found on 8554"
    with pytest.raises(NoCapacity) as refused:
        house.start(PROCESS)
    assert refused.value.reasons == {"a": why}
    assert house.preview(PROCESS).reasons() == {"a": why}
    house.clock.advance(MEMORY.total_seconds())
    assert house.preview(PROCESS).chosen == "a"


def test_no_port_is_tried_once_the_launch_has_had_its_time(house: House) -> None:
    house.gateway.strangers = {8554}
    launch = house.gateway.launch

    def slow(server: str, order: LaunchOrder) -> LaunchReport:
        house.clock.advance(order.ready_timeout)
        return launch(server, order)

    house.gateway.launch = slow  # type: ignore[method-assign]
    with pytest.raises(ScriptFailed):
        house.start(PROCESS)
    assert house.tried() == [8554]
    assert house.start(PROCESS).ports == Ports(8555, 8556)


def test_another_failure_of_the_script_is_not_tried_again(house: House) -> None:
    house.gateway.fail_before["launch"] = ScriptFailed("ga_missing", "gone", server="a")
    with pytest.raises(ScriptFailed):
        house.start(PROCESS)
    assert house.tried() == []


class EndedMeanwhile(FakeGateway):
    """Somebody ends the session while its first launch is refused."""

    end: EndGame

    def launch(self, server: str, order: LaunchOrder) -> LaunchReport:
        self.end(order.session_id)
        return super().launch(server, order)


def test_a_session_that_was_ended_meanwhile_gets_no_other_ports(store: Store) -> None:
    gateway = EndedMeanwhile()
    house = build(store, gateway)
    gateway.end = EndGame(store.unit_of_work, gateway, house.clock, Retry(house.clock), InFlight())
    gateway.strangers = {8554}
    session = house.start(PROCESS)
    assert session.state is SessionState.ENDED
    assert house.tried() == [8554]
    assert house.told("port_refused") == []


def test_a_memory_ends_although_the_clock_was_set_back() -> None:
    clock = FakeClock()
    refused = RefusedPorts(clock)
    refused.add("a", 8554)
    assert refused.by_server() == {"a": frozenset({8554})}
    clock.advance(-7200)
    assert refused.by_server() == {}
