"""The state of one computer, and how it changes with time.

Everything that will happen (a port opens, a process exits) waits in a heap
and is made to happen, in order, whenever somebody looks.
"""

from __future__ import annotations

import heapq
import itertools
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from orchestrator.lab.windows.clock import LabClock, RealClock
from orchestrator.lab.windows.files import Files
from orchestrator.lab.windows.things import Desktop, FirewallRule, Process, Sunshine, Task

_BACKGROUND = 0.02
"""The share of CPU that an idle Windows takes."""

SUNSHINE = r"C:\Program Files\Sunshine\sunshine.exe"

WINRM_DEFAULTS = {
    "MaxShellsPerUser": "30",
    "MaxProcessesPerShell": "25",
    "MaxMemoryPerShellMB": "1024",
    "MaxConcurrentOperationsPerUser": "1500",
    "MaxEnvelopeSizekb": "500",
    "AllowUnencrypted": "false",
}
"""WinRM's configuration on Windows Server 2012 R2 and later, as it is told to
scripts; what a LabServer enforces is its own ``Quotas``."""

Program = Callable[["Computer", Process], None]
"""What a program does when it starts: it schedules its own doings."""


class Computer:
    """One computer. ``look`` holds it still to look at several things at once.

    ``clients`` counts the players connected to each stream port;
    ``missing_classes`` are WMI classes it lacks; ``gpu_counters_stuck`` is a
    driver that leaves them at zero.
    """

    def __init__(
        self,
        name: str,
        *,
        clock: LabClock | None = None,
        seed: int = 1,
        cpus: int = 8,
        memory_mb: int = 32768,
        has_gpu: bool = True,
    ) -> None:
        self.name = name
        self.clock = clock or RealClock()
        self.cpus = cpus
        self.memory_mb = memory_mb
        self.has_gpu = has_gpu
        self.desktop = Desktop()
        self.elevated = True
        self.winrm = dict(WINRM_DEFAULTS)
        self.files = Files()
        self.programs: dict[str, Program] = {}
        self.tasks: dict[str, Task] = {}
        self.listeners: dict[int, int] = {}
        self.clients: dict[int, int] = {}
        self.missing_classes: set[str] = set()
        self.gpu_counters_stuck = False
        self.firewall: dict[str, FirewallRule] = {}
        self.sunshine: Sunshine | None = None
        self.denied: set[str] = set()
        self.booted_at = self.clock.now()
        self.started = 0
        self._chance = random.Random(seed)
        self._order = itertools.count()
        self._happenings: list[tuple[datetime, int, Callable[[], None]]] = []
        self._processes: dict[int, Process] = {}
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._at: datetime | None = None
        self._idle = 0.0
        self._idle_until = self.booted_at

    @contextmanager
    def look(self) -> Iterator[None]:
        """Hold the computer still, everything due having happened."""
        with self._lock:
            self._settle()
            yield

    def run_sunshine(self, user: str, password: str) -> Sunshine:
        """Let Sunshine run, as its service starts it at the desktop."""
        process = self.spawn(
            SUNSHINE,
            SUNSHINE,
            parent_pid=self.service_pid,
            session_id=self.desktop.session_id,
            owner="SYSTEM",
        )
        self.sunshine = Sunshine(process, user, password, apps=[{"name": "Desktop"}])
        self.listen(process, self.sunshine.port + 1)
        return self.sunshine

    def now(self) -> datetime:
        """The present, or the moment of the happening under way."""
        return self._at or self.clock.now()

    def wait_until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait until ``condition``, which is looked at with every happening."""
        end = self.clock.now() + timedelta(seconds=seconds)
        with self._lock:
            while True:
                self._settle()
                if condition():
                    return True
                now = self.clock.now()
                if now >= end:
                    return False
                moment = min(end, self._happenings[0][0]) if self._happenings else end
                pause = max(0.0005, (moment - now).total_seconds())
                self.clock.wait(self._changed, pause)

    def notify(self) -> None:
        """Wake whoever waits: something they look at has changed."""
        with self._lock:
            self._changed.notify_all()

    def later(self, seconds: float, happening: Callable[[], None]) -> None:
        """Let something happen."""
        with self._lock:
            at = self.now() + timedelta(seconds=seconds)
            heapq.heappush(self._happenings, (at, next(self._order), happening))
            self._changed.notify_all()

    def spawn(
        self,
        image: str,
        command_line: str,
        *,
        parent_pid: int,
        session_id: int,
        owner: str,
        environment: dict[str, str] | None = None,
    ) -> Process:
        """Start a process; its program begins to act."""
        with self._lock:
            self._settle()
            process = Process(
                pid=self._new_pid(),
                parent_pid=parent_pid,
                image=image,
                command_line=command_line,
                session_id=session_id,
                owner=owner,
                created_at=self.now(),
                environment=environment or {},
            )
            self._count_idle(self.now())
            self._processes[process.pid] = process
            self.started += 1
            program = self.programs.get(process.image.lower())
            if program is not None:
                program(self, process)
            self._changed.notify_all()
            return process

    def exit(self, process: Process, code: int) -> None:
        """End a process: its ports close, its PID may be used again."""
        with self._lock:
            if not process.alive:
                return
            self._count_idle(self.now())
            process.exit_code = code
            self._processes.pop(process.pid, None)
            for port in [p for p, pid in self.listeners.items() if pid == process.pid]:
                del self.listeners[port]
            for task in self.tasks.values():
                if task.process is process:
                    task.last_result = code & 0xFFFFFFFF
            self._changed.notify_all()

    def kill_tree(self, process: Process) -> list[Process]:
        """End a process and its descendants, children first."""
        with self._lock:
            tree = self.tree(process)
            for each in reversed(tree):
                self.exit(each, 1)
            return tree

    def tree(self, process: Process) -> list[Process]:
        """A process and its living descendants; a parent's PID may have been reused,
        so a child is younger than its parent."""
        with self._lock:
            found = [process]
            for parent in found:
                found.extend(
                    child
                    for child in self._processes.values()
                    if child.parent_pid == parent.pid
                    and child is not parent
                    and child not in found
                    and child.created_at >= parent.created_at
                )
            return found

    def process(self, pid: int) -> Process | None:
        """The living process of that PID."""
        with self.look():
            return self._processes.get(pid)

    def processes(self) -> list[Process]:
        """Every living process, by PID."""
        with self.look():
            return [self._processes[pid] for pid in sorted(self._processes)]

    def listen(self, process: Process, port: int) -> bool:
        """Open a TCP port; False where another process has it."""
        with self._lock:
            if not process.alive or port in self.listeners:
                return False
            self.listeners[port] = process.pid
            self._changed.notify_all()
            return True

    def run_task(self, task: Task) -> None:
        """Start a task's action on the desktop; IgnoreNew where it runs already."""
        with self._lock:
            if task.running:
                return
            task.last_run = self.now()
            task.last_result = 267009
            task.process = self.spawn(
                task.execute,
                f'"{task.execute}" {task.argument}'.strip(),
                parent_pid=self.service_pid,
                session_id=self.desktop.session_id,
                owner=task.user,
                environment=task.environment,
            )

    def reuse_pid(self, pid: int, image: str) -> Process:
        """Let another process have ``pid`` now, as Windows would some day."""
        with self._lock:
            old = self._processes.get(pid)
            if old is not None:
                self.exit(old, 0)
            self.later(0, lambda: None)
            process = Process(
                pid=pid,
                parent_pid=self.service_pid,
                image=image,
                command_line=f'"{image}"',
                session_id=self.desktop.session_id,
                owner=self.desktop.user or "SYSTEM",
                created_at=self.now() + timedelta(milliseconds=100),
            )
            self._processes[pid] = process
            return process

    @property
    def service_pid(self) -> int:
        """PID of the service host that starts tasks and shells."""
        return 1016

    def boot(self) -> None:
        """The processes that every Windows server has, and the player's desktop."""
        for pid, image, session, owner in (
            (4, "System", 0, "SYSTEM"),
            (self.service_pid, r"C:\Windows\System32\svchost.exe", 0, "SYSTEM"),
        ):
            self._processes[pid] = Process(
                pid, 0, image, image, session, owner, self.booted_at, memory_mb=60
            )
        if self.desktop.user is not None:
            self.log_on(self.desktop.user)

    def log_on(self, user: str) -> None:
        """A player logs on at the console."""
        with self._lock:
            self.desktop.user = user
            self.spawn(
                r"C:\Windows\explorer.exe",
                r"C:\Windows\explorer.exe",
                parent_pid=0,
                session_id=self.desktop.session_id,
                owner=user,
            )

    def log_off(self) -> None:
        """The player logs off: everything on the desktop ends."""
        with self._lock:
            self.desktop.user = None
            for process in self.processes():
                if process.session_id == self.desktop.session_id:
                    self.exit(process, 0)

    def usage(self) -> tuple[float, int, float]:
        """CPU share, used memory in MiB and GPU share of everything that runs."""
        with self.look():
            alive = list(self._processes.values())
        cpu = _BACKGROUND + sum(process.cpu for process in alive)
        memory = self.memory_mb // 10 + sum(process.memory_mb for process in alive)
        gpu = sum(process.gpu for process in alive)
        noise = self._chance.uniform(0, 0.01)
        return min(1.0, cpu + noise), min(self.memory_mb, memory), min(1.0, gpu)

    def kernel_seconds(self, process: Process) -> float:
        """How long it has run in the kernel, which is all that the idle process
        does, on every processor."""
        with self.look():
            now = self.now()
            if process.pid:
                return process.cpu * self.cpus * (now - process.created_at).total_seconds() / 4
            self._count_idle(now)
            return self._idle

    def _count_idle(self, until: datetime) -> None:
        """Add what nobody wanted since the last change, ``until`` the next."""
        busy = _BACKGROUND + sum(process.cpu for process in self._processes.values())
        seconds = (until - self._idle_until).total_seconds()
        self._idle += max(0.0, seconds) * self.cpus * max(0.0, 1 - busy)
        self._idle_until = max(until, self._idle_until)

    def _new_pid(self) -> int:
        while True:
            pid = 4 * self._chance.randint(300, 4000)
            if pid not in self._processes:
                return pid

    def _settle(self) -> None:
        while self._happenings and self._happenings[0][0] <= self.clock.now():
            at, _, happening = heapq.heappop(self._happenings)
            before, self._at = self._at, at
            self._count_idle(at)
            try:
                happening()
            finally:
                self._at = before
