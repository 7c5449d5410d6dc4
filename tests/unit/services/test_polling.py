"""Polls become health, samples and moves of sessions; a server's truth wins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from orchestrator.domain.errors import (
    CredentialsRefused,
    Outcome,
    ProtocolViolation,
    ServerBusy,
    ServerCallError,
    ServerUnreachable,
    StoreUnavailable,
)
from orchestrator.domain.game import Game, Limits
from orchestrator.domain.launch import FoundState, Launch
from orchestrator.domain.mode import Mode
from orchestrator.domain.sample import Sample
from orchestrator.domain.server import Health
from orchestrator.domain.session import Session, SessionState
from orchestrator.ports import UnitOfWork
from orchestrator.services.end_game import EndGame
from orchestrator.services.in_flight import InFlight
from orchestrator.services.poll_schedule import Answer
from orchestrator.services.polling import Polling
from orchestrator.services.refused_ports import RefusedPorts
from orchestrator.services.retry import Retry
from orchestrator.services.settle_sessions import Settler, SettleSessions
from orchestrator.services.start_game import StartGame, StartRequest
from orchestrator.store import Store
from tests.fakes import (
    GOOD_LOAD,
    START,
    FakeClock,
    FakeGateway,
    InlineExecutor,
    SequentialIds,
    fill,
    make_game,
    make_server,
)

DEAD = ServerUnreachable("nothing answers there", server="a")


class House:
    """One server ``a`` and one ``b``, polled when a test says so."""

    def __init__(self, store: Store, game: Game) -> None:
        fill(store, [make_server("a"), make_server("b", slots=0, site="far")], [game])
        self.store = store
        self.away = False
        self.gateway, self.clock, self.flights = FakeGateway(), FakeClock(), InFlight()
        self.samples: list[Sample] = []
        self.recovered: list[str] = []
        retry = Retry(self.clock)
        end = EndGame(self.units, self.gateway, self.clock, retry, self.flights)
        self.settle = SettleSessions(self.units, self.gateway, end, self.clock, retry, self.flights)
        self.start = StartGame(
            self.units,
            self.gateway,
            self.clock,
            SequentialIds(),
            retry,
            self.flights,
            RefusedPorts(self.clock),
        )
        self.polling = self.another()
        self.polling.catch_up()

    def another(self) -> Polling:
        """What a broker that begins now has."""
        return Polling(
            self.units,
            self.gateway,
            self.clock,
            self.settle,
            Settler(InlineExecutor(), self.clock),
            interval=10,
            sinks=[self.samples.extend],
            on_recovered=self.recovered.append,
        )

    def units(self, *, read_only: bool = False) -> UnitOfWork:
        if self.away:
            raise StoreUnavailable("the database is away")
        return self.store.unit_of_work(read_only=read_only)

    def round(self, seconds: float = 10, name: str = "a") -> Answer:
        """Time passes, what others changed is read, one poll, and what follows from it."""
        self.clock.advance(seconds)
        self.polling.catch_up()
        answer = self.polling.poll(name)
        self.clock.advance(2.5)
        self.polling.catch_up()
        return answer

    def run(self, mode: Mode = Mode.PROCESS) -> Session:
        return self.start(StartRequest("chess", mode))

    def session(self) -> Session:
        with self.store.unit_of_work() as uow:
            return uow.sessions.get("s-1")

    def events(self) -> list[str]:
        with self.store.unit_of_work() as uow:
            return [event.kind for event in reversed(uow.events.list())]

    def health(self, name: str = "a") -> Health:
        with self.store.unit_of_work() as uow:
            return uow.servers.get(name).health


@pytest.fixture
def house(store: Store) -> House:
    return House(store, make_game())


def test_a_poll_is_kept_and_handed_on(house: House) -> None:
    assert house.round() is Answer.GOOD
    with house.store.unit_of_work() as uow:
        record = uow.servers.get("a")
    assert record.load == GOOD_LOAD
    assert record.answered_at == record.checked_at
    (sample,) = house.samples
    assert (sample.server, sample.health, sample.load) == ("a", Health.UP, GOOD_LOAD)


def test_a_server_that_dies_is_unreachable_with_the_second_poll_and_its_session_lost(
    house: House,
) -> None:
    house.run()
    house.round()
    house.gateway.loads["a"] = DEAD
    assert house.round() is Answer.DOUBTED
    assert (house.health(), house.session().state) == (Health.UP, SessionState.RUNNING)
    assert house.round(0.25) is Answer.SILENT
    assert (house.health(), house.session().state) == (Health.UNREACHABLE, SessionState.LOST)
    assert house.samples[-1].error == "server_unreachable"
    assert house.events()[-2:] == ["server_health", "session_lost"]


def test_a_lost_session_runs_again_when_its_server_answers_and_it_lives(house: House) -> None:
    launch = house.run().launch
    house.gateway.loads["a"] = DEAD
    house.round()
    house.round()
    del house.gateway.loads["a"]
    assert house.round() is Answer.DOUBTED
    assert house.session().state is SessionState.LOST
    assert house.round(1) is Answer.GOOD
    assert house.recovered == ["a"]
    session = house.session()
    assert (session.state, session.launch) == (SessionState.RUNNING, launch)
    assert house.events()[-2:] == ["server_health", "session_found"]


def test_a_lost_session_is_over_when_its_server_answers_and_it_is_gone(house: House) -> None:
    house.run()
    house.gateway.loads["a"] = DEAD
    house.round()
    house.round()
    del house.gateway.loads["a"]
    house.gateway.launched["a"].clear()
    house.round()
    house.round()
    session = house.session()
    assert (session.state, session.end_detail) == (
        SessionState.ENDED,
        "its process ended by itself",
    )


def test_a_game_that_dies_is_known_with_the_next_poll_and_its_slot_free(house: House) -> None:
    house.run()
    house.round()
    house.gateway.launched["a"].clear()
    house.round()
    assert house.session().state is SessionState.ENDED
    assert house.session().ended_how == "already_gone"
    assert [server for server, *_ in house.gateway.stops] == ["a"]


def test_a_session_that_started_after_the_poll_is_not_taken_for_dead(house: House) -> None:
    house.round()
    house.run()
    house.clock.advance(3)
    house.polling.catch_up()
    house.polling.catch_up()
    assert house.session().state is SessionState.RUNNING


def test_a_launcher_that_handed_over_is_followed(house: House) -> None:
    session = house.run()
    handed = Launch(5000, START, r"C:\Games\chess-game.exe")
    house.gateway.launched["a"][session.id] = handed
    house.round()
    assert (house.session().state, house.session().launch) == (SessionState.RUNNING, handed)
    assert house.events()[-1] == "session_reconciled"


def test_a_session_whose_server_cannot_settle_it_now_is_tried_again_later(house: House) -> None:
    house.run()
    house.gateway.launched["a"].clear()
    house.gateway.fail_before["find_launches"] = DEAD
    house.round()
    assert house.session().state is SessionState.RUNNING
    house.round(30)
    assert house.session().state is SessionState.ENDED


def test_a_periodic_session_is_over_when_its_game_is_even_if_the_capture_goes_on(
    house: House,
) -> None:
    beside = Launch(7000, START, r"C:\Games\chess.exe")
    session = house.run(Mode.PERIODIC)
    with house.store.unit_of_work() as uow:
        uow.sessions.save(replace(uow.sessions.get(session.id), companions=(beside,)))
        uow.commit()
    house.gateway.launched["a"]["game"] = beside
    house.round()
    assert house.session().state is SessionState.RUNNING
    del house.gateway.launched["a"]["game"]
    house.round()
    assert house.session().end_detail == "its game ended by itself"


def test_what_polls_found_waits_while_the_database_is_away(house: House) -> None:
    house.away = True
    house.gateway.loads["a"] = DEAD
    for _ in range(2):
        house.polling.poll("a")
        with pytest.raises(StoreUnavailable):
            house.polling.catch_up()
    house.polling.poll("b")
    assert house.health() is Health.UP
    house.away = False
    house.clock.advance(60)
    house.polling.catch_up()
    assert house.health() is Health.UNREACHABLE
    assert [(s.server, s.health) for s in house.samples] == [
        ("a", Health.UP),
        ("a", Health.UNREACHABLE),
        ("b", Health.UP),
    ]
    assert "server_health" in house.events()


def test_a_sink_that_fails_costs_nobody_else_anything(store: Store) -> None:
    house = House(store, make_game())
    failed: list[object] = []

    def broken(samples: Sequence[Sample]) -> None:
        raise OSError("disk full")

    polling = Polling(
        house.units,
        house.gateway,
        house.clock,
        house.settle,
        Settler(InlineExecutor(), house.clock),
        interval=10,
        sinks=[broken, house.samples.extend],
        on_sink_error=failed.append,
    )
    polling.catch_up()
    polling.poll("a")
    polling.catch_up()
    assert failed == [broken]
    assert len(house.samples) == 1


def test_samples_wait_for_a_sink_that_found_the_database_away(store: Store) -> None:
    house = House(store, make_game())
    given: list[list[Sample]] = []

    def locked_at_first(samples: Sequence[Sample]) -> None:
        given.append(list(samples))
        if len(given) == 1:
            raise StoreUnavailable("locked just now")

    polling = Polling(
        house.units,
        house.gateway,
        house.clock,
        house.settle,
        Settler(InlineExecutor(), house.clock),
        interval=10,
        sinks=[locked_at_first, house.samples.extend],
    )
    polling.catch_up()
    polling.poll("a")
    polling.catch_up()
    polling.poll("b")
    polling.catch_up()
    polling.catch_up()
    assert [[sample.server for sample in each] for each in given] == [["a"], ["a", "b"]]
    assert [sample.server for sample in house.samples] == ["a", "b"]


def test_a_session_ends_when_its_time_is_up(store: Store) -> None:
    house = House(store, make_game(limits=Limits(duration=3600)))
    house.run()
    house.round(3500)
    assert house.session().state is SessionState.RUNNING
    house.round(100)
    session = house.session()
    assert session.state is SessionState.ENDED
    assert session.end_detail == "its time limit of 3600 s is over"


def test_a_session_without_a_client_ends_after_its_idle_time(store: Store) -> None:
    house = House(store, make_game(limits=Limits(idle=300)))
    port = house.run().ports.stream
    house.gateway.clients = {}
    house.round()
    since = house.session().idle_since
    assert since is not None
    house.gateway.clients = {port: 1}
    house.round(250)
    assert house.session().idle_since is None
    house.gateway.clients = {}
    house.round()
    house.round(200)
    assert house.session().state is SessionState.RUNNING
    house.round(100)
    assert house.session().end_detail == "no client for 300 s"


def test_what_a_broker_saw_before_it_was_down_ends_no_session(store: Store) -> None:
    """Somebody may have connected meanwhile: the time counts from the new one's begin."""
    house = House(store, make_game(limits=Limits(idle=300)))
    port = house.run().ports.stream
    house.gateway.clients = {}
    house.round()
    house.clock.advance(3600)
    again = house.another()
    assert house.session().idle_since is not None
    again.catch_up()
    assert house.session().state is SessionState.RUNNING
    house.gateway.clients = {port: 1}
    house.polling = again
    house.round()
    assert house.session().idle_since is None
    house.gateway.clients = {}
    house.round()
    house.polling = house.another()
    house.round(200)
    assert house.session().state is SessionState.RUNNING
    house.round(300)
    assert house.session().end_detail == "no client for 300 s"


