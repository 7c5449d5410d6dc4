"""The Flask application: what happens to every request, around the routes."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from typing import Any

import structlog
from flask import Flask, Response, g, jsonify, make_response, request
from flask.json.provider import DefaultJSONProvider
from flask_openapi3 import Info, OpenAPI
from pydantic import ValidationError
from werkzeug.exceptions import BadRequest, HTTPException, UnsupportedMediaType

from orchestrator.api import (
    problems,
    routes_games,
    routes_history,
    routes_portal,
    routes_reports,
    routes_v1,
)
from orchestrator.api.access import check_access
from orchestrator.api.idempotency import IdempotencyKeys
from orchestrator.api.models import Health, Ready
from orchestrator.api.openapi import described
from orchestrator.api.services import ApiServices, Readiness
from orchestrator.api.views import field_problems
from orchestrator.domain.errors import FieldProblem, InvalidRequest, OrchestratorError

MAX_BODY = 1024 * 1024
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_OPEN_ROUTES = frozenset({"/healthz", "/readyz"})
_METRICS = frozenset({"GET /metrics"})

log = structlog.get_logger(__name__)

__all__ = ["ApiServices", "Readiness", "create_app"]


class StrictJson(DefaultJSONProvider):
    """JSON without NaN and infinities."""

    sort_keys = False

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """Parse; ValueError for what JSON does not allow."""
        return json.loads(s, parse_constant=_no_constant, **kwargs)


def create_app(services: ApiServices, *, version: str, open_metrics: bool = False) -> Flask:
    """The application; ``services`` are plain callables, so tests can pass fakes.

    ``open_metrics``: ``/metrics`` needs no token.
    """
    app = OpenAPI(
        __name__,
        info=Info(title="Game server orchestrator", version=version),
        security_schemes={"bearer": {"type": "http", "scheme": "bearer"}},
        validation_error_callback=_invalid,
        doc_ui=False,
    )
    app.json = StrictJson(app)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    keys = IdempotencyKeys(services.units, services.clock, services.session_id_for)
    _surround(app, services, keys, _METRICS if open_metrics else frozenset())
    _handle_errors(app)
    app.register_api(routes_portal.create_blueprint(services))
    app.register_api(routes_v1.create_blueprint(services))
    app.register_api(routes_games.create_blueprint(services))
    app.register_api(routes_history.create_blueprint(services))
    app.register_api(routes_reports.create_blueprint(services))
    _add_health(app, services)
    return app


def _surround(
    app: Flask, services: ApiServices, keys: IdempotencyKeys, opened: frozenset[str]
) -> None:
    @app.before_request
    def begin() -> Response | None:
        g.began = time.monotonic()
        g.request_id = _request_id()
        g.claimed = False
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=g.request_id)
        g.token = check_access(services.tokens, request, opened)
        _check_body()
        if g.token is None:
            return None
        replay = keys.begin(g.token.id, request)
        g.claimed = replay is None
        return replay

    @app.after_request
    def end(response: Response) -> Response:
        response.headers["X-Request-Id"] = getattr(g, "request_id", "")
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Content-Type-Options"] = "nosniff"
        if getattr(g, "claimed", False):
            _keep_answer(keys, response)
        if request.path not in _OPEN_ROUTES:
            _log_access(response)
        rule = request.url_rule.rule if request.url_rule else "(none)"
        seconds = time.monotonic() - getattr(g, "began", time.monotonic())
        services.observe(request.method, rule, response.status_code, seconds)
        return response


def _handle_errors(app: Flask) -> None:
    @app.errorhandler(OrchestratorError)
    def ours(error: OrchestratorError) -> Response:
        return problems.from_error(error)

    @app.errorhandler(HTTPException)
    def flasks(error: HTTPException) -> Response:
        return problems.from_http(error)

    @app.errorhandler(Exception)
    def unexpected(_: Exception) -> Response:
        log.exception("request failed", path=request.path)
        detail = f"an error of the broker's own; its log has it under {g.request_id}"
        return problems.problem("internal_error", detail)


def _add_health(app: OpenAPI, services: ApiServices) -> None:
    @app.get("/healthz", responses={200: Health}, summary="Whether the process answers")
    def healthz() -> Response:
        return jsonify(status="ok", missing=[])

    @app.get("/readyz", responses={200: Ready, 503: Ready}, summary="Whether it can start games")
    def readyz() -> Response:
        readiness = services.readiness()
        body = {
            "status": "ready" if readiness.ready else "not ready",
            "missing": list(readiness.missing),
            "servers": dict(readiness.servers),
        }
        return make_response(jsonify(body), 200 if readiness.ready else 503)

    @app.get(
        "/metrics",
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
        summary="Figures for Prometheus",
        security=[{"bearer": []}],
    )
    def metrics() -> Response:
        body, content_type = services.metrics(request.headers.get("Accept", ""))
        return Response(body, content_type=content_type)

    @app.route("/openapi.json")
    def openapi() -> Response:
        return jsonify(described(app.api_doc))


def _check_body() -> None:
    """A body must be a JSON object that any database and log can hold."""
    if request.method not in {"POST", "PUT", "PATCH"} or not request.get_data(cache=True):
        return
    if not request.is_json:
        raise UnsupportedMediaType("send the body as JSON, with Content-Type: application/json")
    try:
        body = request.get_json(cache=True)
        twice = _written_twice(request.get_data())
    except (BadRequest, RecursionError, UnicodeDecodeError):
        raise BadRequest(_not_json(request.get_data())) from None
    if not isinstance(body, dict):
        raise InvalidRequest([FieldProblem("body", "must be a JSON object")])
    found = [FieldProblem(name, "is here twice: send it once") for name in twice]
    found += [FieldProblem(path, message) for path, message in _unstorable(body, "")]
    if found:
        raise InvalidRequest(found)


def _written_twice(body: bytes) -> list[str]:
    """Names that an object has more than once: JSON leaves open which of the values counts."""
    twice: list[str] = []

    def look(pairs: list[tuple[str, Any]]) -> None:
        counts = Counter(name for name, _ in pairs)
        twice.extend(name for name, count in counts.items() if count > 1)

    json.loads(body, object_pairs_hook=look)
    return twice


def _not_json(body: bytes) -> str:
    """Where a body stops being JSON, and what to send."""
    try:
        json.loads(body)
        where = ""
    except json.JSONDecodeError as error:
        where = f", at line {error.lineno} column {error.colno}: {error.msg}"
    except (RecursionError, UnicodeDecodeError):
        where = ""
    return (
        f"the body cannot be read as JSON{where}. Send one object in UTF-8 such as "
        '{"name": "value"}: double quotes around names and texts, a backslash written twice, '
        "no comma after the last field, no NaN or Infinity, no deep nesting"
    )


def _unstorable(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _unstorable(key, path or "body")
            yield from _unstorable(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from _unstorable(item, f"{path}.{position}")
    elif isinstance(value, str):
        if "\0" in value:
            yield path, "must not contain NUL"
        elif any("\ud800" <= character <= "\udfff" for character in value):
            yield path, "must not contain half of a surrogate pair"


def _keep_answer(keys: IdempotencyKeys, response: Response) -> None:
    """What was done is done: an answer that cannot be kept is still given."""
    try:
        keys.finish(g.token.id, request, response)
    except OrchestratorError as error:
        log.warning("answer not kept", code=error.code, detail=error.message)


def _invalid(error: ValidationError) -> Response:
    return problems.from_error(InvalidRequest(field_problems(error)))


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _request_id() -> str:
    given = request.headers.get("X-Request-Id", "")
    return given if _REQUEST_ID.fullmatch(given) else str(uuid.uuid4())


def _log_access(response: Response) -> None:
    token = getattr(g, "token", None)
    log.info(
        "request",
        method=request.method,
        path=request.path,
        status=response.status_code,
        ms=round((time.monotonic() - g.began) * 1000),
        token=token.id if token else None,
    )
