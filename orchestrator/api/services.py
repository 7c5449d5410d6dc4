"""What the routes call, as plain values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from orchestrator.domain.session import Session
from orchestrator.ports import Clock, UnitOfWorkFactory
from orchestrator.services.add_game import AddGame
from orchestrator.services.change_game import ChangeGame, RemoveGame
from orchestrator.services.check_server import CheckServer
from orchestrator.services.end_game import EndGame
from orchestrator.services.give_up import GiveUp
from orchestrator.services.manage_servers import ManageServers
from orchestrator.services.preview_placement import PreviewPlacement
from orchestrator.services.read_history import ReadHistory
from orchestrator.services.reports import Reports
from orchestrator.services.start_game import StartRequest
from orchestrator.services.tokens import Tokens


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether requests can be answered; ``missing`` says what is not there yet.

    ``servers`` counts the inventory's servers by health, those that occur.
    """

    ready: bool
    missing: tuple[str, ...] = ()
    servers: Mapping[str, int] = field(default_factory=dict)


def _ignore(_method: str, _route: str, _status: int, _seconds: float) -> None:
    return None


@dataclass(frozen=True, slots=True)
class ApiServices:
    """The use cases behind the routes; simple reads go through ``units``.

    ``session_id_for`` tells which session a token's Idempotency-Key starts first.
    ``metrics`` takes the Accept header; ``observe`` is told of every request.
    """

    start_game: Callable[[StartRequest], Session]
    session_id_for: Callable[[str, str], str]
    end_game: EndGame
    give_up: GiveUp
    add_game: AddGame
    change_game: ChangeGame
    remove_game: RemoveGame
    manage_servers: ManageServers
    check_server: CheckServer
    preview_placement: PreviewPlacement
    tokens: Tokens
    read_history: ReadHistory
    reports: Reports
    units: UnitOfWorkFactory
    clock: Clock
    readiness: Callable[[], Readiness]
    metrics: Callable[[str], tuple[bytes, str]]
    observe: Callable[[str, str, int, float], None] = _ignore
