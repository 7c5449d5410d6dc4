"""What a poll asks: each a WQL query, and how long its answer is good for."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from orchestrator.domain.launch import Launch
from orchestrator.transport.wql import CIMV2, STANDARD_CIMV2


@dataclass(frozen=True, slots=True)
class Question:
    """One WQL query; its answer is good for ``seconds``."""

    wql: str
    seconds: float = 0.0
    namespace: str = CIMV2

    @property
    def class_name(self) -> str:
        """The class that is asked."""
        return self.wql.partition(" FROM ")[2].split(" ", 1)[0]

    @property
    def parts(self) -> dict[str, object]:
        """The question as Get-Load takes it."""
        what, _, where = self.wql.partition(" WHERE ")
        columns = what.partition(" FROM ")[0].removeprefix("SELECT ").split(", ")
        namespace = self.namespace.rpartition("/wmi/")[2].removesuffix("/*")
        return {
            "class": self.class_name,
            "filter": where,
            "namespace": namespace,
            "columns": columns,
        }


CPU = Question(
    "SELECT PercentProcessorTime FROM Win32_PerfFormattedData_PerfOS_Processor WHERE Name='_Total'"
)
SYSTEM = Question(
    "SELECT TotalVisibleMemorySize, FreePhysicalMemory, LastBootUpTime FROM Win32_OperatingSystem"
)
GPU = Question(
    "SELECT Name, UtilizationPercentage "
    "FROM Win32_PerfFormattedData_GPUPerformanceCounters_GPUEngine "
    "WHERE UtilizationPercentage > 0"
)
GPU_MEMORY = Question(
    "SELECT DedicatedUsage FROM Win32_PerfFormattedData_GPUPerformanceCounters_GPUAdapterMemory",
    30,
)
NETWORK = Question(
    "SELECT BytesReceivedPersec, BytesSentPersec "
    "FROM Win32_PerfFormattedData_Tcpip_NetworkInterface WHERE BytesTotalPersec > 0",
    30,
)
DISKS = Question("SELECT DeviceID, FreeSpace, Size FROM Win32_LogicalDisk WHERE DriveType=3", 300)
USER = Question("SELECT UserName FROM Win32_ComputerSystem", 60)

PROCESSORS = Question("SELECT NumberOfLogicalProcessors FROM Win32_Processor", 3600)

_PROCESSES = (
    "SELECT ProcessId, CreationDate, ExecutablePath, Name, SessionId FROM Win32_Process "
    "WHERE Name='explorer.exe' OR Name='LogonUI.exe'"
)
_PROCESSES_AND_IDLE = (
    _PROCESSES.replace("SessionId FROM", "SessionId, KernelModeTime FROM") + " OR ProcessId=0"
)
_CLIENTS = "SELECT LocalPort FROM MSFT_NetTCPConnection WHERE State=5 AND ({})"
"""State 5 is Established."""


def processes_question(launches: Collection[Launch], *, idle: bool = False) -> Question:
    """Desktops, locks and the processes of these launches, and with ``idle`` the
    idle process's time, in one question."""
    wanted = "".join(f" OR ProcessId={pid}" for pid in sorted({each.pid for each in launches}))
    return Question((_PROCESSES_AND_IDLE if idle else _PROCESSES) + wanted)


def clients_question(ports: Collection[int]) -> Question:
    """The established connections to these ports."""
    wanted = " OR ".join(f"LocalPort={port}" for port in sorted(ports))
    return Question(_CLIENTS.format(wanted), namespace=STANDARD_CIMV2)
