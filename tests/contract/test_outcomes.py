"""The connection dies at every step of a call: what the caller is told, what ran
on the server, what was asked again, and that nothing is left.

Every row of the table is played against a server of its own, all at the same
time, for most of a row's time is waiting.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from orchestrator.bootstrap import default_scripts
from orchestrator.domain.errors import (
    ConnectionLost,
    CredentialsRefused,
    DeadlineExceeded,
    Outcome,
    ProtocolViolation,
    ServerCallError,
    ServerUnreachable,
)
from orchestrator.domain.launch import LaunchOrder, LaunchReport
from orchestrator.domain.mode import Mode
from orchestrator.domain.server import Connection
from orchestrator.domain.session import SessionState
from orchestrator.lab import (
    DIALECTS,
    Dialect,
    Fault,
    FaultKind,
    LabServer,
    Quotas,
    build_computer,
)
from orchestrator.lab.fleet import FREECIV
from orchestrator.lab.windows import WindowsMachine
from orchestrator.scheduler import ThreadExecutor
from orchestrator.services.end_game import EndGame
from orchestrator.services.in_flight import InFlight
from orchestrator.services.reconcile import Reconcile
from orchestrator.services.refused_ports import RefusedPorts
from orchestrator.services.retry import Retry
from orchestrator.services.start_game import StartGame, StartRequest
from orchestrator.store import Store
from orchestrator.transport import ScriptLibrary, WinrmGateway, command
from tests.fakes import FakeClock, FakeGateway, SequentialIds, fill, make_game, make_server
from tests.waiting import waits_until

USER, PASSWORD = "orchestrator", "密碼 pässword"
ORDER = LaunchOrder("s-1", "process", FREECIV, 8604, 8605, ready="process", ready_timeout=1)
WQL = "SELECT Name FROM Win32_PerfFormattedData_PerfOS_Processor"

BEFORE, AFTER, MIDWAY = FaultKind.DROP_BEFORE, FaultKind.DROP_AFTER, FaultKind.DROP_MIDWAY
HANG, HANG_AFTER, DRIP = FaultKind.HANG, FaultKind.HANG_AFTER, FaultKind.DRIP
FORGOT = FaultKind.UNAUTHORIZED

WHOLE = DIALECTS["2022"]
IN_PIECES = replace(WHOLE, output_bytes=100)
"""A host whose answers carry so little that one takes several Receives."""

LAST = 10_000
"""Stands for the last piece of the input."""


@dataclass(frozen=True)
class Row:
    """One cut and what has to come of it. ``skip`` requests of the step pass
    first; ``ran`` is how many games run in the end, ``again`` whether the step
    was asked again."""

    step: str
    kind: FaultKind
    error: type[ServerCallError] | None
    outcome: Outcome | None
    ran: int
    again: bool = False
    skip: int = 0
    times: int = 1
    dialect: Dialect = WHOLE
    read_timeout: int = 30

    def __str__(self) -> str:
        number = {0: "", LAST: "-last"}.get(self.skip, f"-{self.skip}")
        pieces = "" if self.dialect is WHOLE else "-in-pieces"
        often = "" if self.times == 1 else f"-{self.times}-times"
        return f"{self.step}{number}{pieces}-{self.kind}{often}"


NOT, UNKNOWN = Outcome.NOT_EXECUTED, Outcome.UNKNOWN
LOST, LATE = ConnectionLost, DeadlineExceeded

LAUNCHES = [
    # Before the server has seen a message.
    Row("Connect", BEFORE, LOST, NOT, 0),
    Row("Connect", HANG, LATE, NOT, 0),
    Row("Auth", BEFORE, LOST, NOT, 0),
    Row("Auth", AFTER, LOST, NOT, 0),
    Row("Auth", MIDWAY, LOST, NOT, 0),
    Row("Auth", BEFORE, LOST, NOT, 0, skip=1),
    Row("Auth", AFTER, LOST, NOT, 0, skip=1),
    Row("Auth", HANG, LATE, NOT, 0, skip=1),
    # Before the script has its whole input it has had no effect.
    Row("Create", BEFORE, LOST, NOT, 0),
    Row("Create", AFTER, LOST, NOT, 0),
    Row("Create", MIDWAY, LOST, NOT, 0),
    Row("Create", HANG, LATE, NOT, 0),
    Row("Create", HANG_AFTER, LATE, NOT, 0),
    Row("Create", DRIP, LATE, NOT, 0),
    Row("Create", FORGOT, CredentialsRefused, NOT, 0),
    Row("Command", BEFORE, LOST, NOT, 0),
    Row("Command", AFTER, LOST, NOT, 0),
    Row("Command", MIDWAY, LOST, NOT, 0),
    Row("Command", HANG, LATE, NOT, 0),
    Row("Command", HANG_AFTER, LATE, NOT, 0),
    Row("Command", DRIP, LATE, NOT, 0),
    Row("Command", FORGOT, None, None, 1, again=True),
    Row("Send", BEFORE, LOST, NOT, 0),
    Row("Send", AFTER, LOST, NOT, 0),
    Row("Send", MIDWAY, LOST, NOT, 0),
    Row("Send", HANG, LATE, NOT, 0),
    Row("Send", HANG_AFTER, LATE, NOT, 0),
    # The last piece: only the server knows whether it came.
    Row("Send", BEFORE, LOST, UNKNOWN, 0, skip=LAST),
    Row("Send", AFTER, LOST, UNKNOWN, 1, skip=LAST),
    Row("Send", MIDWAY, LOST, UNKNOWN, 1, skip=LAST),
    Row("Send", HANG, LATE, UNKNOWN, 0, skip=LAST),
    Row("Send", HANG_AFTER, LATE, UNKNOWN, 1, skip=LAST),
    Row("Send", DRIP, LATE, UNKNOWN, 1, skip=LAST),
    Row("Send", FORGOT, None, None, 1, again=True, skip=LAST),
    # The script is at work: asking again is safe, an answer that went astray is not made up.
    Row("Receive", BEFORE, None, None, 1, again=True),
    Row("Receive", FORGOT, None, None, 1, again=True),
    Row("Receive", AFTER, LOST, UNKNOWN, 1, again=True),
    Row("Receive", MIDWAY, LOST, UNKNOWN, 1, again=True),
    Row("Receive", BEFORE, LOST, UNKNOWN, 1, again=True, times=2),
    Row("Receive", HANG, LATE, UNKNOWN, 1),
    Row("Receive", HANG_AFTER, LATE, UNKNOWN, 1),
    Row("Receive", DRIP, LATE, UNKNOWN, 1),
    Row("Receive", HANG, None, None, 1, again=True, read_timeout=2),
    Row("Receive", BEFORE, None, None, 1, again=True, dialect=IN_PIECES),
    Row("Receive", AFTER, LOST, UNKNOWN, 1, again=True, dialect=IN_PIECES),
    Row("Receive", MIDWAY, LOST, UNKNOWN, 1, again=True, dialect=IN_PIECES),
    Row("Receive", FORGOT, None, None, 1, again=True, skip=1, dialect=IN_PIECES),
    *(
        Row("Receive", kind, LOST, UNKNOWN, 1, again=True, skip=skip, dialect=IN_PIECES)
        for kind in (BEFORE, AFTER, MIDWAY)
        for skip in (1, 2)
    ),
    # After the answer nothing is a failure.
    Row("Signal", BEFORE, None, None, 1),
    Row("Signal", AFTER, None, None, 1),
    Row("Signal", MIDWAY, None, None, 1),
    Row("Signal", HANG, None, None, 1),
    Row("Signal", FORGOT, None, None, 1, again=True),
    Row("Delete", BEFORE, None, None, 1, again=True),
    Row("Delete", AFTER, None, None, 1, again=True),
    Row("Delete", MIDWAY, None, None, 1, again=True),
    Row("Delete", HANG, None, None, 1, again=True),
    Row("Delete", HANG_AFTER, None, None, 1, again=True),
]  # fmt: skip

PAGES = DIALECTS["2012"]
QUERIES = [
    *(
        Row(step, kind, None, None, 0, again=True, dialect=PAGES)
        for step in ("Enumerate", "Pull")
        for kind in (BEFORE, AFTER, MIDWAY)
    ),
    Row("Enumerate", FORGOT, CredentialsRefused, NOT, 0, dialect=PAGES),
    Row("Pull", FORGOT, None, None, 0, again=True, dialect=PAGES),
    *(
        Row(step, AFTER, LOST, NOT, 0, again=True, times=2, dialect=PAGES)
        for step in ("Enumerate", "Pull")
    ),
    *(
        Row(step, kind, LATE, NOT, 0, dialect=PAGES)
        for step in ("Enumerate", "Pull")
        for kind in (HANG, HANG_AFTER, DRIP)
    ),
]


@dataclass(frozen=True)
class Played:
    """What came of a row, and what is left once the gateway is closed."""

    answer: object
    error: ServerCallError | None
    games: int
    asked: int
    shells: int
    connections: int
    helpers: list[str]


def play(row: Row, call: Callable[[WinrmGateway], object], timeout: float, pieces: int) -> Played:
    machine = WindowsMachine(build_computer("GAME-01"))
    with LabServer(machine, {USER: PASSWORD}, dialect=row.dialect) as server:
        gateway = gateway_to(server, timeout, read_timeout=row.read_timeout)
        skip = pieces - 1 if row.skip == LAST else row.skip
        server.faults.add(Fault(row.step, row.kind, times=row.times, skip=skip))
        answer, error = None, None
        try:
            answer = call(gateway)
        except ServerCallError as raised:
            error = raised
            waits_until(lambda: not server.open_shells, 30)
        asked = server.stats[row.step] - skip
        gateway.close()
        asked = max(asked, server.stats[row.step] - skip)
        waits_until(lambda: server.open_connections == 0, 10)
        return Played(
            answer,
            error,
            len([p for p in machine.computer.processes() if p.image == FREECIV]),
            asked,
            len(server.open_shells),
            server.open_connections,
            [p.name for p in machine.computer.processes() if p.name in HELPERS],
        )


HELPERS = {"powershell.exe", "winrshost.exe"}


def gateway_to(server: LabServer, timeout: float, **changes: int) -> WinrmGateway:
    plain = Connection(server.host, server.port, "http", "ntlm", USER, PASSWORD)
    if changes.get("read_timeout", 30) < 30:
        changes["operation_timeout"] = 1
    return WinrmGateway(
        {"a": replace(plain, **changes)},  # type: ignore[arg-type]
        ScriptLibrary(default_scripts()),
        call_timeout=timeout,
        probe_timeout=timeout,
    )


@pytest.fixture(scope="module")
def played() -> Iterator[dict[Row, Future[Played]]]:
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(24) as pool:
        # Small pieces, so that the input takes several.
        patch.setattr(command, "PIECE", 8 * 1024)
        script = ScriptLibrary(default_scripts()).load("Start-Game")
        pieces = -(-len(script.payload({})) // command.PIECE)
        assert pieces >= 3
        futures = {}
        # Those that wait longest begin first.
        for row in sorted(LAUNCHES, key=lambda r: r.error is None):
            timeout = 5.0 if row.error is LATE else 9.0
            futures[row] = pool.submit(play, row, lambda g: g.launch("a", ORDER), timeout, pieces)
        for row in QUERIES:
            timeout = 4.0 if row.error is LATE else 9.0
            futures[row] = pool.submit(play, row, lambda g: g.query("a", WQL), timeout, 1)
    yield futures
    names = {thread.name for thread in threading.enumerate()}
    assert not {name for name in names if name.startswith(("lab-", "watchdog", "janitor"))}


@pytest.mark.parametrize("row", [*LAUNCHES, *QUERIES], ids=str)
def test_a_cut_at_any_step_is_told_as_what_it_was(
    played: dict[Row, Future[Played]], row: Row
) -> None:
    found = played[row].result(120)
    if row.error is None:
        assert found.error is None
        assert found.answer
    else:
        assert type(found.error) is row.error, found.error
        assert found.error.outcome is row.outcome
    assert found.games == row.ran
    if row.step not in {"Connect", "Auth"}:
        assert (found.asked > 1) is row.again
    assert (found.shells, found.connections, found.helpers) == (0, 0, [])


def test_an_answer_is_whole_or_there_is_none(played: dict[Row, Future[Played]]) -> None:
    for row in LAUNCHES:
        answer = played[row].result(120).answer
        if row.error is None:
            assert isinstance(answer, LaunchReport), row
            assert answer.changed, row
            assert answer.launch.image.endswith("freeciv-gtk3.exe"), row
            assert answer.desktop_user == r"GAME-01\player", row
    for row in QUERIES:
        answer = played[row].result(120).answer
        if row.error is None:
            assert isinstance(answer, list), row
            assert [each["Name"] for each in answer] == [*map(str, range(8)), "_Total"], row


@pytest.fixture
def server() -> Iterator[LabServer]:
    machine = WindowsMachine(build_computer("GAME-01"))
    with LabServer(machine, {USER: PASSWORD}) as server:
        yield server


def test_nothing_listening_was_not_executed(server: LabServer) -> None:
    gateway = gateway_to(server, 5.0)
    server.stop()
    with pytest.raises(ServerUnreachable) as gone:
        gateway.launch("a", ORDER)
    assert gone.value.outcome is NOT
    gateway.close()


def test_a_shell_of_a_lost_create_is_found_and_closed_and_others_are_not(
    server: LabServer,
) -> None:
    other = gateway_to(server, 9.0)
    other.find_launches("a")
    (kept,) = server.open_shells
    gateway = gateway_to(server, 9.0)
    server.faults.add(Fault("Create", AFTER))
    with pytest.raises(ConnectionLost):
        gateway.find_launches("a")
    assert waits_until(lambda: server.stats["Delete"] >= 1, 10)
    assert kept in server.open_shells or server.stats["Delete"] > 1
    gateway.close()
    other.close()
    assert server.open_shells == []


def test_what_a_broker_left_that_died_is_closed_with_the_first_call_of_the_next(
    server: LabServer,
) -> None:
    died = gateway_to(server, 9.0)
    died.find_launches("a")
    # Its own look at what others left is the last that it does after the answer.
    assert waits_until(lambda: server.stats["Enumerate"] == 1, 10)
    left = server.open_shells
    server.age_shells(100)
    gateway = gateway_to(server, 9.0)
    gateway.find_launches("a")
    assert waits_until(lambda: not set(left) & set(server.open_shells), 10)
    gateway.close()
    died.close()


def test_shells_that_are_refused_are_waited_for(server: LabServer) -> None:
    machine = WindowsMachine(build_computer("FEW"))
    few = Quotas(shells_per_user=2, operations_per_user=5)
    with LabServer(machine, {USER: PASSWORD}, dialect="2008r2", quotas=few) as host:
        gateway = gateway_to(host, 30.0)
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda _: gateway.find_launches("a"), range(40)))
        assert found == [[]] * 40
        gateway.close()
        assert host.open_shells == []


def test_kept_shells_that_the_server_ended_are_replaced_however_many(server: LabServer) -> None:
    gateway = gateway_to(server, 30.0)
    together = threading.Barrier(2, timeout=30)

    def call(number: int) -> object:
        together.wait()
        return gateway.find_launches("a", f"s-{number}")

    with ThreadPoolExecutor(2) as pool:
        while len(server.open_shells) < 2:
            list(pool.map(call, range(2)))
    server.end_shells()
    assert gateway.find_launches("a") == []
    assert len(server.open_shells) == 1
    gateway.close()


def test_scripts_that_only_read_leave_no_shell_where_their_answers_are_lost(
    server: LabServer,
) -> None:
    gateway = gateway_to(server, 300.0)
    server.faults.add(Fault("Receive", AFTER, times=None))
    for number in range(3):
        with pytest.raises(ConnectionLost):
            gateway.find_launches("a", f"s-{number}")
    assert waits_until(lambda: server.open_shells == [], 30)
    gateway.close()


def test_whatever_went_wrong_nothing_is_left_when_the_broker_ends(server: LabServer) -> None:
    """Every quick fault at every step, and tidying up that fails with it."""
    gateway = gateway_to(server, 20.0)
    quick = [kind for kind in FaultKind if kind not in {HANG, HANG_AFTER, DRIP, FaultKind.LATENCY}]
    before = server.faults.met.copy()
    for step in ("Create", "Command", "Send", "Receive", "Signal", "Delete"):
        for kind in quick:
            server.faults.add(Fault("Delete", kind, times=3))
            server.faults.add(Fault(step, kind))
            with suppress(ServerCallError):
                gateway.find_launches("a")
            for _ in range(3):
                # One that is answered keeps the breaker closed.
                with suppress(ServerCallError):
                    gateway.query("a", WQL)
            server.faults.add(Fault("Enumerate", kind))
    server.faults.clear()
    gateway.close()
    assert server.open_shells == []
    met = server.faults.met - before
    assert set(met) >= {"Create", "Command", "Send", "Receive", "Signal", "Delete", "Enumerate"}


def test_a_script_that_changes_something_is_left_to_finish(server: LabServer) -> None:
    gateway = gateway_to(server, 300.0)
    server.faults.add(Fault("Receive", AFTER, times=2))
    with pytest.raises(ConnectionLost):
        gateway.launch("a", ORDER)
    (left,) = server.open_shells
    assert waits_until(lambda: gateway.find_launches("a", "s-1"), 30)
    assert left in server.open_shells
    gateway.close()


class LostAnswers(FakeGateway):
    """Every launch may have come about, and nobody knows."""

    def launch(self, server: str, order: LaunchOrder) -> LaunchReport:
        raise ProtocolViolation("half an answer", server=server, outcome=UNKNOWN)


def test_reconciling_six_sessions_of_a_server_that_hangs_asks_it_ever_more_seldom(
    server: LabServer, tmp_path: Path
) -> None:
    gateway = gateway_to(server, 300.0, read_timeout=2)
    server.faults.add(Fault("Receive", HANG, times=None))
    store = Store(f"sqlite:///{tmp_path / 'store.sqlite3'}")
    store.prepare()
    fill(store, [make_server("a", slots=6)], [make_game()])
    clock, flights, executor = FakeClock(), InFlight(), ThreadExecutor(6, "reconcile")
    units, retry = store.unit_of_work, Retry(clock)
    start = StartGame(
        units, LostAnswers(), clock, SequentialIds(), retry, flights, RefusedPorts(clock)
    )
    for _ in range(6):
        assert start(StartRequest("chess", Mode.PROCESS)).state is SessionState.STARTING
    end = EndGame(units, gateway, clock, retry, flights)
    reconcile = Reconcile(
        units, gateway, end, clock, retry, flights, executor, interval=timedelta(seconds=5)
    )
    asked = []
    for _ in range(8):
        asked.append(len(reconcile()))
        assert waits_until(lambda: server.open_shells == [], 30)
        clock.advance(5)
    # Pauses of 5, 10 and 20 s.
    assert asked == [6, 6, 0, 6, 0, 0, 0, 6]
    executor.close()
    gateway.close()
    store.close()


def test_names_of_the_same_host_and_account_share_its_quota(server: LabServer) -> None:
    machine = WindowsMachine(build_computer("ONE"))
    with LabServer(machine, {USER: PASSWORD}, quotas=Quotas(shells_per_user=1)) as host:
        connection = Connection(host.host, host.port, "http", "ntlm", USER, PASSWORD)
        gateway = WinrmGateway(
            {"a": connection, "b": connection},
            ScriptLibrary(default_scripts()),
            call_timeout=30,
        )
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda n: gateway.find_launches("ab"[n % 2]), range(12)))
        assert found == [[]] * 12
        gateway.close()
        assert host.open_shells == []


def in_thread(call: Callable[[], object]) -> Future[object]:
    future: Future[object] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


@pytest.mark.parametrize("step", ["Auth", "Create", "Send", "Receive", "Enumerate"])
def test_closing_ends_a_call_that_hangs_at_once_and_says_what_is_known(
    server: LabServer, step: str
) -> None:
    gateway = gateway_to(server, 300.0)
    server.faults.add(Fault(step, HANG, times=None))
    query = step == "Enumerate"
    call = in_thread(lambda: gateway.query("a", WQL) if query else gateway.launch("a", ORDER))
    assert waits_until(lambda: server.faults.met[step] > 0, 20)
    gateway.close()
    with pytest.raises(ServerCallError) as ended:
        call.result(30)
    assert ended.value.outcome is (UNKNOWN if step in {"Send", "Receive"} else NOT)


def test_partial_output_is_kept_in_the_error() -> None:
    machine = WindowsMachine(build_computer("PARTS"))
    with LabServer(machine, {USER: PASSWORD}, dialect=IN_PIECES) as server:
        gateway = gateway_to(server, 5.0)
        server.faults.add(Fault("Receive", HANG, skip=1))
        with pytest.raises(DeadlineExceeded) as late:
            gateway.launch("a", ORDER)
        assert late.value.partial_output.startswith('{"v":1')
        assert len(late.value.partial_output) == 100
        gateway.close()
