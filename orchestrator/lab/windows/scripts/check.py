"""Model of Test-RuntimeServer.ps1."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from orchestrator.lab.machine import LabFault
from orchestrator.lab.windows import wmi
from orchestrator.lab.windows.computer import Computer
from orchestrator.lab.windows.runs import ThreadedRun
from orchestrator.lab.windows.scripts import launch

Item = dict[str, str]
_LIMITS = {
    "MaxShellsPerUser": (5, 15),
    "MaxProcessesPerShell": (5, 15),
    "MaxMemoryPerShellMB": (150, 512),
    "MaxConcurrentOperationsPerUser": (15, 100),
    "MaxEnvelopeSizekb": (150, 150),
}
_MACHINES = {0x14C: "32-bit", 0x8664: "64-bit", 0xAA64: "ARM64"}
_CPU = "SELECT * FROM Win32_PerfFormattedData_PerfOS_Processor WHERE Name='_Total'"
_GPU = "SELECT * FROM Win32_PerfFormattedData_GPUPerformanceCounters_GPUEngine"
_GRAVITY = ("ok", "not_measured", "warning", "problem")


def test_runtime_server(run: ThreadedRun, params: Mapping[str, Any]) -> dict[str, Any]:
    """Every item, in the script's order."""
    computer = run.computer
    account = f"{computer.name}\\{run.process.owner}"
    items = [_item("powershell", "ok", "5.1.20348.2340")]
    items += _windows(computer)
    items += _rights(computer, account)
    items += _quotas(computer)
    items.append(_item("ntlm", "ok", "incoming NTLM is not denied by policy"))
    items += _desktop(computer)
    items.append(_item("records", "ok", rf"{launch.RECORDS} can be written"))
    items += _gaminganywhere(computer, params)
    items += _counters(computer)
    items += _ports(computer, int(params["FirstPort"]), int(params["LastPort"]))
    items += _disk(computer)
    items += _clock(computer, params.get("BrokerTime", ""))
    verdict = max((item["verdict"] for item in items), key=_GRAVITY.index)
    return {
        "changed": False,
        "computer": computer.name,
        "account": account,
        "verdict": verdict,
        "items": items,
    }


def _item(name: str, verdict: str, found: str, remedy: str = "") -> Item:
    return {"name": name, "verdict": verdict, "found": found, "remedy": remedy}


def _rows(computer: Computer, wql: str) -> list[Mapping[str, Any]]:
    return [row.properties for row in wmi.query(computer, wql, "root/cimv2")]


def _windows(computer: Computer) -> Iterator[Item]:
    (system,) = _rows(computer, "SELECT * FROM Win32_OperatingSystem")
    build = int(system["BuildNumber"])
    found = f"{system['Caption']}, build {build}"
    if build < 9200:
        yield _item("windows", "problem", found, "polling works, starting does not")
    elif build >= 26100:
        yield _item("windows", "warning", found, "NTLM may be restricted")
    else:
        yield _item("windows", "ok", found)


def _rights(computer: Computer, account: str) -> Iterator[Item]:
    if computer.elevated:
        yield _item("rights", "ok", f"{account} has the rights of Administrators")
        found = "LocalAccountTokenFilterPolicy is 1, and this token is not filtered"
        yield _item("uac_filter", "ok", found)
        return
    found = f"{account} does not have the rights of Administrators"
    yield _item("rights", "problem", found, "make it a member of Administrators")
    found = "LocalAccountTokenFilterPolicy is not set"
    yield _item("uac_filter", "problem", found, "set LocalAccountTokenFilterPolicy to 1")


def _quotas(computer: Computer) -> Iterator[Item]:
    for name, (least, enough) in _LIMITS.items():
        value = int(computer.winrm[name])
        verdict = "problem" if value < least else "warning" if value < enough else "ok"
        remedy = "" if verdict == "ok" else f"raise {name} to {enough} at least"
        yield _item(name, verdict, str(value), remedy)
    plain = computer.winrm["AllowUnencrypted"]
    verdict, remedy = ("warning", "set it to false") if plain == "true" else ("ok", "")
    yield _item("AllowUnencrypted", verdict, plain, remedy)


