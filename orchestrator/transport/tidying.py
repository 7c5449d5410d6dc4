"""Tidy up after commands, in the janitor's threads: nobody waits for it.

What breaks here is no call's failure: a shell that could not be closed is owed,
and one whose Create's answer got lost is looked for.
"""

from __future__ import annotations

import contextlib
from functools import partial

import structlog

from orchestrator.domain.errors import ServerBusy
from orchestrator.transport.connection import KeptConnection, RequestFailed
from orchestrator.transport.deadline import Deadline
from orchestrator.transport.faults import INVALID_SELECTORS, OperationTimedOut
from orchestrator.transport.janitor import Janitor
from orchestrator.transport.leftovers import Shell
from orchestrator.transport.pool import Pool
from orchestrator.transport.shells import Shells

log = structlog.get_logger(__name__)


class Tidying:
    """Ends commands and closes shells of one server."""

    def __init__(self, server: str, pool: Pool, janitor: Janitor, shells: Shells) -> None:
        self._server = server
        self._pool = pool
        self._janitor = janitor
        self._shells = shells

    def tidy_soon(self, connection: KeptConnection, shell: Shell, command_id: str | None) -> None:
        """After an answer, over the connection that brought it: Signal, and Delete
        where the shell's time is over."""
        self._pool.tidying(connection)
        self._janitor.soon(self._server, partial(self._tidy, connection, shell, command_id))

    def delete_soon(self, shell: Shell, command_id: str | None = None, tries: int = 2) -> None:
        """Signal the command that still runs in it, if any, and close the shell."""
        self._janitor.soon(self._server, partial(self._delete, shell, command_id, tries))

    def look_soon(self) -> None:
        """Look for shells whose Create's answer got lost, if there may be any."""
        if self._shells.wants_look():
            self._janitor.soon(self._server, self._find_lost)

    def expire(self) -> None:
        """Close the shells that nobody used for long, and look for lost ones."""
        for shell in self._shells.take_expired():
            self.delete_soon(shell)
        self.look_soon()

    def _tidy(
        self,
        connection: KeptConnection,
        shell: Shell,
        command_id: str | None,
        deadline: Deadline,
    ) -> None:
        """What fails here is not the call's failure, but the shell is not used again."""
        is_over = False
        try:
            self._end_command(connection, shell, command_id, deadline)
            if not self._shells.give_back(shell):
                self._shells.delete(connection, shell, deadline)
            is_over = True
            if self._shells.is_unknown:
                self._shells.sweep(connection, deadline)
        except (RequestFailed, OperationTimedOut) as error:
            log.info("clean-up failed", server=self._server, reason=str(error))
        finally:
            self._pool.give_back(connection, tidied=True)
        if not is_over:
            self.delete_soon(shell)

    def _end_command(
        self,
        connection: KeptConnection,
        shell: Shell,
        command_id: str | None,
        deadline: Deadline,
    ) -> None:
        if command_id is None:
            return
        try:
            connection.call(deadline, "cleanup_command", shell.id, command_id)
        except RequestFailed as error:
            if error.failed.fault != INVALID_SELECTORS:
                raise

    def _delete(self, shell: Shell, command_id: str | None, tries: int, deadline: Deadline) -> None:
        """A second time where that broke, for closing is safe to repeat."""
        try:
            with self._pool.connection(deadline, tidying=True) as connection:
                with contextlib.suppress(RequestFailed, OperationTimedOut):
                    self._end_command(connection, shell, command_id, deadline)
                self._shells.delete(connection, shell, deadline)
        except (RequestFailed, OperationTimedOut, ServerBusy) as error:
            if tries > 1:
                self.delete_soon(shell, command_id, tries - 1)
                return
            later = "tried again later" if self._shells.owe(shell) else "left to its idle timeout"
            log.warning(f"shell not closed, {later}", shell=shell.id, reason=str(error))

    def _find_lost(self, deadline: Deadline) -> None:
        try:
            with self._pool.connection(deadline, tidying=True) as connection:
                self._shells.sweep(connection, deadline)
        except ServerBusy:
            log.info("no connection to look for lost shells", server=self._server)
        finally:
            self._shells.looked()
