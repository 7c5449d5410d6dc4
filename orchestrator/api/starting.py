"""Start a session for a request, and tell the caller how it came out."""

from __future__ import annotations

import structlog
from flask import g, request

from orchestrator.api.idempotency import IdempotencyKeys
from orchestrator.api.services import ApiServices
from orchestrator.domain.errors import OrchestratorError, SessionConflict
from orchestrator.domain.mode import Mode
from orchestrator.domain.session import Session, SessionState
from orchestrator.services.start_game import StartRequest


class SessionFailed(OrchestratorError):
    """The session that this Idempotency-Key started has failed; ``code`` is why."""

    def __init__(self, session: Session) -> None:
        error = session.error
        why = error.message if error else "the session failed"
        super().__init__(f"on {session.server}: {why}")
        self.code = error.code if error else "script_error"
        self.session_id = session.id


def start(
    services: ApiServices,
    game_id: str,
    mode: Mode,
    config_file: str | None,
    strategy: str | None = None,
    player_address: str | None = None,
) -> tuple[Session, int]:
    """The session and the answer's status: 201 running, 202 not known yet."""
    session = services.start_game(
        StartRequest(
            game_id=game_id,
            mode=mode,
            config_file=config_file or None,
            strategy=strategy,
            requested_by=g.token.id,
            idempotency_key=IdempotencyKeys.key_of(request),
            player_address=player_address,
        )
    )
    structlog.contextvars.bind_contextvars(session_id=session.id)
    if session.state is SessionState.FAILED:
        raise SessionFailed(session)
    if session.state in {SessionState.ENDING, SessionState.ENDED}:
        raise SessionConflict(f"session {session.id} was ended while it started")
    return session, 202 if session.state is SessionState.STARTING else 201
