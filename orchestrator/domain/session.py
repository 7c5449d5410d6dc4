"""A game running for a player, and the states it goes through.

::

    starting ──> running ──> ending ──> ended
       │  │         │ ▲         │          ▲
       │  │         ▼ │         ├──────────┤
       │  │        lost ────────┴──────────┤
       ▼  └────────────────────────────────┘
     failed

``starting`` and ``ending`` are settled by ``reconcile`` when an answer was
lost; ``lost`` means the server cannot be reached.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from orchestrator.domain.decision import Decision
from orchestrator.domain.errors import SessionConflict
from orchestrator.domain.launch import Launch
from orchestrator.domain.mode import Concurrency, Mode


class SessionState(StrEnum):
    """States of a session."""

    STARTING = "starting"
    RUNNING = "running"
    ENDING = "ending"
    ENDED = "ended"
    FAILED = "failed"
    LOST = "lost"

    @property
    def is_active(self) -> bool:
        """Whether a session in this state holds its slot and ports."""
        return self not in {SessionState.ENDED, SessionState.FAILED}


ACTIVE_STATES = frozenset(state for state in SessionState if state.is_active)

TRANSITIONS: dict[SessionState, frozenset[SessionState]] = {
    SessionState.STARTING: frozenset(
        {SessionState.RUNNING, SessionState.FAILED, SessionState.ENDING, SessionState.ENDED}
    ),
    SessionState.RUNNING: frozenset(
        {SessionState.ENDING, SessionState.ENDED, SessionState.LOST, SessionState.FAILED}
    ),
    SessionState.ENDING: frozenset({SessionState.ENDED, SessionState.RUNNING, SessionState.LOST}),
    SessionState.LOST: frozenset({SessionState.RUNNING, SessionState.ENDING, SessionState.ENDED}),
    SessionState.ENDED: frozenset(),
    SessionState.FAILED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class Ports:
    """The two ports a session holds from the moment it is placed."""

    stream: int
    control: int


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a session failed, or what went wrong while it ended."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Session:
    """One game for one player on one server.

    Times are aware, in UTC. ``end_detail`` says how the session ended in
    words; ``error`` says why it failed or, while it is active, what the last
    call about it ran into. ``companions`` are the session's other processes, such
    as the game beside a periodic GamingAnywhere server. ``idle_since`` is since
    when no client is connected, None where one is or it was not measured.
    ``version`` is for optimistic locking.
    """

    id: str
    game_id: str
    mode: Mode
    server: str
    stream_address: str
    state: SessionState
    ports: Ports
    decision: Decision
    created_at: datetime
    updated_at: datetime
    concurrency: Concurrency = Concurrency.SHARED
    config_file: str | None = None
    requested_by: str = ""
    launch: Launch | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    ended_how: str | None = None
    end_detail: str | None = None
    error: Failure | None = None
    version: int = 1
    companions: tuple[Launch, ...] = ()
    idle_since: datetime | None = None

    def moved(self, state: SessionState, at: datetime, **changes: object) -> Session:
        """The session in its next state; an impossible move is an error."""
        if state not in TRANSITIONS[self.state]:
            raise SessionConflict(f"session {self.id} is {self.state}; it cannot become {state}")
        stamps: dict[str, object] = {"updated_at": at}
        if state is SessionState.RUNNING and self.started_at is None:
            stamps["started_at"] = at
        if not state.is_active:
            stamps["ended_at"] = at
        return replace(self, state=state, **{**stamps, **changes})  # type: ignore[arg-type]

    def noted(self, at: datetime, error: Failure) -> Session:
        """The session in the same state, with what went wrong meanwhile."""
        return replace(self, updated_at=at, error=error)

    @property
    def sunshine_app(self) -> str | None:
        """The app to start in Moonlight, for mode sunshine; at ``ports.stream``."""
        return self.game_id if self.mode is Mode.SUNSHINE else None

    @property
    def rtsp_url(self) -> str | None:
        """Where the stream is, for the modes that stream by RTSP."""
        if self.mode not in {Mode.PERIODIC, Mode.EVENT_DRIVEN}:
            return None
        host = f"[{self.stream_address}]" if ":" in self.stream_address else self.stream_address
        return f"rtsp://{host}:{self.ports.stream}/desktop"
