"""End a session: mark it, end its processes on the server, record how.

A process that has the session's PID but is another one is never touched: the
session's own process is gone then, and the session says so.
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.domain.errors import (
    Outcome,
    ScriptFailed,
    ServerCallError,
    SessionConflict,
    UnknownSession,
)
from orchestrator.domain.event import Event
from orchestrator.domain.launch import EndedHow, StopReport, same_image
from orchestrator.domain.session import Failure, Session, SessionState
from orchestrator.ports import (
    Clock,
    ServerGateway,
    SessionQuery,
    UnitOfWork,
    UnitOfWorkFactory,
)
from orchestrator.services.in_flight import InFlight
from orchestrator.services.retry import NOT_KEPT, Retry

IDENTITY_MISMATCH = "identity_mismatch"


@dataclass(frozen=True, slots=True)
class PortalEnd:
    """How the portal names a session: where it streams, its PID and its file.

    ``filename`` may be the image, the game's id or its config file; empty
    where the portal does not know.
    """

    server_address: str
    pid: int
    filename: str = ""


class EndGame:
    """The use case; safe to call from many threads and to repeat."""

    def __init__(
        self,
        units: UnitOfWorkFactory,
        gateway: ServerGateway,
        clock: Clock,
        retry: Retry,
        in_flight: InFlight,
        grace_seconds: int = 10,
    ) -> None:
        self._units = units
        self._gateway = gateway
        self._clock = clock
        self._retry = retry
        self._in_flight = in_flight
        self._grace_seconds = grace_seconds

    def __call__(self, session_id: str, reason: str | None = None) -> Session:
        """End it and return the session; ``reason`` where nobody asked for the end.

        ``ended``: nothing of it is left on the server. ``ending``: the server
        could not be asked, its answer was lost, or the database went away before
        it was kept; ``reconcile`` goes on.
        Raises ScriptFailed where the server refused, the session running on.
        """
        with self._in_flight.claim(session_id):
            session = self._retry(lambda: self._mark_ending(session_id, reason))
            if not session.state.is_active:
                return session
            try:
                return self._end_on_server(session)
            except NOT_KEPT:
                return session

    def _end_on_server(self, session: Session) -> Session:
        try:
            report = self._gateway.stop(
                session.server, session.id, session.launch, self._grace_seconds
            )
        except ServerCallError as error:
            return self._after_error(session, error)
        return self._retry(lambda: self._confirm(session.id, report))

    def find_for_portal(self, named: PortalEnd) -> Session:
        """The session the portal means.

        Several servers may stand behind one address, so a PID may name two
        running sessions: then the filename decides, and where it cannot, none
        is ended. Of sessions that are over, the newest is meant.
        """
        with self._units(read_only=True) as uow:
            active = [s for s in uow.sessions.active() if _is_named(s, named)]
            past = uow.sessions.list(SessionQuery(limit=1000)) if not active else ()
        candidates = active or [s for s in past if _is_named(s, named)]
        if not candidates:
            raise UnknownSession(
                f"no session at {named.server_address} has PID {named.pid}: "
                "send the IP and PID that start_game returned"
            )
        fitting = [s for s in candidates if _fits_filename(s, named.filename)]
        if not fitting:
            images = ", ".join(sorted({s.launch.image for s in candidates if s.launch}))
            raise SessionConflict(
                f"PID {named.pid} at {named.server_address} is {images}, not {named.filename!r}; "
                "nothing was ended"
            )
        if active and len(fitting) > 1:
            ids = ", ".join(sorted(s.id for s in fitting))
            raise SessionConflict(
                f"PID {named.pid} at {named.server_address} fits several sessions ({ids}): "
                "send session_id too; nothing was ended"
            )
        return max(fitting, key=lambda s: s.created_at)

    def _mark_ending(self, session_id: str, reason: str | None) -> Session:
        with self._units() as uow:
            session = uow.sessions.get(session_id)
            if session.state is SessionState.ENDING or not session.state.is_active:
                return session
            ending = session.moved(SessionState.ENDING, self._clock.now(), end_detail=reason)
            session = uow.sessions.save(ending)
            self._note(uow, session, "session_ending", reason or "end requested")
            uow.commit()
        return session

    def _confirm(self, session_id: str, report: StopReport) -> Session:
        detail = "; ".join(report.warnings) or None
        return self._end(session_id, report.how, detail, "session_ended")

    def _end(self, session_id: str, how: EndedHow, detail: str | None, kind: str) -> Session:
        with self._units() as uow:
            session = uow.sessions.get(session_id)
            if not session.state.is_active:
                return session
            detail = "; ".join(each for each in (session.end_detail, detail) if each) or None
            ended = session.moved(
                SessionState.ENDED,
                self._clock.now(),
                ended_how=how.value,
                end_detail=detail,
                error=None,
            )
            ended = uow.sessions.save(ended)
            self._note(uow, ended, kind, detail or f"ended: {how.value}")
            uow.commit()
        return ended

    def _after_error(self, session: Session, error: ServerCallError) -> Session:
        if isinstance(error, ScriptFailed) and error.code == IDENTITY_MISMATCH:
            detail = f"{error.message}; nothing was ended"
            return self._retry(
                lambda: self._end(
                    session.id, EndedHow.ALREADY_GONE, detail, "session_process_replaced"
                )
            )
        settled = self._retry(lambda: self._record_failure(session.id, error))
        if isinstance(error, ScriptFailed):
            error.session_id = session.id
            raise error
        return settled

    def _record_failure(self, session_id: str, error: ServerCallError) -> Session:
        failure = Failure(error.code, error.message)
        now = self._clock.now()
        with self._units() as uow:
            session = uow.sessions.get(session_id)
            if session.state is not SessionState.ENDING:
                return session
            refused = isinstance(error, ScriptFailed) and session.launch is not None
            if refused:
                changed = session.moved(SessionState.RUNNING, now, error=failure)
            else:
                changed = session.noted(now, failure)
            changed = uow.sessions.save(changed)
            outcome = "" if error.outcome is Outcome.EXECUTED else f" ({error.outcome.value})"
            self._note(uow, changed, "end_failed", f"{error.code}{outcome}: {error.message}")
            uow.commit()
        return changed

    def _note(self, uow: UnitOfWork, session: Session, kind: str, message: str) -> None:
        uow.events.add(
            Event(self._clock.now(), kind, message, session_id=session.id, server=session.server)
        )


def _is_named(session: Session, named: PortalEnd) -> bool:
    launch = session.launch
    return (
        launch is not None
        and launch.pid == named.pid
        and named.server_address in {session.stream_address, session.server}
    )


def _fits_filename(session: Session, filename: str) -> bool:
    if not filename or session.launch is None:
        return True
    if filename in {session.game_id, session.config_file}:
        return True
    return same_image(session.launch.image, filename)
