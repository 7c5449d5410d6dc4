"""REST version 1: the catalogue."""

from __future__ import annotations

from typing import Any

from flask import Response, g, jsonify, make_response, url_for
from flask_openapi3 import APIBlueprint, Tag

from orchestrator.api.answers import resource, wanted_version
from orchestrator.api.models import GameBody, GameEdit, GameList, GamePath, GameView, Problem
from orchestrator.api.services import ApiServices
from orchestrator.api.views import game_from, game_json
from orchestrator.domain.errors import FieldProblem, InvalidRequest

_ERRORS: dict[Any, Any] = {401: Problem, 403: Problem, 404: Problem, 422: Problem}
_EDIT_ERRORS: dict[Any, Any] = {409: Problem, 412: Problem}


def create_blueprint(services: ApiServices) -> APIBlueprint:
    """Every route under /api/v1/games."""
    routes = APIBlueprint(
        "games",
        __name__,
        url_prefix="/api/v1",
        abp_tags=[Tag(name="games")],
        abp_security=[{"bearer": []}],
        abp_responses=_ERRORS,
    )

    @routes.get("/games", summary="The catalogue", responses={200: GameList})
    def list_games() -> Response:
        with services.units(read_only=True) as uow:
            found = uow.games.list()
        return jsonify(games=[game_json(game) for game in found])

    @routes.post(
        "/games",
        summary="Add a game; the same game again changes nothing",
        responses={200: GameView, 201: GameView, 409: Problem},
    )
    def create_game(body: GameBody) -> Response:
        game, added = services.add_game(game_from(body, body.id))
        location = url_for("games.get_game", game_id=game.id)
        return resource(game_json(game), game.version, 201 if added else 200, Location=location)

    @routes.get("/games/<string:game_id>", summary="One game", responses={200: GameView})
    def get_game(path: GamePath) -> Response:
        with services.units(read_only=True) as uow:
            game = uow.games.get(path.game_id)
        return resource(game_json(game), game.version)

    @routes.put(
        "/games/<string:game_id>",
        summary="Change a game: the body is the whole of it, as GET gives it; safe to repeat",
        responses={200: GameView, **_EDIT_ERRORS},
    )
    def change_game(path: GamePath, body: GameEdit) -> Response:
        if body.id is not None and body.id != path.game_id:
            message = (
                f"{body.id!r} is not {path.game_id!r} of the path, and a game keeps its id: "
                "leave it out, or add a game of that id with POST /api/v1/games"
            )
            raise InvalidRequest([FieldProblem("id", message)])
        game = services.change_game(
            game_from(body, path.game_id), _by(), wanted_version(f"game {path.game_id}")
        )
        return resource(game_json(game), game.version)

    @routes.delete(
        "/games/<string:game_id>",
        summary="Take a game out of the catalogue; its sessions stay readable",
        responses={204: {"description": "It is out"}, **_EDIT_ERRORS},
    )
    def remove_game(path: GamePath) -> Response:
        services.remove_game(path.game_id, _by(), wanted_version(f"game {path.game_id}"))
        return make_response("", 204)

    return routes


def _by() -> str:
    return f"token {g.token.id}"
