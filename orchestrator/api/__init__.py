"""The REST API: the portal's routes and version 1."""

from orchestrator.api.app import ApiServices, Readiness, create_app
from orchestrator.api.server import HttpServer
from orchestrator.api.views import (
    check_json,
    decision_json,
    game_json,
    parse_decision,
    parse_game,
    server_json,
    session_json,
)

__all__ = [
    "ApiServices",
    "HttpServer",
    "Readiness",
    "check_json",
    "create_app",
    "decision_json",
    "game_json",
    "parse_decision",
    "parse_game",
    "server_json",
    "session_json",
]
