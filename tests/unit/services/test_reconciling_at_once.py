"""After a restored backup the servers' own truth is taken over in one go."""

from __future__ import annotations

from orchestrator.domain.errors import ConnectionLost, Outcome, ServerUnreachable
from orchestrator.domain.game import Game, Limits
from orchestrator.domain.launch import Launch
from orchestrator.domain.mode import Mode
from orchestrator.services.end_game import EndGame
from orchestrator.services.in_flight import InFlight
from orchestrator.services.reconcile import Reconcile
from orchestrator.services.reconcile_fleet import ReconcileFleet
from orchestrator.services.refused_ports import RefusedPorts
from orchestrator.services.retry import Retry
from orchestrator.services.settle_sessions import SettleSessions
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


class House:
    """Server ``a``, and ``b`` that takes no session."""

    def __init__(self, store: Store, game: Game) -> None:
        fill(store, [make_server("a"), make_server("b", slots=0)], [game])
        self.gateway, self.clock, flights = FakeGateway(), FakeClock(), InFlight()
        gateway, clock = self.gateway, self.clock
        units, retry = store.unit_of_work, Retry(clock)
        end = EndGame(units, gateway, clock, retry, flights)
        self.start = StartGame(
            units, gateway, clock, SequentialIds(), retry, flights, RefusedPorts(clock)
        )
        executor = InlineExecutor()
        self.everything = ReconcileFleet(
            units,
            gateway,
            clock,
            SettleSessions(units, gateway, end, clock, retry, flights),
            Reconcile(units, gateway, end, clock, retry, flights, executor),
            SweepServers(units, gateway, clock, retry, flights, executor),
            executor,
        )


def test_what_runs_is_adopted_what_is_gone_is_freed_and_what_nobody_wants_is_told(
    store: Store,
) -> None:
    house = House(store, make_game())
    gateway, start, everything = house.gateway, house.start, house.everything
    for _ in range(2):
        start(StartRequest("chess", Mode.PROCESS))
    gateway.fail_after["launch"] = ConnectionLost("cut", server="a", outcome=Outcome.UNKNOWN)
    start(StartRequest("chess", Mode.PROCESS))
    del gateway.launched["a"]["s-1"]
    gateway.launched["a"]["stranger"] = Launch(9000, START, r"C:\Games\chess.exe")
    gateway.loads["b"] = ServerUnreachable("nothing answers", server="b")
    house.clock.advance(601)

    done = [(each.server, each.session_id, each.action) for each in everything()]

    assert done == [
        ("b", None, "unreachable"),
        ("a", "s-1", "-> ended"),
        (None, "s-3", "starting -> running"),
        ("a", "stranger", "orphan_found"),
    ]
    assert [each.action for each in everything()] == ["unreachable"]


def test_a_session_that_is_over_for_several_reasons_is_told_once(store: Store) -> None:
    house = House(store, make_game(limits=Limits(duration=600)))
    house.start(StartRequest("chess", Mode.PROCESS))
    house.gateway.launched["a"].clear()
    house.clock.advance(601)
    done = [(each.session_id, each.action, each.note) for each in house.everything()]
    assert done == [("s-1", "-> ended", "its time limit of 600 s is over")]