def test_a_session_is_idle_only_where_the_last_poll_says_so(store: Store) -> None:
    house = House(store, make_game(limits=Limits(idle=300)))
    port = house.run().ports.stream
    house.gateway.clients = {}
    house.round()
    house.clock.advance(400)
    house.polling.catch_up()
    assert house.session().state is SessionState.RUNNING
    house.gateway.clients = {port: 1}
    house.round()
    assert house.session().idle_since is None


def test_a_session_that_was_lost_is_idle_from_when_it_is_found_again(store: Store) -> None:
    house = House(store, make_game(limits=Limits(idle=300)))
    house.run()
    house.gateway.clients = {}
    house.round()
    house.gateway.loads["a"] = DEAD
    house.round()
    house.round()
    assert house.session().state is SessionState.LOST
    house.gateway.loads["a"] = GOOD_LOAD
    for seconds in (400, 10, 10):
        house.round(seconds)
    assert house.session().state is SessionState.RUNNING
    house.round(310)
    assert house.session().end_detail == "no client for 300 s"


def test_where_clients_cannot_be_counted_no_session_is_idle(store: Store) -> None:
    house = House(store, make_game(limits=Limits(idle=30)))
    house.run()
    for _ in range(10):
        house.round(60)
    assert house.session().state is SessionState.RUNNING
    assert house.session().idle_since is None


