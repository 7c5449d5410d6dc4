"""What the broker believes of its servers and sessions, read seldom and used by each poll."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from orchestrator.domain.game import Limits
from orchestrator.domain.mode import Mode
from orchestrator.domain.server import ServerRecord
from orchestrator.ports import Clock, UnitOfWorkFactory, Watched

_SESSIONS_EVERY = timedelta(seconds=2)
_FLEET_EVERY = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Belief:
    """One reading. ``sessions`` are by server; ``limits`` by game, those that have any."""

    read_at: datetime
    sessions: Mapping[str, Sequence[Watched]] = field(default_factory=dict)
    limits: Mapping[str, Limits] = field(default_factory=dict)
    servers: Sequence[ServerRecord] = ()


class Beliefs:
    """Thread-safe; ``refresh`` reads the store, everything else what it read last."""

    def __init__(self, units: UnitOfWorkFactory, clock: Clock) -> None:
        self._units = units
        self._clock = clock
        self._lock = threading.Lock()
        self._belief: Belief | None = None
        self._fleet_at: datetime | None = None

    @property
    def current(self) -> Belief:
        """The last reading; an empty one before the first."""
        with self._lock:
            return self._belief or Belief(self._clock.now())

    def watched(self, server: str) -> Sequence[Watched]:
        """The sessions of one server that run or are lost."""
        return self.current.sessions.get(server, ())

    def counts_clients(self, session: Watched) -> bool:
        """Whether it matters if a client is connected, and can be told: Sunshine's
        streams are UDP, so that nobody stays connected to its port."""
        if session.mode is Mode.SUNSHINE:
            return False
        limits = self.current.limits.get(session.game_id)
        return limits is not None and limits.idle is not None

    def refresh(self, *, at_once: bool = False) -> bool:
        """Read what is old, or all ``at_once``; whether the servers were read too."""
        now, before = self._clock.now(), self._belief
        fresh = before is not None and timedelta(0) <= now - before.read_at < _SESSIONS_EVERY
        if fresh and not at_once:
            return False
        whole = self._fleet_at is None or not (timedelta(0) <= now - self._fleet_at < _FLEET_EVERY)
        servers: Sequence[ServerRecord] = before.servers if before else ()
        limits: Mapping[str, Limits] = before.limits if before else {}
        by_server: defaultdict[str, list[Watched]] = defaultdict(list)
        with self._units(read_only=True) as uow:
            for session in uow.sessions.watched():
                by_server[session.server].append(session)
            if whole:
                servers = uow.servers.list()
                limits = {game.id: game.limits for game in uow.games.list() if game.limits.any}
        with self._lock:
            self._belief = Belief(now, by_server, limits, servers)
        if whole:
            self._fleet_at = now
        return whole
