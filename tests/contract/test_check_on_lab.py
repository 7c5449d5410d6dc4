"""What a server of the lab says that it lacks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from orchestrator.bootstrap import default_scripts
from orchestrator.domain.check import CheckOrder, Verdict
from orchestrator.domain.errors import AccessDenied
from orchestrator.domain.launch import LaunchOrder
from orchestrator.domain.server import Connection, PortRange
from orchestrator.lab import Fault, FaultKind, LabServer, build_computer
from orchestrator.lab.fleet import FREECIV
from orchestrator.lab.windows import WindowsMachine
from orchestrator.lab.windows.computer import Computer
from orchestrator.transport import ScriptLibrary, WinrmGateway

USER, PASSWORD = "orchestrator", "secret"
ORDER = CheckOrder(
    r"C:\GamingAnywhere\bin",
    r"C:\GamingAnywhere\config",
    ("event-driven", "periodic"),
    PortRange(8554, 8653),
)


class Host:
    def __init__(self, server: LabServer, computer: Computer) -> None:
        self.server, self.computer = server, computer
        connection = Connection(server.host, server.port, "http", "ntlm", USER, PASSWORD)
        self.gateway = WinrmGateway({"a": connection}, ScriptLibrary(default_scripts()))

    def verdicts(self, order: CheckOrder = ORDER) -> dict[str, Verdict]:
        return {i.name: i.verdict for i in self.gateway.inspect("a", order).items}

    def remarkable(self, order: CheckOrder = ORDER) -> dict[str, Verdict]:
        found = self.verdicts(order)
        return {name: verdict for name, verdict in found.items() if verdict is not Verdict.OK}


@pytest.fixture
def host() -> Iterator[Host]:
    machine = WindowsMachine(build_computer("GAME-01"))
    with LabServer(machine, {USER: PASSWORD}) as server:
        host = Host(server, machine.computer)
        yield host
        host.gateway.close()


def test_a_server_that_has_everything_says_so(host: Host) -> None:
    report = host.gateway.inspect("a", ORDER)
    assert (report.computer, report.account) == ("GAME-01", r"GAME-01\orchestrator")
    assert {item.verdict for item in report.items} == {Verdict.OK}
    assert not any(item.remedy for item in report.items)
    found = {item.name: item.found for item in report.items}
    assert found["gaminganywhere"] == "periodic: 32-bit; event-driven: 32-bit"
    assert found["MaxShellsPerUser"] == "30"
    assert host.computer.tasks == {}


def test_each_thing_that_is_missing_has_its_own_item(host: Host) -> None:
    host.computer.log_off()
    host.computer.elevated = False
    host.computer.has_gpu = False
    host.computer.winrm |= {"MaxShellsPerUser": "5", "MaxMemoryPerShellMB": "100"}
    order = replace(ORDER, ga_directory=r"C:\None", config_directory=r"C:\None")
    assert host.remarkable(order) == {
        "rights": Verdict.PROBLEM,
        "uac_filter": Verdict.PROBLEM,
        "MaxShellsPerUser": Verdict.WARNING,
        "MaxMemoryPerShellMB": Verdict.PROBLEM,
        "desktop": Verdict.PROBLEM,
        "tasks": Verdict.NOT_MEASURED,
        "gaminganywhere": Verdict.PROBLEM,
        "configs": Verdict.PROBLEM,
        "gpu_counters": Verdict.WARNING,
    }


def test_gaminganywhere_matters_only_where_a_mode_needs_it(host: Host) -> None:
    names = host.verdicts(replace(ORDER, ga_directory=r"C:\None", modes=("process",)))
    assert not {"gaminganywhere", "configs"} & set(names)


def test_a_port_that_a_stranger_has_is_told_and_a_sessions_own_is_not(host: Host) -> None:
    game = LaunchOrder("s-1", "process", FREECIV, 8554, 8555, ready="process", ready_timeout=5)
    host.gateway.launch("a", game)
    assert host.verdicts()["ports"] is Verdict.OK
    host.computer.listen(host.computer.processes()[1], 8600)
    (ports,) = (i for i in host.gateway.inspect("a", ORDER).items if i.name == "ports")
    assert (ports.verdict, ports.found) == (Verdict.WARNING, "taken: 8600 by svchost.exe")


def test_a_server_that_runs_no_script_is_an_error(host: Host) -> None:
    host.server.faults.add(Fault("Create", FaultKind.ACCESS_DENIED))
    with pytest.raises(AccessDenied):
        host.gateway.inspect("a", ORDER)
