"""Settle sessions whose outcome is unknown, from the servers' own truth.

``starting``: the server is asked what became of the session id. ``ending``:
the end is repeated, which is safe. Nothing is ever launched here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from orchestrator.domain.errors import ServerCallError, UnknownGame
from orchestrator.domain.event import Event
from orchestrator.domain.launch import FoundLaunch, FoundState, Launch
from orchestrator.domain.session import Failure, Session, SessionState
from orchestrator.ports import (
    Clock,
    Executor,
    ServerGateway,
    SessionQuery,
    UnitOfWork,
    UnitOfWorkFactory,
)
from orchestrator.services.end_game import EndGame
from orchestrator.services.in_flight import InFlight
from orchestrator.services.pauses import Pauses
from orchestrator.services.retry import Retry

UNSETTLED = frozenset({SessionState.STARTING, SessionState.ENDING})


@dataclass(frozen=True, slots=True)
class Settled:
    """What was done about one session: its state before and after, and why."""

    session_id: str
    before: SessionState
    after: SessionState
    note: str


class Reconcile:
    """The use case.

    ``launch_margin`` is how long after a game's ready timeout a launch may
    still be under way, in seconds: until then "nothing found" proves nothing.
    A server that gives no answer is asked again after growing pauses, the first
    of ``interval``: each call may leave a script at work on it.
    """

    def __init__(
        self,
        units: UnitOfWorkFactory,
        gateway: ServerGateway,
        end_game: EndGame,
        clock: Clock,
        retry: Retry,
        in_flight: InFlight,
        executor: Executor,
        launch_margin: int = 30,
        interval: timedelta = timedelta(seconds=5),
    ) -> None:
        self._units = units
        self._gateway = gateway
        self._end_game = end_game
        self._clock = clock
        self._retry = retry
        self._in_flight = in_flight
        self._executor = executor
        self._launch_margin = launch_margin
        self._pauses = Pauses(clock, interval)

    def __call__(self) -> Sequence[Settled]:
        """Look at every unsettled session once, but for those of servers that pause;
        those that changed or could not be asked."""
        with self._units(read_only=True) as uow:
            open_sessions = uow.sessions.list(SessionQuery(states=UNSETTLED, limit=10_000))
            timeouts = {s.id: self._ready_timeout(uow, s) for s in open_sessions}
        waiting = [
            s
            for s in open_sessions
            if s.id not in self._in_flight and self._pauses.is_over(s.server)
        ]

        def settle(session: Session) -> Settled | None:
            return self._settle(session, timeouts[session.id])

        results = self._executor.map(settle, waiting)
        asked = [s.server for s in waiting]
        silent = [
            server
            for server, settled in zip(asked, results, strict=True)
            if settled is not None and settled.after is settled.before
        ]
        self._pauses.count(asked, silent)
        return [settled for settled in results if settled]

    def _ready_timeout(self, uow: UnitOfWork, session: Session) -> int:
        try:
            spec = uow.games.get(session.game_id).modes.get(session.mode)
        except UnknownGame:
            spec = None
        return spec.ready_timeout if spec else 60

    def _settle(self, session: Session, ready_timeout: int) -> Settled | None:
        with self._in_flight.claim(session.id):
            try:
                if session.state is SessionState.ENDING:
                    return self._settle_ending(session)
                return self._settle_starting(session, ready_timeout)
            except ServerCallError as error:
                note = f"{error.code}: {error.message}"
                return Settled(session.id, session.state, session.state, note)

    def _settle_ending(self, session: Session) -> Settled:
        after = self._end_game(session.id)
        return Settled(session.id, session.state, after.state, after.end_detail or "end repeated")

    def _settle_starting(self, session: Session, ready_timeout: int) -> Settled | None:
        found = self._gateway.find_launches(session.server, session.id)
        mine = next((launch for launch in found if launch.session_id == session.id), None)
        if mine is not None and mine.state is FoundState.RUNNING and mine.launch is not None:
            return self._adopt(session, mine.launch, mine.companions)
        if mine is not None and mine.state is FoundState.GONE:
            return self._give_up(session, "launch_ended", "its process has ended meanwhile")
        allowed = timedelta(seconds=ready_timeout + self._launch_margin)
        if self._clock.now() - session.created_at < allowed:
            return None
        return self._give_up(session, *_why(mine))

    def _adopt(self, session: Session, launch: Launch, companions: tuple[Launch, ...]) -> Settled:
        note = f"{launch.image} runs with PID {launch.pid}"

        def move(current: Session) -> Session:
            return current.moved(
                SessionState.RUNNING,
                self._clock.now(),
                launch=launch,
                companions=companions,
                error=None,
            )

        return self._save(session, move, "session_reconciled", note)

    def _give_up(self, session: Session, code: str, message: str) -> Settled:
        self._gateway.stop(session.server, session.id, None, 0)

        def move(current: Session) -> Session:
            return current.moved(
                SessionState.FAILED, self._clock.now(), error=Failure(code, message)
            )

        return self._save(session, move, "session_failed", f"{code}: {message}")

    def _save(
        self, session: Session, move: Callable[[Session], Session], kind: str, note: str
    ) -> Settled:
        def transaction() -> Session:
            with self._units() as uow:
                current = uow.sessions.get(session.id)
                if current.state is not session.state:
                    return current
                after = uow.sessions.save(move(current))
                uow.events.add(
                    Event(self._clock.now(), kind, note, session_id=after.id, server=after.server)
                )
                uow.commit()
            return after

        return Settled(session.id, session.state, self._retry(transaction).state, note)


def _why(found: FoundLaunch | None) -> tuple[str, str]:
    if found is None:
        return "launch_not_found", "the server knows nothing of this session"
    return "not_ready", "the launch never became ready"
