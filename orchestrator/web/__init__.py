"""The overview page: static files that ask the API for everything they show."""

from __future__ import annotations

from pathlib import Path

from flask import Blueprint, Response, send_from_directory

_STATIC = Path(__file__).parent / "static"
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def create_blueprint() -> Blueprint:
    """``/`` and its assets. They hold no data, so they need no token."""
    web = Blueprint("web", __name__)

    @web.get("/")
    def overview() -> Response:
        response = send_from_directory(_STATIC, "overview.html")
        response.headers["Content-Security-Policy"] = _POLICY
        response.headers["Referrer-Policy"] = "no-referrer"
        return response

    @web.get("/assets/<path:name>")
    def asset(name: str) -> Response:
        return send_from_directory(_STATIC, name)

    return web
