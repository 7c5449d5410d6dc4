"""A server's load and processes by WQL, in as few round trips as there are classes.

What changes slowly is remembered for a while, and so is that a server lacks a
class: its properties are "not measured" then, which is no error. Windows Server
2008 R2 and 2012 put one row into the first answer, so questions with one row
are preferred and one question covers the desktop and every session's processes.
"""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from orchestrator.domain.errors import AccessDenied, QueryRejected, ServerCallError
from orchestrator.domain.launch import Launch
from orchestrator.domain.observation import Observation
from orchestrator.domain.server import Load
from orchestrator.transport.wql import CIMV2, STANDARD_CIMV2, Row, Value, parse_datetime


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

_PROCESSES = (
    "SELECT ProcessId, CreationDate, ExecutablePath, Name, SessionId FROM Win32_Process "
    "WHERE Name='explorer.exe' OR Name='LogonUI.exe'"
)
_CLIENTS = "SELECT LocalPort FROM MSFT_NetTCPConnection WHERE State=5 AND ({})"
"""State 5 is Established."""

_MISSING_SECONDS = 600.0
_ENGINE = re.compile(r"_engtype_(.+)$")

Ask = Callable[[Question], list[Row]]


class Prober:
    """Asks one server, one user at a time, and remembers what need not be asked again."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._missing: dict[str, float] = {}
        self._kept: dict[str, tuple[float, list[Row]]] = {}
        self._shells: frozenset[tuple[Value, ...]] | None = None

    def observe(
        self, ask: Ask, at: datetime, launches: Collection[Launch], ports: Collection[int]
    ) -> Observation:
        """One look. A class that the server does not have is "not measured".

        Raises the server's refusal only where it answers nothing at all.
        """
        asking = _Asking(ask, self)
        cpu = _first(asking.rows(CPU))
        system = _first(asking.rows(SYSTEM))
        processes = asking.rows(processes_question(launches))
        desktop = self._desktop(asking, processes)
        engines = engine_shares(asking.rows(GPU) or [])
        disk = fullest(asking.rows(DISKS) or [])
        network = asking.rows(NETWORK)
        memory = asking.rows(GPU_MEMORY)
        clients = self._clients(asking, ports)
        asking.raise_if_silent()
        load = Load(
            at=at,
            cpu=_share(cpu.get("PercentProcessorTime")),
            memory_total_mb=_scaled(system.get("TotalVisibleMemorySize"), 1024),
            memory_free_mb=_scaled(system.get("FreePhysicalMemory"), 1024),
            gpu=max(engines.values(), default=None),
            desktop_user=desktop.user,
            gpu_engines=engines,
            gpu_memory_used_mb=_sum(memory, "DedicatedUsage", 1 << 20),
            disk=disk[0],
            disk_total_mb=disk[1],
            disk_free_mb=disk[2],
            network_received=_sum(network, "BytesReceivedPersec"),
            network_sent=_sum(network, "BytesSentPersec"),
            desktop=desktop.there,
            locked=desktop.locked,
            booted_at=_moment(system.get("LastBootUpTime")),
        )
        living = None if processes is None else living_of(launches, processes)
        return Observation(load, living, clients)

    def due(self, launches: Collection[Launch], ports: Collection[int]) -> list[Question]:
        """What the next look will ask, for those who ask everything in one call."""
        wanted = [CPU, SYSTEM, processes_question(launches), USER, GPU, DISKS, NETWORK, GPU_MEMORY]
        if ports:
            wanted.append(clients_question(ports))
        return [each for each in wanted if self._is_due(each)]

    def _is_due(self, question: Question) -> bool:
        now = self._clock()
        kept = self._kept.get(question.wql)
        fresh = kept is not None and now - kept[0] < question.seconds
        return self._missing.get(question.class_name, 0.0) <= now and not fresh

    def rows(self, ask: Ask, question: Question) -> list[Row] | None:
        """Rows, kept or new; None for a class that was missing a while ago."""
        now = self._clock()
        if self._missing.get(question.class_name, 0.0) > now:
            return None
        kept = self._kept.get(question.wql)
        if kept is not None and now - kept[0] < question.seconds:
            return kept[1]
        found = ask(question)
        if question.seconds:
            self._kept[question.wql] = (now, found)
        return found

    def remember_missing(self, classes: Collection[str]) -> None:
        """Do not ask these for a while."""
        until = self._clock() + _MISSING_SECONDS
        self._missing.update(dict.fromkeys(classes, until))

    def _desktop(self, asking: _Asking, processes: list[Row] | None) -> _Desktop:
        """Who is at the desktop; the name is asked anew when another desktop is seen."""
        shells = [] if processes is None else _desktop_rows(processes, "explorer.exe")
        seen = frozenset((row["ProcessId"], row["CreationDate"]) for row in shells)
        if self._shells is not None and seen != self._shells:
            self._kept.pop(USER.wql, None)
        self._shells = seen
        users = asking.rows(USER)
        name = _first(users).get("UserName")
        user = name if isinstance(name, str) and name else None
        if processes is None:
            return _Desktop(user, None if users is None else user is not None, None)
        locks = {row["SessionId"] for row in _desktop_rows(processes, "LogonUI.exe")}
        locked = bool(shells) and all(row["SessionId"] in locks for row in shells)
        return _Desktop(user, bool(shells) or user is not None, locked)

    def _clients(self, asking: _Asking, ports: Collection[int]) -> dict[int, int] | None:
        """Established connections by port; those to the many ports of a busy
        server are one question."""
        if not ports:
            return None
        rows = asking.rows(clients_question(ports))
        if rows is None:
            return None
        found = dict.fromkeys(ports, 0)
        for row in rows:
            port = _number(row.get("LocalPort"))
            if port is not None and int(port) in found:
                found[int(port)] += 1
        return found


@dataclass(frozen=True, slots=True)
class _Desktop:
    user: str | None
    there: bool | None
    locked: bool | None


class _Asking:
    """The questions of one look: what was refused counts only where nothing was answered."""

    def __init__(self, ask: Ask, prober: Prober) -> None:
        self._ask = ask
        self._prober = prober
        self._answered = False
        self._refused: list[str] = []
        self._error: ServerCallError | None = None

    def rows(self, question: Question) -> list[Row] | None:
        try:
            found = self._prober.rows(self._ask, question)
        except (QueryRejected, AccessDenied) as error:
            self._refused.append(question.class_name)
            self._error = error
            return None
        self._answered = self._answered or found is not None
        return found

    def raise_if_silent(self) -> None:
        if not self._answered and self._error is not None:
            raise self._error
        self._prober.remember_missing(self._refused)


def processes_question(launches: Collection[Launch]) -> Question:
    """Desktops, locks and the processes of these launches, in one question."""
    wanted = "".join(f" OR ProcessId={pid}" for pid in sorted({each.pid for each in launches}))
    return Question(_PROCESSES + wanted)


def clients_question(ports: Collection[int]) -> Question:
    """The established connections to these ports."""
    wanted = " OR ".join(f"LocalPort={port}" for port in sorted(ports))
    return Question(_CLIENTS.format(wanted), namespace=STANDARD_CIMV2)


def living_of(launches: Collection[Launch], processes: Sequence[Row]) -> frozenset[Launch]:
    """The launches whose very process is among the rows: PID, creation time and image fit."""
    found: defaultdict[int, list[Launch]] = defaultdict(list)
    for row in processes:
        pid, created = _number(row.get("ProcessId")), _moment(row.get("CreationDate"))
        image = row.get("ExecutablePath") or row.get("Name")
        if pid is not None and created is not None and isinstance(image, str):
            found[int(pid)].append(Launch(int(pid), created, image))
    return frozenset(
        launch for launch in launches if any(map(launch.is_same_process, found[launch.pid]))
    )


def engine_shares(rows: Sequence[Row]) -> Mapping[str, float]:
    """Each engine type's sum over processes, as Task Manager shows it, at most 1.

    Without a busy engine there is none: some drivers leave the counters at
    zero, so that silence does not prove an idle GPU.
    """
    sums: defaultdict[str, float] = defaultdict(float)
    for row in rows:
        engine = _ENGINE.search(str(row.get("Name") or ""))
        used = _number(row.get("UtilizationPercentage"))
        if engine is not None and used:
            sums[engine[1]] += used
    return {engine: min(1.0, used / 100) for engine, used in sorted(sums.items())}


def fullest(rows: Sequence[Row]) -> tuple[str | None, int | None, int | None]:
    """Name, size and free MiB of the disk with the least share free."""
    best: tuple[float, str, int, int] | None = None
    for row in rows:
        size, free = _number(row.get("Size")), _number(row.get("FreeSpace"))
        if not size or free is None:
            continue
        name = str(row.get("DeviceID") or "")
        this = (free / size, name, int(size // 2**20), int(free // 2**20))
        best = this if best is None else min(best, this)
    return (None, None, None) if best is None else best[1:]


def _desktop_rows(processes: Sequence[Row], name: str) -> list[Row]:
    """Rows of that image outside session 0."""
    return [
        row
        for row in processes
        if str(row.get("Name") or "").lower() == name.lower()
        and str(row.get("SessionId") or "0") != "0"
    ]


def _first(rows: list[Row] | None) -> Row:
    return rows[0] if rows else {}


def _sum(rows: list[Row] | None, name: str, unit: int = 1) -> int | None:
    if rows is None:
        return None
    values = [value for row in rows if (value := _number(row.get(name))) is not None]
    return int(sum(values) // unit)


def _scaled(value: Value, unit: int) -> int | None:
    number = _number(value)
    return None if number is None else int(number // unit)


def _share(value: Value) -> float | None:
    number = _number(value)
    return None if number is None else min(1.0, max(0.0, number / 100))


def _moment(value: Value) -> datetime | None:
    """A time; Get-Load writes it as text."""
    if isinstance(value, datetime):
        return value
    try:
        return parse_datetime(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _number(value: Value) -> float | None:
    if not isinstance(value, str):
        return None
    try:
        return float(value)
    except ValueError:
        return None
