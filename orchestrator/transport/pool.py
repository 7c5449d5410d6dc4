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
        self._calling: set[KeptConnection] = set()
        self._in_use = 0
        self._tidied = 0
        self._stopped = False
        self._closed = False

    @contextmanager
    def connection(self, deadline: Deadline, *, tidying: bool = False) -> Iterator[KeptConnection]:
        """As ``take``, and given back."""
        connection = self.take(deadline, tidying=tidying)
        try:
            yield connection
        finally:
            self.give_back(connection)

    def take(self, deadline: Deadline, *, tidying: bool = False) -> KeptConnection:
        """A connection for one user, to be given back; ServerBusy where none
        comes free in time, or the pool was closed. ``tidying`` may go on after that."""
        self.expire()
        with self._changed:
            if not self._idle and self._tidied:
                self._changed.wait_for(
                    lambda: self._idle or not self._tidied,
                    min(_WORTH_WAITING, deadline.remaining),
                )
            free = self._changed.wait_for(
                lambda: self._idle or self._in_use < self._size or (self._stopped and not tidying),
                deadline.remaining,
            )
            if self._stopped and not tidying:
                raise ServerBusy("the broker is stopping", server=self._server)
            if not free:
                raise ServerBusy(
                    f"all {self._size} connections to {self._server} are in use",
                    server=self._server,
                )
            self._in_use += 1
            connection = (
                self._idle.pop()
                if self._idle
                else KeptConnection(self._server, self._settings, self._watchdog)
            )
            if not tidying:
                self._calling.add(connection)
        return connection

    def give_back(self, connection: KeptConnection, *, tidied: bool = False) -> None:
        """What was taken; ``tidied``: it was announced by ``tidying``."""
        with self._changed:
            self._calling.discard(connection)
            self._in_use -= 1
            self._tidied -= tidied
            keep = connection.is_usable and not self._closed
            if keep:
                self._idle.append(connection)
            self._changed.notify_all()
        if not keep:
            connection.close()

    def tidying(self, connection: KeptConnection) -> None:
        """A connection that was taken will be back in a moment."""
        with self._changed:
            self._calling.discard(connection)
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

    def stop(self) -> None:
        """Begin no call any more, and cut those under way: they end at once, with
        what is known of them. Tidying up goes on until ``close``."""
        with self._changed:
            self._stopped = True
            calling = list(self._calling)
            self._changed.notify_all()
        for connection in calling:
            connection.cut()

    def close(self) -> None:
        """``stop``, and close every connection; one in use when it comes back."""
        self.stop()
        with self._changed:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
