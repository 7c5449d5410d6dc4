"""Sessions follow what polls see of them.

A session on a server that cannot be reached is ``lost``; it runs again, or is
over, when the server answers. One whose process is gone, or whose time is up,
is handed on to be settled, for that takes calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from orchestrator.domain.event import Event
from orchestrator.domain.mode import Mode
from orchestrator.domain.server import Health
from orchestrator.domain.session import SessionState
from orchestrator.ports import Clock, UnitOfWorkFactory, Watched
from orchestrator.services.beliefs import Belief, Beliefs
from orchestrator.services.fleet_watch import FleetWatch
from orchestrator.services.keep_polls import KeepPolls
from orchestrator.services.poll_server import Polled


@dataclass(frozen=True, slots=True)
class Move:
    """A session's change of state that needs no call."""

    session_id: str
    before: SessionState
    after: SessionState
    note: str


class FollowSessions:
    """Called by one thread, again and again: it looks at what is, not at what changed.

    ``settle`` is given a session whose process seems gone; ``end`` one whose
    time is up, with the reason. Both must return at once and may be called
    repeatedly for the same session.
    """

    def __init__(
        self,
        units: UnitOfWorkFactory,
        beliefs: Beliefs,
        watch: FleetWatch,
        polls: KeepPolls,
        clock: Clock,
        settle: Callable[[str], None],
        end: Callable[[str, str], None],
    ) -> None:
        self._units = units
        self._beliefs = beliefs
        self._watch = watch
        self._polls = polls
        self._clock = clock
        self._settle = settle
        self._end = end
        self._began = clock.now()

    def __call__(self) -> list[Move]:
        """One look at every session; the moves that were made."""
        belief, polls = self._beliefs.current, self._polls.latest()
        healths = self._watch.healths()
        moves: list[Move] = []
        idle: dict[str, datetime | None] = {}
        for server, sessions in belief.sessions.items():
            polled = polls.get(server)
            for session in sessions:
                # What the store says of a server is no reason before a poll of our own.
                if polled is not None and healths.get(server) is Health.UNREACHABLE:
                    moves += _lost(session)
                elif polled is not None:
                    moves += self._seen(session, polled)
                    idle.update(_idleness(session, polled))
                self._check_limits(session, belief, polled)
        return self._write(moves, idle)

    def _seen(self, session: Watched, polled: Polled) -> Iterable[Move]:
        alive = is_alive(session, polled)
        if alive is False:
            self._settle(session.session_id)
        elif alive and session.state is SessionState.LOST:
            note = f"{session.server} answers again, PID {session.launch.pid} lives"
            yield Move(session.session_id, SessionState.LOST, SessionState.RUNNING, note)

    def _check_limits(self, session: Watched, belief: Belief, polled: Polled | None) -> None:
        limits = belief.limits.get(session.game_id)
        if limits is None or session.state is not SessionState.RUNNING:
            return
        if _is_over(session.started_at, limits.duration, self._clock.now()):
            self._end(session.session_id, f"its time limit of {limits.duration} s is over")
        elif self._is_idle(session, limits.idle, polled):
            self._end(session.session_id, f"no client for {limits.idle} s")

    def _is_idle(self, session: Watched, seconds: int | None, polled: Polled | None) -> bool:
        """Whether the last poll counted no client, as all did for so long: what an
        earlier broker saw proves nothing of the time until this one began."""
        if (
            session.idle_since is None
            or polled is None
            or _has_client(session, polled) is not False
        ):
            return False
        return _is_over(max(session.idle_since, self._began), seconds, polled.at)

    def _write(self, moves: list[Move], idle: dict[str, datetime | None]) -> list[Move]:
        if not moves and not idle:
            return []
        done: list[Move] = []
        now = self._clock.now()
        with self._units() as uow:
            for move in moves:
                session = uow.sessions.find(move.session_id)
                if session is None or session.state is not move.before:
                    continue
                after = uow.sessions.save(session.moved(move.after, now))
                kind = f"session_{'lost' if move.after is SessionState.LOST else 'found'}"
                uow.events.add(
                    Event(now, kind, move.note, session_id=after.id, server=after.server)
                )
                done.append(move)
            uow.sessions.record_idle(idle)
            uow.commit()
        return done


def is_alive(session: Watched, polled: Polled) -> bool | None:
    """Whether a session's processes were seen; None where the poll cannot tell.

    Mode periodic needs its game too: the capture goes on without it.
    """
    seen = polled.observation
    if seen is None or seen.living is None or session.launch not in polled.launches:
        return None
    if session.launch not in seen.living:
        return False
    beside = session.companions if session.mode is Mode.PERIODIC else ()
    asked = [each for each in beside if each in polled.launches]
    return not asked or any(each in seen.living for each in asked)


def _lost(session: Watched) -> Iterable[Move]:
    if session.state is SessionState.RUNNING:
        note = f"{session.server} cannot be reached"
        yield Move(session.session_id, SessionState.RUNNING, SessionState.LOST, note)


def _is_over(since: datetime | None, seconds: int | None, now: datetime) -> bool:
    if since is None or seconds is None:
        return False
    return now - since >= timedelta(seconds=seconds)


def _has_client(session: Watched, polled: Polled) -> bool | None:
    """Whether somebody is connected to a session's stream; None where it was not counted."""
    seen = polled.observation
    if seen is None or seen.clients is None or session.stream_port not in polled.ports:
        return None
    return bool(seen.clients.get(session.stream_port))


def _idleness(session: Watched, polled: Polled) -> dict[str, datetime | None]:
    """Since when the session has no client, where that changed. While it was lost
    nobody counted, so that the time begins anew."""
    connected = _has_client(session, polled)
    if connected is None:
        return {}
    if connected or session.state is SessionState.LOST:
        return {session.session_id: None} if session.idle_since is not None else {}
    return {session.session_id: polled.at} if session.idle_since is None else {}
