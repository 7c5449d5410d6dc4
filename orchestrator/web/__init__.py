"""The overview page: static files that ask the API for everything they show."""

from __future__ import annotations

from pathlib import Path

from flask import Blueprint, Response, abort

_STATIC = Path(__file__).parent / "static"
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def create_blueprint() -> Blueprint:
    """``/`` and its assets. They hold no data, so they need no token."""
    web = Blueprint("web", __name__)
    files = {file.name: file.read_bytes() for file in _STATIC.iterdir() if file.suffix in _TYPES}

    def serve(name: str) -> Response:
        if name not in files:
            abort(404)
        kind = _TYPES[Path(name).suffix]
        return Response(files[name], content_type=f"{kind}; charset=utf-8")

    @web.get("/")
    def overview() -> Response:
        response = serve("overview.html")
        response.headers["Content-Security-Policy"] = _POLICY
        response.headers["Referrer-Policy"] = "no-referrer"
        return response

    @web.get("/assets/<path:name>")
    def asset(name: str) -> Response:
        return serve(name)

    return web