def test_a_session_that_sunshine_streams_is_never_idle(store: Store) -> None:
    """Its stream is UDP: nobody stays connected to the port."""
    game = make_game(limits=Limits(idle=30))
    house = House(store, replace(game, modes={Mode.SUNSHINE: game.modes[Mode.PROCESS]}))
    house.run(Mode.SUNSHINE)
    house.gateway.clients = {}
    for _ in range(10):
        house.round(60)
    assert house.session().state is SessionState.RUNNING
    assert house.session().idle_since is None


def test_sessions_that_somebody_is_at_are_left_alone(house: House) -> None:
    house.run()
    house.gateway.launched["a"].clear()
    with house.flights.claim("s-1"):
        house.round()
    assert house.session().state is SessionState.RUNNING


def test_a_task_that_is_there_without_its_process_is_over(house: House) -> None:
    session = house.run()
    house.gateway.states[session.id] = FoundState.GONE
    assert house.settle.gone("s-1") is not None
    assert house.session().state is SessionState.ENDED
    assert house.settle.gone("s-1") is None
    assert house.settle.expired("s-1", "late") is None


def test_a_refusing_server_is_paced_as_one_and_loses_no_session(house: House) -> None:
    house.run()
    house.gateway.loads["a"] = CredentialsRefused("wrong password", server="a")
    assert house.round() is Answer.REFUSED
    assert (house.health(), house.session().state) == (Health.REFUSED, SessionState.RUNNING)


