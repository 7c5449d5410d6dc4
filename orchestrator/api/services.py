"""What the routes call, as plain values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from orchestrator.ports import Clock, UnitOfWorkFactory
from orchestrator.services.add_game import AddGame
from orchestrator.services.end_game import EndGame
from orchestrator.services.manage_servers import ManageServers
from orchestrator.services.preview_placement import PreviewPlacement
from orchestrator.services.read_history import ReadHistory
from orchestrator.services.start_game import StartGame
from orchestrator.services.tokens import Tokens


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether requests can be answered; ``missing`` says what is not there yet."""

    ready: bool
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ApiServices:
    """The use cases behind the routes; simple reads go through ``units``."""

    start_game: StartGame
    end_game: EndGame
    add_game: AddGame
    manage_servers: ManageServers
    preview_placement: PreviewPlacement
    tokens: Tokens
    read_history: ReadHistory
    units: UnitOfWorkFactory
    clock: Clock
    readiness: Callable[[], Readiness]
