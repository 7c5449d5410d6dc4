"""Reasons why a server cannot take a session."""

from __future__ import annotations

from orchestrator.domain.mode import Concurrency
from orchestrator.domain.server import Health
from orchestrator.placement.model import Filter, Request, ServerView

_ANSWERING = frozenset({Health.UP, Health.DEGRADED})

_MOST_WORDS = 120


def in_inventory(request: Request, view: ServerView) -> str | None:
    """The server has not left the inventory."""
    return None if view.present else "is not in the inventory"


def healthy(request: Request, view: ServerView) -> str | None:
    """The last poll got an answer."""
    if view.health in _ANSWERING:
        return None
    if view.health is Health.UNKNOWN:
        return "has not been polled yet"
    why = _first_words(view.health_reason)
    return f"is {view.health}: {why}" if why else f"is {view.health}"


def not_drained(request: Request, view: ServerView) -> str | None:
    """No admin has drained it."""
    return "is drained" if view.drained else None


def not_in_maintenance(request: Request, view: ServerView) -> str | None:
    """No maintenance window of the inventory is open."""
    return None if view.maintenance is None else f"is in maintenance: {view.maintenance}"


def mode_allowed(request: Request, view: ServerView) -> str | None:
    """The inventory lets it run this mode."""
    if request.mode in view.server.modes:
        return None
    allowed = ", ".join(sorted(view.server.modes)) or "none"
    return f"does not run mode {request.mode} (orchestrator_modes: {allowed})"


def game_allowed(request: Request, view: ServerView) -> str | None:
    """The inventory lets it run this game."""
    games = view.server.games
    if games is None or request.game_id in games:
        return None
    return f"does not run {request.game_id} (orchestrator_games)"


def labels_match(request: Request, view: ServerView) -> str | None:
    """It has every label that the game asks for."""
    for key, wanted in sorted(request.labels.items()):
        found = view.server.labels.get(key)
        if found != wanted:
            return f"has label {key}={found or 'none'}, the game needs {key}={wanted}"
    return None


def memory_fits(request: Request, view: ServerView) -> str | None:
    """It has as much memory as the game needs, were it all free."""
    total = view.load.memory_total_mb if view.load else None
    needed = request.needs.memory_mb
    if not total or needed <= total:
        return None
    return f"has {total} MiB of memory, the game needs {needed}"


def slot_free(request: Request, view: ServerView) -> str | None:
    """A slot is free."""
    if view.free_slots:
        return None
    return f"has no free slot ({len(view.occupants)} of {view.server.slots} taken)"


def desktop_free(request: Request, view: ServerView) -> str | None:
    """Nobody holds the desktop that this session needs for itself, or the reverse."""
    for occupant in view.occupants:
        if occupant.concurrency is Concurrency.EXCLUSIVE:
            return f"its desktop is held by session {occupant.session_id}"
    if view.occupants and request.concurrency is Concurrency.EXCLUSIVE:
        return f"its desktop is shared by {len(view.occupants)} session(s), this one needs it alone"
    return None


def ports_free(request: Request, view: ServerView) -> str | None:
    """Two ports of its range are free."""
    if view.free_ports():
        return None
    reason = f"has no two free ports in {view.server.ports}"
    if view.refused_ports:
        reason += (
            f"; another process was found on {', '.join(map(str, sorted(view.refused_ports)))}"
        )
    return reason


STANDARD_FILTERS: tuple[Filter, ...] = (
    in_inventory,
    healthy,
    not_drained,
    not_in_maintenance,
    mode_allowed,
    game_allowed,
    labels_match,
    memory_fits,
    slot_free,
    desktop_free,
    ports_free,
)
"""What every strategy must refuse; a strategy may add its own."""


def _first_words(reason: str) -> str:
    """The first statement of a health's reason, which may go on with remedies."""
    first = " ".join(reason.split()).partition("; ")[0]
    return first if len(first) <= _MOST_WORDS else first[: _MOST_WORDS - 1].rstrip() + "…"
