"""Polling as a whole: one poll at a time by many threads, and what follows from them by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from orchestrator.domain.event import Event
from orchestrator.domain.server import Health
from orchestrator.ports import Clock, SampleSink, ServerGateway, UnitOfWorkFactory
from orchestrator.services.beliefs import Beliefs
from orchestrator.services.fleet_watch import FleetWatch
from orchestrator.services.follow_sessions import FollowSessions, Move
from orchestrator.services.keep_polls import KeepPolls
from orchestrator.services.poll_schedule import Answer
from orchestrator.services.poll_server import PollServer
from orchestrator.services.settle_sessions import SettleSessions


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """What was written: events of servers and sites, and moves of sessions."""

    events: Sequence[Event]
    moves: Sequence[Move]


class Polling:
    """``poll`` is thread-safe; ``catch_up`` belongs to one thread.

    ``on_fleet`` is told each server's interval and site whenever they were read
    anew, ``on_recovered`` the name of a server that answers again.
    """

    def __init__(
        self,
        units: UnitOfWorkFactory,
        gateway: ServerGateway,
        clock: Clock,
        settle: SettleSessions,
        settler: Callable[[str, Callable[[], object]], None],
        *,
        interval: int,
        sinks: Sequence[SampleSink] = (),
        on_sink_error: Callable[[SampleSink], None] = lambda _: None,
        on_fleet: Callable[[Mapping[str, float], Mapping[str, str]], None] = lambda *_: None,
        on_recovered: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._gateway = gateway
        self._interval = interval
        self._on_fleet = on_fleet
        self._on_recovered = on_recovered
        self._followed_at: datetime | None = None
        self.beliefs = Beliefs(units, clock)
        self.watch = FleetWatch()
        self._poll = PollServer(gateway, self.beliefs, clock)
        self._keep = KeepPolls(units, self.watch, self.beliefs, sinks, on_sink_error)
        self._follow = FollowSessions(
            units,
            self.beliefs,
            self.watch,
            self._keep,
            clock,
            settle=lambda session: settler(session, lambda: settle.gone(session)),
            end=lambda session, why: settler(session, lambda: settle.expired(session, why)),
        )

    def poll(self, server: str) -> Answer:
        """Poll one server and count what it said."""
        before = self.watch.condition(server).health
        polled = self._poll(server)
        condition = self._keep.take(polled)
        if before is Health.UNREACHABLE and condition.health is not Health.UNREACHABLE:
            self._on_recovered(server)
        if polled.finding.health is Health.REFUSED:
            return Answer.REFUSED
        if condition.doubts:
            return Answer.DOUBTED
        return Answer.SILENT if polled.finding.health is Health.UNREACHABLE else Answer.GOOD

    def catch_up(self, *, at_once: bool = False) -> CaughtUp:
        """Write what polls found, read what others changed, and let sessions follow.

        Reading and following come at intervals of their own unless ``at_once``.

        An error of the store leaves everything as it was: the next call goes on.
        """
        events = self._keep.flush()
        if self.beliefs.refresh(at_once=at_once):
            self._follow_fleet()
        read_at = self.beliefs.current.read_at
        if read_at == self._followed_at and not at_once:
            return CaughtUp(events, ())
        self._followed_at = read_at
        return CaughtUp(events, self._follow())

    def _follow_fleet(self) -> None:
        present = [
            record
            for record in self.beliefs.current.servers
            if record.present and self._gateway.knows(record.server.name)
        ]
        self.watch.follow(present)
        self._keep.forget(frozenset(record.server.name for record in present))
        servers = [record.server for record in present]
        self._on_fleet(
            {s.name: float(s.poll_interval or self._interval) for s in servers},
            {s.name: s.site for s in servers},
        )
