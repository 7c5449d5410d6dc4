"""One full poll as the alternatives would do it: a script for powershell.exe.

The lab runs no PowerShell. Where it is given this very script, it starts the
process that Windows would start and answers with what its WMI model holds, in
the JSON that ConvertTo-Json would write.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from datetime import datetime

from orchestrator.lab.machine import Job, ProgramRun, Value
from orchestrator.lab.windows import WindowsMachine
from orchestrator.lab.windows.machine import WindowsJob
from orchestrator.lab.windows.runs import FinishedRun

_QUERIES = {
    "cpu": "SELECT PercentProcessorTime FROM Win32_PerfFormattedData_PerfOS_Processor"
    " WHERE Name='_Total'",
    "memory": "SELECT TotalVisibleMemorySize,FreePhysicalMemory FROM Win32_OperatingSystem",
    "desktop": "SELECT UserName FROM Win32_ComputerSystem",
    "gpu": "SELECT Name,UtilizationPercentage"
    " FROM Win32_PerfFormattedData_GPUPerformanceCounters_GPUEngine"
    " WHERE UtilizationPercentage>0",
}
_ENCODED = re.compile(r"-enc\w*\s+([A-Za-z0-9+/=]+)", re.IGNORECASE)
_MARK = "$poll=@{}"


def poll_script(pids: list[int]) -> str:
    """CPU, memory, desktop, GPU and the sessions' processes in one script."""
    lines = ["$ProgressPreference='SilentlyContinue'", _MARK]
    for name, wql in {**_QUERIES, "sessions": _sessions(pids)}.items():
        columns = wql.split()[1]
        lines.append(f'$poll.{name}=@(Get-CimInstance -Query "{wql}"|Select-Object {columns})')
    return ";".join([*lines, "ConvertTo-Json $poll -Depth 4 -Compress"])


def _sessions(pids: list[int]) -> str:
    which = " OR ".join(f"ProcessId={pid}" for pid in pids) or "ProcessId=0"
    return f"SELECT ProcessId,CreationDate,ExecutablePath FROM Win32_Process WHERE {which}"


class PollingMachine(WindowsMachine):
    """A machine of the lab that answers the script above."""

    def open_job(self, user: str, codepage: int) -> Job:
        return _PollingJob(self, user, codepage)


class _PollingJob(WindowsJob):
    def __init__(self, machine: PollingMachine, user: str, codepage: int) -> None:
        super().__init__(machine.computer, user, codepage)
        self._machine = machine

    def run(
        self, command_line: str, *, skip_cmd_shell: bool, environment: Mapping[str, str]
    ) -> ProgramRun:
        run = super().run(command_line, skip_cmd_shell=skip_cmd_shell, environment=environment)
        queries = _queries_of(command_line)
        if not queries:
            return run
        rows = {
            name: [
                {column: _json_value(value) for column, value in row.properties.items()}
                for row in self._machine.query(wql, "root/cimv2")
            ]
            for name, wql in queries.items()
        }
        return FinishedRun(json.dumps(rows, separators=(",", ":")).encode() + b"\r\n", b"", 0)


def _queries_of(command_line: str) -> dict[str, str]:
    match = _ENCODED.search(command_line)
    if match is None:
        return {}
    source = base64.b64decode(match[1]).decode("utf-16-le", "replace")
    if _MARK not in source:
        return {}
    return dict(re.findall(r'\$poll\.(\w+)=@\(Get-CimInstance -Query "([^"]+)"', source))


def _json_value(value: Value) -> object:
    """ConvertTo-Json of 5.1 writes dates as /Date(milliseconds)/."""
    return f"/Date({round(value.timestamp() * 1000)})/" if isinstance(value, datetime) else value
