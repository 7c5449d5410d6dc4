"""The portal's contract: the field names are the portal's own."""

from __future__ import annotations

from typing import Any

import structlog
from flask import Response, jsonify, make_response
from flask_openapi3 import APIBlueprint, Tag

from orchestrator.api.models import (
    GameBody,
    PortalAdded,
    PortalEnd,
    PortalEnded,
    PortalStart,
    PortalStarted,
    Problem,
)
from orchestrator.api.services import ApiServices
from orchestrator.api.starting import start
from orchestrator.api.views import game_from, portal_started
from orchestrator.services.end_game import PortalEnd as Named

_TAG = Tag(name="portal", description="What a web portal calls")
_ERRORS: dict[Any, Any] = {
    422: Problem,
    401: Problem,
    403: Problem,
    404: Problem,
    409: Problem,
    502: Problem,
}


def create_blueprint(services: ApiServices) -> APIBlueprint:
    """The three routes."""
    routes = APIBlueprint(
        "portal", __name__, abp_tags=[_TAG], abp_security=[{"bearer": []}], abp_responses=_ERRORS
    )

    @routes.post(
        "/start_game",
        summary="Start a game and say where it streams",
        responses={200: PortalStarted, 202: PortalStarted, 429: Problem, 503: Problem},
    )
    def start_game(body: PortalStart) -> Response:
        session, status = start(
            services,
            body.gameID,
            body.excutemode,
            body.configfile,
            player_address=str(body.playerip) if body.playerip else None,
        )
        return make_response(jsonify(portal_started(session)), 202 if status == 202 else 200)

    @routes.post(
        "/end_game",
        summary="End the game that start_game returned",
        responses={200: PortalEnded, 202: PortalEnded},
    )
    def end_game(body: PortalEnd) -> Response:
        session_id = body.session_id
        if session_id is None:
            named = Named(body.serverip, body.pid, body.filename)
            session_id = services.end_game.find_for_portal(named).id
        structlog.contextvars.bind_contextvars(session_id=session_id)
        session = services.end_game(session_id)
        answer = {
            "gamestatus": session.state.value,
            "session_id": session.id,
            "detail": session.end_detail or (session.error.message if session.error else None),
        }
        return make_response(jsonify(answer), 202 if session.state.is_active else 200)

    @routes.post(
        "/add_game",
        summary="Add a game to the catalogue",
        responses={200: PortalAdded, 201: PortalAdded},
    )
    def add_game(body: GameBody) -> Response:
        game, added = services.add_game(game_from(body, body.id))
        answer = {"gamestatus": "added" if added else "exists", "gameID": game.id}
        return make_response(jsonify(answer), 201 if added else 200)

    return routes
