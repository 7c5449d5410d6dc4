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
from dataclasses import dataclass, field
from functools import partial

import structlog

from orchestrator.domain.errors import ConnectionLost, QuotaExceeded, ServerBusy
from orchestrator.transport.connection import KeptConnection, RequestFailed
from orchestrator.transport.deadline import Deadline
from orchestrator.transport.faults import INVALID_SELECTORS, OperationTimedOut
from orchestrator.transport.janitor import Janitor
from orchestrator.transport.pool import Pool
from orchestrator.transport.shells import Shell, Shells
from orchestrator.transport.wire import Traffic

PIECE = 96 * 1024
"""Bytes of stdin a Send carries: as base64 it stays under 150 KiB, the least
MaxEnvelopeSizekb that is found (Windows Server 2008 R2)."""

CLEANUP_SECONDS = 5.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Completed:
    """What a command wrote and how it ended; ``exit_code`` is None where its
    answer was complete before it ended."""

    stdout: bytes
    stderr: bytes
    exit_code: int | None


@dataclass(slots=True)
class _Run:
    shell: Shell | None = None
    command_id: str | None = None
    input_sent: bool = False
    input_accepted: bool = False
    stdout: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)

    def partial(self) -> str:
        return bytes(self.stdout + self.stderr).decode("utf-8", "replace")


@dataclass(slots=True)
class _Lease:
    """A connection in use; ``done`` is a run that it has to tidy up after."""

    connection: KeptConnection
    done: _Run | None = None


class CommandRunner:
    """Runs commands on one server, on its connections and in its shells."""

    def __init__(self, server: str, pool: Pool, janitor: Janitor) -> None:
        self._server = server
        self._pool = pool
        self._janitor = janitor
        self._shells = Shells(server)

    def run(
        self,
        command: str,
        arguments: list[str],
        stdin: bytes,
        deadline: Deadline,
        is_answer: Callable[[bytes | bytearray], bool],
        traffic: Traffic,
    ) -> Completed:
        """Run it until it ends, or until what it wrote ``is_answer``.

        Raises a ServerCallError whose ``outcome`` says whether the command may
        have had its whole input, and which keeps the output so far. A
        connection that breaks under a Receive costs one more try on another:
        the command goes on in its shell, and asking for its output is safe to
        repeat. What went over the wire is added to ``traffic``.
        """
        run = _Run()
        try:
            with self._lease(deadline, traffic) as lease:
                self._begin(lease.connection, run, command, arguments, stdin, deadline)
                return self._finish(lease, run, deadline, is_answer)
        except RequestFailed as error:
            if run.input_accepted and error.failed.kind is ConnectionLost:
                with (
                    contextlib.suppress(RequestFailed, ServerBusy),
                    self._lease(deadline, traffic) as other,
                ):
                    return self._finish(other, run, deadline, is_answer)
            self._abandon(run, error)
            raise error.failed.error(
                self._server, may_have_run=run.input_sent, partial=run.partial()
            ) from error

    def expire(self) -> None:
        """Close the shells that nobody used for long."""
        for shell in self._shells.take_expired():
            self._janitor.soon(partial(self._delete, shell))

    def close(self) -> None:
        """Close every shell that is not in use."""
        self._shells.close()
        self.expire()

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
                self._tidy_soon(connection, lease.done)

    def _begin(
        self,
        connection: KeptConnection,
        run: _Run,
        command: str,
        arguments: list[str],
        stdin: bytes,
        deadline: Deadline,
    ) -> None:
        kept = self._shells.take()
        if kept is not None:
            run.shell = kept
            try:
                self._command(connection, run, command, arguments, deadline)
            except RequestFailed as error:
                # The command reads its input first, so that it had no effect.
                if not self._is_worn_out(kept, error):
                    raise
                if error.failed.fault == INVALID_SELECTORS:
                    self._shells.forget(kept)
                else:
                    with contextlib.suppress(RequestFailed):
                        self._shells.delete(connection, kept, deadline)
                run.shell = None
        if run.command_id is None:
            run.shell = self._shells.open(connection, deadline)
            self._command(connection, run, command, arguments, deadline)
        self._send_input(connection, run, stdin, deadline)
        run.input_accepted = True

    def _is_worn_out(self, kept: Shell, error: RequestFailed) -> bool:
        """Whether a fault says that the kept shell is gone, ending, or used up."""
        if error.failed.kind is QuotaExceeded:
            self._shells.operations_exhausted(kept)
            return True
        return error.failed.fault is not None and error.failed.reusable

    def _command(
        self,
        connection: KeptConnection,
        run: _Run,
        command: str,
        arguments: list[str],
        deadline: Deadline,
    ) -> None:
        assert run.shell is not None
        run.shell.commands += 1
        run.command_id = connection.call(
            deadline, "run_command", run.shell.id, command, arguments, console_mode_stdin=False
        )

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
                continue
            run.stdout += stdout
            run.stderr += stderr
            if done or is_answer(run.stdout):
                lease.done = run
                return Completed(bytes(run.stdout), bytes(run.stderr), exit_code if done else None)

    def _tidy_soon(self, connection: KeptConnection, run: _Run) -> None:
        self._pool.tidying()

        def tidy() -> None:
            try:
                self._tidy(connection, run)
            finally:
                self._pool.give_back(connection, tidied=True)

        self._janitor.soon(tidy)

    def _tidy(self, connection: KeptConnection, run: _Run) -> None:
        """Signal, and Delete where the shell's time is over; what fails here is
        not the call's failure, but the shell is not used again."""
        deadline = Deadline.after(CLEANUP_SECONDS)
        shell = run.shell
        assert shell is not None
        try:
            if run.command_id is not None:
                self._end_command(connection, shell, run.command_id, deadline)
            if not self._shells.give_back(shell):
                self._shells.delete(connection, shell, deadline)
        except (RequestFailed, OperationTimedOut) as error:
            log.warning("clean-up failed", server=self._server, reason=str(error))
            self._shells.forget(shell)
            if isinstance(error, OperationTimedOut) or error.failed.kind is not ConnectionLost:
                return
            self._delete(shell)

    def _end_command(
        self, connection: KeptConnection, shell: Shell, command_id: str, deadline: Deadline
    ) -> None:
        try:
            connection.call(deadline, "cleanup_command", shell.id, command_id)
        except RequestFailed as error:
            if error.failed.fault != INVALID_SELECTORS:
                raise

    def _delete(self, shell: Shell) -> None:
        deadline = Deadline.after(CLEANUP_SECONDS)
        try:
            with self._pool.connection(deadline) as connection:
                self._shells.delete(connection, shell, deadline)
        except (RequestFailed, ServerBusy) as error:
            log.warning("shell left to its idle timeout", shell=shell.id, reason=str(error))
            self._shells.forget(shell)

    def _abandon(self, run: _Run, error: RequestFailed) -> None:
        """Close the shell of a call that failed, over whatever connection works.

        Not where the script may be at work and only the connection broke:
        closing the shell would kill it half-way, a task registered and a game
        not found. It is left to finish; Windows ends the shell after its idle
        timeout.
        """
        shell = run.shell
        if shell is None:
            return
        if run.input_sent and error.failed.kind is ConnectionLost:
            log.warning("shell left to finish", shell=shell.id, reason=error.failed.message)
            self._shells.forget(shell)
            return
        self._janitor.soon(partial(self._delete, shell))
