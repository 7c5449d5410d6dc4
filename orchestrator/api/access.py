"""Who may call what."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Request

from orchestrator.domain.errors import NotAllowed, NotAuthenticated
from orchestrator.domain.token import Role, Token
from orchestrator.services.tokens import Tokens

ROLES: Mapping[str, Role | None] = {
    "GET /": None,
    "GET /assets/<path:name>": None,
    "GET /healthz": None,
    "GET /readyz": None,
    "GET /openapi.json": Role.VIEWER,
    "GET /metrics": Role.VIEWER,
    "POST /start_game": Role.PORTAL,
    "POST /end_game": Role.PORTAL,
    "POST /add_game": Role.PORTAL,
    "GET /api/v1/sessions": Role.VIEWER,
    "POST /api/v1/sessions": Role.PORTAL,
    "GET /api/v1/sessions/<string:session_id>": Role.VIEWER,
    "DELETE /api/v1/sessions/<string:session_id>": Role.PORTAL,
    "POST /api/v1/sessions/<string:session_id>/end": Role.PORTAL,
    "POST /api/v1/sessions/<string:session_id>/give-up": Role.OPERATOR,
    "GET /api/v1/sessions/<string:session_id>/decision": Role.VIEWER,
    "GET /api/v1/servers": Role.VIEWER,
    "GET /api/v1/servers/<string:name>": Role.VIEWER,
    "POST /api/v1/servers/<string:name>/check": Role.OPERATOR,
    "POST /api/v1/servers/<string:name>/drain": Role.OPERATOR,
    "POST /api/v1/servers/<string:name>/resume": Role.OPERATOR,
    "GET /api/v1/servers/<string:name>/history": Role.VIEWER,
    "GET /api/v1/sites/<string:site>/history": Role.VIEWER,
    "GET /api/v1/games": Role.VIEWER,
    "POST /api/v1/games": Role.PORTAL,
    "GET /api/v1/games/<string:game_id>": Role.VIEWER,
    "PUT /api/v1/games/<string:game_id>": Role.PORTAL,
    "DELETE /api/v1/games/<string:game_id>": Role.PORTAL,
    "POST /api/v1/placements": Role.VIEWER,
    "GET /api/v1/events": Role.VIEWER,
    "GET /api/v1/reports": Role.VIEWER,
    "POST /api/v1/reports": Role.OPERATOR,
    "GET /api/v1/reports/<string:report_id>": Role.VIEWER,
    "GET /api/v1/reports/<string:report_id>/html": Role.VIEWER,
}
"""Least role of each route; None needs no token. A route that is not here is closed."""


def check_access(
    tokens: Tokens, request: Request, opened: frozenset[str] = frozenset()
) -> Token | None:
    """The caller's token; NotAuthenticated or NotAllowed where it does not do."""
    rule = request.url_rule
    method = "GET" if request.method == "HEAD" else request.method
    name = f"{method} {rule.rule}" if rule is not None else ""
    if name in opened or (name in ROLES and ROLES[name] is None):
        return None
    token = _token(tokens, request)
    if rule is None or method == "OPTIONS":
        return token
    needed = ROLES.get(name, Role.ADMIN)
    if needed is not None and not token.role.covers(needed):
        raise NotAllowed(f"{name} needs role {needed.value}; this token has {token.role.value}")
    return token


def _token(tokens: Tokens, request: Request) -> Token:
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not text.strip():
        raise NotAuthenticated(
            "send a token as 'Authorization: Bearer ...'; 'orchestrator tokens create' makes one"
        )
    return tokens.authenticate(text.strip())
