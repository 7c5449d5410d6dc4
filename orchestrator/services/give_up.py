"""Give up a session whose server will not answer any more.

A server that was scrapped, or taken out of the inventory, never says what became
of its sessions: they would hold their slot, and their game its place in the
catalogue, for ever. Somebody has to say that they are over. Should the server
answer one day, the sweep ends what is left of them there.
"""

from __future__ import annotations

from orchestrator.domain.errors import SessionConflict
from orchestrator.domain.event import Event
from orchestrator.domain.server import Health
from orchestrator.domain.session import Session, SessionState
from orchestrator.ports import Clock, UnitOfWork, UnitOfWorkFactory
from orchestrator.services.in_flight import InFlight
from orchestrator.services.retry import Retry

_ANSWERS = frozenset({Health.UP, Health.DEGRADED, Health.UNREADY})


class GiveUp:
    """The use case; safe to call from many threads and to repeat."""

    def __init__(
        self, units: UnitOfWorkFactory, clock: Clock, retry: Retry, in_flight: InFlight
    ) -> None:
        self._units = units
        self._clock = clock
        self._retry = retry
        self._in_flight = in_flight

    def __call__(self, session_id: str, by: str) -> Session:
        """Call it ``ended`` without asking its server; ``by`` is kept with it.

        Raises SessionConflict where the server answers: then it is ended as any other.
        """
        with self._in_flight.claim(session_id):
            return self._retry(lambda: self._end(session_id, by))

    def _end(self, session_id: str, by: str) -> Session:
        with self._units() as uow:
            session = uow.sessions.get(session_id)
            if not session.state.is_active:
                return session
            if _answers(uow, session.server):
                raise SessionConflict(
                    f"{session.server} answers, so session {session_id} is not given up: "
                    "end it instead"
                )
            note = f"given up by {by}; {session.server} was not asked"
            detail = "; ".join(each for each in (session.end_detail, note) if each)
            now = self._clock.now()
            ended = uow.sessions.save(
                session.moved(SessionState.ENDED, now, end_detail=detail, error=None)
            )
            uow.events.add(
                Event(now, "session_given_up", note, session_id=session_id, server=session.server)
            )
            uow.commit()
        return ended


def _answers(uow: UnitOfWork, server: str) -> bool:
    record = uow.servers.get(server)
    return record.present and record.health in _ANSWERS
