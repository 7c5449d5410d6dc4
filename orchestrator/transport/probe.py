"""A server's load and processes by WQL, in as few round trips as there are classes.

What changes slowly is remembered for a while, and so is that a server lacks a
class: its properties are "not measured" then, which is no error. Windows Server
2008 R2 and 2012 put one row into the first answer, so questions with one row
are preferred and one question covers the desktop and every session's processes.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from orchestrator.domain.errors import AccessDenied, QueryRejected, ServerCallError
from orchestrator.domain.launch import Launch
from orchestrator.domain.observation import Observation
from orchestrator.domain.server import Load
from orchestrator.transport.idle_time import IdleTime
from orchestrator.transport.questions import (
    CPU,
    DISKS,
    GPU,
    GPU_MEMORY,
    NETWORK,
    PROCESSORS,
    SYSTEM,
    USER,
    Question,
    clients_question,
    processes_question,
)
from orchestrator.transport.readings import (
    engine_shares,
    first,
    fullest,
    idle_seconds,
    living_of,
    moment,
    number,
    outside_session_0,
    scaled,
    share_of_percent,
    total,
)
from orchestrator.transport.wql import Row, Value

_REFUSALS = 3
_MISSING_SECONDS = 600.0
_ESSENTIAL = frozenset({"Win32_Process", "Win32_OperatingSystem"})
_ESSENTIAL_SECONDS = 15.0
_SAME_BOOT = timedelta(seconds=30)
"""LastBootUpTime moves when the server's clock is set."""


Ask = Callable[[Question], list[Row]]


class Prober:
    """Asks one server, one user at a time, and remembers what need not be asked again.

    ``counts_idle``: CPU use is told by the idle process's time where it can be;
    not so where answers take long, for the time between them is what it is
    divided by.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, *, counts_idle: bool = True
    ) -> None:
        self._clock = clock
        self._idle = IdleTime() if counts_idle else None
        self._missing: dict[str, float] = {}
        self._refusals: Counter[str] = Counter()
        self._kept: dict[str, tuple[float, list[Row]]] = {}
        self._shells: frozenset[tuple[Value, ...]] | None = None
        self._booted_at: datetime | None = None

    def observe(
        self, ask: Ask, at: datetime, launches: Collection[Launch], ports: Collection[int]
    ) -> Observation:
        """One look. A class that the server does not have is "not measured".

        Raises the server's refusal only where it answers nothing at all.
        """
        asking = _Asking(ask, self)
        system = first(asking.rows(SYSTEM))
        booted_at = moment(system.get("LastBootUpTime"))
        self._notice_boot(booted_at)
        processes, idle = self._processes(asking, launches)
        cpu = self._cpu(asking, idle)
        desktop = self._desktop(asking, processes)
        engines = engine_shares(asking.rows(GPU) or [])
        disk = fullest(asking.rows(DISKS) or [])
        network = asking.rows(NETWORK)
        memory = asking.rows(GPU_MEMORY)
        clients = self._clients(asking, ports)
        asking.raise_if_silent()
        load = Load(
            at=at,
            cpu=cpu,
            memory_total_mb=scaled(system.get("TotalVisibleMemorySize"), 1024),
            memory_free_mb=scaled(system.get("FreePhysicalMemory"), 1024),
            gpu=max(engines.values(), default=None),
            desktop_user=desktop.user,
            gpu_engines=engines,
            gpu_memory_used_mb=total(memory, "DedicatedUsage", 1 << 20),
            disk=disk[0],
            disk_total_mb=disk[1],
            disk_free_mb=disk[2],
            network_received=total(network, "BytesReceivedPersec"),
            network_sent=total(network, "BytesSentPersec"),
            desktop=desktop.there,
            locked=desktop.locked,
            booted_at=booted_at,
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
        self._refusals.pop(question.class_name, None)
        if question.seconds:
            self._kept[question.wql] = (now, found)
        return found

    def remember_refused(self, classes: Collection[str]) -> None:
        """One refusal may be a hiccup of WMI; a class that was refused several
        times in a row is left alone for a while, and for a moment only where no
        truth can do without it."""
        for name in classes:
            self._refusals[name] += 1
            if self._refusals[name] >= _REFUSALS:
                pause = _ESSENTIAL_SECONDS if name in _ESSENTIAL else _MISSING_SECONDS
                self._missing[name] = self._clock() + pause

    def _notice_boot(self, booted_at: datetime | None) -> None:
        """A server that was started anew may have other processors, and has counted
        its idle time from the start."""
        before = self._booted_at
        self._booted_at = booted_at or before
        if booted_at is None or before is None or abs(booted_at - before) < _SAME_BOOT:
            return
        self._kept.pop(PROCESSORS.wql, None)
        if self._idle is not None:
            self._idle = IdleTime()

    def _processes(
        self, asking: _Asking, launches: Collection[Launch]
    ) -> tuple[list[Row] | None, float | None]:
        """Rows of processes, and CPU use since the last look where they tell it."""
        idle, asked = self._idle, self._clock()
        if idle is None or not idle.is_trusted(asked):
            return asking.rows(processes_question(launches)), None
        rows = asking.rows_if_taken(processes_question(launches, idle=True))
        answered = self._clock()
        if rows is None:
            idle.distrust(answered)
            return asking.rows(processes_question(launches)), None
        seconds = idle_seconds(rows)
        processors = (
            None if seconds is None else total(asking.rows(PROCESSORS), "NumberOfLogicalProcessors")
        )
        told = idle.share(seconds, processors, asked, answered)
        if not idle.is_trusted(answered):
            self._kept.pop(PROCESSORS.wql, None)
        return rows, told

    def _cpu(self, asking: _Asking, told: float | None) -> float | None:
        """CPU use: as ``told`` by the idle process where the counters have agreed
        with it, or by the counters."""
        idle, now = self._idle, self._clock()
        if told is not None and idle is not None and not idle.needs_check(told, now):
            return told
        counted = share_of_percent(first(asking.rows(CPU)).get("PercentProcessorTime"))
        if told is None or idle is None:
            return counted
        if counted is None:
            # An idle process that nobody vouches for may as well stand still.
            return told if idle.is_proved and not idle.looks_full(told) else None
        return told if idle.check(told, counted, now) else counted

    def _desktop(self, asking: _Asking, processes: list[Row] | None) -> _Desktop:
        """Who is at the desktop; the name is asked anew when another desktop is seen."""
        shells = [] if processes is None else outside_session_0(processes, "explorer.exe")
        seen = frozenset((row.get("ProcessId"), row.get("CreationDate")) for row in shells)
        if self._shells is not None and seen != self._shells:
            self._kept.pop(USER.wql, None)
        self._shells = seen
        users = asking.rows(USER)
        name = first(users).get("UserName")
        user = name if isinstance(name, str) and name else None
        if processes is None:
            return _Desktop(user, None if users is None else user is not None, None)
        locks = {row.get("SessionId") for row in outside_session_0(processes, "LogonUI.exe")}
        locked = bool(shells) and all(row.get("SessionId") in locks for row in shells)
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
            port = number(row.get("LocalPort"))
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

    def rows_if_taken(self, question: Question) -> list[Row] | None:
        """As ``rows``, but a refusal is the question's, and says nothing of its class."""
        try:
            found = self._prober.rows(self._ask, question)
        except (QueryRejected, AccessDenied):
            return None
        self._answered = self._answered or found is not None
        return found

    def raise_if_silent(self) -> None:
        if not self._answered and self._error is not None:
            raise self._error
        self._prober.remember_refused(self._refused)
