"""A single resource as an answer: its ETag, and the If-Match that an edit may carry."""

from __future__ import annotations

import re
from typing import Any

from flask import Response, jsonify, make_response, request

from orchestrator.domain.errors import StaleVersion

_VERSION = re.compile(r'"(\d{1,18})"')


def resource(body: dict[str, Any], version: int, status: int = 200, **headers: str) -> Response:
    """One resource, with its version as its ETag."""
    response = make_response(jsonify(body), status)
    response.headers["ETag"] = etag(version)
    response.headers.update(headers)
    return response


def etag(version: int) -> str:
    """A version as an ETag."""
    return f'"{version}"'


def wanted_version(name: str) -> int | None:
    """The version of ``name`` that If-Match asks for; None where any will do."""
    wanted = request.headers.get("If-Match")
    if wanted in (None, "*"):
        return None
    version = _VERSION.fullmatch(wanted)
    if version is None:
        raise StaleVersion(f"If-Match {wanted} is no ETag of {name}: send one as GET gave it")
    return int(version[1])
