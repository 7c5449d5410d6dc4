"""The computer as WinRM sees it: jobs of commands, and WMI."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from orchestrator.lab.machine import Instance, Job, LabFault, ProgramRun
from orchestrator.lab.windows import wmi
from orchestrator.lab.windows.cmd import Console, run_line
from orchestrator.lab.windows.computer import Computer
from orchestrator.lab.windows.powershell import run_powershell
from orchestrator.lab.windows.runs import FinishedRun

_LONGEST_LINE = 8191
_POWERSHELL = frozenset({"powershell", "powershell.exe"})


class WindowsMachine:
    """The Machine that a LabServer serves."""

    def __init__(self, computer: Computer) -> None:
        self.computer = computer

    @property
    def name(self) -> str:
        """The computer's name."""
        return self.computer.name

    def open_job(self, user: str, codepage: int) -> Job:
        """A shell in session 0."""
        return WindowsJob(self.computer, user, codepage)

    def query(self, wql: str, namespace: str) -> list[Instance]:
        """Rows of a query in a namespace."""
        return wmi.query(self.computer, wql, namespace)


class WindowsJob:
    """A shell's processes, in session 0, without a desktop."""

    def __init__(self, computer: Computer, user: str, codepage: int) -> None:
        self._computer = computer
        self._user = user.rpartition("\\")[2] or user
        self._codepage = codepage
        self._lock = threading.Lock()
        self._runs: list[ProgramRun] = []
        self._host = computer.spawn(
            r"C:\Windows\System32\winrshost.exe",
            r"C:\Windows\System32\winrshost.exe -Embedding",
            parent_pid=computer.service_pid,
            session_id=0,
            owner=self._user,
        )

    def run(
        self, command_line: str, *, skip_cmd_shell: bool, environment: Mapping[str, str]
    ) -> ProgramRun:
        """Start a command."""
        if len(command_line) > _LONGEST_LINE and not skip_cmd_shell:
            raise LabFault(2147942606, "w:InternalError", "The filename or extension is too long.")
        run = self._start(command_line, skip_cmd_shell, environment)
        with self._lock:
            self._runs.append(run)
        return run

    def close(self) -> None:
        """A job's processes die with it."""
        with self._lock:
            runs, self._runs = self._runs, []
        for run in runs:
            run.terminate(1)
        self._computer.exit(self._host, 0)

    def _start(
        self, command_line: str, skip_cmd_shell: bool, environment: Mapping[str, str]
    ) -> ProgramRun:
        program, _, rest = command_line.strip().partition(" ")
        if program.strip('"').rpartition("\\")[2].lower() in _POWERSHELL:
            return run_powershell(self._computer, self._host, self._user, rest)
        if skip_cmd_shell and program.lower() not in {"cmd", "cmd.exe"}:
            raise LabFault(
                2147942402, "w:InternalError", "The system cannot find the file specified."
            )
        console = Console(self._computer, self._user, dict(environment))
        stdout, stderr, exit_code = run_line(console, command_line)
        encode = _encoder(self._codepage)
        return FinishedRun(encode(stdout), encode(stderr), exit_code)


class _encoder:  # noqa: N801 - used as a function
    """Text to bytes as a console of that codepage writes it."""

    def __init__(self, codepage: int) -> None:
        self._name = "utf-8" if codepage == 65001 else f"cp{codepage}"

    def __call__(self, text: str) -> bytes:
        try:
            return text.encode(self._name, "replace")
        except LookupError:
            return text.encode("utf-8")
