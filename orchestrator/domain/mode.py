"""How a game is launched; the portal says ``excutemode``."""

from __future__ import annotations

from enum import StrEnum


class Mode(StrEnum):
    """The ways a game can be launched and streamed."""

    PERIODIC = "periodic"
    EVENT_DRIVEN = "event-driven"
    PROCESS = "process"
    SUNSHINE = "sunshine"


class Concurrency(StrEnum):
    """Who may share a server's desktop with a session.

    GamingAnywhere's periodic capture and its d9/d10/d11/dxgi/gl hooks use
    desktop-wide input, so a second session would receive the first one's keys.
    """

    SHARED = "shared"
    EXCLUSIVE = "exclusive"


def default_concurrency(mode: Mode, hook_type: str | None) -> Concurrency:
    """What a mode allows when the game's entry does not say.

    ``hook_type`` is GamingAnywhere's key of that name, or None where unknown.
    """
    if mode is Mode.PROCESS:
        return Concurrency.SHARED
    if mode is Mode.EVENT_DRIVEN and (hook_type or "").lower() in {"sdl", "sdl2"}:
        return Concurrency.SHARED
    return Concurrency.EXCLUSIVE
