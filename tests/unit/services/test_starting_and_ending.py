"""Start, end and reconcile, with a gateway that fails on demand."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from orchestrator.domain.errors import (
    ConnectionLost,
    Contention,
    InvalidRequest,
    NoCapacity,
    Outcome,
    ScriptFailed,
    ServerUnreachable,
    SessionConflict,
    UnknownGame,
    UnknownSession,
)
from orchestrator.domain.game import LaunchSpec
from orchestrator.domain.launch import FoundState, LaunchOrder, LaunchReport
from orchestrator.domain.maintenance import MaintenanceWindow
from orchestrator.domain.mode import Concurrency, Mode
from orchestrator.domain.server import Health
from orchestrator.domain.session import Ports, Session, SessionState
from orchestrator.ports import SessionQuery
from orchestrator.services.end_game import EndGame, PortalEnd
from orchestrator.services.in_flight import InFlight
from orchestrator.services.reconcile import Reconcile
from orchestrator.services.refused_ports import RefusedPorts
from orchestrator.services.retry import Retry
from orchestrator.services.start_game import StartGame, StartRequest
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

PROCESS = StartRequest("chess", Mode.PROCESS)


@dataclass
class House:
    store: Store
    gateway: FakeGateway
    clock: FakeClock
    start: StartGame
    end: EndGame
    reconcile: Reconcile

    def session(self, session_id: str = "s-1") -> Session:
        with self.store.unit_of_work() as uow:
            return uow.sessions.get(session_id)

    def events(self, session_id: str = "s-1") -> list[str]:
        with self.store.unit_of_work() as uow:
            return [event.kind for event in reversed(uow.events.list(session_id))]


@pytest.fixture
def house(store: Store) -> House:
    fill(store, [make_server("a")], [make_game()])
    gateway, clock, flights = FakeGateway(), FakeClock(), InFlight()
    units, retry = store.unit_of_work, Retry(clock)
    end = EndGame(units, gateway, clock, retry, flights)
    return House(
        store,
        gateway,
        clock,
        StartGame(units, gateway, clock, SequentialIds(), retry, flights, RefusedPorts(clock)),
        end,
        Reconcile(units, gateway, end, clock, retry, flights, InlineExecutor()),
    )


def lost(outcome: Outcome = Outcome.UNKNOWN) -> ConnectionLost:
    return ConnectionLost("the connection broke", server="a", outcome=outcome)


def test_a_start_reserves_launches_and_confirms(house: House) -> None:
    session = house.start(StartRequest("chess", Mode.EVENT_DRIVEN))
    assert session.state is SessionState.RUNNING
    assert session.launch == house.gateway.launched["a"]["s-1"]
    assert session.rtsp_url == "rtsp://a.example:8554/desktop"
    assert house.events() == ["session_reserved", "session_running"]
    (order,) = house.gateway.orders
    assert order.config_path == r"C:\GamingAnywhere\config\chess.conf"
    assert (order.stream_port, order.control_port) == (8554, 8555)


def test_a_full_fleet_is_refused_with_each_servers_reason(house: House) -> None:
    for _ in range(4):
        house.start(PROCESS)
    with pytest.raises(NoCapacity) as refused:
        house.start(PROCESS)
    assert refused.value.reasons == {"a": "has no free slot (4 of 4 taken)"}
    assert len(house.gateway.orders) == 4


def test_a_server_in_maintenance_takes_no_session_until_its_window_is_over(house: House) -> None:
    window = MaintenanceWindow("0 12 * * *", 60, "UTC")
    with house.store.unit_of_work() as uow:
        uow.servers.synchronise([make_server("a", maintenance=(window,))])
        uow.commit()
    with pytest.raises(NoCapacity) as refused:
        house.start(PROCESS)
    assert refused.value.reasons == {"a": "is in maintenance: 0 12 * * * for 60 min (UTC)"}
    house.clock.advance(3600)
    assert house.start(PROCESS).server == "a"


def test_periodic_capture_needs_the_desktop_to_itself(house: House) -> None:
    house.start(StartRequest("chess", Mode.PERIODIC))
    with pytest.raises(NoCapacity, match="no server can take chess") as refused:
        house.start(PROCESS)
    assert refused.value.reasons == {"a": "its desktop is held by session s-1"}


@pytest.mark.parametrize(
    ("request_", "error", "text"),
    [
        (StartRequest("none", Mode.PROCESS), UnknownGame, "none"),
        (StartRequest("chess", Mode.SUNSHINE), InvalidRequest, "has no mode sunshine"),
        (
            StartRequest("chess", Mode.PERIODIC, r"..\secret.conf"),
            InvalidRequest,
            "not a path inside the config directory",
        ),
        (
            StartRequest("chess", Mode.PERIODIC, r"C:\x.conf"),
            InvalidRequest,
            "not a path inside the config directory",
        ),
    ],
)
def test_a_wrong_request_reserves_nothing(
    house: House, request_: StartRequest, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        house.start(request_)
    with house.store.unit_of_work() as uow:
        assert uow.sessions.list(SessionQuery()) == []


def test_a_launch_that_was_not_executed_fails_the_session_and_frees_its_slot(house: House) -> None:
    house.gateway.fail_before["launch"] = ServerUnreachable("refused", server="a")
    with pytest.raises(ServerUnreachable):
        house.start(PROCESS)
    session = house.session()
    assert session.state is SessionState.FAILED
    assert session.error is not None
    assert session.error.code == "server_unreachable"
    with house.store.unit_of_work() as uow:
        assert uow.sessions.active() == []
        assert uow.servers.get("a").health is Health.UNREACHABLE


def test_a_scripts_error_fails_the_session_with_the_scripts_code(house: House) -> None:
    house.gateway.fail_before["launch"] = ScriptFailed("config_missing", "no such file", server="a")
    with pytest.raises(ScriptFailed):
        house.start(PROCESS)
    error = house.session().error
    assert error is not None
    assert error.code == "config_missing"


def test_a_lost_answer_leaves_the_session_starting_and_reconcile_adopts_it(house: House) -> None:
    house.gateway.fail_after["launch"] = lost()
    session = house.start(PROCESS)
    assert session.state is SessionState.STARTING
    (settled,) = house.reconcile()
    assert (settled.before, settled.after) == (SessionState.STARTING, SessionState.RUNNING)
    assert house.session().launch == house.gateway.launched["a"]["s-1"]
    assert len(house.gateway.orders) == 1
    assert house.reconcile() == []


def test_a_lost_request_is_given_up_only_when_the_launch_cannot_come_any_more(
    house: House,
) -> None:
    house.gateway.fail_before["launch"] = lost()
    house.start(PROCESS)
    assert house.reconcile() == []
    house.clock.advance(89)
    assert house.reconcile() == []
    house.clock.advance(2)
    (settled,) = house.reconcile()
    assert settled.after is SessionState.FAILED
    error = house.session().error
    assert error is not None
    assert error.code == "launch_not_found"
    assert house.gateway.stops == [("a", "s-1", None)]


def test_a_launch_whose_process_has_ended_is_failed_and_cleaned_up(house: House) -> None:
    house.gateway.fail_after["launch"] = lost()
    house.start(PROCESS)
    house.gateway.states["s-1"] = FoundState.GONE
    (settled,) = house.reconcile()
    assert settled.after is SessionState.FAILED
    assert house.gateway.launched["a"] == {}


def test_reconcile_leaves_a_session_alone_while_its_server_cannot_be_asked(house: House) -> None:
    house.gateway.fail_after["launch"] = lost()
    house.start(PROCESS)
    house.gateway.fail_before["find_launches"] = ServerUnreachable("refused", server="a")
    (settled,) = house.reconcile()
    assert settled.after is SessionState.STARTING
    assert "server_unreachable" in settled.note


def test_the_same_key_finds_the_same_session(house: House) -> None:
    keyed = replace(PROCESS, requested_by="portal", idempotency_key="k")
    first = house.start(keyed)
    assert house.start(keyed) == first
    assert house.start(replace(keyed, requested_by="other")).id != first.id
    assert len(house.gateway.orders) == 2


def test_an_end_ends_the_launch_and_frees_the_slot(house: House) -> None:
    session = house.start(PROCESS)
    ended = house.end("s-1")
    assert (ended.state, ended.ended_how) == (SessionState.ENDED, "graceful")
    assert house.gateway.stops == [("a", "s-1", session.launch)]
    assert house.end("s-1") == ended
    assert len(house.gateway.stops) == 1


def test_a_replaced_process_ends_the_session_and_says_that_nothing_was_ended(house: House) -> None:
    house.start(PROCESS)
    house.gateway.fail_before["stop"] = ScriptFailed(
        "identity_mismatch", "PID 4000 is notepad.exe", server="a"
    )
    ended = house.end("s-1")
    assert (ended.state, ended.ended_how) == (SessionState.ENDED, "already_gone")
    assert ended.end_detail == "PID 4000 is notepad.exe; nothing was ended"
    assert "session_process_replaced" in house.events()


def test_an_end_that_the_server_refuses_leaves_the_session_running(house: House) -> None:
    house.start(PROCESS)
    house.gateway.fail_before["stop"] = ScriptFailed("stop_failed", "it survived", server="a")
    with pytest.raises(ScriptFailed):
        house.end("s-1")
    session = house.session()
    assert session.state is SessionState.RUNNING
    assert session.error is not None
    assert session.error.code == "stop_failed"


def test_an_end_without_answer_stays_ending_until_reconcile_repeats_it(house: House) -> None:
    house.start(PROCESS)
    house.gateway.fail_after["stop"] = lost()
    assert house.end("s-1").state is SessionState.ENDING
    (settled,) = house.reconcile()
    assert settled.after is SessionState.ENDED
    assert house.session().ended_how == "already_gone"


def test_the_portal_names_a_session_by_address_and_pid(house: House) -> None:
    session = house.start(PROCESS)
    assert session.launch is not None
    pid = session.launch.pid
    for filename in ("", "chess.exe", r"C:\Games\chess.exe", "chess"):
        assert house.end.find_for_portal(PortalEnd("a.example", pid, filename)).id == "s-1"
    with pytest.raises(SessionConflict, match="nothing was ended"):
        house.end.find_for_portal(PortalEnd("a.example", pid, "notepad.exe"))
    with pytest.raises(UnknownSession):
        house.end.find_for_portal(PortalEnd("a.example", pid + 4))
    house.end("s-1")
    assert house.end.find_for_portal(PortalEnd("a.example", pid)).state is SessionState.ENDED


def test_a_pid_that_fits_two_running_sessions_ends_neither(house: House) -> None:
    house.start(PROCESS)
    house.start(PROCESS)
    with house.store.unit_of_work() as uow:
        first, second = uow.sessions.active()
        uow.sessions.save(replace(second, launch=first.launch))
        uow.commit()
    assert first.launch is not None
    with pytest.raises(SessionConflict, match="fits several sessions"):
        house.end.find_for_portal(PortalEnd("a.example", first.launch.pid))


def test_a_session_ended_while_it_starts_is_not_revived(house: House) -> None:
    house.gateway.fail_after["launch"] = lost()
    house.start(PROCESS)
    assert house.end("s-1").state is SessionState.ENDED
    house.clock.advance(1000)
    assert house.reconcile() == []


def test_a_session_ended_before_its_launch_came_has_the_launch_taken_back(house: House) -> None:
    launch = house.gateway.launch

    def late(server: str, order: LaunchOrder) -> LaunchReport:
        assert house.end("s-1").ended_how == "already_gone"
        return launch(server, order)

    house.gateway.launch = late  # type: ignore[method-assign]
    assert house.start(PROCESS).state is SessionState.ENDED
    assert house.gateway.launched["a"] == {}
    assert "launch_taken_back" in house.events()


def test_retrying_stops_and_raises_the_last_contention() -> None:
    clock = FakeClock()
    tries: list[int] = []

    def contended() -> None:
        tries.append(1)
        raise Contention("again")

    with pytest.raises(Contention):
        Retry(clock, attempts=5)(contended)
    assert len(tries) == 5
    assert 0 < clock.slept < 5 * 0.25


def test_flights_are_counted() -> None:
    flights = InFlight()
    with flights.claim("s"), flights.claim("s"):
        assert "s" in flights
        assert len(flights) == 1
    assert "s" not in flights


def test_a_session_in_mode_sunshine_holds_the_server_and_sunshines_ports(house: House) -> None:
    with house.store.unit_of_work() as uow:
        spec = LaunchSpec(r"C:\Games\go.exe", concurrency=Concurrency.SHARED)
        uow.games.add(replace(make_game("go"), modes={Mode.SUNSHINE: spec}))
        uow.commit()
    session = house.start(StartRequest("go", Mode.SUNSHINE, player_address="198.51.100.7"))
    assert (session.sunshine_app, session.rtsp_url) == ("go", None)
    assert session.ports == Ports(47989, 47990)
    assert session.concurrency is Concurrency.EXCLUSIVE
    (order,) = house.gateway.orders
    assert (order.app_name, order.stream_port) == ("go", 47989)
    assert order.player_address == "198.51.100.7"
