"""Shells, their commands, and the quotas on both.

A shell is a job. Terminate does not give an operation back on a cmd shell, so
a kept shell runs into MaxConcurrentOperationsPerUser in the end.
"""

from __future__ import annotations

import base64
import random
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

from orchestrator.lab.dialect import Dialect, Quotas
from orchestrator.lab.machine import Job, LabFault, Machine, Output, ProgramRun
from orchestrator.lab.soap import INVALID_SELECTORS, SHELL, TIMED_OUT, Request, guid, seconds

RESOURCE = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/cmd"
_STATE = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/CommandState"
_DEFAULT_TIMEOUT = 60.0
_PIECE = 40_000
_SHELL_GONE = (
    "The WS-Management service cannot process the request because the request contained "
    "invalid selectors for the resource."
)


@dataclass(slots=True)
class Command:
    """A command of a shell; ``rest`` is output that did not fit into an answer."""

    id: str
    run: ProgramRun
    rest: Output | None = None
    exit_code: int | None = None
    finished: bool = False


@dataclass(slots=True)
class Shell:
    """An open shell."""

    id: str
    user: str
    job: Job
    idle_timeout: float
    opened_at: float
    used_at: float
    old: bool = False
    environment: dict[str, str] = field(default_factory=dict)
    commands: dict[str, Command] = field(default_factory=dict)
    operations: int = 0
    closed: bool = False


