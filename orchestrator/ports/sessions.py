"""Sessions in the store, and what is read of them at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from orchestrator.domain.launch import Launch
from orchestrator.domain.mode import Concurrency, Mode
from orchestrator.domain.session import Ports, Session, SessionState


@dataclass(frozen=True, slots=True)
class SessionQuery:
    """Which sessions to list; None means any. Newest first.

    ``before`` is the id of the last session of the page before.
    """

    states: frozenset[SessionState] | None = None
    server: str | None = None
    game_id: str | None = None
    limit: int = 100
    before: str | None = None


@dataclass(frozen=True, slots=True)
class Holding:
    """What one active session holds of its server, without its decision."""

    session_id: str
    game_id: str
    server: str
    ports: Ports
    concurrency: Concurrency
    started_at: datetime | None


@dataclass(frozen=True, slots=True)
class Watched:
    """What polling knows of one session that runs or is lost."""

    session_id: str
    server: str
    game_id: str
    mode: Mode
    state: SessionState
    stream_port: int
    launch: Launch
    companions: tuple[Launch, ...] = ()
    started_at: datetime | None = None
    idle_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class SessionFact:
    """What statistics need of one session."""

    server: str
    game_id: str
    failed: bool
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    error_code: str | None
    error_message: str | None


class SessionRepository(Protocol):
    """Sessions, their ports and decisions."""

    def find(self, session_id: str) -> Session | None:
        """One session, or None."""
        ...

    def get(self, session_id: str) -> Session:
        """One session; UnknownSession where there is none."""
        ...

    def list(self, query: SessionQuery) -> Sequence[Session]:
        """A page of sessions, newest first."""
        ...

    def active(self) -> Sequence[Session]:
        """Every session that holds a slot."""
        ...

    def holdings(self) -> Sequence[Holding]:
        """What every active session holds: all that placement needs of them."""
        ...

    def watched(self) -> Sequence[Watched]:
        """What polling needs of every session that runs or is lost, if its launch is known."""
        ...

    def record_idle(self, since: Mapping[str, datetime | None]) -> None:
        """Keep since when sessions have no client; no version changes."""
        ...

    def facts(self, since: datetime, until: datetime) -> Sequence[SessionFact]:
        """What statistics need of every session that was there in a time, by creation."""
        ...

    def count_active(self) -> Mapping[SessionState, int]:
        """How many sessions are in each state that holds a slot; none is left out or zero."""
        ...

    def reserve(self, session: Session, server_version: int) -> None:
        """Insert a session and take its slot and ports.

        Contention where the server's version is no longer ``server_version``
        or a port was taken meanwhile.
        """
        ...

    def change_ports(self, session: Session, ports: Ports) -> Session:
        """Give an active session other ports of its server, in place of its own.

        Returns it with them and its new version; Contention where the stored
        version is not the session's or a port was taken meanwhile.
        """
        ...

    def save(self, session: Session) -> Session:
        """Update; Contention where the stored version is not the session's.

        Returns it with its new version. A session that is no longer active
        gives its ports back.
        """
        ...
