"""REST version 1."""

from __future__ import annotations

from collections import Counter
from typing import Any

import structlog
from flask import Response, g, jsonify, url_for
from flask_openapi3 import APIBlueprint, Tag

from orchestrator.api.answers import etag, resource, wanted_version
from orchestrator.api.models import (
    CheckView,
    DecisionView,
    EventList,
    EventsQuery,
    Problem,
    ServerList,
    ServerPath,
    ServerView,
    SessionBody,
    SessionList,
    SessionPath,
    SessionsQuery,
    SessionView,
)
from orchestrator.api.services import ApiServices
from orchestrator.api.starting import start
from orchestrator.api.views import (
    check_json,
    decision_json,
    event_json,
    server_json,
    session_json,
)
from orchestrator.domain.errors import StaleVersion
from orchestrator.domain.server import ServerRecord
from orchestrator.domain.session import Session
from orchestrator.ports import SessionQuery
from orchestrator.services.start_game import StartRequest

_ERRORS: dict[Any, Any] = {401: Problem, 403: Problem, 404: Problem, 422: Problem}
_SESSIONS, _SERVERS, _OTHER = (
    [Tag(name=name)] for name in ("sessions", "servers", "decisions and events")
)


def create_blueprint(services: ApiServices) -> APIBlueprint:
    """Sessions, servers, placements and events under /api/v1."""
    routes = APIBlueprint(
        "v1",
        __name__,
        url_prefix="/api/v1",
        abp_security=[{"bearer": []}],
        abp_responses=_ERRORS,
    )
    _add_sessions(routes, services)
    _add_servers(routes, services)
    _add_decisions(routes, services)
    return routes


def _add_sessions(routes: APIBlueprint, services: ApiServices) -> None:
    @routes.post(
        "/sessions",
        tags=_SESSIONS,
        summary="Start a game",
        responses={201: SessionView, 202: SessionView, 409: Problem, 429: Problem, 502: Problem},
    )
    def create_session(body: SessionBody) -> Response:
        session, status = start(
            services,
            body.game,
            body.mode,
            body.config_file,
            body.strategy,
            str(body.player_address) if body.player_address else None,
        )
        location = url_for("v1.get_session", session_id=session.id)
        return resource(session_json(session), session.version, status, Location=location)

    @routes.get(
        "/sessions",
        tags=_SESSIONS,
        summary="List sessions, newest first",
        responses={200: SessionList},
    )
    def list_sessions(query: SessionsQuery) -> Response:
        wanted = SessionQuery(
            states=frozenset(query.state) if query.state else None,
            server=query.server,
            game_id=query.game,
            limit=query.limit,
            before=query.before,
        )
        with services.units(read_only=True) as uow:
            found = uow.sessions.list(wanted)
        last = found[-1].id if len(found) == query.limit else None
        return jsonify(sessions=[session_json(session) for session in found], next=last)

    @routes.get(
        "/sessions/<string:session_id>",
        tags=_SESSIONS,
        summary="One session",
        responses={200: SessionView},
    )
    def get_session(path: SessionPath) -> Response:
        with services.units(read_only=True) as uow:
            session = uow.sessions.get(path.session_id)
        return resource(session_json(session), session.version)

    @routes.post(
        "/sessions/<string:session_id>/end",
        tags=_SESSIONS,
        summary="End a session; safe to repeat",
        responses={200: SessionView, 202: SessionView, 409: Problem, 502: Problem},
    )
    def end_session(path: SessionPath) -> Response:
        return _ended(services.end_game(path.session_id))

    @routes.delete(
        "/sessions/<string:session_id>",
        tags=_SESSIONS,
        summary="The same as POST .../end",
        responses={200: SessionView, 202: SessionView, 409: Problem, 502: Problem},
    )
    def delete_session(path: SessionPath) -> Response:
        return _ended(services.end_game(path.session_id))

    @routes.post(
        "/sessions/<string:session_id>/give-up",
        tags=_SESSIONS,
        summary="Call a session ended whose server will not answer any more",
        responses={200: SessionView, 409: Problem},
    )
    def give_up_session(path: SessionPath) -> Response:
        return _ended(services.give_up(path.session_id, f"token {g.token.id}"))

    @routes.get(
        "/sessions/<string:session_id>/decision",
        tags=_OTHER,
        summary="Why a session is where it is",
        responses={200: DecisionView},
    )
    def get_decision(path: SessionPath) -> Response:
        with services.units(read_only=True) as uow:
            session = uow.sessions.get(path.session_id)
        return jsonify(decision_json(session.decision))