class Shells:
    """Every shell of one server."""

    def __init__(
        self,
        machine: Machine,
        quotas: Quotas,
        *,
        dialect: Dialect,
        seed: int,
        count: Callable[[str], None],
    ) -> None:
        self._machine = machine
        self._quotas = quotas
        self._dialect = dialect
        self._chance = random.Random(seed)
        self._count = count
        self._lock = threading.Lock()
        self._shells: dict[str, Shell] = {}
        self._stopping = threading.Event()

    @property
    def open_shells(self) -> list[str]:
        """Ids of the open shells."""
        self._expire()
        with self._lock:
            return sorted(self._shells)

    def all(self) -> list[Shell]:
        """Every open shell, the oldest first."""
        self._expire()
        with self._lock:
            return list(self._shells.values())

    def age(self, seconds: float) -> None:
        """Let every shell be that much older, and as long unused."""
        with self._lock:
            for shell in self._shells.values():
                shell.opened_at -= seconds
                shell.used_at -= seconds

    def stop(self) -> None:
        """End every shell and every waiting Receive, for good."""
        self._stopping.set()
        self.end()

    def end(self) -> None:
        """End every shell, as a restart of the WinRM service does."""
        with self._lock:
            shells, self._shells = list(self._shells.values()), {}
        for shell in shells:
            self._close(shell)

    def create(self, request: Request, user: str) -> str:
        """Create: the body of the answer."""
        self._expire()
        wanted = request.body.find(f"{{{SHELL}}}Shell")
        codepage = request.options.get("WINRS_CODEPAGE", "437")
        idle = seconds(_child(wanted, "IdleTimeOut")) or 7200.0
        shell_id = (wanted.get("ShellId") if wanted is not None else None) or guid()
        with self._lock:
            mine = sum(1 for shell in self._shells.values() if shell.user == user)
            if mine >= self._quotas.shells_per_user:
                raise self.shell_quota()
            job = self._machine.open_job(user, int(codepage) if codepage.isdigit() else 437)
            now, old = time.monotonic(), self._dialect.old_shells
            shell = Shell(shell_id, user, job, idle, now, now, old, _environment(wanted))
            self._shells[shell.id] = shell
        self._count("shells")
        return _created(shell)

    def delete(self, request: Request) -> str:
        """Delete: ends the shell and all that runs in it."""
        shell = self._find(request)
        with self._lock:
            self._shells.pop(shell.id, None)
        self._close(shell)
        return ""

    def command(self, request: Request) -> str:
        """Command: starts one."""
        shell = self._find(request)
        line = request.body.find(f"{{{SHELL}}}CommandLine")
        if line is None:
            raise LabFault(2150858817, "w:SchemaValidationError", "CommandLine is missing")
        arguments = [element.text or "" for element in line.findall(f"{{{SHELL}}}Arguments")]
        text = " ".join([_child(line, "Command"), *arguments]).strip()
        with self._lock:
            self._check_operations(shell)
            running = sum(1 for command in shell.commands.values() if not command.finished)
            if running >= self._quotas.processes_per_shell:
                raise self._quota(
                    2150859175, "processes per shell", self._quotas.processes_per_shell
                )
            shell.operations += 1
        skip = request.options.get("WINRS_SKIP_CMD_SHELL", "FALSE").upper() == "TRUE"
        run = shell.job.run(text, skip_cmd_shell=skip, environment=shell.environment)
        command = Command(line.get("CommandId") or guid(), run)
        with self._lock:
            shell.commands[command.id] = command
        self._count("commands")
        answer = f"<rsp:CommandId>{command.id}</rsp:CommandId>"
        return f"<rsp:CommandResponse>{answer}</rsp:CommandResponse>"

    def send(self, request: Request) -> str:
        """Send: bytes for stdin."""
        shell = self._find(request)
        for stream in request.body.iter(f"{{{SHELL}}}Stream"):
            command = self._command(shell, stream.get("CommandId", ""))
            command.run.feed(base64.b64decode(stream.text or ""))
            if stream.get("End", "").lower() == "true":
                command.run.end_input()
        return "<rsp:SendResponse/>"

    def receive(self, request: Request) -> str:
        """Receive: what was written, waiting for OperationTimeout at most."""
        shell = self._find(request)
        wanted = next(request.body.iter(f"{{{SHELL}}}DesiredStream"), None)
        command = self._command(shell, wanted.get("CommandId", "") if wanted is not None else "")
        if command.finished:
            raise LabFault(INVALID_SELECTORS, "w:InvalidSelectors", _SHELL_GONE)
        timeout = request.timeout or _DEFAULT_TIMEOUT
        output = self._fitting(command, command.rest or self._wait(shell, command, timeout))
        if output.exit_code is not None:
            command.finished = True
            command.exit_code = output.exit_code
        return self._received(command.id, output)

    def signal(self, request: Request) -> str:
        """Signal: ends a command; one that is gone is the fault that Windows gives."""
        shell = self._find(request)
        element = request.body.find(f"{{{SHELL}}}Signal")
        command = self._command(shell, element.get("CommandId", "") if element is not None else "")
        command.run.terminate(1)
        with self._lock:
            shell.commands.pop(command.id, None)
        return "<rsp:SignalResponse/>"

    def shell_quota(self) -> LabFault:
        """MaxShellsPerUser, in the form of this server's age."""
        limit = self._quotas.shells_per_user
        return self._quota(2150859173, "concurrent shells for this user", limit)

    def operation_quota(self) -> LabFault:
        """MaxConcurrentOperationsPerUser, likewise; the old form says InternalError."""
        limit = self._quotas.operations_per_user
        fault = self._quota(2150859174, "concurrent operations for this user", limit)
        if not self._dialect.wmi_faults:
            return LabFault(fault.code, "w:InternalError", fault.reason)
        return fault

    def _quota(self, code: int, what: str, limit: int) -> LabFault:
        reason = (
            f"The WS-Management service cannot process the request. The maximum number of {what} "
            f"has been exceeded. The limit is {limit}."
        )
        return LabFault(code, "w:QuotaLimit", reason, wmi=self._dialect.wmi_faults)

    def _check_operations(self, shell: Shell) -> None:
        used = sum(s.operations for s in self._shells.values() if s.user == shell.user)
        if used >= self._quotas.operations_per_user:
            raise self.operation_quota()

    def _wait(self, shell: Shell, command: Command, timeout: float) -> Output:
        end = time.monotonic() + timeout
        while True:
            left = end - time.monotonic()
            output = command.run.read(min(max(left, 0.0), 0.5))
            shell.used_at = time.monotonic()
            if output is not None:
                return output
            if self._stopping.is_set() or shell.closed:
                raise LabFault(995, "w:InternalError", "The I/O operation has been aborted.")
            if left <= 0:
                raise LabFault(
                    TIMED_OUT,
                    "w:TimedOut",
                    "The WS-Management service cannot complete the operation within the time "
                    "specified in OperationTimeout.",
                )

    def _fitting(self, command: Command, output: Output) -> Output:
        """As much of it as an answer of this host carries; the rest waits."""
        command.rest = None
        limit = self._dialect.output_bytes
        if limit is None or len(output.stdout) + len(output.stderr) <= limit:
            return output
        stdout = output.stdout[:limit]
        stderr = output.stderr[: limit - len(stdout)]
        command.rest = Output(
            output.stdout[len(stdout) :], output.stderr[len(stderr) :], output.exit_code
        )
        return Output(stdout, stderr)

    def _received(self, command_id: str, output: Output) -> str:
        streams = self._streams(command_id, "stdout", output.stdout)
        streams += self._streams(command_id, "stderr", output.stderr)
        if output.exit_code is None:
            state = f'<rsp:CommandState CommandId="{command_id}" State="{_STATE}/Running"/>'
        else:
            for name in ("stdout", "stderr"):
                streams += (
                    f'<rsp:Stream Name="{name}" CommandId="{command_id}" End="true"></rsp:Stream>'
                )
            # Exit codes are unsigned on the wire, as Windows keeps them.
            code = output.exit_code & 0xFFFFFFFF
            state = (
                f'<rsp:CommandState CommandId="{command_id}" State="{_STATE}/Done">'
                f"<rsp:ExitCode>{code}</rsp:ExitCode></rsp:CommandState>"
            )
        return f"<rsp:ReceiveResponse>{streams}{state}</rsp:ReceiveResponse>"

    def _streams(self, command_id: str, name: str, data: bytes) -> str:
        pieces = []
        while data:
            size = self._chance.randint(1, min(len(data), _PIECE))
            piece, data = data[:size], data[size:]
            text = base64.b64encode(piece).decode()
            pieces.append(f'<rsp:Stream Name="{name}" CommandId="{command_id}">{text}</rsp:Stream>')
        return "".join(pieces)

    def _find(self, request: Request) -> Shell:
        self._expire()
        with self._lock:
            shell = self._shells.get(request.selectors.get("ShellId", ""))
        if shell is None:
            raise LabFault(INVALID_SELECTORS, "w:InvalidSelectors", _SHELL_GONE)
        shell.used_at = time.monotonic()
        return shell

    def _command(self, shell: Shell, command_id: str) -> Command:
        with self._lock:
            command = shell.commands.get(command_id)
        if command is None:
            raise LabFault(
                INVALID_SELECTORS,
                "w:InvalidSelectors",
                "The Windows Remote Shell received a request to perform an operation on a command "
                "identifier that does not exist.",
            )
        return command

    def _expire(self) -> None:
        now = time.monotonic()
        with self._lock:
            old = [s for s in self._shells.values() if now - s.used_at > s.idle_timeout]
            for shell in old:
                del self._shells[shell.id]
        for shell in old:
            self._close(shell)

    def _close(self, shell: Shell) -> None:
        shell.closed = True
        for command in list(shell.commands.values()):
            command.run.terminate(1)
        shell.job.close()


