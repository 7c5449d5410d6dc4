"""What leads to each server: its connections, shells, breaker and prober.

They are made when a server is first called and end together. Shells belong to an
account of a host: servers that are the same one by another name share them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from orchestrator.domain.errors import (
    DeadlineExceeded,
    NotInInventory,
    OrchestratorError,
    ServerBusy,
    ServerCallError,
)
from orchestrator.domain.server import Connection
from orchestrator.transport.breaker import Breaker
from orchestrator.transport.command import CommandRunner
from orchestrator.transport.deadline import Watchdog
from orchestrator.transport.janitor import Janitor
from orchestrator.transport.pool import Pool
from orchestrator.transport.probe import Prober
from orchestrator.transport.shells import Shells
from orchestrator.transport.tracing import CallTrace, Listener
from orchestrator.transport.wire import Traffic

_POLLS_PER_SERVER = 1


@dataclass(frozen=True, slots=True)
class Line:
    """All that leads to one server. Polls have a connection of their own, so that
    a slow launch never holds them up."""

    server: str
    calls: Pool
    polls: Pool
    commands: CommandRunner
    breaker: Breaker
    prober: Prober


class Lines:
    """The lines to the servers of ``connections``, with at most ``size``
    connections for calls each. The prober of one in ``scripted`` is answered by a
    script instead of WQL."""

    def __init__(
        self, connections: Mapping[str, Connection], size: int, scripted: Collection[str]
    ) -> None:
        self._connections = connections
        self._size = size
        self._scripted = scripted
        self._watchdog = Watchdog()
        self._janitor = Janitor(self._expire)
        self._lock = threading.Lock()
        self._open: dict[str, Line] = {}
        self._shells: dict[tuple[str, int, str], Shells] = {}
        self._closed = False

    def to(self, server: str) -> Line:
        """The line to a server; NotInInventory where the inventory has none of that name."""
        with self._lock:
            line = self._open.get(server)
            if line is None:
                connection = self._connections.get(server)
                if connection is None:
                    raise NotInInventory(
                        f"the inventory that was read at the start has no server {server}",
                        server=server,
                    )
                if self._closed:
                    raise ServerBusy("the broker is stopping", server=server)
                line = self._open[server] = self._new(server, connection)
        return line

    def close(self) -> None:
        """Close every shell and connection, and end the threads, in bounded time."""
        with self._lock:
            self._closed = True
            lines, self._open = list(self._open.values()), {}
        for each in lines:
            each.calls.stop()
            each.polls.stop()
        for each in lines:
            each.commands.close()
        self._janitor.close()
        for each in lines:
            # What was in use while the janitor ended is closed in this thread.
            each.commands.close()
            each.calls.close()
            each.polls.close()
        self._watchdog.close()

    def _new(self, server: str, connection: Connection) -> Line:
        calls = Pool(server, connection, self._watchdog, self._size)
        account = (connection.host.casefold(), connection.port, connection.user.casefold())
        shells = self._shells.setdefault(account, Shells(f"{connection.host}:{connection.port}"))
        self._janitor.start()
        return Line(
            server,
            calls,
            Pool(server, connection, self._watchdog, _POLLS_PER_SERVER),
            CommandRunner(server, calls, self._janitor, shells),
            Breaker(server),
            Prober(counts_idle=server not in self._scripted),
        )

    def _expire(self) -> None:
        with self._lock:
            lines = list(self._open.values())
        for line in lines:
            line.commands.expire()
            line.calls.expire()
            line.polls.expire()


class Traced:
    """One call: asks the breaker, tells it what came of the call, and says what it cost."""

    __slots__ = ("_began", "_cpu", "_kind", "_line", "_on_call", "_polling", "_traffic")

    def __init__(
        self, line: Line, kind: str, on_call: Listener | None, *, polling: bool = False
    ) -> None:
        self._line = line
        self._polling = polling
        self._kind = kind
        self._on_call = on_call
        self._traffic = Traffic()

    def __enter__(self) -> Traffic:
        if not self._polling:
            self._line.breaker.check()
        if self._on_call is not None:
            self._began, self._cpu = time.perf_counter(), time.thread_time()
        return self._traffic

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        asked = not isinstance(error, ServerBusy) or self._traffic.requests > 0
        if asked and (self._kind == "wql" or not isinstance(error, DeadlineExceeded)):
            # A script that takes too long says nothing about the server, and so
            # does a call for which none of our own connections came free.
            self._line.breaker.record(error if isinstance(error, ServerCallError) else None)
        if self._on_call is None:
            return
        wall, cpu = time.perf_counter() - self._began, time.thread_time() - self._cpu
        code = error.code if isinstance(error, OrchestratorError) else ""
        self._on_call(CallTrace(self._line.server, self._kind, wall, cpu, self._traffic, code))