def test_intervals_and_sites_are_told_when_the_fleet_is_read(store: Store) -> None:
    house = House(store, make_game())
    with store.unit_of_work() as uow:
        uow.servers.synchronise([make_server("a", poll_interval=30, site="taipei")])
        uow.commit()
    told: list[object] = []
    polling = Polling(
        house.units,
        house.gateway,
        house.clock,
        house.settle,
        Settler(InlineExecutor(), house.clock),
        interval=10,
        on_fleet=lambda *both: told.append(both),
    )
    polling.catch_up()
    house.clock.advance(31)
    polling.catch_up()
    assert told == [({"a": 30.0}, {"a": "taipei"})] * 2
    assert polling.beliefs.current.read_at == house.clock.now()
    assert house.clock.now() - START == timedelta(seconds=31)


@pytest.mark.parametrize(
    ("error", "health"),
    [
        (ServerBusy("the server answered 503", server="a"), Health.UNREACHABLE),
        (
            ProtocolViolation("HTTP 404", server="a", outcome=Outcome.NOT_EXECUTED),
            Health.UNREACHABLE,
        ),
        (
            ProtocolViolation("an odd row", server="a", outcome=Outcome.EXECUTED),
            Health.DEGRADED,
        ),
    ],
)
def test_what_answers_and_is_no_winrm_gets_no_session(
    house: House, error: ServerCallError, health: Health
) -> None:
    house.gateway.loads["a"] = error
    for _ in range(2):
        house.polling.poll("a")
    assert house.polling.watch.condition("a").health is health
