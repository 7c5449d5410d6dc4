"""The transport against the lab: what comes back, and what a broken call means."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.bootstrap import default_scripts
from orchestrator.domain.errors import (
    AccessDenied,
    ConnectionLost,
    CredentialsRefused,
    DeadlineExceeded,
    NotInInventory,
    Outcome,
    ProtocolViolation,
    QueryRejected,
    QuotaExceeded,
    ScriptFailed,
    ServerBusy,
    ServerCallError,
    ServerUnreachable,
    TlsUntrusted,
)
from orchestrator.domain.launch import EndedHow, FoundState, Launch, LaunchOrder
from orchestrator.domain.server import Connection, SunshineLogin
from orchestrator.lab import Fault, FaultKind, Lab, LabServer, Quotas, build_computer
from orchestrator.lab.certificate import make_certificate
from orchestrator.lab.fleet import FREECIV, NEVERBALL, SUPERTUX
from orchestrator.lab.windows import Computer, WindowsMachine
from orchestrator.lab.windows.programs import EVENT_DRIVEN, GameBehaviour, install_game
from orchestrator.lab.windows.things import Process
from orchestrator.transport import ScriptLibrary, WinrmGateway

USER, PASSWORD = "orchestrator", "密碼 pässword"
GA = r"C:\GamingAnywhere\bin"
CONFIG = r"C:\GamingAnywhere\config"

HOOKED = LaunchOrder(
    "s-hooked",
    "event-driven",
    SUPERTUX,
    8600,
    8601,
    ga_directory=GA,
    config_path=rf"{CONFIG}\supertux.conf",
    ready_timeout=5,
)
CAPTURED = LaunchOrder(
    "s-captured",
    "periodic",
    NEVERBALL,
    8602,
    8603,
    ga_directory=GA,
    config_path=rf"{CONFIG}\neverball.conf",
    ready_timeout=5,
)
SPAWNED = LaunchOrder(
    "s-spawned",
    "process",
    FREECIV,
    8604,
    8605,
    arguments=("--name", "三國 志"),
    ready="process",
    ready_timeout=5,
)


STREAMED = LaunchOrder(
    "s-streamed",
    "sunshine",
    NEVERBALL,
    47989,
    47990,
    ready_timeout=5,
    player_address="198.51.100.7",
    app_name="neverball",
)


class Host:
    """A lab server, its computer, and a gateway that knows it as ``a``."""

    def __init__(self, server: LabServer, connection: Connection, **options: float) -> None:
        self.server = server
        self.computer = server.machine.computer  # type: ignore[attr-defined]
        self.connection = connection
        self._options = options
        self.gateway = gateway_to(connection, **options)

    def games(self) -> list[int]:
        return [p.pid for p in self.computer.processes() if p.image.startswith(r"C:\Games")]

    def leftovers(self) -> dict[str, object]:
        """What is left on the server once the gateway is closed; a new one follows."""
        self.gateway.close()
        self.gateway = gateway_to(self.connection, **self._options)
        found = {
            "games": self.games(),
            "tasks": list(self.computer.tasks),
            "ports": dict(self.computer.listeners),
            "shells": self.server.open_shells,
            "records": self.computer.files.listing(r"C:\ProgramData\Orchestrator"),
        }
        return {name: value for name, value in found.items() if value}


def gateway_to(connection: Connection, **options: Any) -> WinrmGateway:
    scripts = ScriptLibrary(default_scripts())
    settings = {"call_timeout": 5.0, "probe_timeout": 5.0, **options}
    return WinrmGateway({"a": connection}, scripts, **settings)  # type: ignore[arg-type]


def connection_to(server: LabServer, **changes: object) -> Connection:
    plain = Connection(server.host, server.port, "http", "ntlm", USER, PASSWORD)
    return replace(plain, **changes)  # type: ignore[arg-type]


@pytest.fixture
def host() -> Iterator[Host]:
    machine = WindowsMachine(build_computer("GAME-01"))
    with LabServer(machine, {USER: PASSWORD}) as server:
        host = Host(server, connection_to(server))
        yield host
        host.gateway.close()
    names = {thread.name for thread in threading.enumerate()}
    assert not {name for name in names if name.startswith(("lab-", "watchdog", "janitor"))}


@pytest.mark.parametrize("order", [HOOKED, CAPTURED, SPAWNED], ids=lambda order: order.mode)
def test_each_mode_starts_is_found_and_ends(host: Host, order: LaunchOrder) -> None:
    report = host.gateway.launch("a", order)
    assert report.changed
    assert report.desktop_user == r"GAME-01\player"
    again = host.gateway.launch("a", order)
    assert (again.changed, again.launch) == (False, report.launch)
    (found,) = host.gateway.find_launches("a")
    assert (found.session_id, found.state) == (order.session_id, FoundState.RUNNING)
    assert found.launch == report.launch
    assert host.gateway.find_launches("a", "other") == []
    stopped = host.gateway.stop("a", order.session_id, report.launch, 5)
    assert stopped.how is EndedHow.GRACEFUL
    assert host.gateway.stop("a", order.session_id, report.launch, 5).how is EndedHow.ALREADY_GONE
    assert host.leftovers() == {}


@pytest.mark.parametrize(
    ("order", "code"),
    [
        (replace(HOOKED, executable=r"C:\Games\none.exe"), "executable_missing"),
        (replace(HOOKED, config_path=rf"{CONFIG}\none.conf"), "config_missing"),
        (replace(HOOKED, ga_directory=r"C:\None"), "ga_missing"),
        (replace(SPAWNED, working_directory=r"C:\None"), "working_directory_missing"),
        (replace(SPAWNED, executable=r"C:\Games\crash.exe"), "launch_failed"),
        (replace(HOOKED, config_path=rf"{CONFIG}\silent.conf", executable=r"C:\Games\silent.exe",
                 ready_timeout=1), "not_ready"),
    ],
)  # fmt: skip
def test_a_start_that_cannot_work_has_its_own_code_and_leaves_nothing(
    host: Host, order: LaunchOrder, code: str
) -> None:
    install_game(host.computer, r"C:\Games\crash.exe", GameBehaviour(exits_after=0.05))
    install_game(host.computer, r"C:\Games\silent.exe", GameBehaviour(streams=False))
    host.computer.files.write(
        rf"{CONFIG}\silent.conf",
        "include = common/server.conf\ngame-exe = C:\\Games\\silent.exe\nhook-type = d9\n",
    )
    with pytest.raises(ScriptFailed) as failed:
        host.gateway.launch("a", order)
    assert failed.value.code == code
    assert failed.value.outcome is Outcome.EXECUTED
    assert host.leftovers() == {}


def test_without_anybody_at_the_desktop_nothing_is_started(host: Host) -> None:
    host.computer.log_off()
    with pytest.raises(ScriptFailed) as failed:
        host.gateway.launch("a", HOOKED)
    assert failed.value.code == "desktop_missing"


def test_a_port_that_another_process_has_is_refused(host: Host) -> None:
    first = host.gateway.launch("a", HOOKED)
    with pytest.raises(ScriptFailed) as failed:
        host.gateway.launch("a", replace(HOOKED, session_id="s-other"))
    assert failed.value.code == "port_in_use"
    assert host.games() == [first.launch.pid]


def test_a_pid_that_belongs_to_another_process_now_is_not_touched(host: Host) -> None:
    launch = host.gateway.launch("a", HOOKED).launch
    other = host.computer.reuse_pid(launch.pid, r"C:\Windows\notepad.exe")
    with pytest.raises(ScriptFailed, match=r"notepad\.exe") as failed:
        host.gateway.stop("a", HOOKED.session_id, launch, 5)
    assert failed.value.code == "identity_mismatch"
    assert other.alive


def test_a_launcher_with_the_pid_of_an_earlier_one_does_not_take_its_game(host: Host) -> None:
    first = host.gateway.launch("a", HOOKED).launch
    game = host.computer.process(first.pid)
    assert game is not None
    launch_program = host.computer.programs[EVENT_DRIVEN.lower()]

    def reused(machine: Computer, launcher: Process) -> None:
        game.parent_pid = launcher.pid
        launch_program(machine, launcher)

    host.computer.programs[EVENT_DRIVEN.lower()] = reused
    for number in range(8):
        order = replace(
            HOOKED, session_id=f"s-{number}", stream_port=8610 + number, control_port=8650 + number
        )
        assert host.gateway.launch("a", order).launch.pid != first.pid


def test_a_window_that_does_not_close_is_ended_by_force(host: Host) -> None:
    install_game(host.computer, SUPERTUX, GameBehaviour(closes_on_request=False))
    launch = host.gateway.launch("a", HOOKED).launch
    assert host.gateway.stop("a", HOOKED.session_id, launch, 1).how is EndedHow.FORCED
    assert host.leftovers() == {}


def test_a_poll_starts_nothing_on_the_server(host: Host) -> None:
    started, shells = host.computer.started, host.server.stats["shells"]
    load = host.gateway.probe("a")
    assert load.cpu is not None
    assert load.memory is not None
    assert load.desktop_user == r"GAME-01\player"
    assert (host.computer.started, host.server.stats["shells"]) == (started, shells)


def test_load_follows_what_runs(host: Host) -> None:
    before = host.gateway.probe("a")
    host.gateway.launch("a", HOOKED)
    after = host.gateway.probe("a")
    assert after.cpu > before.cpu + 0.05  # type: ignore[operator]
    assert after.gpu == pytest.approx(0.2)
    assert after.memory > before.memory  # type: ignore[operator]


def test_a_server_without_gpu_counters_has_its_gpu_not_measured() -> None:
    machine = WindowsMachine(build_computer("NOGPU", has_gpu=False))
    with LabServer(machine, {USER: PASSWORD}) as server:
        host = Host(server, connection_to(server))
        load = host.gateway.probe("a")
        host.gateway.close()
    assert load.gpu is None
    assert load.cpu is not None


@pytest.mark.parametrize("dialect", ["2008r2", "2012", "2012r2", "2022"])
def test_rows_are_complete_however_a_server_pages(dialect: str) -> None:
    machine = WindowsMachine(build_computer("PAGES"))
    with LabServer(machine, {USER: PASSWORD}, dialect=dialect) as server:
        gateway = gateway_to(connection_to(server))
        rows = gateway.query("a", "SELECT Name FROM Win32_PerfFormattedData_PerfOS_Processor")
        whole = gateway.query("a", "SELECT * FROM Win32_Process WHERE ProcessId = 4")
        with pytest.raises(QueryRejected):
            gateway.query("a", "SELECT Name FROM Win32_Nothing")
        assert server.open_enumerations == 0
        gateway.close()
    assert [row["Name"] for row in rows] == [*map(str, range(8)), "_Total"]
    assert whole[0]["Name"] == "System"
    assert whole[0]["ExecutablePath"] is None


def test_a_connection_is_authenticated_once_and_kept(host: Host) -> None:
    for _ in range(5):
        host.gateway.probe("a")
    assert host.server.stats["auth_legs"] == 2
    assert host.server.open_connections == 1


DROPS = (FaultKind.DROP_BEFORE, FaultKind.DROP_AFTER, FaultKind.DROP_MIDWAY)


@pytest.mark.parametrize("action", ["Create", "Command"])
@pytest.mark.parametrize("kind", DROPS)
def test_a_cut_before_the_script_had_its_input_means_that_nothing_was_executed(
    host: Host, action: str, kind: FaultKind
) -> None:
    host.gateway.probe("a")
    host.server.faults.add(Fault(action, kind))
    with pytest.raises(ConnectionLost) as lost:
        host.gateway.launch("a", HOOKED)
    assert lost.value.outcome is Outcome.NOT_EXECUTED
    assert host.leftovers() == {}


@pytest.mark.parametrize("kind", DROPS)
def test_a_cut_under_the_scripts_input_is_unknown_and_a_second_start_finds_the_first(
    host: Host, kind: FaultKind
) -> None:
    host.server.faults.add(Fault("Send", kind))
    with pytest.raises(ConnectionLost) as lost:
        host.gateway.launch("a", HOOKED)
    assert lost.value.outcome is Outcome.UNKNOWN
    again = host.gateway.launch("a", HOOKED)
    assert again.changed is (kind is FaultKind.DROP_BEFORE)
    assert host.games() == [again.launch.pid]


@pytest.mark.parametrize("kind", [FaultKind.DROP_BEFORE, FaultKind.UNAUTHORIZED])
def test_a_cut_before_a_receive_costs_nothing_because_asking_again_is_safe(
    host: Host, kind: FaultKind
) -> None:
    host.server.faults.add(Fault("Receive", kind))
    assert host.gateway.launch("a", HOOKED).changed
    assert "shells" not in host.leftovers()


@pytest.mark.parametrize("kind", [FaultKind.DROP_AFTER, FaultKind.DROP_MIDWAY])
def test_an_answer_that_is_lost_for_good_is_unknown(host: Host, kind: FaultKind) -> None:
    host.server.faults.add(Fault("Receive", kind))
    with pytest.raises(ConnectionLost) as lost:
        host.gateway.launch("a", HOOKED)
    assert lost.value.outcome is Outcome.UNKNOWN
    (found,) = host.gateway.find_launches("a", HOOKED.session_id)
    assert found.state is FoundState.RUNNING
    assert found.launch is not None
    assert host.games() == [found.launch.pid]


@pytest.mark.parametrize("action", ["Signal", "Delete"])
@pytest.mark.parametrize("kind", [FaultKind.DROP_BEFORE, FaultKind.DROP_AFTER])
def test_a_cut_after_the_answer_does_not_matter(host: Host, action: str, kind: FaultKind) -> None:
    host.server.faults.add(Fault(action, kind))
    launch = host.gateway.launch("a", HOOKED).launch
    host.gateway.stop("a", HOOKED.session_id, launch, 5)
    assert host.games() == []


def test_a_server_that_forgot_the_authentication_is_asked_again_once(host: Host) -> None:
    host.gateway.probe("a")
    host.server.faults.add(Fault("Command", FaultKind.UNAUTHORIZED))
    report = host.gateway.launch("a", HOOKED)
    assert host.games() == [report.launch.pid]


@pytest.mark.parametrize(
    ("fault", "error", "outcome"),
    [
        (Fault("Create", FaultKind.UNAVAILABLE), ServerBusy, Outcome.NOT_EXECUTED),
        (Fault("Create", FaultKind.QUOTA_SHELLS), QuotaExceeded, Outcome.NOT_EXECUTED),
        (Fault("Command", FaultKind.QUOTA_OPERATIONS), QuotaExceeded, Outcome.NOT_EXECUTED),
        (Fault("Create", FaultKind.ACCESS_DENIED), AccessDenied, Outcome.NOT_EXECUTED),
        (Fault("Create", FaultKind.GARBAGE), ProtocolViolation, Outcome.NOT_EXECUTED),
        (Fault("Receive", FaultKind.GARBAGE), ProtocolViolation, Outcome.UNKNOWN),
    ],
    ids=lambda value: getattr(value, "kind", None) or getattr(value, "__name__", str(value)),
)
def test_each_fault_is_one_error_of_the_tree(
    host: Host, fault: Fault, error: type[ServerCallError], outcome: Outcome
) -> None:
    host.server.faults.add(fault)
    with pytest.raises(error) as failed:
        host.gateway.launch("a", HOOKED)
    assert failed.value.outcome is outcome
    assert failed.value.server == "a"


@pytest.mark.parametrize("kind", [FaultKind.HANG, FaultKind.HANG_AFTER, FaultKind.DRIP])
@pytest.mark.parametrize("action", ["Create", "Receive"])
def test_a_hard_deadline_holds_against_a_server_that_hangs_or_drips(
    host: Host, kind: FaultKind, action: str
) -> None:
    quick = gateway_to(host.connection, call_timeout=1.0)
    host.server.faults.add(Fault(action, kind))
    with pytest.raises(DeadlineExceeded):
        quick.find_launches("a")
    quick.close()


def test_a_hanging_poll_hits_its_deadline_too(host: Host) -> None:
    quick = gateway_to(host.connection, probe_timeout=0.5)
    host.server.faults.add(Fault("Enumerate", FaultKind.DRIP, times=None))
    with pytest.raises(DeadlineExceeded):
        quick.probe("a")
    quick.close()


def test_a_broken_poll_is_asked_again_once(host: Host) -> None:
    host.server.faults.add(Fault("Enumerate", FaultKind.DROP_AFTER))
    assert host.gateway.probe("a").cpu is not None
    host.server.faults.add(Fault("Enumerate", FaultKind.DROP_AFTER, times=2))
    with pytest.raises(ConnectionLost):
        host.gateway.probe("a")


def test_wrong_credentials_are_refused(host: Host) -> None:
    wrong = gateway_to(replace(host.connection, password="wrong"))
    with pytest.raises(CredentialsRefused) as refused:
        wrong.probe("a")
    assert refused.value.outcome is Outcome.NOT_EXECUTED
    wrong.close()


def test_nothing_listening_is_unreachable_and_an_unknown_name_unknown(host: Host) -> None:
    nowhere = gateway_to(replace(host.connection, port=1))
    with pytest.raises(ServerUnreachable, match="refused") as gone:
        nowhere.launch("a", HOOKED)
    assert gone.value.outcome is Outcome.NOT_EXECUTED
    assert (nowhere.knows("a"), nowhere.knows("b")) == (True, False)
    with pytest.raises(NotInInventory) as unknown:
        nowhere.probe("b")
    assert (unknown.value.outcome, unknown.value.server) == (Outcome.NOT_EXECUTED, "b")
    nowhere.close()


def test_https_is_validated_unless_the_inventory_says_otherwise(tmp_path: Path) -> None:
    both, ca = make_certificate(tmp_path)
    machine = WindowsMachine(build_computer("TLS"))
    with LabServer(machine, {USER: PASSWORD}, certificate=both) as server:
        base = connection_to(server, scheme="https")
        untrusted = gateway_to(base)
        with pytest.raises(TlsUntrusted, match="ansible_winrm_ca_trust_path"):
            untrusted.probe("a")
        untrusted.close()
        for connection in (
            replace(base, ca_file=str(ca)),
            replace(base, ca_file=str(ca), transport="basic"),
            replace(base, ca_file=str(ca), transport="ssl"),
            replace(base, validate_certificate=False),
        ):
            gateway = gateway_to(connection)
            assert gateway.probe("a").cpu is not None
            gateway.close()


def test_the_environments_proxy_is_not_used(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert host.gateway.probe("a").cpu is not None


def test_a_slow_launch_does_not_hold_up_polls(host: Host) -> None:
    host.server.faults.add(Fault("Command", FaultKind.LATENCY, seconds=1.0))
    started = threading.Thread(target=host.gateway.launch, args=("a", HOOKED))
    started.start()
    assert host.gateway.probe("a").cpu is not None
    assert started.is_alive()
    started.join()


def test_more_calls_than_connections_wait_their_turn(host: Host) -> None:
    narrow = gateway_to(host.connection, max_connections_per_server=2)
    errors: list[BaseException] = []

    def ask() -> None:
        try:
            narrow.find_launches("a")
        except BaseException as error:
            errors.append(error)

    run_together(ask, 10)
    assert errors == []
    assert host.server.stats["connections"] <= 2
    narrow.close()


def run_together(call: Callable[[], None], number: int) -> None:
    threads = [threading.Thread(target=call) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_a_server_with_few_shells_refuses_the_call_as_not_executed() -> None:
    machine = WindowsMachine(build_computer("FEW"))
    with LabServer(machine, {USER: PASSWORD}, quotas=Quotas(shells_per_user=0)) as server:
        gateway = gateway_to(connection_to(server))
        with pytest.raises(QuotaExceeded):
            gateway.launch("a", HOOKED)
        gateway.close()


def test_a_launch_of_the_past_is_over(host: Host) -> None:
    report = host.gateway.launch("a", HOOKED)
    process = host.computer.process(report.launch.pid)
    host.computer.exit(process, 0)
    with pytest.raises(ScriptFailed) as over:
        host.gateway.launch("a", HOOKED)
    assert over.value.code == "launch_ended"
    (found,) = host.gateway.find_launches("a")
    assert found.state is FoundState.GONE
    unknown = Launch(report.launch.pid, report.launch.created_at, report.launch.image)
    assert host.gateway.stop("a", HOOKED.session_id, unknown, 0).how is EndedHow.ALREADY_GONE
    assert host.leftovers() == {}


def test_a_lab_of_several_servers_stops_without_a_trace() -> None:
    before = threading.active_count()
    with Lab(3, password=PASSWORD) as lab:
        assert len({server.port for server in lab.servers}) == 3
    assert threading.active_count() == before


def test_sunshine_lists_the_app_while_the_session_lives(host: Host) -> None:
    sunshine = host.computer.run_sunshine("sun", "moon")
    with closing(gateway_to(replace(host.connection, sunshine=SunshineLogin("sun", "moon")))) as it:
        report = it.launch("a", STREAMED)
        assert report.launch.pid == sunshine.process.pid
        assert [app["name"] for app in sunshine.apps] == ["Desktop", "neverball"]
        rules = {name: rule.remote_address for name, rule in host.computer.firewall.items()}
        assert rules == {
            "Orchestrator-s-streamed-TCP": "198.51.100.7",
            "Orchestrator-s-streamed-UDP": "198.51.100.7",
        }
        (found,) = it.find_launches("a")
        assert (found.state, found.launch) == (FoundState.RUNNING, report.launch)
        assert it.stop("a", "s-streamed", report.launch, 0).how is EndedHow.GRACEFUL
        assert it.stop("a", "s-streamed", report.launch, 0).how is EndedHow.ALREADY_GONE
    assert sunshine.process.alive
    assert [app["name"] for app in sunshine.apps] == ["Desktop"]
    assert host.computer.firewall == {}


def test_a_wrong_sunshine_password_is_told_apart_from_windows_own(host: Host) -> None:
    host.computer.run_sunshine("sun", "moon")
    login = SunshineLogin("sun", "star")
    gateway = gateway_to(replace(host.connection, sunshine=login))
    with closing(gateway), pytest.raises(ScriptFailed) as refused:
        gateway.launch("a", STREAMED)
    assert refused.value.code == "sunshine_refused"
    assert "star" not in str(refused.value)


def test_a_launch_that_nobody_knows_is_removed(host: Host) -> None:
    host.gateway.launch("a", SPAWNED)
    assert host.gateway.remove_launch("a", SPAWNED.session_id, 0).how is EndedHow.FORCED
    assert host.gateway.remove_launch("a", SPAWNED.session_id, 0).how is EndedHow.ALREADY_GONE
    assert not set(host.leftovers()) - {"shells"}