def _desktop(computer: Computer) -> Iterator[Item]:
    desktop = computer.desktop
    user = f"{computer.name}\\{desktop.user}"
    problem = ""
    if desktop.user is None:
        problem = "nobody is logged on at the desktop"
    elif desktop.disconnected:
        problem = f"the remote desktop of {user} is disconnected"
    elif desktop.locked:
        problem = f"the desktop of {user} is locked"
    if problem:
        yield _item("desktop", "problem", problem, "log the player's account on")
        yield _item("tasks", "not_measured", "no desktop to register a task for", "check again")
        return
    yield _item("desktop", "ok", f"{user}, Windows session {desktop.session_id}")
    if computer.elevated:
        yield _item("tasks", "ok", f"a task for {user} was registered and removed")
    else:
        found = "the task could not be registered: Access is denied."
        yield _item("tasks", "problem", found, "starting games needs Administrators")


def _gaminganywhere(computer: Computer, params: Mapping[str, Any]) -> Iterator[Item]:
    folder, words, verdict = params["GaDirectory"], [], "ok"
    for mode in ("periodic", "event-driven"):
        if mode not in params["Modes"]:
            continue
        path = rf"{folder}\ga-server-{mode}.exe"
        content = computer.files.read(path)
        if content is None:
            verdict = "problem"
            words.append(f"{path} is not there")
        else:
            words.append(f"{mode}: {_architecture(content)}")
    if not words:
        return
    if verdict == "ok" and re.search("no program|unknown", "; ".join(words)):
        verdict = "warning"
    remedy = "" if verdict == "ok" else "copy GamingAnywhere there"
    yield _item("gaminganywhere", verdict, "; ".join(words), remedy)
    configs = params["ConfigDirectory"]
    if computer.files.is_folder(configs):
        yield _item("configs", "ok", configs)
    else:
        yield _item("configs", "problem", f"{configs} is not there", "copy the .conf files there")


def _architecture(content: bytes) -> str:
    if len(content) < 64 or content[:2] != b"MZ":
        return "no program"
    (at,) = struct.unpack_from("<i", content, 60)
    if not 0 <= at <= len(content) - 6:
        return "unknown architecture"
    return _MACHINES.get(struct.unpack_from("<H", content, at + 4)[0], "unknown architecture")


def _counters(computer: Computer) -> Iterator[Item]:
    (total,) = _rows(computer, _CPU)
    yield _item("cpu_counters", "ok", f"CPU {total['PercentProcessorTime']} %")
    engines = _or_none(lambda: _rows(computer, _GPU))
    if engines:
        yield _item("gpu_counters", "ok", f"{len(engines)} engines in use")
    else:
        found = "no GPU counters" if engines is None else "GPU counters without an engine"
        yield _item("gpu_counters", "warning", found, "the GPU counts as not measured")


def _or_none(ask: Callable[[], list[Mapping[str, Any]]]) -> list[Mapping[str, Any]] | None:
    try:
        return ask()
    except LabFault:
        return None


def _ports(computer: Computer, first: int, last: int) -> Iterator[Item]:
    with computer.look():
        listeners = dict(computer.listeners)
    paths = [path for path in computer.files.listing(launch.RECORDS) if path.endswith(".json")]
    records = [launch.read_record(computer, path.rpartition("\\")[2][:-5]) for path in paths]
    ours = {
        identity["pid"]
        for record in records
        for identity in ((record or {}).get("launch"), *(record or {}).get("companions", []))
        if identity
    }
    busy = []
    for port, pid in sorted(listeners.items()):
        process = computer.process(pid)
        if first <= port <= last and pid not in ours:
            busy.append(f"{port} by {process.name if process else f'PID {pid}'}")
    if busy:
        yield _item("ports", "warning", f"taken: {', '.join(busy)}", "choose other ports")
    else:
        yield _item("ports", "ok", f"{first}-{last} are free")


def _disk(computer: Computer) -> Iterator[Item]:
    (disk,) = _rows(computer, "SELECT * FROM Win32_LogicalDisk WHERE DriveType=3")
    free = int(disk["FreeSpace"]) / 2**30
    verdict = "problem" if free < 1 else "warning" if free < 5 else "ok"
    remedy = "" if verdict == "ok" else "make room"
    yield _item("disk", verdict, f"{disk['DeviceID']} {free:.1f} GiB free", remedy)


def _clock(computer: Computer, broker: str) -> Iterator[Item]:
    if not broker:
        return
    seconds = round((computer.now() - datetime.fromisoformat(broker)).total_seconds())
    verdict = "problem" if abs(seconds) > 300 else "warning" if abs(seconds) > 60 else "ok"
    remedy = "" if verdict == "ok" else "set the clock in step"
    yield _item("clock", verdict, f"{seconds} s from the broker's", remedy)
