"""Errors as application/problem+json (RFC 9457), and the one table of statuses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from flask import Response, g, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, RequestEntityTooLarge

from orchestrator.api.names_sent import PORTAL_ROUTES, as_sent
from orchestrator.domain.errors import (
    InvalidRequest,
    NoCapacity,
    OrchestratorError,
    ServerCallError,
)

STATUS: Mapping[str, int] = {
    "invalid_request": 422,
    "bad_json": 400,
    "bad_request": 400,
    "not_authenticated": 401,
    "not_allowed": 403,
    "not_found": 404,
    "unknown_game": 404,
    "unknown_report": 404,
    "unknown_server": 404,
    "unknown_session": 404,
    "unknown_site": 404,
    "method_not_allowed": 405,
    "contention": 409,
    "game_exists": 409,
    "game_in_use": 409,
    "no_report_targets": 409,
    "request_in_progress": 409,
    "session_conflict": 409,
    "stale_version": 412,
    "too_large": 413,
    "unsupported_media_type": 415,
    "idempotency_mismatch": 422,
    "unknown_strategy": 422,
    "no_capacity": 429,
    "headers_too_large": 431,
    "internal_error": 500,
    "access_denied": 502,
    "account_blocked": 502,
    "clock_skew": 502,
    "connection_lost": 502,
    "credentials_refused": 502,
    "kdc_unreachable": 502,
    "login_not_offered": 502,
    "no_ticket": 502,
    "not_in_inventory": 502,
    "protocol_violation": 502,
    "query_rejected": 502,
    "server_unreachable": 502,
    "tls_untrusted": 502,
    "database_missing": 503,
    "database_unusable": 503,
    "quota_exceeded": 503,
    "schema_outdated": 503,
    "server_busy": 503,
    "store_unavailable": 503,
    "deadline_exceeded": 504,
}
"""Status of each code. A script's own code (docs/scripts.md) is 502."""

SCRIPT_STATUS = 502
TOO_LARGE = "the body is larger than the 1 MiB that is read: send a smaller one"
_HTTP_CODES = {
    400: "bad_json",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_media_type",
}
_TITLES = {code: code.replace("_", " ").capitalize() for code in STATUS}
_RETRY_AFTER = {"request_in_progress": 2, "contention": 1, "store_unavailable": 5, "server_busy": 5}


def from_error(error: OrchestratorError) -> Response:
    """An error of ours."""
    extra: dict[str, Any] = {}
    headers: dict[str, str] = {}
    if isinstance(error, InvalidRequest):
        error = InvalidRequest(as_sent(error.problems))
        extra["errors"] = [{"field": p.field, "message": p.message} for p in error.problems]
    if isinstance(error, NoCapacity):
        extra["reasons"] = error.reasons
        headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, ServerCallError):
        extra["outcome"] = error.outcome.value
        extra["server"] = error.server
    if error.session_id is not None:
        extra["session_id"] = error.session_id
    if error.code in _RETRY_AFTER:
        headers["Retry-After"] = str(_RETRY_AFTER[error.code])
    if error.code == "not_authenticated":
        headers["WWW-Authenticate"] = 'Bearer realm="orchestrator"'
    return problem(error.code, error.told, retryable=error.retryable, extra=extra, headers=headers)


def from_http(error: HTTPException) -> Response:
    """What Flask found wrong before any code of ours ran."""
    status = error.code or 500
    code = _HTTP_CODES.get(status, "bad_json" if status < 500 else "internal_error")
    headers = {}
    detail = error.description or code
    if status == 404:
        detail = f"there is nothing at {request.path}: /openapi.json lists what there is"
    if isinstance(error, MethodNotAllowed):
        methods = sorted(error.valid_methods or ())
        headers["Allow"] = ", ".join(methods)
        usual = [each for each in methods if each not in {"HEAD", "OPTIONS"}]
        detail = f"{request.path} does not take {request.method}: send {' or '.join(usual)}"
    if isinstance(error, RequestEntityTooLarge):
        detail = TOO_LARGE
    return problem(code, detail, headers=headers)


def problem(
    code: str,
    detail: str,
    *,
    retryable: bool = False,
    extra: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """One problem, as the answer to the request at hand."""
    body = {
        **document(code, detail, retryable=retryable, instance=getattr(g, "request_id", "")),
        **(extra or {}),
    }
    if request.path in PORTAL_ROUTES:
        body["gamestatus"] = "failed"
    response = Response(
        json.dumps(body) + "\n", status=body["status"], content_type="application/problem+json"
    )
    response.headers.update(headers or {})
    return response


def document(code: str, detail: str, *, instance: str, retryable: bool = False) -> dict[str, Any]:
    """What every problem tells."""
    return {
        "type": f"urn:orchestrator:{code}",
        "title": _TITLES.get(code, code.replace("_", " ").capitalize()),
        "status": STATUS.get(code, SCRIPT_STATUS),
        "detail": detail,
        "code": code,
        "retryable": retryable,
        "instance": instance,
    }
