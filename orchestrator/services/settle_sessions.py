"""Settle sessions that polls found to be over: ask the server once more, then clean up."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.event import Event
from orchestrator.domain.launch import FoundLaunch, FoundState, Launch
from orchestrator.domain.mode import Mode
from orchestrator.domain.session import Session, SessionState
from orchestrator.ports import Clock, Executor, ServerGateway, UnitOfWorkFactory
from orchestrator.services.end_game import EndGame
from orchestrator.services.in_flight import InFlight
from orchestrator.services.retry import Retry

EXITED = "its process ended by itself"
GAME_EXITED = "its game ended by itself"

_OPEN = frozenset({SessionState.RUNNING, SessionState.LOST})


class SettleSessions:
    """The use cases; safe to call from many threads and to repeat."""

    def __init__(
        self,
        units: UnitOfWorkFactory,
        gateway: ServerGateway,
        end_game: EndGame,
        clock: Clock,
        retry: Retry,
        in_flight: InFlight,
    ) -> None:
        self._units = units
        self._gateway = gateway
        self._end_game = end_game
        self._clock = clock
        self._retry = retry
        self._in_flight = in_flight

    def gone(self, session_id: str) -> Session | None:
        """A session whose process was not seen any more.

        A poll sees one process; the server's own record may know that a
        launcher handed over to another. So it is asked, and only what it holds
        for over is ended. None where somebody else is at the session.
        """
        if session_id in self._in_flight:
            return None
        with self._in_flight.claim(session_id):
            session = self._open(session_id)
            if session is None:
                return None
            found = self._gateway.find_launches(session.server, session_id)
            mine = next((each for each in found if each.session_id == session_id), None)
            ended = _why_over(session, mine)
            if ended is not None:
                return self._end_game(session_id, ended)
            assert mine is not None
            assert mine.launch is not None
            launch, companions = mine.launch, mine.companions
            return self._retry(lambda: self._adopt(session_id, launch, companions))

    def expired(self, session_id: str, reason: str) -> Session | None:
        """A session whose time is up; None where somebody else is at it."""
        if session_id in self._in_flight:
            return None
        session = self._open(session_id)
        return None if session is None else self._end_game(session_id, reason)

    def _open(self, session_id: str) -> Session | None:
        with self._units(read_only=True) as uow:
            session = uow.sessions.find(session_id)
        return session if session is not None and session.state in _OPEN else None

    def _adopt(
        self, session_id: str, launch: Launch, companions: tuple[Launch, ...]
    ) -> Session | None:
        with self._units() as uow:
            session = uow.sessions.get(session_id)
            same = session.launch == launch and session.companions == companions
            if session.state not in _OPEN or (same and session.state is SessionState.RUNNING):
                return None
            now = self._clock.now()
            changed = replace(session, launch=launch, companions=companions, updated_at=now)
            if session.state is SessionState.LOST:
                changed = changed.moved(SessionState.RUNNING, now)
            saved = uow.sessions.save(changed)
            note = f"{launch.image} runs with PID {launch.pid}"
            uow.events.add(
                Event(now, "session_reconciled", note, session_id=session_id, server=saved.server)
            )
            uow.commit()
        return saved


def _why_over(session: Session, found: FoundLaunch | None) -> str | None:
    """Why the session is over, or None where it runs on."""
    if found is None or found.launch is None or found.state is FoundState.GONE:
        return EXITED
    if session.mode is Mode.PERIODIC and session.companions and not found.companions:
        return GAME_EXITED
    return None


class Settler:
    """Settles in the background: each session once at a time, and again only after a while."""

    def __init__(
        self,
        executor: Executor,
        clock: Clock,
        on_error: Callable[[str, OrchestratorError], None] = lambda *_: None,
        pause: timedelta = timedelta(seconds=20),
    ) -> None:
        self._executor = executor
        self._clock = clock
        self._on_error = on_error
        self._pause = pause
        self._lock = threading.Lock()
        self._not_before: dict[str, datetime | None] = {}

    def __call__(self, session_id: str, settle: Callable[[], object]) -> None:
        """Have ``settle`` called once, soon, unless the session has just been settled."""
        now = self._clock.now()
        with self._lock:
            self._not_before = {
                key: until
                for key, until in self._not_before.items()
                if until is None or until > now
            }
            if session_id in self._not_before:
                return
            self._not_before[session_id] = None
        self._executor.submit(lambda: self._run(session_id, settle))

    def _run(self, session_id: str, settle: Callable[[], object]) -> None:
        try:
            settle()
        except OrchestratorError as error:
            self._on_error(session_id, error)
        finally:
            with self._lock:
                self._not_before[session_id] = self._clock.now() + self._pause
