"""What an admin does to servers: take over the inventory, drain, resume."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.domain.event import Event
from orchestrator.domain.server import Server, ServerRecord
from orchestrator.ports import Clock, UnitOfWorkFactory
from orchestrator.services.retry import Retry


class ManageServers:
    """The use cases around the server table."""

    def __init__(self, units: UnitOfWorkFactory, clock: Clock, retry: Retry) -> None:
        self._units = units
        self._clock = clock
        self._retry = retry

    def synchronise(self, servers: Sequence[Server], *, whole: bool = True) -> None:
        """Make the store's servers those of the inventory; sessions survive.

        Without ``whole`` none is taken out: a command's inventory may be another
        than that of the broker beside it.
        """

        def transaction() -> None:
            with self._units() as uow:
                uow.servers.synchronise(servers, whole=whole)
                uow.commit()

        self._retry(transaction)

    def drain(self, name: str, by: str) -> ServerRecord:
        """No new session goes to ``name``; those that run go on."""
        return self._set_drained(name, True, by)

    def resume(self, name: str, by: str) -> ServerRecord:
        """``name`` takes sessions again."""
        return self._set_drained(name, False, by)

    def _set_drained(self, name: str, drained: bool, by: str) -> ServerRecord:
        kind = "server_drained" if drained else "server_resumed"

        def transaction() -> ServerRecord:
            with self._units() as uow:
                before = uow.servers.get(name)
                if before.drained is drained:
                    return before
                record = uow.servers.set_drained(name, drained)
                uow.events.add(Event(self._clock.now(), kind, f"by {by}", server=name))
                uow.commit()
            return record

        return self._retry(transaction)
