"""What a poll asks of a lab server, and what it makes of the answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from orchestrator.domain.errors import QueryRejected
from orchestrator.domain.launch import Launch
from orchestrator.lab import LabServer, build_computer
from orchestrator.lab.windows import WindowsMachine, wmi
from tests.contract.test_gateway_on_lab import (
    HOOKED,
    PASSWORD,
    USER,
    Host,
    connection_to,
    gateway_to,
)


@pytest.fixture(params=["2008r2", "2012", "2012r2", "2022"])
def host(request: pytest.FixtureRequest) -> Iterator[Host]:
    machine = WindowsMachine(build_computer("GAME-01"))
    with LabServer(machine, {USER: PASSWORD}, dialect=request.param) as server:
        found = Host(server, connection_to(server))
        yield found
        found.gateway.close()


def test_one_look_tells_load_desktop_and_which_processes_live(host: Host) -> None:
    launch = host.gateway.launch("a", HOOKED).launch
    started = host.computer.started
    host.computer.clients[8600] = 1
    stranger = replace(launch, created_at=launch.created_at + timedelta(seconds=1))
    dead = Launch(9999, launch.created_at, launch.image)

    found = host.gateway.observe("a", [launch, stranger, dead], [8600, 8602])

    load = found.load
    assert found.living == {launch}
    assert found.clients == {8600: 1, 8602: 0}
    assert load.gpu_engines == {"3D": pytest.approx(0.2), "VideoEncode": pytest.approx(0.05)}
    assert load.gpu == pytest.approx(0.2)
    assert load.gpu_memory_used_mb == 381
    assert (load.disk, load.disk_total_mb, load.disk_free_mb) == ("C:", 256 * 1024, 120 * 1024)
    assert (load.network_received, load.network_sent) == (40_000, 610_000)
    assert (load.desktop, load.locked, load.desktop_user) == (True, False, r"GAME-01\player")
    assert load.booted_at == host.computer.booted_at.replace(microsecond=load.booted_at.microsecond)
    assert host.computer.started == started


ONE_ROW_FIRST = {"2008r2", "2012"}


def test_slow_facts_are_not_asked_again_at_once(host: Host, request: pytest.FixtureRequest) -> None:
    host.gateway.observe("a")
    before = host.server.stats["requests"]
    again = host.gateway.observe("a")
    assert again.load.disk == "C:"
    assert again.load.desktop_user == r"GAME-01\player"
    one_row_first = request.node.callspec.params["host"] in ONE_ROW_FIRST
    assert host.server.stats["requests"] - before == (5 if one_row_first else 4)


def test_two_sessions_cost_no_further_question(host: Host, request: pytest.FixtureRequest) -> None:
    launch = host.gateway.launch("a", HOOKED).launch
    other = replace(launch, pid=launch.pid + 4)
    host.gateway.observe("a", [launch, other])
    before = host.server.stats["requests"]
    host.gateway.observe("a", [launch, other])
    one_row_first = request.node.callspec.params["host"] in ONE_ROW_FIRST
    assert host.server.stats["requests"] - before == (6 if one_row_first else 4)


def test_a_class_that_is_missing_is_not_measured_and_not_asked_for_ever(
    host: Host, request: pytest.FixtureRequest
) -> None:
    host.computer.missing_classes = {
        "MSFT_NetTCPConnection",
        "Win32_PerfFormattedData_PerfOS_Processor",
        "Win32_LogicalDisk",
    }
    first = host.gateway.observe("a", ports=[8600])
    assert first.clients is None
    assert (first.load.cpu, first.load.disk) == (None, None)
    assert first.load.memory is not None
    for _ in range(2):
        host.gateway.observe("a", ports=[8600])
    before = host.server.stats["requests"]
    host.gateway.observe("a", ports=[8600])
    one_row_first = request.node.callspec.params["host"] in ONE_ROW_FIRST
    assert host.server.stats["requests"] - before == (4 if one_row_first else 3)


def test_a_server_that_answers_no_question_at_all_says_so_and_is_asked_again(host: Host) -> None:
    host.computer.missing_classes = set(wmi.class_names())
    for _ in range(2):
        with pytest.raises(QueryRejected):
            host.gateway.observe("a")
    host.computer.missing_classes = set()
    assert host.gateway.observe("a").load.cpu is not None


def test_counters_that_stay_at_zero_are_not_measured(host: Host) -> None:
    host.computer.gpu_counters_stuck = True
    host.gateway.launch("a", HOOKED)
    load = host.gateway.observe("a").load
    assert (load.gpu, load.gpu_engines) == (None, {})


def test_a_player_who_logs_off_and_another_who_logs_on_are_seen_at_once(host: Host) -> None:
    assert host.gateway.observe("a").load.desktop_user == r"GAME-01\player"
    host.computer.log_off()
    gone = host.gateway.observe("a").load
    assert (gone.desktop, gone.locked, gone.desktop_user) == (False, False, None)
    host.computer.log_on("other")
    back = host.gateway.observe("a").load
    assert (back.desktop, back.desktop_user) == (True, r"GAME-01\other")


def test_a_locked_desktop_is_seen(host: Host) -> None:
    host.computer.desktop.locked = True
    load = host.gateway.observe("a").load
    assert (load.desktop, load.locked) == (True, True)


def test_a_script_answers_the_same_where_wmi_is_closed_from_afar(host: Host) -> None:
    launch = host.gateway.launch("a", HOOKED).launch
    host.computer.missing_classes = {"Win32_LogicalDisk"}
    stranger = replace(launch, pid=launch.pid + 4)
    by_wql = host.gateway.observe("a", [launch, stranger], [8600])
    scripted = gateway_to(host.connection, scripted=["a"])
    started, enumerations = host.computer.started, host.server.open_enumerations
    by_script = scripted.observe("a", [launch, stranger], [8600])
    assert host.computer.started > started
    assert host.server.open_enumerations == enumerations
    # The script's own process takes time and memory.
    own = {name: getattr(by_script.load, name) for name in ("at", "cpu", "memory_free_mb")}
    assert by_script == replace(by_wql, load=replace(by_wql.load, **own))
    host.computer.log_off()
    host.computer.log_on("other")
    again = scripted.observe("a", [launch])
    assert again.load.desktop_user == r"GAME-01\other"
    assert again.living == frozenset()
    scripted.close()
