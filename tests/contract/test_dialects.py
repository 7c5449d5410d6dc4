"""Hosts of every age, language and set-up, through our client: a start, a query, an error."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import pytest

from orchestrator.bootstrap import default_scripts
from orchestrator.domain.errors import (
    AccessDenied,
    CredentialsRefused,
    Outcome,
    ProtocolViolation,
    QueryRejected,
    QuotaExceeded,
    ScriptFailed,
    ServerCallError,
)
from orchestrator.domain.launch import EndedHow, LaunchOrder
from orchestrator.domain.server import Connection
from orchestrator.lab import (
    DIALECTS,
    Dialect,
    Fault,
    FaultKind,
    LabServer,
    build_computer,
)
from orchestrator.lab.fleet import FREECIV
from orchestrator.lab.machine import Instance, Job, Output, ProgramRun
from orchestrator.lab.windows import WindowsMachine
from orchestrator.transport import ScriptLibrary, WinrmGateway

USER, PASSWORD = "orchestrator", "密碼 pässword"
ORDER = LaunchOrder(
    "s-1",
    "process",
    FREECIV,
    8604,
    8605,
    arguments=("--name", "三國志 𠮷"),
    ready="process",
    ready_timeout=5,
)
NEW, OLD = DIALECTS["2022"], DIALECTS["2008r2"]

HOSTS: dict[str, Dialect] = {
    **DIALECTS,
    "2022 in Chinese": replace(NEW, language="zh-TW"),
    "2008r2 in Chinese": replace(OLD, language="zh-TW"),
    "without Content-Type": replace(NEW, content_type=False),
    "old without Content-Type": replace(OLD, content_type=False),
    "Identify refused": replace(NEW, identify=False),
    "three bytes at a time": replace(NEW, output_bytes=3),
    "old, seven bytes at a time": replace(OLD, output_bytes=7, language="zh-TW"),
}


@dataclass
class Host:
    server: LabServer
    gateway: WinrmGateway

    def games(self) -> int:
        processes = self.server.machine.computer.processes()  # type: ignore[attr-defined]
        return len([process for process in processes if process.image == FREECIV])


def gateway_to(server: LabServer, **changes: str) -> WinrmGateway:
    plain = Connection(server.host, server.port, "http", "ntlm", USER, PASSWORD)
    return WinrmGateway(
        {"a": replace(plain, **changes)},  # type: ignore[arg-type]
        ScriptLibrary(default_scripts()),
        call_timeout=20,
        probe_timeout=20,
    )


@pytest.fixture(params=HOSTS)
def host(request: pytest.FixtureRequest) -> Iterator[Host]:
    machine = WindowsMachine(build_computer("GAME-01"))
    with LabServer(machine, {USER: PASSWORD}, dialect=HOSTS[request.param]) as server:
        gateway = gateway_to(server)
        yield Host(server, gateway)
        gateway.close()
        assert server.open_shells == []
        assert server.open_enumerations == 0


def test_a_game_is_started_once_and_ended(host: Host) -> None:
    report = host.gateway.launch("a", ORDER)
    assert (report.changed, host.games()) == (True, 1)
    assert report.desktop_user == r"GAME-01\player"
    assert not host.gateway.launch("a", ORDER).changed
    (found,) = host.gateway.find_launches("a")
    assert found.launch == report.launch
    assert host.gateway.stop("a", "s-1", report.launch, 5).how is EndedHow.GRACEFUL
    assert host.games() == 0


def test_a_query_brings_every_row(host: Host) -> None:
    wql = "SELECT Name FROM Win32_PerfFormattedData_PerfOS_Processor"
    assert [row["Name"] for row in host.gateway.query("a", wql)] == [*map(str, range(8)), "_Total"]
    one = host.gateway.query("a", "SELECT * FROM Win32_Process WHERE ProcessId = 4")
    assert [row["Name"] for row in one] == ["System"]
    with pytest.raises(QueryRejected):
        host.gateway.query("a", "SELECT Name FROM Win32_Nothing")


def test_a_scripts_error_is_the_scripts_own(host: Host) -> None:
    with pytest.raises(ScriptFailed) as failed:
        host.gateway.launch("a", replace(ORDER, executable=r"C:\遊戲\none.exe"))
    assert failed.value.code == "executable_missing"
    assert "遊戲" in failed.value.message


@pytest.mark.parametrize(
    ("fault", "error", "chinese"),
    [
        (Fault("Create", FaultKind.ACCESS_DENIED), AccessDenied, "存取被拒"),
        (Fault("Command", FaultKind.ACCESS_DENIED), AccessDenied, "存取被拒"),
        (Fault("Create", FaultKind.QUOTA_SHELLS, times=None), QuotaExceeded, "Shell 數目"),
        (Fault("Command", FaultKind.QUOTA_OPERATIONS, times=None), QuotaExceeded, "操作數目"),
    ],
    ids=["create denied", "command denied", "shells", "operations"],
)
def test_a_fault_is_the_same_error_on_every_host_and_in_its_words(
    host: Host, fault: Fault, error: type[ServerCallError], chinese: str
) -> None:
    host.server.faults.add(fault)
    with pytest.raises(error) as failed:
        host.gateway.launch("a", ORDER)
    assert failed.value.outcome is Outcome.NOT_EXECUTED
    speaks_chinese = host.server.dialect.language == "zh-TW"
    assert (chinese in failed.value.message) is speaks_chinese
    host.server.faults.clear()


def test_a_refused_command_on_a_kept_shell_costs_the_caller_nothing(host: Host) -> None:
    host.gateway.find_launches("a")
    host.server.faults.add(Fault("Command", FaultKind.QUOTA_OPERATIONS))
    assert host.gateway.launch("a", ORDER).changed


def test_more_calls_than_the_hosts_quotas_would_bear(host: Host) -> None:
    for _ in range(17):
        assert host.gateway.find_launches("a") == []


class Said:
    """What a program says besides, given out with its own words."""

    def __init__(self, run: ProgramRun, said: Output) -> None:
        self._run = run
        self._said = said

    def feed(self, data: bytes) -> None:
        self._run.feed(data)

    def end_input(self) -> None:
        self._run.end_input()

    def terminate(self, exit_code: int) -> None:
        self._run.terminate(exit_code)

    def read(self, timeout: float) -> Output | None:
        output = self._run.read(timeout)
        if output is None:
            return None
        code = output.exit_code if self._said.exit_code is None else self._said.exit_code
        stdout = b"" if self._said.exit_code else output.stdout
        return Output(self._said.stdout + stdout, self._said.stderr + output.stderr, code)


class SayingJob:
    def __init__(self, job: Job, said: Output) -> None:
        self._job = job
        self._said = said

    def run(
        self, command_line: str, *, skip_cmd_shell: bool, environment: Mapping[str, str]
    ) -> ProgramRun:
        run = self._job.run(command_line, skip_cmd_shell=skip_cmd_shell, environment=environment)
        return Said(run, self._said)

    def close(self) -> None:
        self._job.close()


class SayingMachine:
    """A machine whose programs say something besides; with an exit code other
    than 0, it is all that they say."""

    def __init__(self, said: Output) -> None:
        self.whole = WindowsMachine(build_computer("GAME-01"))
        self.name = self.whole.name
        self._said = said

    def open_job(self, user: str, codepage: int) -> Job:
        return SayingJob(self.whole.open_job(user, codepage), self._said)

    def query(self, wql: str, namespace: str) -> list[Instance]:
        return self.whole.query(wql, namespace)


OBJECTS = '<Objs Version="1.1.0.1" xmlns="http://schemas.microsoft.com/powershell/2004/04">'
PROGRESS = (
    f'{OBJECTS}<Obj S="progress" RefId="0"><TN RefId="0"><T>System.Object</T></TN></Obj></Objs>'
)
CLIXML = f'#< CLIXML\r\n{PROGRESS}{OBJECTS}<S S="Error">找不到模組_x000D__x000A_</S></Objs>'
NOISE = {
    "CLIXML": CLIXML.encode(),
    "CLIXML with a mark": b"\xef\xbb\xbf" + CLIXML.encode(),
    "codepage 65001": "系統找不到指定的路徑。\r\n".encode(),
    "codepage 950": "系統找不到指定的路徑。\r\n".encode("cp950"),
}


@pytest.mark.parametrize("pieces", [None, 5])
@pytest.mark.parametrize("noise", NOISE.values(), ids=NOISE)
def test_noise_beside_an_answer_does_not_matter(noise: bytes, pieces: int | None) -> None:
    said = Output(stdout=b"" if noise.startswith((b"#", b"\xef")) else noise, stderr=noise)
    dialect = replace(NEW, output_bytes=pieces)
    with LabServer(SayingMachine(said), {USER: PASSWORD}, dialect=dialect) as server:
        gateway = gateway_to(server)
        assert gateway.launch("a", ORDER).changed
        gateway.close()


@pytest.mark.parametrize("pieces", [None, 5])
@pytest.mark.parametrize(
    ("noise", "words"),
    [
        (NOISE["CLIXML"], "找不到模組"),
        (NOISE["CLIXML with a mark"], "找不到模組"),
        (NOISE["codepage 65001"], "系統找不到指定的路徑。"),
        (NOISE["codepage 950"], "系統找不到指定的路徑。"),
    ],
    ids=NOISE,
)
def test_a_program_that_fails_before_it_answers_is_quoted_whatever_it_speaks(
    noise: bytes, words: str, pieces: int | None
) -> None:
    dialect = replace(NEW, output_bytes=pieces)
    said = Output(stderr=noise, exit_code=1)
    with LabServer(SayingMachine(said), {USER: PASSWORD}, dialect=dialect) as server:
        gateway = gateway_to(server)
        with pytest.raises(ProtocolViolation) as failed:
            gateway.find_launches("a")
        assert words in failed.value.message
        assert "CLIXML" not in failed.value.message
        assert failed.value.outcome is Outcome.UNKNOWN
        gateway.close()


@pytest.mark.parametrize(
    ("dialect", "error"), [("2012", CredentialsRefused), ("2022", ProtocolViolation)]
)
def test_plain_text_where_it_is_not_allowed_is_refused_each_hosts_own_way(
    dialect: str, error: type[ServerCallError]
) -> None:
    machine = WindowsMachine(build_computer("GAME-01"))
    with LabServer(machine, {USER: PASSWORD}, dialect=dialect) as server:
        gateway = gateway_to(server, message_encryption="never")
        with pytest.raises(error) as refused:
            gateway.launch("a", ORDER)
        assert refused.value.outcome is Outcome.NOT_EXECUTED
        with pytest.raises(error):
            gateway.query("a", "SELECT Name FROM Win32_ComputerSystem")
        gateway.close()