def _add_servers(routes: APIBlueprint, services: ApiServices) -> None:
    @routes.get(
        "/servers", tags=_SERVERS, summary="List servers with load", responses={200: ServerList}
    )
    def list_servers() -> Response:
        with services.units(read_only=True) as uow:
            records = uow.servers.list()
            used = Counter(held.server for held in uow.sessions.holdings())
        return jsonify(servers=[server_json(r, used[r.server.name]) for r in records])

    @routes.get(
        "/servers/<string:name>", tags=_SERVERS, summary="One server", responses={200: ServerView}
    )
    def get_server(path: ServerPath) -> Response:
        return _server(path.name)

    @routes.post(
        "/servers/<string:name>/check",
        tags=_SERVERS,
        summary="Look at what it lacks before it can run games",
        responses={200: CheckView},
    )
    def check_server(path: ServerPath) -> Response:
        return jsonify(check_json(services.check_server(path.name)))

    @routes.post(
        "/servers/<string:name>/drain",
        tags=_SERVERS,
        summary="Send it no new sessions",
        responses={200: ServerView, 412: Problem},
    )
    def drain_server(path: ServerPath) -> Response:
        _check_version(path.name)
        services.manage_servers.drain(path.name, f"token {g.token.id}")
        return _server(path.name)

    @routes.post(
        "/servers/<string:name>/resume",
        tags=_SERVERS,
        summary="Let it take sessions again",
        responses={200: ServerView, 412: Problem},
    )
    def resume_server(path: ServerPath) -> Response:
        _check_version(path.name)
        services.manage_servers.resume(path.name, f"token {g.token.id}")
        return _server(path.name)

    def _server(name: str) -> Response:
        record, used = _read(name)
        return resource(server_json(record, used), record.version)

    def _read(name: str) -> tuple[ServerRecord, int]:
        with services.units(read_only=True) as uow:
            record = uow.servers.get(name)
            used = sum(held.server == name for held in uow.sessions.holdings())
        return record, used

    def _check_version(name: str) -> None:
        wanted = wanted_version(name)
        if wanted is None:
            return
        record, _ = _read(name)
        if wanted != record.version:
            raise StaleVersion(f"{name} is at version {etag(record.version)}, not {etag(wanted)}")


def _add_decisions(routes: APIBlueprint, services: ApiServices) -> None:
    @routes.post(
        "/placements",
        tags=_OTHER,
        summary="Where a session would go now, without starting it",
        responses={200: DecisionView},
    )
    def preview_placement(body: SessionBody) -> Response:
        wanted = StartRequest(body.game, body.mode, body.config_file, body.strategy)
        return jsonify(decision_json(services.preview_placement(wanted)))

    @routes.get(
        "/events", tags=_OTHER, summary="What happened, newest first", responses={200: EventList}
    )
    def list_events(query: EventsQuery) -> Response:
        with services.units(read_only=True) as uow:
            found = uow.events.list(query.session, query.server, query.limit)
        return jsonify(events=[event_json(event) for event in found])


def _ended(session: Session) -> Response:
    structlog.contextvars.bind_contextvars(session_id=session.id)
    return resource(session_json(session), session.version, 202 if session.state.is_active else 200)
