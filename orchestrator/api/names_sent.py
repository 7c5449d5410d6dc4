"""Errors tell fields by the names that the caller wrote: the portal has its own for some."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from flask import request

from orchestrator.domain.errors import FieldProblem

PORTAL_ROUTES = frozenset({"/start_game", "/end_game", "/add_game"})
_PORTAL_NAMES = {
    "/start_game": {"game": "gameID", "mode": "excutemode", "config_file": "configfile"},
    "/add_game": {"id": "gameID", "title": "gamename"},
}


def as_sent(problems: Sequence[FieldProblem]) -> list[FieldProblem]:
    """The problems of this request, each at the name that it has, or would have, there."""
    names = _PORTAL_NAMES.get(request.path)
    if names is None:
        return list(problems)
    body = request.get_json(silent=True)
    written = body if isinstance(body, dict) else {}
    return [
        replace(each, field=names[each.field])
        if each.field in names and each.field not in written
        else each
        for each in problems
    ]
