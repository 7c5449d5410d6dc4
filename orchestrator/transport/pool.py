"""Kept connections of one server: bounded, the last used first."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from orchestrator.domain.errors import ServerBusy
from orchestrator.domain.server import Connection
from orchestrator.transport.connection import KeptConnection
from orchestrator.transport.deadline import Deadline, Watchdog

_WORTH_WAITING = 0.1
"""Seconds to wait for a connection that is only being tidied up: less than a
new one's authentication costs."""


class Pool:
    """At most ``size`` connections. One that broke is closed, never kept.

    ``idle_seconds`` stays below the two minutes after which Windows hosts were
    seen to drop an idle connection.
    """

    def __init__(
        self,
        server: str,
        settings: Connection,
        watchdog: Watchdog,
        size: int,
        idle_seconds: float = 60.0,
    ) -> None:
        self._server = server
        self._settings = settings
        self._watchdog = watchdog
        self._size = size
        self._idle_seconds = idle_seconds
        self._changed = threading.Condition()
        self._idle: list[KeptConnection] = []
        self._in_use = 0
        self._tidied = 0
        self._closed = False

    @contextmanager
    def connection(self, deadline: Deadline) -> Iterator[KeptConnection]:
        """A connection for one user; ServerBusy where none comes free in time."""
        connection = self.take(deadline)
        try:
            yield connection
        finally:
            self.give_back(connection)

    def take(self, deadline: Deadline) -> KeptConnection:
        """A connection, to be given back; ServerBusy where none comes free in time."""
        self.expire()
        with self._changed:
            if not self._idle and self._tidied:
                self._changed.wait_for(
                    lambda: self._idle or not self._tidied,
                    min(_WORTH_WAITING, deadline.remaining),
                )
            free = self._changed.wait_for(
                lambda: self._idle or self._in_use < self._size, deadline.remaining
            )
            if not free:
                raise ServerBusy(
                    f"all {self._size} connections to {self._server} are in use",
                    server=self._server,
                )
            self._in_use += 1
            if self._idle:
                return self._idle.pop()
        return KeptConnection(self._server, self._settings, self._watchdog)

    def give_back(self, connection: KeptConnection, *, tidied: bool = False) -> None:
        """What was taken; ``tidied``: it was announced by ``tidying``."""
        with self._changed:
            self._in_use -= 1
            self._tidied -= tidied
            keep = connection.is_usable and not self._closed
            if keep:
                self._idle.append(connection)
            self._changed.notify_all()
        if not keep:
            connection.close()

    def tidying(self) -> None:
        """A connection that was taken will be back in a moment."""
        with self._changed:
            self._tidied += 1

    def expire(self) -> None:
        """Close what has been idle for too long."""
        limit = time.monotonic() - self._idle_seconds
        with self._changed:
            if not self._idle or self._idle[0].used_at >= limit:
                return
            old = [c for c in self._idle if c.used_at < limit]
            self._idle = [c for c in self._idle if c.used_at >= limit]
        for connection in old:
            connection.close()

    def close(self) -> None:
        """Close every idle connection, and those in use as they come back."""
        with self._changed:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
