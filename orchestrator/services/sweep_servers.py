"""Ask servers for every task of ours, and find those that nobody wants.

The store may know less than the servers after a crash or a restored backup.
A session that it knows to be over is cleaned up. One that it does not know at
all may belong to another broker, so the policy decides.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from orchestrator.domain.errors import ServerCallError
from orchestrator.domain.event import Event
from orchestrator.domain.launch import FoundLaunch
from orchestrator.domain.server import Health
from orchestrator.domain.session import Session
from orchestrator.ports import Clock, Executor, ServerGateway, UnitOfWorkFactory
from orchestrator.services.in_flight import InFlight
from orchestrator.services.retry import Retry

_JUST_OVER = timedelta(seconds=60)
"""A session that ended this lately may still be being cleaned up by who ended it."""

_ASKED = frozenset({Health.UP, Health.DEGRADED, Health.UNREADY, Health.UNKNOWN})


class Orphans(StrEnum):
    """What becomes of launches that the store does not know."""

    END = "end"
    REPORT = "report"


@dataclass(frozen=True, slots=True)
class Swept:
    """One launch that nobody wants, or a server that could not be asked."""

    server: str
    session_id: str | None
    action: str
    note: str


class SweepServers:
    """The use case. ``least_age`` is how long an unknown launch is left alone."""

    def __init__(
        self,
        units: UnitOfWorkFactory,
        gateway: ServerGateway,
        clock: Clock,
        retry: Retry,
        in_flight: InFlight,
        executor: Executor,
        orphans: Orphans = Orphans.REPORT,
        least_age: timedelta = timedelta(minutes=10),
    ) -> None:
        self._units = units
        self._gateway = gateway
        self._clock = clock
        self._retry = retry
        self._in_flight = in_flight
        self._executor = executor
        self._orphans = orphans
        self._least_age = least_age
        self._lock = threading.Lock()
        self._reported: dict[tuple[str, str], datetime] = {}

    def __call__(self, names: Sequence[str] | None = None) -> Sequence[Swept]:
        """Ask ``names``, or every server that answers polls; what was found and done."""
        if names is None:
            with self._units(read_only=True) as uow:
                names = [
                    r.server.name
                    for r in uow.servers.list()
                    if r.present and r.health in _ASKED and self._gateway.knows(r.server.name)
                ]
        return [swept for each in self._executor.map(self._sweep, names) for swept in each]

    def _sweep(self, server: str) -> list[Swept]:
        try:
            found = self._gateway.find_launches(server)
        except ServerCallError as error:
            return [Swept(server, None, "not_asked", f"{error.code}: {error.message}")]
        self._forget(server, {each.session_id for each in found})
        return [swept for each in found for swept in self._judge(server, each)]

    def _judge(self, server: str, found: FoundLaunch) -> Iterable[Swept]:
        session_id = found.session_id
        if session_id in self._in_flight:
            return
        with self._units(read_only=True) as uow:
            session = uow.sessions.find(session_id)
        now = self._clock.now()
        if session is not None and session.server == server:
            if _is_over(session, now):
                yield self._remove(server, found, "leftover_ended", f"its session {session.state}")
            return
        what = "the store knows no such session"
        if session is not None:
            what = f"its session is on {session.server}"
        if now - self._since(server, found, now) < self._least_age:
            return
        if self._orphans is Orphans.END:
            yield self._remove(server, found, "orphan_ended", what)
        elif self._first_report(server, session_id, now):
            yield self._note(server, found, "orphan_found", f"{what}; nothing was done")

    def _remove(self, server: str, found: FoundLaunch, kind: str, why: str) -> Swept:
        with self._in_flight.claim(found.session_id):
            try:
                self._gateway.remove_launch(server, found.session_id, 0)
            except ServerCallError as error:
                note = f"{why}, but {error.code}: {error.message}"
                return Swept(server, found.session_id, "not_ended", note)
        return self._note(server, found, kind, why)

    def _note(self, server: str, found: FoundLaunch, kind: str, why: str) -> Swept:
        launch = found.launch
        what = f"{launch.image} (PID {launch.pid})" if launch else f"a task ({found.state})"
        note = f"{what}: {why}"
        event = Event(self._clock.now(), kind, note, session_id=found.session_id, server=server)

        def transaction() -> None:
            with self._units() as uow:
                uow.events.add(event)
                uow.commit()

        self._retry(transaction)
        return Swept(server, found.session_id, kind, note)

    def _since(self, server: str, found: FoundLaunch, now: datetime) -> datetime:
        """Since when an orphan is there: by its process, else since it was first seen."""
        if found.launch is not None:
            return found.launch.created_at
        with self._lock:
            return self._reported.setdefault((server, f"?{found.session_id}"), now)

    def _first_report(self, server: str, session_id: str, now: datetime) -> bool:
        with self._lock:
            before = len(self._reported)
            self._reported.setdefault((server, session_id), now)
            return len(self._reported) > before

    def _forget(self, server: str, there: set[str]) -> None:
        """An orphan that went away would be news if it came back."""
        with self._lock:
            for key in [k for k in self._reported if k[0] == server]:
                if key[1].removeprefix("?") not in there:
                    del self._reported[key]


def _is_over(session: Session, now: datetime) -> bool:
    if session.state.is_active:
        return False
    return session.ended_at is None or now - session.ended_at >= _JUST_OVER
