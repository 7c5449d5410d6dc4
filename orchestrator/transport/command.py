"""Run one command in a shell, feeding it stdin.

The steps are Create (or a kept shell), Command, Send, Receive; Signal and, when
the shell's time is over, Delete follow after the caller has the answer. The
command waits for its input, so it has had no effect until the last piece of it
was sent: what breaks before that was not executed, what breaks between that and
the answer is unknown, and what breaks afterwards does not matter.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import structlog

from orchestrator.domain.errors import (
    ConnectionLost,
    DeadlineExceeded,
    ProtocolViolation,
    QuotaExceeded,
    ServerBusy,
    ServerCallError,
    ServerUnreachable,
)
from orchestrator.transport.connection import KeptConnection, RequestFailed
from orchestrator.transport.console import decoded
from orchestrator.transport.deadline import Deadline
from orchestrator.transport.faults import (
    ABORTED,
    INVALID_SELECTORS,
    NOT_TAKEN,
    Failed,
    OperationTimedOut,
    Sent,
)
from orchestrator.transport.janitor import Janitor
from orchestrator.transport.leftovers import Shell
from orchestrator.transport.pool import Pool
from orchestrator.transport.shells import Shells
from orchestrator.transport.tidying import Tidying
from orchestrator.transport.wire import Traffic

PIECE = 96 * 1024
"""Bytes of stdin a Send carries: as base64 it stays under 150 KiB, the least
MaxEnvelopeSizekb that is found (Windows Server 2008 R2)."""

_LOST = frozenset({ConnectionLost, ServerUnreachable, ServerBusy})
"""Errors that say nothing about a command that is at work already."""

_GAP_FAULT = 0
_GONE = frozenset({INVALID_SELECTORS, ABORTED, _GAP_FAULT})
"""Faults after which nothing of the command is at work any more."""

_MOST_PARTIAL = 64 * 1024
_GAP = "a part of the answer was lost with a connection"
_SLOW = "the server did not finish a request in its operation timeout"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Completed:
    """What a command wrote and how it ended; ``exit_code`` is None where its
    answer was complete before it ended. ``stdout`` has no gap: of output
    around a lost piece it has only what came afterwards."""

    stdout: bytes
    stderr: bytes
    exit_code: int | None


@dataclass(slots=True)
class _Run:
    """How far a command has come. ``whole_from`` is where stdout begins again
    after a Receive whose answer, and what it may have carried, was lost."""

    shell: Shell | None = None
    command_id: str | None = None
    input_sent: bool = False
    input_accepted: bool = False
    breaks: int = 0
    whole_from: int | None = None
    stdout: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)

    def partial(self) -> str:
        parts = []
        for stream in (self.stdout, self.stderr):
            part = bytes(stream[-_MOST_PARTIAL:])
            # Cut at a line's end, never inside a character.
            parts.append(part if len(part) == len(stream) else part.partition(b"\n")[2])
        return "".join(decoded(part) for part in parts)

    def error(self, server: str, failed: Failed) -> ServerCallError:
        """What the call comes to: the outcome follows from where it stood."""
        may_have_run = self.input_sent and failed.fault not in NOT_TAKEN
        if self.input_accepted:
            # Only a Receive failed, so that nothing is "not executed" any more.
            may_have_run = True
            kept = {ConnectionLost, DeadlineExceeded, ProtocolViolation}
            kind = failed.kind if failed.kind in kept else ConnectionLost
            failed = replace(failed, kind=kind, sent=Sent.MAYBE)
        return failed.error(server, may_have_run=may_have_run, partial=self.partial())


@dataclass(slots=True)
class _Lease:
    """A connection in use; ``done`` is a run that it has to tidy up after."""

    connection: KeptConnection
    done: _Run | None = None


class CommandRunner:
    """Runs commands on one server, on its connections and in its account's shells."""

    def __init__(self, server: str, pool: Pool, janitor: Janitor, shells: Shells) -> None:
        self._server = server
        self._pool = pool
        self._shells = shells
        self._tidying = Tidying(server, pool, janitor, shells)

    def run(
        self,
        command: str,
        arguments: list[str],
        stdin: bytes,
        deadline: Deadline,
        is_answer: Callable[[bytes | bytearray], bool],
        traffic: Traffic,
        *,
        changes: bool = True,
    ) -> Completed:
        """Run it until it ends, or until what it wrote ``is_answer``.

        A command that ``changes`` nothing need not be left to finish.

        Raises a ServerCallError whose ``outcome`` says whether the command may
        have had its whole input, and which keeps the output so far. A
        connection that breaks under a Receive costs one more try on another:
        the command goes on in its shell, and asking for its output is safe to
        repeat. What went over the wire is added to ``traffic``.
        """
        run = _Run()
        first: Failed | None = None
        while True:
            try:
                with self._lease(deadline, traffic) as lease:
                    if not run.input_accepted:
                        self._begin(lease.connection, run, command, arguments, stdin, deadline)
                    return self._finish(lease, run, deadline, is_answer)
            except ServerBusy:
                # No connection is free; where one broke, that is what went wrong.
                if first is None:
                    raise
                failed = first
            except OperationTimedOut:
                failed = Failed(DeadlineExceeded, _SLOW, Sent.MAYBE, reusable=True)
            except RequestFailed as error:
                failed = error.failed
                if self._may_ask_again(run, failed, deadline):
                    first = failed
                    continue
            self._abandon(run, failed, deadline, changes)
            told = failed if first is None or failed.kind is DeadlineExceeded else first
            raise run.error(self._server, told)

    def expire(self) -> None:
        """Close the shells that nobody used for long, and look for those whose
        Create's answer got lost."""
        self._tidying.expire()

    def close(self) -> None:
        """Close every shell that is not in use."""
        self._shells.close()
        self._tidying.expire()

    @contextlib.contextmanager
    def _lease(self, deadline: Deadline, traffic: Traffic) -> Iterator[_Lease]:
        connection = self._pool.take(deadline)
        lease = _Lease(connection)
        before = connection.traffic.copy()
        try:
            yield lease
        finally:
            traffic.add(connection.traffic - before)
            if lease.done is None:
                self._pool.give_back(connection)
            else:
                shell, command_id = lease.done.shell, lease.done.command_id
                assert shell is not None
                self._tidying.tidy_soon(connection, shell, command_id)

    def _may_ask_again(self, run: _Run, failed: Failed, deadline: Deadline) -> bool:
        """After a break under a Receive: once, until the next answer comes."""
        if not run.input_accepted or failed.kind not in _LOST or failed.fault is not None:
            return False
        run.breaks += 1
        run.whole_from = len(run.stdout)
        return run.breaks == 1 and not deadline.passed

    def _begin(
        self,
        connection: KeptConnection,
        run: _Run,
        command: str,
        arguments: list[str],
        stdin: bytes,
        deadline: Deadline,
    ) -> None:
        while run.command_id is None:
            if run.shell is None:
                run.shell = self._shells.acquire(connection, deadline)
            closed = self._shells.closed
            try:
                self._command(connection, run, command, arguments, deadline)
            except RequestFailed as error:
                # The command reads its input first, so that it had no effect.
                if run.shell.commands and self._is_worn_out(error.failed):
                    # Never waited with: two that hold operations would wait for each other.
                    self._discard(connection, run.shell, error.failed, deadline)
                    run.shell = None
                elif not self._has_made_room(connection, error.failed, closed, deadline):
                    raise
        self._send_input(connection, run, stdin, deadline)
        run.input_accepted = True

    def _discard(
        self, connection: KeptConnection, kept: Shell, failed: Failed, deadline: Deadline
    ) -> None:
        if failed.fault == INVALID_SELECTORS:
            self._shells.forget(kept)
            return
        try:
            self._shells.delete(connection, kept, deadline)
        except (RequestFailed, OperationTimedOut):
            self._shells.owe(kept)

    def _is_worn_out(self, failed: Failed) -> bool:
        """Whether a fault says that the kept shell is gone, ending, or used up."""
        if failed.kind is QuotaExceeded:
            self._shells.operations_exhausted()
            return True
        return failed.fault is not None and failed.reusable

    def _has_made_room(
        self, connection: KeptConnection, failed: Failed, closed: int, deadline: Deadline
    ) -> bool:
        """A command refused in a new shell: others of the account hold the operations."""
        if failed.kind is not QuotaExceeded or deadline.passed:
            return False
        self._shells.operations_exhausted()
        made = self._shells.reclaim(connection, deadline)
        return made > 0 or self._shells.wait_for_operations(closed, deadline)

    def _command(
        self,
        connection: KeptConnection,
        run: _Run,
        command: str,
        arguments: list[str],
        deadline: Deadline,
    ) -> None:
        shell = run.shell
        assert shell is not None
        shell.commands += 1
        try:
            run.command_id = connection.call(
                deadline, "run_command", shell.id, command, arguments, console_mode_stdin=False
            )
        except RequestFailed as error:
            if error.failed.sent is Sent.ANSWERED:
                # Refused, it took no operation.
                shell.commands -= 1
            raise

    def _send_input(
        self, connection: KeptConnection, run: _Run, stdin: bytes, deadline: Deadline
    ) -> None:
        assert run.shell is not None
        starts = range(0, len(stdin), PIECE)
        for start in starts:
            last = start == starts[-1]
            run.input_sent = last
            connection.call(
                deadline,
                "send_command_input",
                run.shell.id,
                run.command_id,
                stdin[start : start + PIECE],
                end=last,
            )

    def _finish(
        self,
        lease: _Lease,
        run: _Run,
        deadline: Deadline,
        is_answer: Callable[[bytes | bytearray], bool],
    ) -> Completed:
        assert run.shell is not None
        while True:
            try:
                stdout, stderr, exit_code, done = lease.connection.call(
                    deadline, "get_command_output_raw", run.shell.id, run.command_id
                )
            except OperationTimedOut:
                run.breaks = 0
                continue
            run.breaks = 0
            run.stdout += stdout
            run.stderr += stderr
            whole = run.stdout[run.whole_from or 0 :]
            if done and run.whole_from is not None and not is_answer(whole):
                raise RequestFailed(
                    Failed(ConnectionLost, _GAP, Sent.ANSWERED, reusable=True, fault=_GAP_FAULT)
                )
            if done or is_answer(whole):
                lease.done = run
                return Completed(bytes(whole), bytes(run.stderr), exit_code if done else None)

    def _abandon(self, run: _Run, failed: Failed, deadline: Deadline, changes: bool) -> None:
        """Close the shell of a call that failed, over whatever connection works.

        Not where the script may be changing something and only the connection
        broke: closing the shell would kill it half-way, a task registered and a game
        not found. It is left to finish, and closed when the call's time is up.
        """
        self._tidying.look_soon()
        shell = run.shell
        if shell is None:
            return
        at_work = (
            changes
            and run.input_sent
            and (run.input_accepted or failed.sent is not Sent.NO)
            and failed.fault not in _GONE
            and not deadline.passed
        )
        if at_work:
            log.warning("shell left to finish", shell=shell.id, reason=failed.message)
            self._shells.leave(shell, deadline.at)
            return
        self._tidying.delete_soon(shell, run.command_id)