def _child(element: ET.Element | None, name: str) -> str:
    found = element.find(f"{{{SHELL}}}{name}") if element is not None else None
    return (found.text or "") if found is not None else ""


def _environment(element: ET.Element | None) -> dict[str, str]:
    if element is None:
        return {}
    return {
        variable.get("Name", ""): variable.text or ""
        for variable in element.iter(f"{{{SHELL}}}Variable")
    }


def _created(shell: Shell) -> str:
    address = "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous"
    return (
        f"<x:ResourceCreated><a:Address>{address}</a:Address><a:ReferenceParameters>"
        f"<w:ResourceURI>{RESOURCE}</w:ResourceURI><w:SelectorSet>"
        f'<w:Selector Name="ShellId">{shell.id}</w:Selector></w:SelectorSet>'
        f"</a:ReferenceParameters></x:ResourceCreated>{described(shell)}"
    )


def described(shell: Shell) -> str:
    """A shell's own element, [MS-WSMV] 2.2.4.37."""
    now = time.monotonic()
    process = "" if shell.old else "<rsp:ProcessId>0</rsp:ProcessId>"
    longest = "" if shell.old else "<rsp:MaxIdleTimeOut>PT2147483.647S</rsp:MaxIdleTimeOut>"
    size = (
        ""
        if shell.old
        else (
            "<rsp:MemoryUsed>4MB</rsp:MemoryUsed>"
            f"<rsp:ChildProcesses>{len(shell.commands)}</rsp:ChildProcesses>"
        )
    )
    return (
        f"<rsp:Shell><rsp:ShellId>{shell.id}</rsp:ShellId><rsp:ResourceUri>{RESOURCE}"
        f"</rsp:ResourceUri><rsp:Owner>{escape(shell.user)}</rsp:Owner>"
        f"<rsp:ClientIP>127.0.0.1</rsp:ClientIP>{process}"
        f"<rsp:IdleTimeOut>PT{shell.idle_timeout:.3f}S</rsp:IdleTimeOut>"
        "<rsp:InputStreams>stdin</rsp:InputStreams>"
        f"<rsp:OutputStreams>stdout stderr</rsp:OutputStreams>{longest}"
        f"<rsp:ShellRunTime>{_span(now - shell.opened_at)}</rsp:ShellRunTime>"
        f"<rsp:ShellInactivity>{_span(now - shell.used_at)}</rsp:ShellInactivity>{size}</rsp:Shell>"
    )


def _span(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"P{hours // 24}DT{hours % 24}H{minutes}M{rest}S"
