"""An entry of the catalogue: how a game is launched and what it needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from orchestrator.domain.mode import Concurrency, Mode, default_concurrency


class Ready(StrEnum):
    """When a launch counts as ready."""

    PORT = "port"
    PROCESS = "process"


@dataclass(frozen=True, slots=True)
class LaunchSpec:
    """How a game is launched in one mode.

    ``executable`` is the game's absolute Windows path. ``config_file`` is the
    GamingAnywhere config's path relative to the server's config directory,
    used for a request that names none. ``ready`` is PORT for everything that
    streams by GamingAnywhere. ``ready_timeout`` is in seconds.
    """

    executable: str
    arguments: tuple[str, ...] = ()
    working_directory: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    config_file: str | None = None
    hook_type: str | None = None
    elevated: bool = False
    ready: Ready = Ready.PORT
    ready_timeout: int = 60
    concurrency: Concurrency | None = None

    def concurrency_in(self, mode: Mode) -> Concurrency:
        """Whether a session of this spec shares its server's desktop.

        Sunshine streams one app at a time, whatever the game's entry says.
        """
        if mode is Mode.SUNSHINE:
            return Concurrency.EXCLUSIVE
        return self.concurrency or default_concurrency(mode, self.hook_type)


@dataclass(frozen=True, slots=True)
class Needs:
    """What one session adds to a server: shares in [0, 1], memory in MiB."""

    cpu: float = 0.1
    gpu: float = 0.1
    memory_mb: int = 512


@dataclass(frozen=True, slots=True)
class Limits:
    """When a session is ended without being asked, in seconds; None for never.

    ``duration`` counts from when it ran, ``idle`` from when its last client left.
    """

    duration: int | None = None
    idle: int | None = None

    @property
    def any(self) -> bool:
        """Whether there is one."""
        return self.duration is not None or self.idle is not None


@dataclass(frozen=True, slots=True)
class Game:
    """A game, its launch per mode, its needs, the labels its server must have, and
    how long its sessions may last."""

    id: str
    title: str
    modes: Mapping[Mode, LaunchSpec]
    needs: Needs = Needs()
    labels: Mapping[str, str] = field(default_factory=dict)
    created_at: datetime | None = None
    version: int = 1
    limits: Limits = Limits()
