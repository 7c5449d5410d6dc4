"""Run one command in a shell of its own, feeding it stdin.

The steps are Create, Command, Send, Receive, Signal, Delete. The command waits
for its input, so it has had no effect until the last piece of it was sent:
what breaks before that was not executed, what breaks between that and the
exit code is unknown, and what breaks afterwards does not matter.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field

import structlog

from orchestrator.domain.errors import ConnectionLost, ServerBusy
from orchestrator.transport.connection import KeptConnection, RequestFailed
from orchestrator.transport.deadline import Deadline
from orchestrator.transport.faults import INVALID_SELECTORS, OperationTimedOut
from orchestrator.transport.pool import Pool

CODEPAGE = 65001
PIECE = 96 * 1024
"""Bytes of stdin a Send carries: as base64 it stays under 150 KiB, the least
MaxEnvelopeSizekb that is found (Windows Server 2008 R2)."""

CLEANUP_SECONDS = 5.0
IDLE_TIMEOUT = "PT180S"
"""A shell whose owner died is ended by Windows after this, not after two hours."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Completed:
    """What a command wrote and how it ended."""

    stdout: bytes
    stderr: bytes
    exit_code: int


@dataclass(slots=True)
class _Run:
    shell_id: str | None = None
    command_id: str | None = None
    input_sent: bool = False
    input_accepted: bool = False
    stdout: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)

    def partial(self) -> str:
        return bytes(self.stdout + self.stderr).decode("utf-8", "replace")


def run_command(
    pool: Pool, server: str, command: str, arguments: list[str], stdin: bytes, deadline: Deadline
) -> Completed:
    """Run it, and close its shell.

    Raises a ServerCallError whose ``outcome`` says whether the command may
    have had its whole input, and which keeps the output so far. A connection
    that breaks under a Receive costs one more try on another: the command
    goes on in its shell, and asking for its output is safe to repeat.
    """
    run = _Run()
    try:
        with pool.connection(deadline) as connection:
            _begin(connection, run, command, arguments, stdin, deadline)
            return _finish(connection, run, deadline)
    except RequestFailed as error:
        if run.input_accepted and error.failed.kind is ConnectionLost:
            with contextlib.suppress(RequestFailed, ServerBusy), pool.connection(deadline) as other:
                return _finish(other, run, deadline)
        _abandon(pool, run, error)
        raise error.failed.error(
            server, may_have_run=run.input_sent, partial=run.partial()
        ) from error


def _begin(
    connection: KeptConnection,
    run: _Run,
    command: str,
    arguments: list[str],
    stdin: bytes,
    deadline: Deadline,
) -> None:
    run.shell_id = connection.call(
        deadline, "open_shell", codepage=CODEPAGE, idle_timeout=IDLE_TIMEOUT
    )
    run.command_id = connection.call(
        deadline, "run_command", run.shell_id, command, arguments, console_mode_stdin=False
    )
    _send_input(connection, run, stdin, deadline)
    run.input_accepted = True


def _finish(connection: KeptConnection, run: _Run, deadline: Deadline) -> Completed:
    while True:
        try:
            stdout, stderr, exit_code, done = connection.call(
                deadline, "get_command_output_raw", run.shell_id, run.command_id
            )
        except OperationTimedOut:
            continue
        run.stdout += stdout
        run.stderr += stderr
        if done:
            _clean_up(connection, run)
            return Completed(bytes(run.stdout), bytes(run.stderr), exit_code)


def _send_input(connection: KeptConnection, run: _Run, stdin: bytes, deadline: Deadline) -> None:
    starts = range(0, len(stdin), PIECE)
    for start in starts:
        last = start == starts[-1]
        run.input_sent = last
        connection.call(
            deadline,
            "send_command_input",
            run.shell_id,
            run.command_id,
            stdin[start : start + PIECE],
            end=last,
        )


def _clean_up(connection: KeptConnection, run: _Run) -> None:
    """Signal and Delete, in bounded time; what fails here is not the call's failure."""
    deadline = Deadline.after(CLEANUP_SECONDS)
    if run.shell_id is None:
        return
    steps: list[tuple[str, tuple[str, ...], dict[str, bool]]] = [
        ("close_shell", (run.shell_id,), {"close_session": False})
    ]
    if run.command_id is not None:
        steps.insert(0, ("cleanup_command", (run.shell_id, run.command_id), {}))
    for name, arguments, options in steps:
        try:
            connection.call(deadline, name, *arguments, **options)
        except RequestFailed as error:
            if error.failed.fault != INVALID_SELECTORS:
                log.warning("clean-up failed", server=connection.server, reason=str(error))
            if not error.failed.reusable:
                return
        except OperationTimedOut:
            log.warning("clean-up timed out", server=connection.server, step=name)
            continue
        if name == "close_shell":
            run.shell_id = None


def _abandon(pool: Pool, run: _Run, error: RequestFailed) -> None:
    """Close the shell of a call that failed, over whatever connection works.

    Not where the script may be at work and only the connection broke: closing
    the shell would kill it half-way, a task registered and a game not found.
    It is left to finish; Windows ends the shell after its idle timeout.
    """
    if run.shell_id is None:
        return
    if run.input_sent and error.failed.kind is ConnectionLost:
        log.warning("shell left to finish", shell=run.shell_id, reason=error.failed.message)
        return
    try:
        with pool.connection(Deadline.after(CLEANUP_SECONDS)) as connection:
            _clean_up(connection, run)
    except ServerBusy:
        log.warning("shell left to its idle timeout", shell=run.shell_id)
